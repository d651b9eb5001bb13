import assert from 'node:assert/strict';
import { test } from 'node:test';

import { visit } from '../support/browser.mjs';
import { eventually } from '../support/wait.mjs';
import { openBucket, world } from '../support/world.mjs';

/** Writes on and on; every put that resolved is told to the test at once. */
async function writeOnAndOn(tab, acknowledged) {
  await tab.exposeFunction('acknowledge', (number) => acknowledged.push(number));
  await tab.evaluate(() => {
    const write = async (from) => {
      for (let number = from; ; number += 8) {
        await bucket.put(`files/${number}`, `content ${number}`.repeat(1 + (number % 500)));
        globalThis.acknowledge(number);
      }
    };
    for (let from = 0; from < 8; from += 1) {
      void write(from);
    }
  });
}

test('the browser is killed in the middle of writing: what was acknowledged is there, and is sent', async (t) => {
  const { hub, site, key, browser, device } = await world(t);
  const acknowledged = [];
  let chromium = await browser();
  for (const wanted of [40, 90, 150]) {
    const tab = await chromium.open(site.url);
    await openBucket(tab, { hub: hub.url, key });
    const kept = await tab.evaluate(async () => (await bucket.list('files/')).map(({ path }) => path));
    const lost = acknowledged.filter((number) => !kept.includes(`files/${number}`));
    assert.deepEqual(lost, []);
    await writeOnAndOn(tab, acknowledged);
    await eventually(`${wanted} files are written`, () => acknowledged.length >= wanted);
    await chromium.kill();
    chromium = await browser();
  }
  const tab = await chromium.open(site.url);
  await openBucket(tab, { hub: hub.url, key });
  const wrong = await tab.evaluate(async (numbers) => {
    const wrong = [];
    for (const number of numbers) {
      const file = await bucket.get(`files/${number}`);
      if (file?.text() !== `content ${number}`.repeat(1 + (number % 500))) {
        wrong.push(number);
      }
    }
    return wrong;
  }, acknowledged);
  assert.deepEqual(wrong, []);
  await eventually('everything is sent', () => tab.evaluate(async () => (await bucket.status()).clean));
  const other = await device();
  await other.sync();
  const there = new Set(await other.list());
  assert.deepEqual(acknowledged.filter((number) => !there.has(`files/${number}`)), []);
});

/** Has the browser throw an origin's databases away while none of its pages is open. */
async function evict(chromium, origin) {
  const tab = await chromium.context.newPage();
  const session = await chromium.context.newCDPSession(tab);
  await session.send('Storage.clearDataForOrigin', { origin, storageTypes: 'indexeddb' });
  await tab.close();
}

test('storage that was taken away is noticed, told, and restored from the hub', async (t) => {
  const { hub, site, key, browser } = await world(t);
  const chromium = await browser();
  let tab = await chromium.open(site.url);
  await openBucket(tab, { hub: hub.url, key });
  const device = await tab.evaluate(async () => {
    await bucket.put('a', '1');
    await bucket.put('b', '2');
    await Promise.all([bucket.accepted('a'), bucket.accepted('b')]);
    return bucket.device;
  });
  const notedAsSent = () => tab.evaluate(() => JSON.parse(localStorage.getItem(`pangaea:${bucket.database}`)).unsent === false);
  await eventually('the page has noted that everything is sent', notedAsSent);

  // A visit at which nothing is missing tells nothing.
  await visit(tab, site.url);
  await openBucket(tab, { hub: hub.url, key });
  await tab.evaluate(() => bucket.sync());
  assert.deepEqual(await tab.evaluate(() => told.filter(({ name }) => name === 'evicted')), []);
  await tab.close();
  await evict(chromium, site.origin);

  tab = await chromium.open(site.url);
  await openBucket(tab, { hub: hub.url, key });
  const [evicted] = await eventually('it is told', () => tab.evaluate(() => told.filter(({ name }) => name === 'evicted')));
  assert.equal(evicted.device, device);
  assert.equal(evicted.unsent, false);
  await eventually('the files are back', () => tab.evaluate(async () =>
    (await bucket.get('a'))?.text() === '1' && (await bucket.get('b'))?.text() === '2'));
  assert.notEqual(await tab.evaluate(() => bucket.device), device);

  // The same once more, with something that the hub never got.
  await hub.stop();
  await tab.evaluate(() => bucket.put('c', '3'));
  await tab.close();
  await evict(chromium, site.origin);
  await hub.start();
  tab = await chromium.open(site.url);
  await openBucket(tab, { hub: hub.url, key });
  const [again] = await eventually('it is told', () => tab.evaluate(() => told.filter(({ name }) => name === 'evicted')));
  assert.equal(again.unsent, true);
});

test('ten thousand files: stored, there after a restart, sent, and on another device', async (t) => {
  const FILES = 10_000;
  const { hub, site, key, browser } = await world(t);
  let chromium = await browser();
  let tab = await chromium.open(site.url);
  await openBucket(tab, { hub: hub.url, key });
  const puts = await tab.evaluate(async (FILES) => {
    const files = Array.from({ length: FILES }, (_, n) => [`folder-${n % 100}/file-${n}.txt`, `content of ${n}`]);
    return (await bucket.putAll(files)).length;
  }, FILES);
  assert.equal(puts, FILES);
  await chromium.kill();

  chromium = await browser();
  tab = await chromium.open(site.url);
  await openBucket(tab, { hub: hub.url, key });
  assert.equal(await tab.evaluate(async () => (await bucket.list()).length), FILES);
  assert.equal(await tab.evaluate(async () => (await bucket.get('folder-99/file-9999.txt')).text()), 'content of 9999');
  await eventually('all is sent', () => tab.evaluate(async () => (await bucket.status()).clean), 300_000);

  const phone = await (await browser('phone')).open(site.url);
  await openBucket(phone, { hub: hub.url, key });
  await eventually('the phone has all', () => phone.evaluate(async (FILES) => (await bucket.list()).length === FILES, FILES), 300_000);
  assert.equal(await phone.evaluate(async () => (await bucket.get('folder-0/file-0.txt')).text()), 'content of 0');
});
