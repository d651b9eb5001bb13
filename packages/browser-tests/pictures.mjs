// Takes pictures of every view of the example application, on a phone and on a desk, light and dark:
//
//   node --test pictures.mjs        with PICTURES=FOLDER, where they go
//
// Nothing is checked here; they are for looking at. Some of them are in docs/screenshots/.

import { mkdirSync } from 'node:fs';
import { test } from 'node:test';

import { badge, notesWorld, signIn, tabTo, writeNote } from './support/notes.mjs';
import { eventually } from './support/wait.mjs';

const FOLDER = process.env.PICTURES ?? 'pictures';
const SIZES = { phone: { width: 390, height: 844 }, desk: { width: 1280, height: 800 } };
const SCHEMES = (process.env.SCHEMES ?? 'light,dark').split(',');

async function take(tab, name) {
  for (const close of await tab.getByRole('button', { name: 'Close this message' }).all()) {
    await close.click();
  }
  await tab.mouse.move(0, 0);
  const session = await tab.context().newCDPSession(tab);
  // A phone's lie over the page.
  await session.send('Emulation.setScrollbarsHidden', { hidden: true });
  for (const [size, viewport] of Object.entries(SIZES)) {
    await tab.setViewportSize(viewport);
    for (const colorScheme of SCHEMES) {
      await tab.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await tab.screenshot({ path: `${FOLDER}/${name}-${size}-${colorScheme}.png` });
    }
  }
  await session.detach();
}

const NOTES = [
  ['Reading list', '- The Sea Around Us\n- The Log from the Sea of Cortez\n- A Field Guide to Getting Lost'],
  ['Garden, spring', 'Peas go in as soon as the ground is not frozen. Cover the first row.\n\nAsk about the compost.'],
  ['Bread', '500 g flour, 350 g water, 10 g salt, a spoon of starter.\n\nFold every half hour, three times. In the fridge overnight.'],
  ['Train to the coast', '07:12 platform 4\n\nSeats 61 and 62, quiet coach. Bring the tickets on paper, the phone may be empty.\n\n- sandwiches\n- rain jackets\n- binoculars'],
];
const TODO = ['Book the ferry', 'Return the library books', 'Water the peas', 'Call the plumber about the tap in the kitchen', 'Pay the rent'];

test('pictures of every view', async (t) => {
  mkdirSync(FOLDER, { recursive: true });
  const world = await notesWorld(t);
  const [laptop, phone] = await Promise.all([world.browser('laptop'), world.browser('phone')]);

  const first = await laptop.context.newPage();
  await first.goto(world.notes.url);
  await take(first, 'signin');
  await first.getByRole('button', { name: 'I am new here' }).click();
  await take(first, 'signin-new');
  await first.close();

  const tab = await signIn(laptop, world, 'Laptop');
  await badge(tab, 'Everything is stored');
  await take(tab, 'notes-empty');
  await tabTo(tab, 'To-do');
  await take(tab, 'todo-empty');
  for (const item of TODO) {
    await tab.getByLabel('New to-do').fill(item);
    await tab.getByRole('button', { name: 'Add' }).click();
    await tab.getByRole('checkbox', { name: item }).waitFor();
  }
  for (const item of TODO.slice(3)) {
    await tab.getByRole('checkbox', { name: item }).check();
  }
  await take(tab, 'todo');
  for (const [title, text] of NOTES) {
    await writeNote(tab, title, text);
  }
  await badge(tab, 'Everything is stored');
  await take(tab, 'note');

  const other = await signIn(phone, world, "The phone");
  await badge(other, 'Everything is stored');
  await other.getByRole('link', { name: /Train to the coast/ }).click();
  await world.hub.stop();
  await other.getByLabel('Text', { exact: true }).fill(NOTES[3][1].replace('07:12 platform 4', '07:12 platform 6, they said'));
  await other.locator('.note-state.queued').waitFor();
  await tab.getByLabel('Text', { exact: true }).fill(NOTES[3][1].replace('07:12 platform 4', '08:12 platform 4'));
  await tab.locator('.note-state.queued').waitFor();
  await tabTo(tab, 'To-do');
  await tab.getByRole('checkbox', { name: TODO[0] }).check();
  await writeNote(tab, 'Written on the train', 'No network since the tunnel, and nothing is lost.');
  await badge(tab, '3 changes wait');
  await tabTo(tab, 'Notes');
  await tab.locator('.note-item .tag').first().waitFor();
  await take(tab, 'notes');
  await tabTo(tab, 'Sync');
  await tab.getByText('Written on the train').waitFor();
  await take(tab, 'sync-waiting');

  await world.hub.start();
  await eventually('there is a conflict', async () => {
    await tabTo(other, 'Sync');
    await other.getByRole('button', { name: 'Sync now' }).click();
    await tab.getByRole('button', { name: 'Sync now' }).click();
    return (await tab.locator('#badge').textContent()).includes('conflict');
  });
  await take(tab, 'sync-conflict');
  await tab.getByRole('link', { name: /Train to the coast/ }).click();
  await tab.getByRole('button', { name: 'Keep this one' }).first().waitFor();
  await take(tab, 'conflict');
  await tab.getByRole('button', { name: 'Keep this one' }).first().click();
  await badge(tab, 'Everything is stored');
  await take(tab, 'sync-stored');
  await tabTo(tab, 'Notes');
  await tab.getByRole('link', { name: /Train to the coast/ }).click();
  await tab.getByRole('link', { name: 'History' }).click();
  await tab.getByRole('button', { name: 'Bring back' }).first().waitFor();
  await take(tab, 'history');
  await tabTo(tab, 'Account');
  await tab.getByText("The phone").waitFor();
  await take(tab, 'account');
});
