// Plays schedules and seeds of the simulator in Chromium and prints what came of each, a JSON value a line.
//
// node replay.mjs MODULE_FOLDER FIRST_SEED SEEDS SCHEDULE...
//
// MODULE_FOLDER holds what wasm-bindgen made. The first line is of the seeds, the others are of the schedules in
// their order.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { chromium } from 'playwright-core';

const [folder, first, seeds, ...schedules] = process.argv.slice(2);

const types = { '.html': 'text/html', '.js': 'text/javascript', '.wasm': 'application/wasm' };
const page = '<!doctype html><title>The simulator</title>';

const server = createServer(async (request, response) => {
  const name = new URL(request.url, 'http://localhost').pathname.slice(1) || 'index.html';
  try {
    const body = name === 'index.html' ? page : await readFile(join(folder, name));
    response.writeHead(200, { 'content-type': types[extname(name)] ?? 'application/octet-stream' }).end(body);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((listening) => server.listen(0, '127.0.0.1', listening));

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  args: [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync',
  ],
});
try {
  const tab = await browser.newPage();
  await tab.goto(`http://127.0.0.1:${server.address().port}/`);
  await tab.evaluate(async () => {
    globalThis.simulator = await import('/pangaea_sim_web.js');
    await globalThis.simulator.default();
  });
  const all = await tab.evaluate(
    ([first, seeds]) => globalThis.simulator.campaign(first, seeds),
    [Number(first), Number(seeds)],
  );
  console.log(JSON.stringify(all));
  for (const file of schedules) {
    const text = await readFile(file, 'utf8');
    console.log(JSON.stringify(await tab.evaluate((text) => globalThis.simulator.replay(text), text)));
  }
} finally {
  await browser.close();
  server.close();
}
