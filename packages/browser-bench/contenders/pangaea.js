// The npm package of this repository, with its worker, syncing with the real hub. Documents are JSON files.

import { openBucket } from '../../pangaea/dist/index.js';

let bucket;

const path = (id) => `docs/${id}.json`;

export async function open(database, { hub, key, policies }) {
  bucket = await openBucket({ hub, key, database, policies });
}

export async function put(id, document) {
  await bucket.put(path(id), document);
}

export async function putAll(documents) {
  await bucket.putAll(documents.map(([id, document]) => [path(id), document]));
}

export async function get(id) {
  return (await bucket.get(path(id))).json();
}

export async function pull() {
  await bucket.sync();
  for (;;) {
    const { caughtUp } = await bucket.status();
    if (caughtUp) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Sends everything. */
export async function push() {
  await bucket.sync();
  for (;;) {
    const { pending } = await bucket.status();
    if (pending === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export async function count() {
  return (await bucket.list('docs/')).length;
}
