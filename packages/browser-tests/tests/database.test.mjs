import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { world } from '../support/world.mjs';

const script = readFileSync(new URL('../../../crates/pangaea-wasm/js/indexed-db.js', import.meta.url), 'utf8');

/** A tab in which `write` stores texts by name, and `texts` tells all that are stored. */
async function open(t) {
  const { site, browser } = await world(t, { '/indexed-db.js': ['text/javascript', script] });
  const tab = await (await browser()).context.newPage();
  await tab.goto(site.url);
  await tab.evaluate(async () => {
    const { Database } = await import('/indexed-db.js');
    const none = { contents: [], entries: [], history: [], log: [], stamps: [] };
    Object.assign(globalThis, {
      Database,
      write: (database, ...settings) => database.commit({ ...none, settings }),
      texts: async (database) => {
        const { settings, settings_keys } = await database.load();
        return settings_keys.map((name, at) => [name, settings[at]]);
      },
    });
  });
  return tab;
}

test('a connection that was lost is opened again, and nothing is written twice or out of its order', async (t) => {
  const tab = await open(t);
  const found = await tab.evaluate(async () => {
    const database = await Database.open('lost');
    await write(database, 'a', '1');
    // As a browser does to a page that slept: the connection is of no use any more, and nobody was told.
    database.connection.close();
    await Promise.all([write(database, 'b', '1'), write(database, 'a', '2'), write(database, 'a', '3')]);
    return texts(database);
  });
  assert.deepEqual(found, [['a', '3'], ['b', '1']]);
});

test('a transaction whose answer was lost is not made again', async (t) => {
  const tab = await open(t);
  const rows = await tab.evaluate(async () => {
    const database = await Database.open('answer');
    const { transact } = database;
    let lost = false;
    // The transaction is made, and then the connection breaks before anybody hears of it.
    database.transact = async function (stores, mode, work) {
      const result = await transact.call(this, stores, mode, work);
      if (mode === 'readwrite' && !lost) {
        lost = true;
        return transact.call(this, stores, mode, work);
      }
      return result;
    };
    const row = { path: 'a', row: new Uint8Array(), size: 1, replaced: 1, content: '' };
    await database.commit({ contents: [], entries: [], history: [row], log: [], stamps: [], settings: [] });
    return (await database.history(undefined, 10)).length;
  });
  assert.equal(rows, 1);
});

test('whoever opened the database last may write, and nobody else', async (t) => {
  const tab = await open(t);
  const found = await tab.evaluate(async () => {
    const first = await Database.open('fence');
    await write(first, 'a', 'first');
    const second = await Database.open('fence');
    const late = await write(first, 'a', 'late').catch(({ name }) => name);
    await write(second, 'b', 'second');
    return [late, await texts(second)];
  });
  assert.deepEqual(found, ['InUse', [['a', 'first'], ['b', 'second']]]);
});

test('what was appended is brought to its stores, by its own owner or by the next one, and by nobody who was overtaken', async (t) => {
  const tab = await open(t);
  const found = await tab.evaluate(async () => {
    /** What the stores themselves hold, and how much is appended. */
    const stored = (database) => database.transact(['settings', 'redo'], 'readonly', (transaction) => {
      const result = {};
      transaction.objectStore('settings').getAll().onsuccess = ({ target }) => (result.texts = target.result);
      transaction.objectStore('redo').getAll().onsuccess = ({ target }) =>
        (result.appended = target.result.filter(({ is_opening }) => !is_opening).length);
      return result;
    });
    const first = await Database.open('apply');
    await write(first, 'a', '1');
    await write(first, 'b', '1');
    await write(first, 'b', null);
    const before = await stored(first);
    await first.apply();
    const after = await stored(first);
    await write(first, 'a', 'left by the first one');
    const second = await Database.open('apply');
    const taken = await texts(second);
    await write(second, 'a', 'second');
    await second.apply();
    const late = await first.apply().catch(({ name }) => name);
    const end = await stored(second);
    return { before, after, taken, late, end };
  });
  assert.deepEqual(found, {
    before: { texts: [], appended: 3 },
    after: { texts: ['1'], appended: 0 },
    taken: [['a', 'left by the first one']],
    late: 'InUse',
    end: { texts: ['second'], appended: 0 },
  });
});

test('content that only appended rows name is not taken for garbage', async (t) => {
  const tab = await open(t);
  const found = await tab.evaluate(async () => {
    const database = await Database.open('garbage');
    await write(database, 'a', '1');
    const applying = database.apply();
    await database.put_content('large', new Uint8Array([1, 2]));
    await database.put_content('unnamed', new Uint8Array([3]));
    const entries = ['file', new Uint8Array(), 'large', ''];
    await database.commit({ contents: [], entries, history: [], log: [], stamps: [], settings: [] });
    await database.collect([]);
    await applying;
    return [[...(await database.content('large'))], await database.content('unnamed')];
  });
  assert.deepEqual(found, [[1, 2], undefined]);
});

test('a database that was deleted, or made anew by another one, is not written to', async (t) => {
  const tab = await open(t);
  const found = await tab.evaluate(async () => {
    const remove = (name) => new Promise((resolve, reject) => {
      Object.assign(indexedDB.deleteDatabase(name), { onsuccess: resolve, onerror: reject });
    });
    const failure = (database) => write(database, 'a', '2').then(() => 'written', ({ name }) => name);
    const database = await Database.open('deleted');
    await write(database, 'a', '1');
    await remove('deleted');
    const deleted = await failure(database);
    const made = (await indexedDB.databases()).some(({ name }) => name === 'deleted');
    const next = await Database.open('deleted');
    return [deleted, made, await failure(database), await failure(database), await texts(next)];
  });
  assert.deepEqual(found, ['InUse', false, 'InUse', 'InUse', []]);
});
