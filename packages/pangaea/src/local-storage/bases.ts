// The last values that storage and bucket had in common, kept in IndexedDB: by them a change made while no mirror ran is
// known to be one, and from which side it came.

const DATABASE = "pangaea-mirror";
const STORE = "bases";

/** The values of one mirror, by key. */
export class Bases {
  readonly #prefix: string;
  readonly #values = new Map<string, string>();
  #database: IDBDatabase | undefined;

  /** @param mirror Tells mirrors apart: of which bucket, and of which storage. */
  constructor(mirror: string) {
    this.#prefix = `${mirror} `;
  }

  /** Reads what is kept. */
  async open(): Promise<void> {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => void opening.result.createObjectStore(STORE);
    this.#database = await done(opening);
    // Another tab with a later version of this package is not kept waiting.
    this.#database.onversionchange = () => this.close();
    const store = this.#database.transaction(STORE).objectStore(STORE);
    const range = IDBKeyRange.bound(this.#prefix, `${this.#prefix}\uffff`);
    const [keys, values] = await Promise.all([done(store.getAllKeys(range)), done(store.getAll(range))]);
    keys.forEach((key, index) => this.#values.set(String(key).slice(this.#prefix.length), String(values[index])));
  }

  /** Whether nothing was ever in common. */
  get isEmpty(): boolean {
    return this.#values.size === 0;
  }

  /** All keys that have a value. */
  keys(): string[] {
    return [...this.#values.keys()];
  }

  /** The last value in common. */
  get(key: string): string | undefined {
    return this.#values.get(key);
  }

  /** Remembers a value; undefined: there is none on either side. */
  set(key: string, value: string | undefined): void {
    if (this.#values.get(key) === value) {
      return;
    }
    const store = this.#database?.transaction(STORE, "readwrite").objectStore(STORE);
    if (value === undefined) {
      this.#values.delete(key);
      store?.delete(this.#prefix + key);
    } else {
      this.#values.set(key, value);
      store?.put(value, this.#prefix + key);
    }
  }

  /** Forgets everything: the storage is not the one that it was. */
  clear(): void {
    for (const key of this.keys()) {
      this.set(key, undefined);
    }
  }

  /** Lets go of the database. */
  close(): void {
    this.#database?.close();
    this.#database = undefined;
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
