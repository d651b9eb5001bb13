// Files outside the own bucket: read from the network, and kept for when there is none.

const CACHE = "pangaea-stacks";
/** Answers that are kept; the oldest go first. */
const KEPT_MAX = 1_000;
/** Every so many answers the oldest are looked for. */
const SWEEP_EVERY = 50;

let untilSweep = 0;

/**
 * Fetches, and keeps the answer. When the network or the server fails, what was kept last is the answer.
 *
 * Where the browser has no Cache (a page without HTTPS) nothing is kept.
 */
export async function fetchKept(url: string): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, { referrerPolicy: "origin" });
  } catch (thrown) {
    const kept = await find(url);
    if (kept === undefined) {
      throw thrown;
    }
    return kept;
  }
  if (response.status >= 500) {
    return (await find(url)) ?? response;
  }
  await keep(url, response.clone());
  return response;
}

async function find(url: string): Promise<Response | undefined> {
  const cache = await open();
  return cache?.match(url);
}

/** A full disk is no reason not to answer. */
async function keep(url: string, response: Response): Promise<void> {
  const cache = await open();
  try {
    if (response.ok) {
      await cache?.put(url, response);
    } else {
      await cache?.delete(url);
    }
    await sweep(cache);
  } catch {
    await cache?.delete(url).catch(() => false);
  }
}

async function sweep(cache: Cache | undefined): Promise<void> {
  untilSweep -= 1;
  if (cache === undefined || untilSweep > 0) {
    return;
  }
  untilSweep = SWEEP_EVERY;
  const keys = await cache.keys();
  // In the order of their last writing.
  for (const request of keys.slice(0, Math.max(0, keys.length - KEPT_MAX))) {
    await cache.delete(request);
  }
}

async function open(): Promise<Cache | undefined> {
  return globalThis.caches?.open(CACHE).catch(() => undefined);
}
