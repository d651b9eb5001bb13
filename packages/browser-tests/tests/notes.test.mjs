// The example application, as people use it.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';

import { badge, notesWorld, PHONE, signIn, tabTo, up, writeNote } from '../support/notes.mjs';
import { eventually } from '../support/wait.mjs';

/** Two people's browsers, both signed in and up to date. */
async function twoBrowsers(t) {
  const world = await notesWorld(t);
  const browsers = await Promise.all([world.browser('laptop'), world.browser('phone')]);
  const laptop = await signIn(browsers[0], world, 'Laptop');
  await badge(laptop, 'Everything is stored');
  return {
    ...world, laptop,
    /** The second one comes when there is something for it. */
    phone: async () => {
      const phone = await signIn(browsers[1], world, 'Phone', PHONE);
      await badge(phone, 'Everything is stored');
      return phone;
    },
  };
}

const text = (tab) => tab.getByLabel('Text', { exact: true });

test('a note is written offline, survives a reload without any server, and comes to another device', async (t) => {
  const { hub, notes, laptop, phone } = await twoBrowsers(t);
  // The service worker has all it needs.
  await laptop.evaluate(() => navigator.serviceWorker.ready);
  await Promise.all([hub.stop(), notes.stop()]);

  await writeNote(laptop, 'Shopping', 'milk\nbread');
  await badge(laptop, /1 change waits/);
  await laptop.reload();
  await badge(laptop, /1 change waits/);
  assert.equal(await laptop.getByLabel('Title', { exact: true }).inputValue(), 'Shopping');
  assert.equal(await text(laptop).inputValue(), 'milk\nbread');
  await tabTo(laptop, 'Sync');
  const unsent = laptop.getByRole('listitem').filter({ hasText: 'Shopping' });
  await unsent.filter({ hasText: 'waits until the hub can be reached' }).waitFor();

  await hub.start();
  await laptop.getByRole('button', { name: 'Sync now' }).click();
  await badge(laptop, 'Everything is stored');
  await notes.start();
  const other = await phone();
  await other.getByRole('link', { name: /Shopping/ }).click();
  assert.equal(await text(other).inputValue(), 'milk\nbread');
  await tabTo(other, 'Account');
  await other.getByRole('listitem').filter({ hasText: 'Laptop' }).filter({ hasText: 'Last change' }).waitFor();
});

test('to-dos that are ticked and added on two devices at once are one list', async (t) => {
  const { hub, laptop, phone } = await twoBrowsers(t);
  const add = async (tab, item) => {
    await tab.getByLabel('New to-do').fill(item);
    await tab.getByRole('button', { name: 'Add' }).click();
    await tab.getByRole('checkbox', { name: item }).waitFor();
  };
  await tabTo(laptop, 'To-do');
  await add(laptop, 'Water the peas');
  await add(laptop, 'Pay the rent');
  await badge(laptop, 'Everything is stored');
  const other = await phone();
  await tabTo(other, 'To-do');
  await other.getByRole('checkbox', { name: 'Pay the rent' }).waitFor();

  await hub.stop();
  await laptop.getByRole('checkbox', { name: 'Water the peas' }).check();
  await add(laptop, 'Book the ferry');
  await other.getByRole('checkbox', { name: 'Pay the rent' }).check();
  await hub.start();
  for (const tab of [laptop, other]) {
    await tabTo(tab, 'Sync');
    await tab.getByRole('button', { name: 'Sync now' }).click();
    await tabTo(tab, 'To-do');
  }
  for (const tab of [laptop, other]) {
    await eventually('the list is the same', async () => {
      const boxes = await tab.getByRole('checkbox').evaluateAll((all) => all.map((box) => `${box.getAttribute('aria-label')} ${box.checked}`).sort());
      return boxes.join() === ['Done: Book the ferry false', 'Done: Pay the rent true', 'Done: Water the peas true'].join();
    });
    await badge(tab, 'Everything is stored');
  }
});

