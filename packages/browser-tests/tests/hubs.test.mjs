import assert from 'node:assert/strict';
import { test } from 'node:test';

import { isStore, proxy } from '../support/proxy.mjs';
import { eventually } from '../support/wait.mjs';
import { openBucket, world } from '../support/world.mjs';

/** A tab with the bucket open behind a proxy, by plain calls, whose status each file has for itself. */
async function behindProxy(t) {
  const all = await world(t);
  const front = await proxy(t, all.hub);
  const tab = await (await all.browser()).open(all.site.url);
  await openBucket(tab, { hub: front.url, key: all.key, plain: true });
  await tab.evaluate(async () => {
    await bucket.put('first', '1');
    await bucket.accepted('first');
  });
  return { ...all, front, tab };
}

/** Answers the first \`times\` stores of a file with a fault. */
function faulty(front, path, fault, times = 2) {
  let left = times;
  front.fault = (request) => (isStore(request, path) && left-- > 0 ? fault : undefined);
  return () => times - left;
}

const passing = [
  ['409', { status: 409 }],
  ['429 with Retry-After', { status: 429, headers: { 'retry-after': '1' } }],
  ['503 with Retry-After', { status: 503, headers: { 'retry-after': '1' } }],
  ['500', { status: 500 }],
  ['an answer that is not the hub\'s', { status: 502, body: '<html>Bad gateway' }],
  ['a cut connection', 'reset'],
  ['an answer that is lost after the hub has stored', 'lost'],
];

test('what passes by itself: kept, tried again, stored', async (t) => {
  const { front, tab, device } = await behindProxy(t);
  const other = await device();
  for (const [index, [name, fault]] of passing.entries()) {
    await t.test(name, async () => {
      const met = faulty(front, `/file-${index}`, fault);
      await tab.evaluate((path) => bucket.put(path, `content of ${path}`), `file-${index}`);
      await tab.evaluate((path) => bucket.accepted(path), `file-${index}`);
      assert.ok(met() >= 1, 'the fault was met');
      await other.sync();
      assert.equal(await other.cat(`file-${index}`), `content of file-${index}`);
      assert.equal((await other.list()).length, index + 2, 'no copy was made');
    });
  }
});

test('401: paused and told, everything kept; it goes on when the hub accepts the key again', async (t) => {
  const { front, tab } = await behindProxy(t);
  front.fault = () => ({ status: 401, body: JSON.stringify({ message: 'no', error: 'ValidationError' }) });
  await tab.evaluate(() => bucket.put('file', 'content'));
  await eventually('it is told', () => tab.evaluate(() => told.some(({ name, kind }) => name === 'problem' && kind === 'paused')));
  // Now and then it is asked again whether the key is accepted.
  await eventually('the status says so', () => tab.evaluate(async () => (await bucket.status()).hub.state === 'paused'));
  const unsent = await tab.evaluate(() => bucket.unsent());
  assert.deepEqual(unsent.map(({ path, state }) => [path, state]), [['file', 'queued']]);
  front.fault = () => undefined;
  await tab.evaluate(async () => {
    await bucket.sync();
    await bucket.accepted('file');
  });
});

test('412: what another device wrote in the meantime is merged, nothing is overwritten', async (t) => {
  const { front, tab, device } = await behindProxy(t);
  const other = await device();
  await other.sync();
  // Between what this device knows and what it sends, the other one stores.
  let isFirst = true;
  front.fault = async (request) => {
    if (isStore(request, '/list.json') && isFirst) {
      isFirst = false;
      other.put('list.json', '{"theirs":1}');
      await other.sync();
    }
    return undefined;
  };
  await tab.evaluate(async () => {
    await bucket.put('list.json', { mine: 1 });
    await bucket.accepted('list.json');
  });
  await other.sync();
  const texts = await Promise.all((await other.list()).filter((path) => path.startsWith('list')).map((path) => other.cat(path)));
  assert.match(texts.join(), /"mine":1/);
  assert.match(texts.join(), /"theirs":1/);
});

test('413: that file is parked and told, the others flow', async (t) => {
  const { front, tab } = await behindProxy(t);
  faulty(front, '/large', { status: 413 }, Infinity);
  const refused = await tab.evaluate(async () => {
    await bucket.put('large', 'x'.repeat(1000));
    await bucket.put('small', 'y');
    await bucket.accepted('small');
    const error = await bucket.accepted('large').catch((error) => error);
    const [unsent] = await bucket.unsent();
    return { code: error.code, unsent: unsent.path, state: unsent.state, text: (await bucket.get('large')).text().length };
  });
  assert.deepEqual(refused, { code: 'refused', unsent: 'large', state: 'parked', text: 1000 });
  const told = await tab.evaluate(() => globalThis.told.filter(({ kind }) => kind === 'parked'));
  assert.equal(told[0].path, 'large');
});

test('a hub that does not answer at all: writing goes on, and it is sent when the hub is back', async (t) => {
  const { front, tab, device } = await behindProxy(t);
  let silent = true;
  const waiting = [];
  front.fault = () => (silent ? new Promise((resolve) => waiting.push(resolve)) : undefined);
  await tab.evaluate(() => bucket.put('file', 'content'));
  await eventually('a request waits', () => waiting.length > 0);
  await tab.evaluate(async () => {
    await bucket.put('file', 'newer content');
    await bucket.put('other', 'x');
  });
  silent = false;
  waiting.forEach((resolve) => resolve('reset'));
  await tab.evaluate(async () => {
    await bucket.accepted('file');
    await bucket.accepted('other');
  });
  const other = await device();
  await other.sync();
  assert.equal(await other.cat('file'), 'newer content');
});
