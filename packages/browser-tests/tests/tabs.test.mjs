import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isStore, proxy } from '../support/proxy.mjs';
import { eventually } from '../support/wait.mjs';
import { openBucket, world } from '../support/world.mjs';

const FILES = 60;

test('two tabs write at once: one uploads, and nothing is lost', async (t) => {
  const { hub, site, key, browser, device } = await world(t);
  const front = await proxy(t, hub);
  const chromium = await browser();
  const tabs = await Promise.all([chromium.open(site.url), chromium.open(site.url)]);
  // Without accelerations each file is a request of its own, which can be counted.
  await Promise.all(tabs.map((tab) => openBucket(tab, { hub: front.url, key, plain: true })));
  await Promise.all(tabs.map((tab, number) =>
    tab.evaluate(async ([number, FILES]) => {
      const puts = [];
      for (let index = 0; index < FILES; index += 1) {
        puts.push(bucket.put(`tab-${number}/${index}.txt`, `${number} ${index}`));
        puts.push(bucket.put('both.bin', new Uint8Array([number, index])));
      }
      await Promise.all(puts);
      await bucket.accepted('both.bin');
    }, [number, FILES])));
  await eventually('nothing waits', () => tabs[0].evaluate(async () => (await bucket.status()).pending === 0));

  const locks = await tabs[0].evaluate(async () => {
    const { held, pending } = await navigator.locks.query();
    return [held, pending].map((locks) => locks.filter(({ name }) => name === `pangaea:${bucket.database}`).length);
  });
  assert.deepEqual(locks, [1, 1], 'one tab has the lock, the other waits for it');
  const stores = front.requests.filter((request) => isStore(request) && request.url.includes('/tab-'));
  assert.equal(stores.length, 2 * FILES, 'every file was sent once');

  const states = await Promise.all(tabs.map((tab) => tab.evaluate(async () => {
    const files = await bucket.list('tab-');
    const texts = await Promise.all(files.map(async ({ path }) => (await bucket.get(path)).text()));
    return { count: files.length, texts: texts.sort(), both: [...(await bucket.get('both.bin')).bytes] };
  })));
  assert.equal(states[0].count, 2 * FILES);
  assert.deepEqual(states[0], states[1]);
  assert.equal(new Set(states[0].texts).size, 2 * FILES);
  const other = await device();
  await other.sync();
  assert.equal((await other.list()).filter((path) => path.startsWith('tab-')).length, 2 * FILES);
});

test('a change in one tab is told in the other', async (t) => {
  const { hub, site, key, browser } = await world(t);
  const chromium = await browser();
  const [first, second] = [await chromium.open(site.url), await chromium.open(site.url)];
  await openBucket(first, { hub: hub.url, key });
  await openBucket(second, { hub: hub.url, key });
  await second.evaluate(() => {
    globalThis.watched = [];
    globalThis.stop = bucket.watch('notes/', ({ path }) => globalThis.watched.push(path));
  });
  await first.evaluate(() => bucket.transaction((all) => {
    all.put('other', 'x');
    all.put('notes/a', 'y');
    all.put('notes/b', 'z');
    all.delete('notes/b');
  }));
  await first.evaluate(() => bucket.accepted('notes/a'));
  await eventually('the other tab was told', () => second.evaluate(() => globalThis.watched.includes('notes/a')));
  assert.ok(!(await second.evaluate(() => globalThis.watched.includes('other'))));
  assert.equal(await second.evaluate(async () => (await bucket.get('notes/b'))), undefined);
  await second.evaluate(() => globalThis.stop());
  const before = await second.evaluate(() => globalThis.watched.length);
  await first.evaluate(() => bucket.put('notes/c', 'z'));
  assert.ok(await second.evaluate(async () => (await bucket.get('notes/c')) !== undefined));
  assert.equal(await second.evaluate(() => globalThis.watched.length), before);
});

