// The page on which both clients are: the stock one in a bundle, ours as it is installed. And a server of names.

import { createServer } from 'node:http';

import { build } from 'esbuild';

import { freePort } from '../support/hub.mjs';

/** The page `/stacks` and what it loads. */
export async function stacksPages() {
  const bundle = await build({
    entryPoints: [new URL('stock.js', import.meta.url).pathname],
    bundle: true,
    write: false,
    format: 'iife',
    define: { global: 'globalThis' },
    logLevel: 'error',
  });
  return {
    '/stock.js': ['text/javascript', bundle.outputFiles[0].text],
    '/stacks': ['text/html', PAGE],
  };
}

const PAGE = `<!doctype html><meta charset="utf-8"><title>An application of the stock client</title>
<script src="/stock.js"></script>
<script type="module">
  import * as ours from '/pangaea/dist/stacks.js';
  import { play } from '/browser-tests/stacks/scenario.js';
  const signIn = (name, userData) => {
    const { AppConfig, UserSession } = stock.auth;
    const sessionOptions = { storeOptions: { localStorageKey: name } };
    const session = new UserSession({ appConfig: new AppConfig(['store_write'], location.origin), sessionOptions });
    session.store.setSessionData(Object.assign(session.store.getSessionData(), { userData }));
    return session;
  };
  Object.assign(window, { ours, play, signIn });
  window.pangaea = ours;
</script>`;

/** Serves what names stand for, to all origins; \`records\` may be filled later. */
export async function serveNames(test, records) {
  const server = createServer((request, response) => {
    const record = records[decodeURIComponent(request.url.split('/').at(-1))];
    const headers = { 'access-control-allow-origin': '*', 'access-control-allow-headers': '*', 'content-type': 'application/json' };
    if (request.method === 'OPTIONS') {
      response.writeHead(204, headers).end();
    } else {
      response.writeHead(record ? 200 : 404, headers).end(JSON.stringify(record ?? { error: 'no such name' }));
    }
  });
  const port = await freePort();
  await new Promise((listening) => server.listen(port, '127.0.0.1', listening));
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${port}/v1/names`;
}
