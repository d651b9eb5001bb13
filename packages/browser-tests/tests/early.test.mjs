// What a page shows of a bucket that this device has, before the worker and the module are there.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { visit } from '../support/browser.mjs';
import { eventually } from '../support/wait.mjs';
import { openBucket, world } from '../support/world.mjs';

const MODULE = '/pangaea/wasm/pangaea_wasm_bg.wasm';
const WORKER = '/pangaea/dist/worker-entry.js';

/** Everything that a page can see of its files. */
async function seen(tab, paths) {
  return tab.evaluate(async (paths) => {
    const files = await Promise.all(paths.map(async (path) => {
      const file = await bucket.get(path);
      return file && { ...file, bytes: [...file.bytes] };
    }));
    const lists = await Promise.all(['', 'docs/', 'docs/b', 'nothing'].map((prefix) => bucket.list(prefix)));
    return { files, lists, address: bucket.address, device: bucket.device };
  }, paths);
}

/** What comes of something within a moment: `waits` if nothing does. */
function soon(tab, work) {
  return tab.evaluate(async (work) => {
    const late = new Promise((resolve) => setTimeout(() => resolve('waits'), 500));
    return Promise.race([late, new Function(`return (async () => ${work})()`)()]);
  }, work);
}

/** Loads the page again and opens the bucket, without the module. Returns what lets it come. */
async function comeBack(tab, site, options) {
  const letGo = site.hold(MODULE);
  await visit(tab, site.url);
  await openBucket(tab, options);
  return letGo;
}

test('a page shows what this device has before the module is there, just as after', async (t) => {
  const { hub, site, key, browser } = await world(t);
  const options = { hub: hub.url, key };
  const tab = await (await browser()).open(site.url);
  await openBucket(tab, options);
  const paths = ['docs/a.json', 'docs/b.txt', 'docs/bytes', 'docs/signed', 'docs/ﬀ.txt', 'docs/𝒳.txt', 'gone.txt', 'none', '.pangaea/bucket.json'];
  await tab.evaluate(async () => {
    await bucket.put('docs/a.json', { text: 'milk' });
    await bucket.put('docs/b.txt', 'bread');
    await bucket.put('docs/bytes', new Uint8Array(100_000).fill(7), { type: 'image/x-test' });
    await bucket.put('docs/signed', 'x', { format: { signed: true } });
    await bucket.putAll([['docs/𝒳.txt', 'after all others'], ['docs/ﬀ.txt', 'before it'], ['gone.txt', 'x']]);
    await bucket.delete('gone.txt');
  });
  for (const state of ['queued', 'stored', 'edited', 'sorted']) {
    if (state === 'stored') {
      await eventually('everything is on the hub', () => tab.evaluate(async () => (await bucket.status()).clean));
    } else if (state === 'edited') {
      await hub.stop();
      await tab.evaluate(async () => {
        await bucket.put('docs/a.json', { text: 'milk and honey' });
        await bucket.put('docs/new.txt', 'x');
        await bucket.delete('docs/signed');
      });
    } else if (state === 'sorted') {
      await new Promise((resolve) => setTimeout(resolve, 1_500));
    }
    const before = await seen(tab, paths);
    const letGo = await comeBack(tab, site, options);
    const early = await seen(tab, paths);
    assert.equal(await soon(tab, 'bucket.status()'), 'waits', 'nobody else can have told');
    letGo();
    await tab.evaluate(() => bucket.status());
    if (state !== 'queued') {
      assert.deepEqual(early, before, state);
    }
    const { lists: [all] } = early;
    assert.deepEqual(all.map(({ path }) => path).filter((path) => !/^[ -~]*$/.test(path)), ['docs/ﬀ.txt', 'docs/𝒳.txt']);
    assert.equal(early.files[5].bytes.length, 'after all others'.length);
    assert.equal(early.files[6], undefined);
    if (state !== 'queued' && state !== 'stored') {
      assert.deepEqual(await seen(tab, paths), before, state);
    }
  }
});

