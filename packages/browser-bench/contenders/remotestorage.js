// remoteStorage.js, unconnected. It has no call for many documents, so they are stored side by side.

import RemoteStorage from 'remotestoragejs';

let client;

export async function open() {
  const storage = new RemoteStorage({ cache: true });
  storage.access.claim('docs', 'rw');
  storage.caching.enable('/docs/');
  client = storage.scope('/docs/');
  client.declareType('doc', { type: 'object' });
  await new Promise((resolve) => storage.on('ready', resolve));
}

export async function put(id, document) {
  await client.storeObject('doc', id, { ...document });
}

export async function putAll(documents) {
  await Promise.all(documents.map(([id, document]) => put(id, document)));
}

export async function get(id) {
  return client.getObject(id);
}

export async function count() {
  return Object.keys(await client.getListing('')).length;
}
