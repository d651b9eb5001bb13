// PouchDB over IndexedDB (its own adapter), replicating from a PouchDB server.

import PouchDB from 'pouchdb-browser';

let db;

export async function open(name) {
  db = new PouchDB(name);
}

export async function put(id, document) {
  await db.put({ _id: id, ...document });
}

export async function putAll(documents) {
  const results = await db.bulkDocs(documents.map(([id, document]) => ({ _id: id, ...document })));
  if (results.some((result) => result.error)) throw new Error('a document was refused');
}

export async function get(id) {
  return db.get(id);
}

export async function pull({ couch }) {
  await db.replicate.from(couch, { batch_size: 1000 });
}

export async function count() {
  return (await db.info()).doc_count;
}