test('two lists that were begun on two devices become one', async (t) => {
  const { hub, laptop, phone } = await twoBrowsers(t);
  const tabs = [laptop, await phone()];
  await hub.stop();
  for (const [number, tab] of tabs.entries()) {
    await tabTo(tab, 'To-do');
    await tab.getByLabel('New to-do').fill(`Thing ${number}`);
    await tab.getByRole('button', { name: 'Add' }).click();
    await badge(tab, /1 change waits/);
    await tabTo(tab, 'Sync');
  }
  await hub.start();
  await eventually('the laptop knows', async () => {
    for (const tab of tabs) {
      await tab.getByRole('button', { name: 'Sync now' }).click();
    }
    return (await laptop.locator('#badge').textContent()).includes('1 conflict to settle');
  });
  await laptop.getByRole('link', { name: /To-do list/ }).click();
  await laptop.getByRole('button', { name: 'Put both lists together' }).click();
  for (const tab of tabs) {
    await badge(tab, 'Everything is stored');
    await tabTo(tab, 'To-do');
    await tab.getByRole('checkbox', { name: 'Thing 0' }).waitFor();
    await tab.getByRole('checkbox', { name: 'Thing 1' }).waitFor();
  }
});

/** Both change the same line of a note without hearing of each other; the page of the conflict is open on the laptop. */
async function conflict(t) {
  const world = await twoBrowsers(t);
  const { hub, laptop } = world;
  await writeNote(laptop, 'Trip', 'at seven\n\nbring tickets');
  await badge(laptop, 'Everything is stored');
  const phone = await world.phone();
  await phone.getByRole('link', { name: /Trip/ }).click();
  await hub.stop();
  await text(laptop).fill('at eight\n\nbring tickets');
  await text(phone).fill('at nine\n\nbring tickets');
  for (const tab of [laptop, phone]) {
    await tab.locator('.note-state').filter({ hasText: 'Saved on this device' }).waitFor();
    await tabTo(tab, 'Sync');
    await badge(tab, /1 change waits/);
  }
  await hub.start();
  await eventually('the laptop knows', async () => {
    for (const tab of [laptop, phone]) {
      await tab.getByRole('button', { name: 'Sync now' }).click();
    }
    return (await laptop.locator('#badge').textContent()).includes('1 conflict to settle');
  });
  await laptop.getByRole('link', { name: /Trip/ }).click();
  await laptop.getByRole('heading', { name: 'Two versions of “Trip”' }).waitFor();
  return { ...world, phone };
}

test('two versions are shown side by side, one is kept, the other can be brought back', async (t) => {
  const { laptop, phone } = await conflict(t);
  const sides = laptop.locator('.version');
  await laptop.getByText('Written by this device').waitFor();
  await laptop.getByText('Written by Phone').waitFor();
  const marked = await laptop.locator('mark').allTextContents();
  assert.deepEqual(marked.sort(), ['at eight', 'at nine']);
  const aside = sides.filter({ hasText: 'set aside' });
  const chosen = await aside.locator('mark').textContent();
  await aside.getByRole('button', { name: 'Keep this one' }).click();
  for (const tab of [laptop, phone]) {
    await badge(tab, 'Everything is stored');
    await tabTo(tab, 'Notes');
    await tab.getByRole('link', { name: /Trip/ }).click();
    await eventually('both have what was chosen', async () => (await text(tab).inputValue()) === `${chosen}\n\nbring tickets`);
  }

  await laptop.getByRole('link', { name: 'History' }).click();
  await laptop.getByRole('button', { name: 'Bring back' }).first().click();
  const former = chosen === 'at nine' ? 'at eight' : 'at nine';
  await eventually('the former version is back', async () => (await text(laptop).inputValue()) === `${former}\n\nbring tickets`);
});

test('a deleted note is brought back', async (t) => {
  const { laptop, phone } = await twoBrowsers(t);
  await writeNote(laptop, 'Trip', 'at seven');
  await badge(laptop, 'Everything is stored');
  const other = await phone();
  await other.getByRole('link', { name: /Trip/ }).click();
  await other.getByRole('button', { name: 'Delete' }).click();
  await other.getByText('“Trip” was deleted.').waitFor();
  await tabTo(laptop, 'Notes');
  await laptop.getByText('No notes yet').waitFor();

  await laptop.getByRole('link', { name: 'Deleted notes' }).click();
  await laptop.getByRole('listitem').filter({ hasText: 'A note from' }).getByRole('button', { name: 'Bring back' }).click();
  assert.equal(await eventually('it is shown', () => text(laptop).inputValue()), 'at seven');
  await other.getByRole('link', { name: /Trip/ }).waitFor();
});

