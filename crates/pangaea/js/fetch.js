// Requests by the browser's fetch, for src/hub/http/platform/web.rs. Works in pages and in workers.

/** The parts of an address, or nothing if it is none. */
export function parse_url(text, base) {
  try {
    const url = base === undefined ? new URL(text) : new URL(text, base);
    return [url.href, url.protocol, url.hostname, url.username, url.password, url.search, url.hash, url.origin];
  } catch {
    return undefined;
  }
}

/** One request and its answer. */
export class Exchange {
  constructor() {
    this.controller = new AbortController();
  }

  /** Sends it. The head of the answer: status, final address, names and values of headers in turn. */
  async send(method, url, headers, body) {
    const response = await fetch(url, {
      method,
      headers: pairs(headers),
      body,
      signal: this.controller.signal,
      cache: "no-store",
      credentials: "omit",
      mode: "cors",
      redirect: "follow",
      referrerPolicy: "no-referrer",
    });
    this.reader = response.body?.getReader();
    return [String(response.status), response.url, ...[...response.headers].flat()];
  }

  /** The next bytes of the answer, nothing at its end. */
  async chunk() {
    const next = await this.reader?.read();
    return next?.value;
  }

  /** Ends it, wherever it is. */
  abort() {
    this.controller.abort();
  }
}

function pairs(flat) {
  const pairs = [];
  for (let at = 0; at + 1 < flat.length; at += 2) pairs.push([flat[at], flat[at + 1]]);
  return pairs;
}

/** Whether this device has no network at all. */
export function is_offline() {
  return globalThis.navigator?.onLine === false;
}
