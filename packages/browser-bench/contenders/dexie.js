// Dexie alone: what IndexedDB takes. It syncs with nothing.

import { Dexie } from 'dexie';

let db;

export async function open(name) {
  db = new Dexie(name, { chromeTransactionDurability: 'relaxed' });
  db.version(1).stores({ docs: 'id' });
  await db.open();
}

export async function put(id, document) {
  await db.docs.put({ id, ...document });
}

export async function putAll(documents) {
  await db.docs.bulkPut(documents.map(([id, document]) => ({ id, ...document })));
}

export async function get(id) {
  return db.docs.get(id);
}

export async function count() {
  return db.docs.count();
}
