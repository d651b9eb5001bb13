// RxDB over its Dexie storage. It pulls from the simplest and fastest server that its replication can have: pages of
// documents as they are.

import { createRxDatabase } from 'rxdb/plugins/core';
import { replicateRxCollection } from 'rxdb/plugins/replication';
import { getRxStorageDexie } from 'rxdb/plugins/storage-dexie';

let docs;

const schema = {
  version: 0,
  primaryKey: 'id',
  type: 'object',
  properties: { id: { type: 'string', maxLength: 100 }, title: { type: 'string' }, text: { type: 'string' }, number: { type: 'number' } },
  required: ['id'],
};

export async function open(name) {
  const database = await createRxDatabase({ name, storage: getRxStorageDexie(), multiInstance: true });
  ({ docs } = await database.addCollections({ docs: { schema } }));
}

export async function put(id, document) {
  await docs.insert({ id, ...document });
}

export async function putAll(documents) {
  const { error } = await docs.bulkInsert(documents.map(([id, document]) => ({ id, ...document })));
  if (error.length > 0) throw new Error('a document was refused');
}

export async function get(id) {
  return (await docs.findOne(id).exec()).toJSON();
}

export async function pull({ pages }) {
  const replication = replicateRxCollection({
    collection: docs,
    replicationIdentifier: pages,
    live: false,
    pull: {
      batchSize: 1000,
      handler: async (checkpoint, limit) => (await fetch(`${pages}?from=${checkpoint?.next ?? 0}&limit=${limit}`)).json(),
    },
  });
  await replication.awaitInitialReplication();
}

export async function count() {
  return docs.count().exec();
}
