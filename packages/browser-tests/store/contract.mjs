// Runs the checks that every store must pass on IndexedDB in Chromium, and ends with an error if one fails.
//
// node contract.mjs MODULE_FOLDER
//
// MODULE_FOLDER holds what wasm-bindgen made of the crate `pangaea-wasm` with its feature `contract`.

import { createServer } from 'node:http';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';

import { Browser } from '../support/browser.mjs';

const [folder] = process.argv.slice(2);
const types = { '.js': 'text/javascript', '.wasm': 'application/wasm' };

const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  try {
    const body = pathname === '/' ? '<!doctype html><title>A store</title>' : await readFile(join(folder, normalize(pathname)));
    response.writeHead(200, { 'content-type': types[extname(pathname)] ?? 'text/html' }).end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));

const profile = await mkdtemp(join(tmpdir(), 'pangaea-store-'));
const browser = await new Browser(profile).start();
try {
  const tab = await browser.context.newPage();
  await tab.goto(`http://127.0.0.1:${server.address().port}/`);
  // A check that fails panics: the module then answers nothing any more.
  const failed = new Promise((_, reject) => tab.on('pageerror', reject));
  const checked = tab.evaluate(async () => {
    const module = await import('/pangaea_wasm.js');
    await module.default();
    await module.check_store('contract');
  });
  await Promise.race([checked, failed]);
  const databases = await tab.evaluate(async () => (await indexedDB.databases()).length);
  if (databases === 0) throw new Error('no database was made: nothing was checked');
  console.log(`${databases} databases of IndexedDB passed the checks of every store`);
} finally {
  await browser.kill();
  server.closeAllConnections();
  server.close();
  await rm(profile, { recursive: true, force: true });
}
