// `pangaea/local-storage`: applications that know only localStorage, on several tabs and devices.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { eventually } from '../support/wait.mjs';
import { openBucket, world } from '../support/world.mjs';

const PAGES = {
  '/mirror': ['text/html', `<!doctype html><meta charset="utf-8"><title>An application with localStorage</title>
<script type="module">
  import * as pangaea from '/pangaea/dist/index.js';
  import { mirrorLocalStorage } from '/pangaea/dist/local-storage.js';
  Object.assign(window, { pangaea, mirrorLocalStorage });
</script>`],
};

/** A page of the application; with a mirror unless told otherwise. */
async function open(chromium, { site, hub, key }, options = { keys: ['theme', 'todos', 'list', 'count'] }) {
  const tab = await chromium.open(`${site.url}mirror`);
  await openBucket(tab, { hub: hub.url, key });
  if (options !== undefined) {
    await begin(tab, options);
  }
  return tab;
}

const begin = (tab, options) => tab.evaluate(async (options) => {
  globalThis.heard = [];
  globalThis.problems = [];
  addEventListener('storage', ({ key, oldValue, newValue, storageArea }) =>
    globalThis.heard.push({ key, oldValue, newValue, own: storageArea === localStorage }));
  const onProblem = ({ key, kind }) => globalThis.problems.push({ key, kind });
  globalThis.mirror = globalThis.mirrorLocalStorage(bucket, { onProblem, ...options });
  await globalThis.mirror.ready;
}, options);

const items = (tab) => tab.evaluate(() =>
  Object.fromEntries(Object.entries(localStorage).filter(([key]) => !key.startsWith('pangaea') && key !== 'foreign')));

const set = (tab, key, value) => tab.evaluate(([key, value]) => localStorage.setItem(key, value), [key, value]);

async function bothAre(tabs, wanted) {
  let found;
  await eventually('both devices have the same', async () => {
    await Promise.all(tabs.map((tab) => tab.evaluate(() => bucket.sync())));
    found = await Promise.all(tabs.map(items));
    return found.every((one) => JSON.stringify(Object.entries(one).sort()) === JSON.stringify(Object.entries(wanted).sort()));
  }, 30_000).catch(() => assert.deepEqual(found, tabs.map(() => wanted)));
}

test('what one device sets is in localStorage on the other, which is told', async (t) => {
  const place = await world(t, PAGES);
  const [one, two] = [await open(await place.browser('one'), place), await open(await place.browser('two'), place)];
  await one.evaluate(() => {
    localStorage.setItem('theme', 'dark');
    localStorage.setItem('todos', '{"milk":1}');
    localStorage.setItem('foreign', 'stays here');
    // Past the methods.
    localStorage.count = '1';
  });
  await bothAre([one, two], { theme: 'dark', todos: '{"milk":1}', count: '1' });
  assert.equal(await two.evaluate(() => localStorage.getItem('foreign')), null);
  const heard = await two.evaluate(() => globalThis.heard.sort((a, b) => (a.key < b.key ? -1 : 1)));
  assert.deepEqual(heard, [
    { key: 'count', oldValue: null, newValue: '1', own: true },
    { key: 'theme', oldValue: null, newValue: 'dark', own: true },
    { key: 'todos', oldValue: null, newValue: '{"milk":1}', own: true },
  ]);
  assert.deepEqual(await one.evaluate(() => globalThis.heard), [], 'the device that wrote is told nothing');
  assert.equal(await two.evaluate(async () => (await bucket.get('local-storage/theme.json')).text()), '"dark"');

  await two.evaluate(() => {
    localStorage.removeItem('theme');
    delete localStorage.count;
  });
  await bothAre([one, two], { todos: '{"milk":1}' });
  assert.deepEqual(await one.evaluate(() => globalThis.heard.map(({ key, newValue }) => [key, newValue]).sort()),
    [['count', null], ['theme', null]]);
});