test('the tab that uploads is closed in the middle: the other one goes on', async (t) => {
  const { hub, site, key, browser, device } = await world(t);
  const front = await proxy(t, hub);
  const chromium = await browser();
  const first = await chromium.open(site.url);
  await openBucket(first, { hub: front.url, key, plain: true });
  const second = await chromium.open(site.url);
  await openBucket(second, { hub: front.url, key, plain: true });
  // The first uploads never end.
  const held = [];
  front.fault = (request) => (isStore(request) ? new Promise(() => held.push(request)) : undefined);
  await first.evaluate(() => Promise.all([1, 2, 3, 4].map((n) => bucket.put(`file-${n}`, `content ${n}`))));
  await eventually('an upload is under way', () => held.length > 0);
  front.fault = () => undefined;
  await first.close();

  await second.evaluate(() => Promise.all([1, 2, 3, 4].map((n) => bucket.accepted(`file-${n}`))));
  const other = await device();
  await other.sync();
  assert.equal(await other.cat('file-4'), 'content 4');
});

test('a tab that was suspended with the lock loses it, and neither stores nor sends anything after it wakes', async (t) => {
  const { hub, site, key, browser, device } = await world(t);
  const chromium = await browser();
  const first = await chromium.open(site.url);
  await openBucket(first, { hub: hub.url, key });
  const second = await chromium.open(site.url);
  await openBucket(second, { hub: hub.url, key });
  await first.evaluate(async () => {
    await bucket.put('before', '1');
    await bucket.accepted('before');
    globalThis.falling = new Promise((resolve) => (new BroadcastChannel('sleep').onmessage = resolve));
  });
  // Its worker does not answer for long enough.
  const asleep = first.workers()[0].evaluate(() => {
    new BroadcastChannel('sleep').postMessage('falling asleep');
    const end = Date.now() + 25_000;
    while (Date.now() < end);
  });
  await first.evaluate(() => globalThis.falling);
  const started = Date.now();
  const late = first.evaluate(() => bucket.put('late', 'written by the sleeper'));
  await second.evaluate(() => bucket.put('during', '2'));
  assert.ok(Date.now() - started < 24_000, 'the second tab did not wait for the first');
  await asleep;
  await late;
  await Promise.all([first, second].map((tab) => tab.evaluate(async () => {
    await bucket.put(`after-${crypto.randomUUID()}`, '3');
    await bucket.accepted('during');
    await bucket.accepted('late');
  })));
  const lists = await Promise.all([first, second].map((tab) => tab.evaluate(async () => (await bucket.list()).map(({ path }) => path))));
  assert.deepEqual(lists[0], lists[1]);
  assert.equal(lists[0].length, 5);
  assert.equal(await second.evaluate(async () => (await bucket.get('late')).text()), 'written by the sleeper');
  const other = await device();
  await other.sync();
  assert.equal(await other.cat('during'), '2');
});

test('a worker that crashes is started again, and calls are answered', async (t) => {
  const { hub, site, key, browser } = await world(t);
  const tab = await (await browser()).open(site.url);
  await openBucket(tab, { hub: hub.url, key });
  await tab.evaluate(() => bucket.put('a', '1'));
  const [worker] = tab.workers();
  await worker.evaluate(() => void setTimeout(() => {
    throw new Error('a mistake');
  }));
  const text = await tab.evaluate(async () => {
    await bucket.put('b', '2');
    await bucket.accepted('b');
    return (await bucket.get('a')).text() + (await bucket.get('b')).text();
  });
  assert.equal(text, '12');
  assert.ok(!tab.workers().includes(worker), 'it is another worker');
});

test('without workers everything runs in the page', async (t) => {
  const { hub, site, key, browser, device } = await world(t);
  const chromium = await browser();
  const first = await chromium.open(site.url);
  await openBucket(first, { hub: hub.url, key, worker: false });
  const second = await chromium.open(site.url);
  await openBucket(second, { hub: hub.url, key, worker: false });
  assert.equal(first.workers().length, 0);
  await second.evaluate(() => bucket.put('a', '1'));
  await first.evaluate(() => bucket.close());
  await second.evaluate(async () => {
    await bucket.put('b', '2');
    await bucket.accepted('b');
  });
  const other = await device();
  await other.sync();
  assert.equal((await other.cat('a')) + (await other.cat('b')), '12');
  const closed = await first.evaluate(() => bucket.get('a').catch((error) => error.code));
  assert.equal(closed, 'closed');
});
