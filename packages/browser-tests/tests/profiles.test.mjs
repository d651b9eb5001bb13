import assert from 'node:assert/strict';
import { test } from 'node:test';

import { visit } from '../support/browser.mjs';
import { eventually } from '../support/wait.mjs';
import { openBucket, world } from '../support/world.mjs';

/** Opens the bucket in two browsers of their own, and has both get what the first of them put. */
async function twoBrowsers(t, path, content, options = {}) {
  const all = await world(t);
  const { hub, site, key, browser } = all;
  const browsers = await Promise.all([browser('laptop'), browser('phone')]);
  const tabs = await Promise.all(browsers.map((one) => one.open(site.url)));
  await openTabs(tabs, { hub: hub.url, key, ...options }, options.merge);
  await tabs[0].evaluate(async ([path, content]) => {
    await bucket.put(path, content);
    await bucket.accepted(path);
  }, [path, content]);
  await eventually('the other has it', () => tabs[1].evaluate(async (path) => {
    await bucket.sync();
    return (await bucket.get(path)) !== undefined;
  }, path));
  return { ...all, tabs };
}

async function openTabs(tabs, options) {
  await Promise.all(tabs.map((tab) => openBucket(tab, options)));
}

async function settled(tabs) {
  await eventually('both have the same, and nothing waits', async () => {
    const states = await Promise.all(tabs.map((tab) => tab.evaluate(async () => {
      await bucket.sync();
      const files = await bucket.list();
      return { pending: (await bucket.status()).pending, files: files.map(({ path, version }) => `${path} ${version}`) };
    })));
    const [one, two] = states;
    return one.pending === 0 && two.pending === 0 && one.files.join() === two.files.join();
  });
}

test('two browsers change the same file offline: both contents are kept, and both tell it', async (t) => {
  const { hub, tabs } = await twoBrowsers(t, 'photo.bin', 'first');
  await hub.stop();
  await Promise.all(tabs.map((tab, number) => tab.evaluate(async (number) => {
    await bucket.put('photo.bin', new Uint8Array([0, 200, number]));
    await bucket.put(`only-${number}`, 'x');
  }, number)));
  await hub.start();
  await settled(tabs);

  const seen = await Promise.all(tabs.map((tab) => tab.evaluate(async () => {
    const files = await bucket.list();
    const photos = files.filter(({ path }) => path.startsWith('photo'));
    const bytes = await Promise.all(photos.map(async ({ path }) => (await bucket.get(path)).bytes[2]));
    return { bytes: bytes.sort(), count: files.length, conflicts: await bucket.conflicts() };
  })));
  assert.deepEqual(seen[0].bytes, [0, 1], 'neither is lost');
  assert.deepEqual(seen[1].bytes, [0, 1]);
  assert.equal(seen[0].count, 4);
  const [conflict] = seen[0].conflicts;
  assert.equal(conflict.path, 'photo.bin');
  assert.ok(conflict.copy);
  assert.deepEqual(seen[0].conflicts, seen[1].conflicts);
  const told = await Promise.all(tabs.map((tab) => tab.evaluate(() => told.filter(({ name }) => name === 'conflict'))));
  assert.ok(told.flat().length > 0, 'whoever met the conflict tells it');

  await tabs[0].evaluate(() => bucket.resolve('photo.bin', 'mine'));
  await settled(tabs);
  for (const tab of tabs) {
    assert.deepEqual(await tab.evaluate(() => bucket.conflicts()), []);
  }
});

test('edits to different fields become one, in both browsers', async (t) => {
  const { hub, tabs } = await twoBrowsers(t, 'list.json', { milk: 1, bread: 1 });
  await hub.stop();
  await tabs[0].evaluate(() => bucket.put('list.json', { milk: 2, bread: 1 }));
  await tabs[1].evaluate(() => bucket.put('list.json', { milk: 1, bread: 5 }));
  await hub.start();
  await settled(tabs);
  for (const tab of tabs) {
    assert.deepEqual(await tab.evaluate(async () => (await bucket.get('list.json')).json()), { milk: 2, bread: 5 });
  }
});