test('what the page has put and is not stored yet is not hidden by what was there before', async (t) => {
  const { hub, site, key, browser } = await world(t);
  const tab = await (await browser()).open(site.url);
  await openBucket(tab, { hub: hub.url, key });
  const { version: old } = await tab.evaluate(() => bucket.put('a.txt', 'old'));
  const letGo = await comeBack(tab, site, { hub: hub.url, key });
  assert.equal(await soon(tab, "(await bucket.get('a.txt')).text()"), 'old');
  await tab.evaluate(() => {
    globalThis.putting = bucket.put('a.txt', 'new');
  });
  assert.equal(await soon(tab, "(await bucket.get('a.txt')).text()"), 'waits');
  assert.equal(await soon(tab, '(await bucket.list()).length'), 'waits');
  letGo();
  assert.equal(await tab.evaluate(async () => (await bucket.get('a.txt')).text()), 'new');
  await tab.evaluate(() => putting);

  const letGoAgain = await comeBack(tab, site, { hub: hub.url, key });
  await tab.evaluate((version) => {
    globalThis.restoring = bucket.restore('a.txt', version);
  }, old);
  assert.equal(await soon(tab, "(await bucket.get('a.txt')).text()"), 'waits');
  letGoAgain();
  assert.equal(await tab.evaluate(async () => (await bucket.get('a.txt')).text()), 'old');
  await tab.evaluate(() => restoring);
});

test('how a file will be held is told early only where no policy decides it', async (t) => {
  const { hub, site, key, browser } = await world(t);
  const merging = { hub: hub.url, key, policies: [{ glob: '**/*.json', strategy: 'keep-both' }] };
  const plain = { hub: hub.url, key, policies: [{ glob: '**', encryption: 'plain' }] };
  const tab = await (await browser()).open(site.url);
  await openBucket(tab, merging);
  await hub.stop();
  await tab.evaluate(() => bucket.put('a.txt', 'x'));
  const encryption = "(await bucket.get('a.txt')).format.encryption";
  (await comeBack(tab, site, merging))();
  assert.equal(await soon(tab, encryption), 'ecies');

  await visit(tab, site.url);
  await openBucket(tab, plain);
  const letGo = await comeBack(tab, site, plain);
  assert.equal(await soon(tab, encryption), 'waits');
  assert.equal(await soon(tab, 'bucket.list()'), 'waits');
  letGo();
  assert.equal(await tab.evaluate(async () => (await bucket.get('a.txt')).format.encryption), 'plain');
});

test('what is damaged is left to the host, and what is gone is not made', async (t) => {
  const { hub, site, key, browser } = await world(t);
  const tab = await (await browser()).open(site.url);
  await openBucket(tab, { hub: hub.url, key });
  const database = await tab.evaluate(async () => {
    await bucket.put('a.txt', 'whole');
    // Until it is sorted into its store.
    await bucket.history('a.txt');
    await bucket.close();
    return bucket.database;
  });
  await tab.evaluate(async (name) => {
    const open = indexedDB.open(name);
    await new Promise((done) => (open.onsuccess = done));
    const contents = open.result.transaction('contents', 'readwrite').objectStore('contents');
    const keys = await new Promise((done) => (contents.getAllKeys().onsuccess = ({ target }) => done(target.result)));
    await Promise.all(keys.map((key) => new Promise((done) => (contents.put(new TextEncoder().encode('holed'), key).onsuccess = done))));
    open.result.close();
  }, database);
  const letGo = await comeBack(tab, site, { hub: hub.url, key });
  assert.equal(await soon(tab, "bucket.get('a.txt')"), 'waits');
  letGo();
  assert.equal(await tab.evaluate(() => bucket.get('a.txt').then(() => 'read', ({ code }) => code)), 'unreadable');

  await tab.evaluate(async (name) => {
    await bucket.close();
    await new Promise((done) => (indexedDB.deleteDatabase(name).onsuccess = done));
  }, database);
  const holding = site.hold(MODULE);
  await visit(tab, site.url);
  const opening = openBucket(tab, { hub: hub.url, key });
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.deepEqual(await tab.evaluate(async () => (await indexedDB.databases()).map(({ name }) => name)), []);
  holding();
  await opening;
  await eventually('the loss is told', () => tab.evaluate(() => told.some(({ name }) => name === 'evicted')));
});

test('without the worker a page can show what there is, and says what is wrong', async (t) => {
  const { hub, site, key, browser } = await world(t);
  const tab = await (await browser()).open(site.url);
  await openBucket(tab, { hub: hub.url, key });
  await tab.evaluate(() => bucket.put('a.txt', 'x'));
  site.missing.add(WORKER);
  await visit(tab, site.url);
  await openBucket(tab, { hub: hub.url, key });
  const [text, refused] = await tab.evaluate(async () => [
    (await bucket.get('a.txt')).text(), await bucket.put('a.txt', 'y').then(() => 'stored', ({ code }) => code),
  ]);
  assert.deepEqual([text, refused], ['x', 'worker']);
  await eventually('it is told', () => tab.evaluate(() => told.some(({ name, kind, code }) => name === 'problem' && kind === 'failed' && code === 'worker')));
});
