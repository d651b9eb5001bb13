// The web site of an application: the package as it is installed, a page, and a service worker.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';

import { freePort } from './hub.mjs';

const packages = new URL('../../', import.meta.url).pathname;
const types = {
  '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm', '.json': 'application/json',
};

const PAGE = `<!doctype html><meta charset="utf-8"><title>An application</title>
<script type="module">
  import * as pangaea from '/pangaea/dist/index.js';
  import * as worker from '/pangaea/dist/worker.js';
  Object.assign(window, { pangaea, background: worker });
</script>`;

const SERVICE_WORKER = `import { handleBackgroundSync } from '/pangaea/dist/worker.js';
handleBackgroundSync(self);`;

// As docs/browser.md says that it must be at least; the scripts of the page itself are inline.
const POLICY = "default-src 'none'; script-src 'self' 'unsafe-inline' 'wasm-unsafe-eval'; worker-src 'self'; connect-src 'self' http:";

/** Serves the site; \`pages\` are more of them, by path: [type, text]. */
export async function serveSite(pages = {}) {
  const missing = new Set();
  const held = new Map();
  const own = { '/': ['text/html', PAGE], '/sw.js': ['text/javascript', SERVICE_WORKER], ...pages };
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    await held.get(pathname);
    if (own[pathname]) {
      const [type, body] = own[pathname];
      response.writeHead(200, { 'content-type': type, 'content-security-policy': POLICY }).end(body);
      return;
    }
    try {
      if (missing.has(pathname)) {
        site.missed += 1;
        throw new Error('not now');
      }
      const file = join(packages, normalize(pathname));
      const body = await readFile(file);
      response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  const port = await freePort();
  await new Promise((listening) => server.listen(port, '127.0.0.1', listening));
  const site = {
    url: `http://127.0.0.1:${port}/`,
    /** Paths that are not there for now. */
    missing,
    /** Answers no requests for a path until what is returned is called. */
    hold(pathname) {
      let letGo;
      held.set(pathname, new Promise((resolve) => (letGo = resolve)));
      return () => {
        held.delete(pathname);
        letGo();
      };
    },
    /** How often they were asked for. */
    missed: 0,
    origin: `http://127.0.0.1:${port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  return site;
}
