// What this device has, read by the page itself: a host needs a worker, a module and all rows before it can tell, and the
// page one row. Only reads, and leaves to the host what it cannot tell for certain.
//
// How the database is laid out is told in crates/pangaea-wasm: its stores in js/indexed-db.js, the rows in src/store.rs.

import { digestOf } from "./database.js";
import { POLICY_PATH } from "./policies.js";
import type { FileData, FileInfo } from "./wasm.js";

const FORMAT = 1;
/** Files of Pangaea's own are in no list. */
const RESERVED = ".pangaea/";

/** After a reading that took longer there is no other: much waits to be sorted, and the host will have it at hand. */
const SLOW_MS = 50;

/** What a row says of its file. */
type Told = Omit<FileInfo, "path"> & {
  /** The digest of its content, and the content's key. */
  content: string;
  /** The format is another one where a policy says so. */
  isByPolicy?: boolean;
};

/** In `file` is what is told, as JSON; it is empty if the device does not have the file, and rows of older programs lack it. */
type Row = { file?: string } | null | undefined;

/** A transaction that is not in its stores yet, as far as it is read here: keys and values in turn. */
interface Appended {
  entries?: unknown[];
  contents?: unknown[];
}

type Store = keyof Appended;

/** A database that a page reads. */
export class Early {
  readonly #connection: IDBDatabase;
  #isSlow = false;

  private constructor(connection: IDBDatabase) {
    this.#connection = connection;
    // Whoever deletes the database does not wait for this page.
    connection.onversionchange = () => connection.close();
  }

  /** Opens a database if it is there. Makes none. */
  static async open(name: string): Promise<Early | undefined> {
    const connection = await connect(name);
    return connection && new Early(connection);
  }

  /** A file and its content; `none` if the device does not have it. Undefined: only the host can tell. */
  async file(path: string): Promise<FileData | "none" | undefined> {
    const found = await this.#read(async ({ get }) => {
      const [row, policy] = await Promise.all([get("entries", path), get("entries", POLICY_PATH)]);
      const told = toldOf(row as Row);
      if (told === undefined || told === "none") {
        return told;
      }
      const isClear = !told.isByPolicy || !(await encrypts(policy as Row, get));
      return isClear ? { told, content: await get("contents", told.content) } : undefined;
    });
    if (found === undefined || found === "none") {
      return found;
    }
    const { told, content } = found;
    // What is damaged is the host's to tell.
    if (!(content instanceof Uint8Array) || (await digestOf(content)) !== told.content) {
      return undefined;
    }
    const { type, version, state, format } = told;
    return { content, type, version, state, format };
  }

  /** The files whose path begins with `prefix`, in the order of their paths. Undefined: only the host can tell. */
  async list(prefix: string): Promise<FileInfo[] | undefined> {
    return this.#read(async ({ get, from }) => {
      const [rows, policy] = await Promise.all([from("entries", prefix), get("entries", POLICY_PATH)]);
      const files: FileInfo[] = [];
      let isByPolicy = false;
      for (const [path, row] of rows) {
        const told = toldOf(row as Row);
        if (told === undefined) {
          return undefined;
        }
        if (told !== "none" && path.startsWith(prefix) && !path.startsWith(RESERVED)) {
          const { content: _, isByPolicy: isIts, ...info } = told;
          isByPolicy ||= isIts === true;
          files.push({ path, ...info });
        }
      }
      const isClear = !isByPolicy || !(await encrypts(policy as Row, get));
      return isClear ? files.sort((a, b) => compare(a.path, b.path)) : undefined;
    });
  }

  close(): void {
    this.#connection.close();
  }

  /** Looks at the database as it is at one moment. Undefined: that failed, and the host will meet the same and say what it is. */
  async #read<T>(work: (look: Look) => Promise<T>): Promise<T | undefined> {
    if (this.#isSlow) {
      return undefined;
    }
    const begun = performance.now();
    try {
      return await work(new Look(this.#connection));
    } catch {
      return undefined;
    } finally {
      this.#isSlow ||= performance.now() - begun > SLOW_MS;
    }
  }
}

/** Opens a database that is there. */
function connect(name: string): Promise<IDBDatabase | undefined> {
  return new Promise((resolve) => {
    const request = indexedDB.open(name, FORMAT);
    // It is not there, or another program's: whatever is to be done with it, the host does it.
    request.onupgradeneeded = () => request.transaction?.abort();
    request.onsuccess = () => resolve(request.result);
    request.onerror = (event) => {
      event.preventDefault();
      resolve(undefined);
    };
  });
}

/** A transaction. What is asked for is in the stores, or in what waits to be brought there; the newest counts. */
class Look {
  readonly #transaction: IDBTransaction;
  /** What waits, the newest first. */
  readonly #appended: Promise<Appended[]>;

  constructor(connection: IDBDatabase) {
    this.#transaction = connection.transaction(["entries", "contents", "redo"], "readonly");
    this.#appended = done<Appended[]>(this.#store("redo").getAll()).then((all) => all.reverse());
    // Who asks for something is told of it.
    this.#appended.catch(() => undefined);
  }

  readonly get = async (store: Store, key: string): Promise<unknown> => {
    const [stored, appended] = await Promise.all([done<unknown>(this.#store(store).get(key)), this.#appended]);
    for (const { [store]: flat = [] } of appended) {
      for (let at = flat.length - 2; at >= 0; at -= 2) {
        if (flat[at] === key) {
          return flat[at + 1];
        }
      }
    }
    return stored;
  };

  /** All rows whose key is `first` or comes after it, and perhaps others. */
  readonly from = async (store: Store, first: string): Promise<Map<string, unknown>> => {
    const range = IDBKeyRange.lowerBound(first);
    const stored = this.#store(store);
    const [keys, values, appended] = await Promise.all([
      done(stored.getAllKeys(range)), done<unknown[]>(stored.getAll(range)), this.#appended,
    ]);
    const rows = new Map(keys.map((key, at) => [key as string, values[at]]));
    for (const { [store]: flat = [] } of [...appended].reverse()) {
      for (let at = 0; at < flat.length; at += 2) {
        rows.set(flat[at] as string, flat[at + 1]);
      }
    }
    return rows;
  };

  #store(name: Store | "redo"): IDBObjectStore {
    return this.#transaction.objectStore(name);
  }
}

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function toldOf(row: Row): Told | "none" | undefined {
  if (row === undefined || row === null || row.file === "") {
    return "none";
  }
  return row.file === undefined ? undefined : (JSON.parse(row.file) as Told);
}

/** Whether a policy says what is encrypted: the host knows for which files. */
async function encrypts(policy: Row, get: Look["get"]): Promise<boolean> {
  const told = toldOf(policy);
  if (told === undefined || told === "none") {
    return told === undefined;
  }
  const content = await get("contents", told.content);
  return !(content instanceof Uint8Array) || new TextDecoder().decode(content).includes("encryption");
}

/** The order of their bytes in UTF-8, which is that of their code points, as the host has it. */
function compare(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const [x, y] = [a.charCodeAt(at), b.charCodeAt(at)];
    if (x !== y) {
      return rank(x) - rank(y);
    }
  }
  return a.length - b.length;
}

/** Surrogates stand for code points above all others. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit;
}