test('the first contact merges: nothing that was there before is lost', async (t) => {
  const place = await world(t, PAGES);
  const one = await open(await place.browser('one'), place, undefined);
  await one.evaluate(() => {
    localStorage.setItem('todos', '{"milk":{"done":true},"eggs":{"done":false}}');
    localStorage.setItem('list', '[{"id":1,"text":"milk"},{"id":2,"text":"eggs"}]');
    localStorage.setItem('theme', 'dark');
  });
  await begin(one, { keys: ['theme', 'todos', 'list', 'count'] });
  await one.evaluate(() => bucket.accepted('local-storage/theme.json'));

  const two = await (await place.browser('two')).open(`${place.site.url}mirror`);
  await two.evaluate(() => {
    localStorage.setItem('todos', '{"bread":{"done":false},"milk":{"shop":"corner"}}');
    localStorage.setItem('list', '[{"id":3,"text":"bread"}]');
    localStorage.setItem('theme', 'light');
    localStorage.setItem('count', '7');
  });
  await openBucket(two, { hub: place.hub.url, key: place.key });
  await begin(two, { keys: ['theme', 'todos', 'list', 'count'] });
  await bothAre([one, two], {
    todos: '{"milk":{"done":true,"shop":"corner"},"eggs":{"done":false},"bread":{"done":false}}',
    list: '[{"id":1,"text":"milk"},{"id":2,"text":"eggs"},{"id":3,"text":"bread"}]',
    theme: 'dark',
    count: '7',
  });
  const history = await two.evaluate(async () => {
    const [newest] = await bucket.history('local-storage/theme.json');
    await bucket.restore('local-storage/theme.json', newest.version);
    return (await bucket.get('local-storage/theme.json')).text();
  });
  assert.equal(history, '"light"', 'what gave way is in the history');
  await bothAre([one, two], { ...(await items(two)), theme: 'light' });
});

test('changes on both sides without a network are merged by field', async (t) => {
  const place = await world(t, PAGES);
  const tabs = [await open(await place.browser('one'), place), await open(await place.browser('two'), place)];
  await set(tabs[0], 'todos', '{"milk":1,"eggs":1,"salt":1}');
  await bothAre(tabs, { todos: '{"milk":1,"eggs":1,"salt":1}' });
  await place.hub.stop();
  await set(tabs[0], 'todos', '{"milk":2,"eggs":1,"bread":1}');
  await set(tabs[1], 'todos', '{"milk":1,"eggs":2,"salt":1}');
  await Promise.all(tabs.map((tab) => eventually('it is in the bucket', () => tab.evaluate(async () => (await bucket.status()).pending > 0))));
  await place.hub.start();
  await eventually('both have merged', async () => {
    await Promise.all(tabs.map((tab) => tab.evaluate(() => bucket.sync())));
    const [one, two] = await Promise.all(tabs.map(items));
    const { milk, eggs, bread, salt } = JSON.parse(one.todos);
    return one.todos === two.todos && [milk, eggs, bread, salt].join() === '2,2,1,';
  });
});

test('what changed while no mirror ran is known to be new, on either side', async (t) => {
  const place = await world(t, PAGES);
  const chromium = await place.browser('one');
  const one = await open(chromium, place);
  const two = await open(await place.browser('two'), place);
  await one.evaluate(() => {
    localStorage.setItem('theme', 'dark');
    localStorage.setItem('count', '1');
    localStorage.setItem('list', '[1]');
    localStorage.setItem('todos', '{"milk":1}');
  });
  const all = { theme: 'dark', count: '1', list: '[1]', todos: '{"milk":1}' };
  await bothAre([one, two], all);
  await one.evaluate(() => globalThis.mirror.stop());
  await one.evaluate(() => {
    localStorage.setItem('theme', 'light');
    localStorage.removeItem('list');
    localStorage.setItem('todos', '{"milk":1,"eggs":1}');
  });
  await two.evaluate(() => {
    localStorage.setItem('count', '2');
    localStorage.setItem('todos', '{"milk":2}');
  });
  await eventually('the other one is heard of', () => one.evaluate(async () =>
    (await bucket.get('local-storage/count.json')).text() === '"2"' && (await bucket.get('local-storage/todos.json')).text() === '{"milk":2}'));
  assert.deepEqual(await items(one), { theme: 'light', count: '1', todos: '{"milk":1,"eggs":1}' }, 'a stopped mirror does nothing');
  await begin(one, { keys: ['theme', 'todos', 'list', 'count'] });
  await bothAre([one, two], { theme: 'light', count: '2', todos: '{"milk":2,"eggs":1}' });
});

