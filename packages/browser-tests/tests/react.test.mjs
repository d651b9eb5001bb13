// `pangaea/react` with the real react and react-dom.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { build } from 'esbuild';

import { eventually } from '../support/wait.mjs';
import { openBucket, world } from '../support/world.mjs';

async function pages() {
  const folder = new URL('..', import.meta.url).pathname;
  const bundle = await build({
    entryPoints: [`${folder}react/app.js`],
    bundle: true,
    write: false,
    format: 'esm',
    logLevel: 'error',
    // One React for the application and the package, as an installed application has.
    alias: {
      'pangaea/react': `${folder}../pangaea/dist/react.js`,
      react: `${folder}node_modules/react`,
    },
    define: { 'process.env.NODE_ENV': '"development"' },
  });
  return {
    '/app.js': ['text/javascript', bundle.outputFiles[0].text],
    '/react': ['text/html', `<!doctype html><meta charset="utf-8"><title>An application in React</title><div id="root"></div>
<script type="module">
  import * as pangaea from '/pangaea/dist/index.js';
  import '/app.js';
  Object.assign(window, { pangaea });
</script>`],
  };
}

const shows = (tab, id, wanted) => eventually(`#${id} shows ${wanted}`, async () =>
  (await tab.evaluate((id) => document.getElementById(id)?.textContent, id)) === wanted, 30_000).catch(async (error) => {
  assert.equal(await tab.evaluate((id) => document.getElementById(id)?.textContent, id), wanted, error.message);
});

test('a file and the status are shown as they change, here, in another tab and on another device', async (t) => {
  const { site, hub, key, browser, device } = await world(t, await pages());
  const chromium = await browser();
  const tab = await chromium.open(`${site.url}react`);
  await shows(tab, 'note', 'a.txt: loading');
  await shows(tab, 'status', 'unknown');
  await openBucket(tab, { hub: hub.url, key });
  await tab.evaluate(() => setBucket(bucket));
  await shows(tab, 'note', 'a.txt: none');
  await hub.stop();
  await tab.evaluate(() => bucket.put('a.txt', 'one'));
  await shows(tab, 'note', 'a.txt: one (queued)');
  await shows(tab, 'status', '1 files, 1 waiting');
  await hub.start();
  await tab.evaluate(() => bucket.sync());
  await shows(tab, 'note', 'a.txt: one (stored)');
  await shows(tab, 'status', '1 files, 0 waiting');

  const other = await chromium.open(site.url);
  await openBucket(other, { hub: hub.url, key });
  await other.evaluate(() => bucket.put('a.txt', 'two'));
  await shows(tab, 'note', 'a.txt: two (stored)');
  const far = await device();
  await far.sync();
  far.put('a.txt', 'three');
  far.put('b.txt', 'another');
  await far.sync();
  await shows(tab, 'note', 'a.txt: three (stored)');

  const { note } = await tab.evaluate(() => globalThis.renders);
  await tab.evaluate(async () => {
    await bucket.put('a.txt.bak', 'of no interest');
    await bucket.accepted('a.txt.bak');
    await new Promise((resolve) => setTimeout(resolve, 300));
  });
  assert.equal(await tab.evaluate(() => globalThis.renders.note), note, 'another file is no reason to render');

  await tab.evaluate(() => setPath('b.txt'));
  await shows(tab, 'note', 'b.txt: another (stored)');
  await tab.evaluate(() => bucket.delete('b.txt'));
  await shows(tab, 'note', 'b.txt: none');
  await tab.evaluate(() => setPath('a..b'));
  await eventually('the error is shown', () => tab.evaluate(() => document.getElementById('note').textContent.startsWith('a..b: error: ')));
});

test('a component that goes listens no longer', async (t) => {
  const { site, hub, key, browser } = await world(t, await pages());
  const tab = await (await browser()).open(`${site.url}react`);
  await openBucket(tab, { hub: hub.url, key });
  const left = await tab.evaluate(async () => {
    const listening = new Set();
    for (const name of ['watch', 'on']) {
      const original = bucket[name].bind(bucket);
      bucket[name] = (...args) => {
        const stop = original(...args);
        const entry = `${name} ${args[0]} ${listening.size}`;
        listening.add(entry);
        return () => {
          listening.delete(entry);
          stop();
        };
      };
    }
    setBucket(bucket);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const during = listening.size;
    setPath('');
    setBucket(undefined);
    await new Promise((resolve) => setTimeout(resolve, 500));
    return [during, listening.size];
  });
  assert.deepEqual(left, [3, 0], 'the file, its being stored, the status');
});
