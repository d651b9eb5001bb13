// What the stock client cannot do: an application of it works without the hub, and both clients share a bucket.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { FRIEND, keyPair, makeFriend, stockStorage } from '../stacks/friend.mjs';
import { serveNames, stacksPages } from '../stacks/page.mjs';
import { proxy } from '../support/proxy.mjs';
import { eventually } from '../support/wait.mjs';
import { world } from '../support/world.mjs';

/** A signed-in page; `storage` is ours. */
async function open(chromium, { site, hub, key }, options) {
  const tab = await chromium.open(`${site.url}stacks`);
  await sign(tab, hub.url, key, options);
  return tab;
}

async function sign(tab, hubUrl, appPrivateKey, options = {}) {
  await tab.evaluate(([hubUrl, appPrivateKey, bucket]) => {
    const userSession = globalThis.signIn('session', { hubUrl, appPrivateKey });
    globalThis.storage = new globalThis.ours.Storage({ userSession, bucket });
    globalThis.theirs = new globalThis.stock.storage.Storage({ userSession });
  }, [hubUrl, appPrivateKey, options]);
}

const fault = (tab, action) => tab.evaluate(async (action) => {
  try {
    await eval(`(${action})`)();
    return 'nothing was thrown';
  } catch (thrown) {
    return { name: thrown.name, code: thrown.code, message: thrown.message };
  }
}, String(action));

test('without the hub an application reads, writes, lists and deletes, and all of it arrives later', async (t) => {
  const place = await world(t, await stacksPages());
  const chromium = await place.browser();
  const tab = await open(chromium, place);
  const first = await tab.evaluate(async () => {
    await storage.putFile('before.txt', 'before');
    await storage.putFile('doomed.txt', 'doomed');
    const bucket = await storage.bucket();
    await bucket.accepted('before.txt');
    await bucket.accepted('doomed.txt');
    return storage.putFile('url.txt', 'where');
  });
  await eventually('the device has seen all there is', () => tab.evaluate(async () => (await (await storage.bucket()).status()).caughtUp));
  await place.hub.stop();

  const offline = await tab.evaluate(async () => {
    const url = await storage.putFile('later/todo.json', '{"milk": 1}', { sign: true });
    await storage.putFile('later/plain.html', '<p>words', { encrypt: false, contentType: 'text/html', sign: true });
    await storage.putFile('before.txt', new Uint8Array([1, 2]));
    await storage.deleteFile('doomed.txt');
    const names = [];
    const count = await storage.listFiles((name) => names.push(name));
    return { url, names, count, read: await storage.getFile('later/todo.json', { verify: true }) };
  });
  assert.equal(offline.url, first.replace('url.txt', 'later/todo.json'));
  assert.equal(offline.read, '{"milk": 1}');
  assert.deepEqual(offline.names, ['before.txt', 'later/plain.html', 'later/plain.html.sig', 'later/todo.json', 'url.txt']);
  assert.equal(offline.count, 5);
  const gone = await fault(tab, () => storage.getFile('doomed.txt'));
  const never = await fault(tab, () => storage.getFile('never.txt'));
  assert.deepEqual([gone.code, never.code], ['does_not_exist', 'does_not_exist']);

  // The page is loaded anew, still without the hub.
  await tab.reload();
  await tab.waitForFunction(() => globalThis.pangaea !== undefined);
  await sign(tab, place.hub.url, place.key);
  assert.equal(await tab.evaluate(() => storage.getFile('later/todo.json', { verify: true })), '{"milk": 1}');

  await place.hub.start();
  await tab.evaluate(async () => {
    const bucket = await storage.bucket();
    await bucket.sync();
    for (const path of ['later/todo.json', 'later/plain.html', 'before.txt', 'doomed.txt']) {
      await bucket.accepted(path);
    }
  });
  const stock = stockStorage(place.hub.url, place.key);
  assert.equal(await stock.getFile('later/todo.json', { verify: true }), '{"milk": 1}');
  assert.equal(await stock.getFile('later/plain.html', { verify: true, decrypt: false }), '<p>words');
  assert.deepEqual([...(await stock.getFile('before.txt'))], [1, 2]);
  await assert.rejects(stock.getFile('doomed.txt'), { code: 'does_not_exist' });
});