test('an emptied localStorage is filled again, and clear() by the application removes', async (t) => {
  const place = await world(t, PAGES);
  const chromium = await place.browser('one');
  const one = await open(chromium, place);
  await set(one, 'theme', 'dark');
  await one.evaluate(async () => {
    await bucket.accepted('local-storage/theme.json');
    await globalThis.mirror.stop();
    // As when a browser drops it.
    localStorage.clear();
  });
  await begin(one, { keys: ['theme', 'todos', 'list', 'count'] });
  assert.deepEqual(await items(one), { theme: 'dark' });
  await one.evaluate(() => localStorage.clear());
  await eventually('the file is gone', () => one.evaluate(async () => (await bucket.get('local-storage/theme.json')) === undefined));
  assert.deepEqual(await items(one), {});
});

test('tabs of one browser, with and without a mirror', async (t) => {
  const place = await world(t, PAGES);
  const chromium = await place.browser();
  const [one, two] = [await open(chromium, place), await open(chromium, place)];
  const bare = await chromium.open(`${place.site.url}mirror`);
  await set(bare, 'theme', 'dark');
  await eventually('the tab without a mirror is heard', () => one.evaluate(async () =>
    (await bucket.get('local-storage/theme.json'))?.text() === '"dark"'));
  // Changes in two tabs, quicker than they can be brought over, for longer than other tabs are given: the last stays.
  await Promise.all([one, two].map((tab, number) => tab.evaluate(async (number) => {
    for (let index = 0; index <= 600; index += 1) {
      localStorage.setItem(['todos', 'list'][number], JSON.stringify({ [number]: index }));
      await new Promise((resolve) => setTimeout(resolve, index % 10));
    }
  }, number)));
  const wanted = { theme: 'dark', todos: '{"0":600}', list: '{"1":600}' };
  await bothAre([one, two], wanted);
  await one.evaluate(() => new Promise((resolve) => setTimeout(resolve, 2_500)));
  assert.deepEqual(await items(one), wanted, 'and nothing comes back');
  const files = await one.evaluate(() => Promise.all(['todos', 'list'].map(async (key) => (await bucket.get(`local-storage/${key}.json`)).text())));
  assert.deepEqual(files, [wanted.todos, wanted.list]);
});

test('what is set through the methods does not wait for the next look', async (t) => {
  const place = await world(t, PAGES);
  const tab = await (await place.browser()).open(`${place.site.url}mirror`);
  // Nothing is looked at again by itself.
  await tab.evaluate(() => (globalThis.setInterval = () => 0));
  await openBucket(tab, { hub: place.hub.url, key: place.key });
  await begin(tab, { prefix: 'k' });
  await set(tab, 'k1', 'one');
  await tab.evaluate(() => Storage.prototype.setItem.call(localStorage, 'k2', 'two'));
  const file = (name) => tab.evaluate(async (name) => (await bucket.get(`local-storage/${name}.json`))?.text(), name);
  await eventually('both are in the bucket', async () => (await file('k1')) === '"one"' && (await file('k2')) === '"two"', 20_000);
  await tab.evaluate(() => localStorage.removeItem('k1'));
  await eventually('it is removed', async () => (await file('k1')) === undefined, 20_000);
  await tab.evaluate(async () => {
    localStorage.k3 = 'past the methods, right before the end';
    await globalThis.mirror.stop();
  });
  assert.equal(await file('k3'), '"past the methods, right before the end"');
  await set(tab, 'k2', 'three');
  assert.equal(await tab.evaluate(() => Storage.prototype.setItem.toString()), 'function setItem() { [native code] }', 'the methods are as they were');
});

