import assert from 'node:assert/strict';
import { test } from 'node:test';

import { visit } from '../support/browser.mjs';
import { eventually } from '../support/wait.mjs';
import { openBucket, world } from '../support/world.mjs';

test('an edit made offline survives a reload, and is sent when the hub is back', async (t) => {
  const { hub, site, key, browser, device } = await world(t);
  const tab = await (await browser()).open(site.url);
  await hub.stop();

  await openBucket(tab, { hub: hub.url, key });
  await tab.evaluate(async () => {
    await bucket.put('notes/a.json', { text: 'milk' });
    await bucket.put('notes/b.txt', 'bread');
    await bucket.put('bytes', new Uint8Array([0, 255, 7]));
  });
  assert.equal((await tab.evaluate(() => bucket.status())).pending, 3);

  await visit(tab, site.url);
  await openBucket(tab, { hub: hub.url, key });
  const found = await tab.evaluate(async () => ({
    json: (await bucket.get('notes/a.json')).json(),
    text: (await bucket.get('notes/b.txt')).text(),
    bytes: [...(await bucket.get('bytes')).bytes],
    state: (await bucket.get('bytes')).state,
    none: await bucket.get('nothing'),
    list: (await bucket.list('notes/')).map(({ path }) => path),
  }));
  assert.deepEqual(found, {
    json: { text: 'milk' }, text: 'bread', bytes: [0, 255, 7], state: 'queued', none: undefined, list: ['notes/a.json', 'notes/b.txt'],
  });

  await hub.start();
  await tab.evaluate(() => Promise.all(['notes/a.json', 'notes/b.txt', 'bytes'].map((path) => bucket.accepted(path))));
  // What the package keeps in the bucket for itself may take a moment longer.
  await eventually('nothing waits', () => tab.evaluate(async () => (await bucket.status()).clean));

  const other = await device();
  await other.sync();
  assert.equal(await other.cat('notes/a.json'), '{"text":"milk"}');
  assert.equal(await other.cat('notes/b.txt'), 'bread');
});

test('what is made of a version that was read is not stored over another one', async (t) => {
  const { hub, site, key, browser } = await world(t);
  const tab = await (await browser()).open(site.url);
  await openBucket(tab, { hub: hub.url, key });
  const found = await tab.evaluate(async () => {
    const { version } = await bucket.put('list.txt', 'first');
    const second = await bucket.put('list.txt', 'second', { after: version });
    const refused = await bucket.put('list.txt', 'third', { after: version }).catch(({ code }) => code);
    const both = await bucket.transaction((all) => {
      all.put('other.txt', 'x');
      all.put('list.txt', 'third', { after: version });
    }).catch(({ code }) => code);
    const none = await bucket.put('new.txt', 'x', { after: version }).catch(({ code }) => code);
    const file = await bucket.get('list.txt');
    return [refused, both, none, file.text(), file.version === second.version, (await bucket.list()).map(({ path }) => path)];
  });
  assert.deepEqual(found, ['changed', 'changed', 'changed', 'second', true, ['list.txt']]);
});