test('one bucket, both clients: each reads what the other wrote', async (t) => {
  const place = await world(t, await stacksPages());
  const other = keyPair();
  const chromium = await place.browser();
  const tab = await open(chromium, place);
  const cases = [
    ['text', 'words', {}, {}],
    ['bytes', [0, 255], {}, {}],
    ['plain.txt', 'words', { encrypt: false }, { decrypt: false }],
    ['plain.bin', [7], { encrypt: false }, { decrypt: false }],
    ['signed', 'words', { sign: true }, { verify: true }],
    ['signed.txt', 'words', { sign: true, encrypt: false }, { verify: true, decrypt: false }],
    ['theirs', 'words', { encrypt: other.publicKey }, { decrypt: other.privateKey }],
    ['theirs, signed', 'words', { encrypt: other.publicKey, sign: other.privateKey }, { decrypt: other.privateKey, verify: true }],
    ['base64', 'words', { cipherTextEncoding: 'base64' }, {}],
    ['types.json', '{}', { encrypt: false, contentType: 'application/json' }, { decrypt: false }],
  ];
  const outcome = await tab.evaluate(async (cases) => {
    const values = [];
    const plain = (value) => (typeof value === 'string' ? value : [...new Uint8Array(value)]);
    const bucket = await storage.bucket();
    for (const [name, given, writing, reading] of cases) {
      const content = typeof given === 'string' ? given : new Uint8Array(given);
      await storage.putFile(`ours/${name}`, content, writing);
      await bucket.accepted(`ours/${name}`);
      // A file and its signature are two uploads of the stock client: our device does not look between them.
      window.dispatchEvent(new Event('offline'));
      await bucket.status();
      await theirs.putFile(`stock/${name}`, content, writing);
      window.dispatchEvent(new Event('online'));
      // Our device may not have heard of it yet: then it asks the hub.
      const values_ = [await theirs.getFile(`ours/${name}`, reading), await storage.getFile(`stock/${name}`, reading)];
      values.push([name, ...values_.map(plain)]);
    }
    return values;
  }, cases);
  assert.deepEqual(outcome, cases.map(([name, given]) => [name, given, given]));

  // And from the replica, once it has everything, without the hub. What the stock client encrypted for others is not in it.
  const kept = cases.filter(([, , { encrypt }]) => encrypt !== other.publicKey);
  const names = [...cases.map(([name]) => `ours/${name}`), ...kept.map(([name]) => `stock/${name}`)];
  await eventually('our device has all files', () => tab.evaluate(async (names) => {
    const bucket = await storage.bucket();
    await bucket.sync();
    const paths = (await bucket.list()).map(({ path }) => path);
    return names.every((name) => paths.includes(name));
  }, names));
  await place.hub.stop();
  const again = await tab.evaluate(async (kept) => {
    const plain = (value) => (typeof value === 'string' ? value : [...new Uint8Array(value)]);
    const all = [];
    await storage.listFiles((name) => all.push(name));
    const values = await Promise.all(kept.map(([name, , , reading]) => storage.getFile(`stock/${name}`, reading)));
    return { all, values: values.map(plain) };
  }, kept);
  assert.deepEqual(again.values, kept.map(([, given]) => given));
  assert.deepEqual(again.all.sort(), [...names, 'ours/signed.txt.sig', 'stock/signed.txt.sig'].sort());
});

test('a signature that somebody else wrote is verified, with the network and later without', async (t) => {
  const place = await world(t, await stacksPages());
  const stock = stockStorage(place.hub.url, place.key);
  for (const name of ['good.txt', 'stale.txt']) {
    await stock.putFile(name, 'first', { encrypt: false, sign: true });
  }
  await stock.putFile('stale.txt', 'second', { encrypt: false });
  const tab = await open(await place.browser(), place);
  await eventually('our device has both', () => tab.evaluate(async () => {
    const files = await (await storage.bucket()).list();
    return files.filter(({ state, format }) => state === 'stored' && format.signed).length === 2;
  }));
  const verify = (name) => tab.evaluate((name) => storage.getFile(name, { decrypt: false, verify: true }).catch(({ message }) => message), name);
  assert.equal(await verify('good.txt'), 'first');
  assert.match(await verify('stale.txt'), /^Failed to verify signature: Contents do not match ECDSA signature: path: stale.txt/);
  await place.hub.stop();
  assert.equal(await verify('good.txt'), 'first');
  await tab.evaluate(() => storage.putFile('stale.txt', 'third', { encrypt: false, sign: true }));
  assert.equal(await verify('stale.txt'), 'third');
});

