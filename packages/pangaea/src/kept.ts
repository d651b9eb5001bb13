// What a service worker needs to know of the buckets that it may sync, in a small database of its own.

/** A bucket that is synced in the background. */
export interface KeptBucket {
  database: string;
  hub: string;
  /** Only if the application chose to keep it. */
  key?: string;
  plain?: boolean;
  wasm?: string;
}

const DATABASE = "pangaea-background";
const STORE = "buckets";

/** Remembers a bucket. */
export async function keepBucket(bucket: KeptBucket): Promise<void> {
  await inStore("readwrite", (store) => store.put(bucket));
}

/** Forgets a bucket and its key. */
export async function forgetBucket(database: string): Promise<void> {
  await inStore("readwrite", (store) => store.delete(database));
}

/** Returns all buckets that are remembered. */
export async function keptBuckets(): Promise<KeptBucket[]> {
  return inStore("readonly", (store) => store.getAll() as IDBRequest<KeptBucket[]>);
}

async function inStore<T>(mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest<T>): Promise<T> {
  const opening = indexedDB.open(DATABASE, 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore(STORE, { keyPath: "database" });
  const database = await new Promise<IDBDatabase>((resolve, reject) => {
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error);
  });
  try {
    const transaction = database.transaction(STORE, mode);
    const request = work(transaction.objectStore(STORE));
    await new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error);
    });
    return request.result;
  } finally {
    database.close();
  }
}