test('both versions are kept as two notes', async (t) => {
  const { laptop, phone } = await conflict(t);
  await laptop.getByRole('button', { name: 'Keep both' }).click();
  await badge(laptop, 'Everything is stored');
  for (const tab of [laptop, phone]) {
    await tabTo(tab, 'Notes');
    await eventually('there are two notes', async () => (await tab.locator('.note-item').count()) === 2);
    await badge(tab, 'Everything is stored');
    const starts = await tab.locator('.note-start').allTextContents();
    assert.deepEqual(starts.map((start) => start.split(' · ')[0]).sort(), ['at eight', 'at nine']);
  }
});

test('what another device writes comes into a note that is being written', async (t) => {
  const { laptop, phone } = await twoBrowsers(t);
  await writeNote(laptop, 'Trip', 'one\n\ntwo\n\nthree');
  await badge(laptop, 'Everything is stored');
  const other = await phone();
  await other.getByRole('link', { name: /Trip/ }).click();
  await text(other).fill('one\n\ntwo\n\nthree, from the phone');
  await text(laptop).focus();
  await laptop.keyboard.press('Control+Home');
  await laptop.keyboard.type('at home: ');
  for (const tab of [laptop, other]) {
    await eventually('both changes are there', async () => (await text(tab).inputValue()) === 'at home: one\n\ntwo\n\nthree, from the phone');
  }
  assert.equal(await text(laptop).evaluate((field) => field.selectionStart), 'at home: '.length, 'the caret is where it was');
});

test('a link in the address is taken out of it, and opens nothing without being asked', async (t) => {
  const { notes, hub, key, link, browser } = await notesWorld(t);
  const tab = await (await browser()).context.newPage();
  await tab.goto(`${notes.url}#hub=${encodeURIComponent(hub.url)}&key=${key}`);
  await tab.getByText('This link opens the notes').waitFor();
  assert.equal(tab.url(), notes.url);
  await tab.getByRole('checkbox', { name: 'Stay signed in' }).uncheck();
  await tab.getByRole('button', { name: 'Open these notes' }).click();
  await badge(tab, 'Everything is stored');
  assert.equal(await tab.evaluate(() => JSON.stringify({ ...localStorage })).then((all) => all.includes(key)), false);

  await tabTo(tab, 'Account');
  await tab.getByRole('button', { name: 'Sign out' }).click();
  await tab.getByLabel('Your link').waitFor();
  const left = await tab.evaluate(async () => [
    JSON.stringify({ ...localStorage, ...sessionStorage }), ...(await indexedDB.databases()).map(({ name }) => name),
  ]);
  assert.equal(left[0].includes(key), false);
  assert.deepEqual(left.slice(1).filter((name) => name.startsWith('bucket-')), [], 'the notes are gone from the device');

  await tab.getByLabel('Your link').fill(link);
  await tab.getByRole('button', { name: 'Sign in' }).click();
  await badge(tab, 'Everything is stored');
  assert.equal(await tab.locator('.toast').count(), 0, 'nobody is told that the browser took them away');
});

test('pangaea up serves it, and the notes are files in its folder', async (t) => {
  const { folder, app, browser } = await up(t);
  const tab = await browser.context.newPage();
  await tab.goto(app);
  await tab.getByRole('button', { name: 'Open these notes' }).click();
  await badge(tab, 'Everything is stored');
  await writeNote(tab, 'Shopping', 'milk');
  await badge(tab, 'Everything is stored');
  const texts = () => {
    try {
      return readdirSync(join(folder, 'notes')).map((name) => readFileSync(join(folder, 'notes', name), 'utf8'));
    } catch {
      // Not there yet, or just being replaced.
      return [];
    }
  };
  await eventually('the note is a file', async () => texts().join() === '# Shopping\n\nmilk');
});

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const SCHEMES = ['light', 'dark'];