test('a new device asks the hub for what it has not got yet, and says so when it cannot', async (t) => {
  const place = await world(t, await stacksPages());
  const stock = stockStorage(place.hub.url, place.key);
  await stock.putFile('settings.json', '{"dark": true}');
  await stock.putFile('deleted.txt', 'soon gone');
  const chromium = await place.browser();
  const tab = await open(chromium, place);
  // Asked at once, before the first round can have ended; a missing file is one as with the stock client.
  const [found, missing] = await Promise.all([
    tab.evaluate(() => storage.getFile('settings.json')),
    fault(tab, () => storage.getFile('missing.json')),
  ]);
  assert.equal(found, '{"dark": true}');
  assert.equal(missing.code, 'does_not_exist');
  await tab.evaluate(() => storage.deleteFile('deleted.txt'));
  assert.equal((await fault(tab, () => storage.getFile('deleted.txt'))).code, 'does_not_exist');

  await place.hub.stop();
  const another = await (await place.browser('another')).open(`${place.site.url}stacks`);
  await sign(another, place.hub.url, place.key);
  for (const action of [() => storage.getFile('settings.json'), () => storage.listFiles(() => true), () => storage.deleteFile('settings.json')]) {
    const thrown = await fault(another, action);
    assert.equal(thrown.name, 'TypeError', `not "there is no such file": ${JSON.stringify(thrown)}`);
  }
  await another.evaluate(() => storage.putFile('settings.json', '{"large": true}'));
  await place.hub.start();
  const merged = await eventually('both are one', () => another.evaluate(async () => {
    await (await storage.bucket()).sync();
    const names = [];
    await storage.listFiles((name) => names.push(name));
    const contents = await Promise.all(names.map((name) => storage.getFile(name)));
    return names.length === 2 && contents.sort();
  }));
  assert.deepEqual(merged, ['{"dark": true}', '{"large": true}'], 'without a common version both are kept');
});

test('what a hub without conditional deletes keeps of a deleted file is no file', async (t) => {
  const place = await world(t, await stacksPages());
  const first = await open(await place.browser('first'), place, { plain: true });
  const url = await first.evaluate(async () => {
    const bucket = await storage.bucket();
    await storage.putFile('kept.txt', '', { encrypt: false, contentType: 'application/octet-stream' });
    const url = await storage.putFile('deleted.txt', 'words', { encrypt: false });
    await bucket.accepted('deleted.txt');
    await storage.deleteFile('deleted.txt');
    await bucket.accepted('deleted.txt');
    await bucket.accepted('kept.txt');
    return url;
  });
  const tombstone = await fetch(url);
  assert.deepEqual([tombstone.status, await tombstone.text()], [200, ''], 'the hub has something there');
  // A device that cannot list, and can read.
  const front = await proxy(t, place.hub);
  front.fault = ({ url }) => (/^\/(read|hub_info)/.test(url) ? undefined : { status: 503 });
  const second = await open(await place.browser('second'), { ...place, hub: front }, { plain: true });
  assert.equal((await fault(second, () => storage.getFile('deleted.txt', { decrypt: false }))).code, 'does_not_exist');
  assert.equal(await second.evaluate(async () => (await storage.getFile('kept.txt', { decrypt: false })).byteLength), 0);
});

test('one bucket is open for all storage objects of a page, and a user who signs in after another has their own', async (t) => {
  const place = await world(t, await stacksPages());
  const tab = await open(await place.browser(), place);
  const other = keyPair();
  const found = await tab.evaluate(async ([hubUrl, appPrivateKey]) => {
    const { userSession } = storage;
    const another = new globalThis.ours.Storage({ userSession });
    const [one, same] = [await storage.bucket(), await another.bucket()];
    await storage.putFile('whose.txt', 'the first');
    await one.accepted('whose.txt');
    // The first one signs out, and somebody else signs in.
    userSession.store.deleteSessionData();
    await storage.close();
    globalThis.signIn('session', { hubUrl, appPrivateKey });
    const empty = await storage.getFile('whose.txt').catch(({ code }) => code);
    await storage.putFile('whose.txt', 'the second');
    return { isSame: one === same, empty, url: await storage.getFileUrl('whose.txt'), closed: await one.list().catch(({ code }) => code) };
  }, [place.hub.url, other.privateKey]);
  assert.deepEqual([found.isSame, found.empty, found.closed], [true, 'does_not_exist', 'closed']);
  assert.equal(await stockStorage(place.hub.url, place.key).getFile('whose.txt'), 'the first');
  assert.equal(await tab.evaluate(() => storage.getFile('whose.txt')), 'the second');
});

test("other people's files are read without a network when they were read before", async (t) => {
  const place = await world(t, await stacksPages());
  const me = keyPair();
  const records = await makeFriend({ hub: place.hub.url, app: place.site.origin, readers: [me.publicKey], other: keyPair().publicKey });
  const names = await serveNames(t, records);
  const chromium = await place.browser();
  const tab = await open(chromium, { ...place, key: me.privateKey });
  const read = () => tab.evaluate(async (from) => {
    const verified = await storage.getFile('shared.txt', { ...from, decrypt: false, verify: true });
    return [verified, await storage.getFile('for-0.txt', from)];
  }, { username: FRIEND, zoneFileLookupURL: names });
  assert.deepEqual(await read(), ['shared', 'for you']);
  await chromium.context.setOffline(true);
  await place.hub.stop();
  assert.deepEqual(await read(), ['shared', 'for you']);
  const unread = await tab.evaluate((from) =>
    storage.getFile('shared.bin', { ...from, decrypt: false }).catch((thrown) => thrown.name),
  { username: FRIEND, zoneFileLookupURL: names });
  assert.equal(unread, 'TypeError');
});
