// What the contenders sync with, and the site that they run on: one origin, so that no browser asks for leave first.

import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { extname } from 'node:path';

const require = createRequire(import.meta.url);
const types = { '.js': 'text/javascript', '.wasm': 'application/wasm' };
const PAGE = '<!doctype html><meta charset="utf-8"><title>A benchmark</title>';

/** The site, with a PouchDB server that has the documents, and the documents in pages. */
export async function serve(bundles, documents) {
  const express = require('express');
  const PouchDB = require('pouchdb').plugin(require('pouchdb-adapter-memory')).defaults({ adapter: 'memory' });
  await new PouchDB('docs').bulkDocs(documents.map(([id, document]) => ({ _id: id, ...document })));
  const application = express();
  application.get('/', (_, response) => response.type('html').send(PAGE));
  application.get('/pages', ({ query }, response) => {
    const [from, limit] = [Number(query.from), Number(query.limit)];
    const page = documents.slice(from, from + limit).map(([id, document]) => ({ id, ...document, _deleted: false }));
    response.json({ documents: page, checkpoint: { next: from + page.length } });
  });
  application.get('/bundles/:name', ({ params: { name } }, response) => {
    const bytes = bundles[name];
    if (bytes === undefined) response.status(404).end();
    else response.type(types[extname(name)]).send(Buffer.from(bytes));
  });
  application.use('/couch', require('express-pouchdb')(PouchDB, {
    mode: 'minimumForPouchDB', logPath: '/dev/null', inMemoryConfig: true,
  }));
  const server = await new Promise((resolve) => {
    const listening = application.listen(0, '127.0.0.1', () => resolve(listening));
  });
  return { origin: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

/** A hub of the real program on a folder. */
export async function startHub(program, folder, port) {
  const child = spawn(program, ['hub', '--listen', `127.0.0.1:${port}`, '--data', folder], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  for (;;) {
    if (child.exitCode !== null) throw new Error('the hub ended at once');
    const answer = await fetch(`${url}/hub_info`).catch(() => undefined);
    if (answer?.ok) return { url, stop: () => child.kill('SIGKILL') };
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