/** What axe finds wrong with the page as it is. */
async function axe(tab, where) {
  const found = [];
  for (const colorScheme of SCHEMES) {
    await tab.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await tab.evaluate(AXE);
    const { violations } = await tab.evaluate(() => globalThis.axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    }));
    found.push(...violations.map(({ id, nodes }) => `${where}, ${colorScheme}: ${id} ${nodes.map(({ html }) => html).join(' ')}`));
  }
  return found;
}

/** Goes through the page with the tab key, and tells which controls were not reached. */
async function unreached(tab) {
  // A view that is drawn anew while the keyboard goes through it is gone through once more.
  return (await unreachedOnce(tab)).length === 0 ? [] : unreachedOnce(tab);
}

async function unreachedOnce(tab) {
  const controls = () => tab.evaluate(() => {
    document.activeElement?.blur();
    const all = [...document.querySelectorAll('a[href], button, input, textarea, [tabindex="0"]')].filter((one) => one.checkVisibility());
    return all.map((one) => one.id || one.outerHTML);
  });
  const missing = new Set(await controls());
  for (let left = missing.size + 2; left > 0 && missing.size > 0; left -= 1) {
    await tab.keyboard.press('Tab');
    missing.delete(await tab.evaluate(() => document.activeElement.id || document.activeElement.outerHTML));
  }
  return [...missing];
}

test('every view has names, contrast and an order for the keyboard, light and dark', async (t) => {
  const { laptop, phone, notes } = await conflict(t);
  const outside = await laptop.context().newPage();
  const problems = [];
  const look = async (tab, where) => {
    problems.push(...(await axe(tab, where)));
    problems.push(...(await unreached(tab)).map((html) => `${where}: the keyboard does not reach ${html}`));
  };
  await look(laptop, 'conflict');
  for (const tab of [laptop, phone]) {
    await tabTo(tab, 'Sync');
    await look(tab, 'sync');
    await tabTo(tab, 'To-do');
    await look(tab, 'to-do, empty');
    await tab.getByLabel('New to-do').fill('Water the peas');
    await tab.keyboard.press('Enter');
    await tab.getByRole('checkbox', { name: 'Water the peas' }).first().waitFor();
    await look(tab, 'to-do');
    await tabTo(tab, 'Account');
    await tab.getByText('Last change').first().waitFor();
    await tab.getByRole('button', { name: 'Show the link' }).click();
    await look(tab, 'account');
    await tabTo(tab, 'Notes');
    await look(tab, 'notes');
    await tab.getByRole('link', { name: 'Deleted notes' }).click();
    await tab.getByText('Nothing here').waitFor();
    await look(tab, 'deleted notes');
    await tabTo(tab, 'Notes');
    await tab.getByRole('link', { name: /Trip/ }).first().click();
    await look(tab, 'note');
    await tab.getByRole('link', { name: 'History' }).click();
    await tab.getByText('The present version').waitFor();
    await look(tab, 'history');
    await tab.getByRole('link', { name: 'Back to the note' }).click();
  }
  await laptop.evaluate(() => localStorage.clear());
  await outside.goto(notes.url);
  for (const next of [undefined, 'Use a hub and a key instead', 'I am new here']) {
    if (next !== undefined) {
      await outside.getByRole('button', { name: next }).click();
    }
    await look(outside, `signing in, ${next}`);
  }
  assert.deepEqual(problems, []);
});

test('the application can be installed, and asks nobody but the hub', async (t) => {
  const { laptop, hub, notes } = await twoBrowsers(t);
  const session = await laptop.context().newCDPSession(laptop);
  const { errors } = await session.send('Page.getAppManifest');
  assert.deepEqual(errors, []);
  const { installabilityErrors } = await session.send('Page.getInstallabilityErrors');
  assert.deepEqual(installabilityErrors, []);

  const asked = new Set();
  laptop.on('request', (request) => asked.add(new URL(request.url()).origin));
  await laptop.reload();
  await badge(laptop, 'Everything is stored');
  await writeNote(laptop, 'Shopping', 'milk');
  await badge(laptop, 'Everything is stored');
  assert.deepEqual([...asked].filter((origin) => ![hub.url, new URL(notes.url).origin].includes(origin)), []);
  assert.deepEqual(laptop.errors, []);
});
