// Stands in front of a hub, forwards what comes, counts it, and does badly what a test wants done badly.

import { createServer, request as httpRequest } from 'node:http';

import { freePort } from './hub.mjs';

/**
 * Starts a proxy for a hub. `fault` is asked for every request but preflights, and says what happens to it:
 * - nothing: it is forwarded;
 * - { status, headers, body }: that is answered, and the hub hears nothing;
 * - 'reset': the connection is cut, and the hub hears nothing;
 * - 'lost': it is forwarded, and the answer is lost with the connection;
 * - a promise of one of these: the request waits as long.
 */
export async function proxy(test, hub) {
  const state = { fault: () => undefined, requests: [] };
  const server = createServer((request, response) => {
    take(state, hub, request, response).catch(() => response.destroy());
  });
  const port = await freePort();
  await new Promise((listening) => server.listen(port, '127.0.0.1', listening));
  test.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return Object.assign(state, { url: `http://127.0.0.1:${port}` });
}

/** Tells whether a request stores one file. */
export function isStore(request, path) {
  return request.method === 'POST' && request.url.startsWith('/store/') && (path === undefined || request.url.endsWith(path));
}

async function take(state, hub, request, response) {
  const chunks = [];
  for await (const chunk of request) {
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  const seen = { method: request.method, url: request.url, headers: request.headers, body };
  const isPreflight = request.method === 'OPTIONS';
  if (!isPreflight) {
    state.requests.push(seen);
  }
  const fault = isPreflight ? undefined : await state.fault(seen);
  if (fault === 'reset') {
    response.destroy();
  } else if (fault === undefined || fault === 'lost') {
    forward(hub, seen, response, fault === 'lost');
  } else {
    response.writeHead(fault.status, {
      'access-control-allow-origin': '*', 'access-control-expose-headers': '*, retry-after, etag', ...fault.headers,
    });
    response.end(fault.body ?? JSON.stringify({ message: 'said by the proxy', error: 'Faulty' }));
  }
}

function forward(hub, { method, url, headers, body }, response, isLost) {
  const outgoing = httpRequest(`${hub.url}${url}`, { method, headers }, (answer) => {
    if (isLost) {
      answer.resume();
      answer.on('end', () => response.destroy());
      return;
    }
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
    answer.on('error', () => response.destroy());
  });
  outgoing.on('error', () => response.destroy());
  response.on('close', () => outgoing.destroy());
  outgoing.end(body);
}
