// One bucket, written by this package in one page and by the real @stacks/storage in another.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { stacksPages } from '../stacks/page.mjs';
import { eventually } from '../support/wait.mjs';
import { openBucket, world } from '../support/world.mjs';

/** A page of the site with the stock client, signed in to the bucket, as \`storage\`. */
async function openStock(chromium, { site, hub, key }) {
  const tab = await chromium.open(`${site.url}stacks`);
  await tab.evaluate(([hubUrl, appPrivateKey]) => {
    const userSession = globalThis.signIn('stock', { hubUrl, appPrivateKey });
    globalThis.storage = new globalThis.stock.storage.Storage({ userSession });
  }, [hub.url, key]);
  return tab;
}

test('what the stock client writes and deletes arrives, and it reads what is put', async (t) => {
  const all = await world(t, await stacksPages());
  const chromium = await all.browser();
  const ours = await chromium.open(all.site.url);
  await openBucket(ours, { hub: all.hub.url, key: all.key });
  const stock = await openStock(chromium, all);

  await stock.evaluate(() => storage.putFile('theirs.json', JSON.stringify({ from: 'stock' }), { contentType: 'application/json' }));
  await stock.evaluate(() => storage.putFile('plain.txt', 'readable', { encrypt: false, contentType: 'text/plain' }));
  await eventually('both arrive', () => ours.evaluate(async () => {
    const [json, plain] = [await bucket.get('theirs.json'), await bucket.get('plain.txt')];
    return json?.json().from === 'stock' && plain?.text() === 'readable';
  }));
  assert.ok(await ours.evaluate(() => told.some(({ name, path }) => name === 'change' && path === 'theirs.json')));

  await ours.evaluate(async () => {
    await bucket.put('ours.json', { from: 'pangaea' });
    await bucket.accepted('ours.json');
  });
  assert.equal(await stock.evaluate(() => storage.getFile('ours.json')), '{"from":"pangaea"}');

  await ours.evaluate(async () => {
    await bucket.put('theirs.json', { from: 'stock', and: 'pangaea' });
    await bucket.accepted('theirs.json');
  });
  assert.equal(await stock.evaluate(() => storage.getFile('theirs.json')), '{"from":"stock","and":"pangaea"}');

  await stock.evaluate(() => storage.deleteFile('plain.txt'));
  await eventually('the delete arrives', () => ours.evaluate(async () => {
    await bucket.sync();
    return (await bucket.get('plain.txt')) === undefined;
  }));
});

test('both write the same file: nothing of either is lost', async (t) => {
  const all = await world(t, await stacksPages());
  const chromium = await all.browser();
  const ours = await chromium.open(all.site.url);
  await openBucket(ours, { hub: all.hub.url, key: all.key });
  const stock = await openStock(chromium, all);
  await ours.evaluate(async () => {
    await bucket.put('list.json', { milk: 1 });
    await bucket.accepted('list.json');
  });

  const wanted = [];
  for (const round of [1, 2, 3]) {
    // Neither hears of the other while it writes.
    await ours.evaluate(() => void globalThis.dispatchEvent(new Event('offline')));
    const names = [0, 1, 2].map((number) => `${round}-${number}`);
    await Promise.all([addByOurs(ours, names), addByStock(stock, names)]);
    await ours.evaluate(async () => {
      globalThis.dispatchEvent(new Event('online'));
      await bucket.accepted('list.json');
    });
    wanted.push(...names.flatMap((name) => [`ours-${name}`, `stock-${name}`]));
    const [here, there] = [
      await ours.evaluate(async () => (await bucket.get('list.json')).json()),
      JSON.parse(await stock.evaluate(() => storage.getFile('list.json'))),
    ];
    assert.deepEqual(here, there);
    assert.deepEqual(Object.keys(here).sort(), [...wanted, 'milk'].sort());
  }
});

/** Our page reads, adds, and stores, for each name. */
async function addByOurs(tab, names) {
  await tab.evaluate(async (names) => {
    for (const name of names) {
      const list = (await bucket.get('list.json')).json();
      await bucket.put('list.json', { ...list, [`ours-${name}`]: 1 });
    }
  }, names);
}

/** The same by the stock client, which does it again when somebody else has stored in between. */
async function addByStock(tab, names) {
  await tab.evaluate(async (names) => {
    const add = async (name) => {
      const list = JSON.parse(await storage.getFile('list.json'));
      const text = JSON.stringify({ ...list, [`stock-${name}`]: 1 });
      await storage.putFile('list.json', text, { contentType: 'application/json' });
    };
    for (const name of names) {
      await add(name).catch((error) => {
        if (error.name !== 'PreconditionFailedError') {
          throw error;
        }
        return add(name);
      });
    }
  }, names);
}