test('a full localStorage is told, and the value stays in the bucket', async (t) => {
  const place = await world(t, PAGES);
  const [one, two] = [await open(await place.browser('one'), place), await open(await place.browser('two'), place)];
  await two.evaluate(() => {
    let size = 1024 * 1024;
    for (let name = 0; size > 0; name += 1) {
      try {
        localStorage.setItem(`foreign${name}`, 'x'.repeat(size));
      } catch {
        size = Math.floor(size / 2);
      }
    }
  });
  const value = JSON.stringify({ long: 'y'.repeat(10_000) });
  await one.evaluate((value) => localStorage.setItem('todos', value), value);
  await eventually('it is told', () => two.evaluate(() => globalThis.problems.length > 0));
  const found = await two.evaluate(async () => ({
    problems: globalThis.problems[0],
    item: localStorage.getItem('todos'),
    file: (await bucket.get('local-storage/todos.json')).text(),
  }));
  assert.deepEqual(found, { problems: { key: 'todos', kind: 'quota' }, item: null, file: value });
});

test('an object in the place of localStorage, patterns, and paths of one\'s own', async (t) => {
  const place = await world(t, PAGES);
  const make = (tab) => tab.evaluate(async () => {
    class Memory {
      #items = new Map();
      get length() { return this.#items.size; }
      key(index) { return [...this.#items.keys()][index] ?? null; }
      getItem(key) { return this.#items.get(key) ?? null; }
      setItem(key, value) { this.#items.set(key, String(value)); }
      removeItem(key) { this.#items.delete(key); }
      clear() { this.#items.clear(); }
    }
    globalThis.memory = new Memory();
    globalThis.mirror = globalThis.mirrorLocalStorage(bucket, {
      storage: globalThis.memory,
      name: 'memory',
      keys: [/^note:/],
      path: (key) => `notes/${key.slice(5)}.txt`,
      key: (path) => /^notes\/(.*)\.txt$/.exec(path)?.[1].replace(/^/, 'note:'),
    });
    await globalThis.mirror.ready;
  });
  const tabs = [await open(await place.browser('one'), place, undefined), await open(await place.browser('two'), place, undefined)];
  await Promise.all(tabs.map(make));
  await tabs[0].evaluate(() => {
    globalThis.memory.setItem('note:a', 'first');
    globalThis.memory.setItem('other', 'not mirrored');
  });
  await eventually('it is in the other', async () => (await tabs[1].evaluate(() => globalThis.memory.getItem('note:a'))) === 'first');
  assert.deepEqual(await tabs[1].evaluate(async () => (await bucket.list()).map(({ path }) => path)), ['notes/a.txt']);
  const refused = await tabs[1].evaluate(() => {
    try {
      mirrorLocalStorage(bucket, { keys: [/x/], path: (key) => key });
      return undefined;
    } catch (thrown) {
      return thrown.name;
    }
  });
  assert.equal(refused, 'TypeError', 'a path function without its inverse');
});

test('keys of all kinds have paths that a hub takes', async (t) => {
  const place = await world(t, PAGES);
  const keys = ['k:.', 'k:..', 'k:a/b', 'k:a..b', 'k:ä 🎈', "k:o'clock (1)*~!", 'k:%2F', 'k:'];
  const tabs = [await open(await place.browser('one'), place, { prefix: 'k:' }), await open(await place.browser('two'), place, { prefix: 'k:' })];
  await tabs[0].evaluate((keys) => keys.forEach((key) => localStorage.setItem(key, key)), keys);
  await bothAre(tabs, Object.fromEntries(keys.map((key) => [key, key])));
  assert.deepEqual(await tabs[0].evaluate(() => globalThis.problems), []);
});