test('what merges is loaded with the first merge; while it cannot be, both versions are kept and it is tried again', async (t) => {
  const { hub, site, tabs } = await twoBrowsers(t, 'list.json', { milk: 1, bread: 1 });
  const module = '/pangaea/wasm/pangaea_merges_bg.wasm';
  site.missing.add(module);
  await hub.stop();
  await tabs[0].evaluate(() => bucket.put('list.json', { milk: 2, bread: 1 }));
  await tabs[1].evaluate(() => bucket.put('list.json', { milk: 1, bread: 5 }));
  await hub.start();
  await eventually('the first of them is stored', async () => {
    await Promise.all(tabs.map((tab) => tab.evaluate(() => bucket.sync())));
    const waiting = await Promise.all(tabs.map((tab) => tab.evaluate(async () => (await bucket.status()).pending)));
    return waiting.reduce((sum, one) => sum + one) === 1;
  });
  await eventually('it is asked for', () => site.missed > 0);
  const lists = await Promise.all(tabs.map((tab) => tab.evaluate(async () => (await bucket.get('list.json')).json())));
  assert.deepEqual(lists, [{ milk: 2, bread: 1 }, { milk: 1, bread: 5 }], 'each has its own');
  site.missing.delete(module);
  await settled(tabs);
  for (const tab of tabs) {
    assert.deepEqual(await tab.evaluate(async () => (await bucket.get('list.json')).json()), { milk: 2, bread: 5 });
  }
});

/** Opens the bucket with a strategy of the application's own: the sum of what was added. */
async function openWithCounter(tab, options) {
  await tab.evaluate(async (options) => {
    const number = (bytes) => (bytes === undefined ? 0 : Number(new TextDecoder().decode(bytes)));
    const merge = ({ base, mine, theirs }) => String(number(mine) + number(theirs) - number(base));
    const policies = [{ glob: 'counters/**', strategy: 'sum', merge }];
    globalThis.bucket = await pangaea.openBucket({ ...options, policies });
  }, options);
}

test('a merge function of the application decides, and the same everywhere', async (t) => {
  const { hub, site, key, browser, device } = await world(t);
  const browsers = await Promise.all([browser('laptop'), browser('phone')]);
  const tabs = await Promise.all(browsers.map((one) => one.open(site.url)));
  const options = { hub: hub.url, key };
  await openWithCounter(tabs[0], options);
  await tabs[0].evaluate(async () => {
    await bucket.put('counters/visits', '10');
    await bucket.accepted('counters/visits');
    await bucket.accepted('.pangaea/policy.json');
  });
  await openWithCounter(tabs[1], options);
  await settled(tabs);
  await hub.stop();
  await tabs[0].evaluate(() => bucket.put('counters/visits', '13'));
  await tabs[1].evaluate(() => bucket.put('counters/visits', '15'));
  await hub.start();
  await settled(tabs);
  for (const tab of tabs) {
    assert.equal(await tab.evaluate(async () => (await bucket.get('counters/visits')).text()), '18');
    assert.deepEqual(await tab.evaluate(() => bucket.conflicts()), []);
  }
  const other = await device();
  await other.sync();
  assert.equal(await other.cat('counters/visits'), '18');
  assert.match(await other.cat('.pangaea/policy.json'), /"strategy":\s*"sum"/);
});

test('where no page has the function the path waits, until one is opened that has', async (t) => {
  const { hub, site, key, browser } = await world(t);
  const [laptop, phone] = await Promise.all([browser('laptop'), browser('phone')]);
  const options = { hub: hub.url, key };
  const tabs = [await laptop.open(site.url), await phone.open(site.url)];
  await openWithCounter(tabs[0], options);
  await openWithCounter(tabs[1], options);
  await tabs[0].evaluate(async () => {
    await bucket.put('counters/visits', '10');
    await bucket.accepted('counters/visits');
  });
  await settled(tabs);
  await hub.stop();
  await tabs[0].evaluate(() => bucket.put('counters/visits', '13'));
  await tabs[1].evaluate(() => bucket.put('counters/visits', '15'));
  await tabs[1].goto('about:blank');
  await hub.start();
  await tabs[0].evaluate(() => bucket.accepted('counters/visits'));
  // On the phone a page of the application is open that knows nothing of the function.
  await visit(tabs[1], site.url);
  await openBucket(tabs[1], options);
  await tabs[1].evaluate(async () => {
    await bucket.put('flows', 'on');
    await bucket.accepted('flows');
  });
  assert.equal(await tabs[1].evaluate(async () => (await bucket.get('counters/visits')).text()), '15');

  const able = await phone.open(site.url);
  await openWithCounter(able, options);
  await settled(tabs);
  for (const tab of tabs) {
    assert.equal(await tab.evaluate(async () => (await bucket.get('counters/visits')).text()), '18');
  }
});
