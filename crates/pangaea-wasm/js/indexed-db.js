// A replica's database in IndexedDB, for src/store.rs. Rows come and go as the Rust side makes them;
// here are transactions, the check that this is still the last one who opened the database, and what
// to do when the browser lost the connection.
//
// A transaction is handed over whole and committed at once, without waiting for the answer to any of its
// requests: that is faster, and a worker that is suspended in the middle does not keep the database from others.

const FORMAT = 1;
/** Who opened the database last, how often that one has written, and the replica's counters: one row, since each
 *  transaction writes it. */
const OWNER = "owner";
/** So many openings later a worker that was suspended is gone. */
const FENCES_MAX = 10_000;

export class Database {
  /** Opens the database, or makes it. From then on whoever had it open before cannot write. */
  static async open(name) {
    const database = new Database();
    database.name = name;
    await database.connect();
    const owner = await database.transact(["meta", "fences"], "readwrite", (transaction) => {
      const [meta, fences] = ["meta", "fences"].map((store) => transaction.objectStore(store));
      const result = {};
      meta.get(OWNER).onsuccess = (event) => {
        const before = event.target.result ?? { number: 0 };
        result.number = before.number + 1;
        result.counters = before.counters;
        meta.put({ ...before, number: result.number, writes: 0 }, OWNER);
        fences.put(0, before.number);
        fences.delete(IDBKeyRange.upperBound(before.number - FENCES_MAX));
        transaction.commit();
      };
      return result;
    });
    database.number = owner.number;
    database.counters = owner.counters;
    database.writes = 0;
    database.last = Promise.resolve();
    return database;
  }

  async connect() {
    const request = indexedDB.open(this.name, FORMAT);
    request.onupgradeneeded = () => upgrade(request.result);
    this.connection = await new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(request.error);
      request.onblocked = () => reject(named("InUse", "another page keeps an older version of the database open"));
    });
    const connection = this.connection;
    const forget = () => {
      if (this.connection === connection) this.connection = undefined;
    };
    connection.onclose = forget;
    connection.onversionchange = () => {
      connection.close();
      forget();
    };
  }

  /** Runs one transaction. If the connection was lost, as iOS does to pages that slept, opens a new one and tries once more. */
  async transact(stores, mode, work) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        if (!this.connection) await this.connect();
        return await run(this.connection, stores, mode, work);
      } catch (error) {
        const lost = error?.name === "InvalidStateError" || error?.name === "UnknownError";
        if (!lost || attempt > 0) throw error;
        this.connection?.close();
        this.connection = undefined;
      }
    }
  }

  /** All that a replica starts from. */
  load() {
    return this.transact(["entries", "stamps", "settings", "meta"], "readonly", (transaction) => {
      const found = {};
      const all = (name) => {
        const store = transaction.objectStore(name);
        store.getAllKeys().onsuccess = (event) => (found[name + "_keys"] = event.target.result);
        store.getAll().onsuccess = (event) => (found[name] = event.target.result);
      };
      all("entries");
      all("stamps");
      all("settings");
      transaction.objectStore("meta").get(OWNER).onsuccess = (event) => (found.counters = event.target.result?.counters);
      return found;
    });
  }

  /** Writes everything or nothing. Lists hold keys and values in turn; a value that is null removes its key. */
  commit({ contents, entries, history, log, stamps, settings, counters }) {
    const used = { contents, entries, history, log, stamps, settings };
    const stores = Object.keys(used).filter((name) => used[name].length > 0);
    return this.write(stores, counters, (transaction) => {
      for (const name of ["contents", "entries", "stamps", "settings"]) {
        if (used[name].length > 0) replace(transaction.objectStore(name), used[name]);
      }
      for (const row of history) transaction.objectStore("history").add(row);
      if (log.length > 0) transaction.objectStore("log").add(log);
      transaction.commit();
    });
  }

  /** A transaction that only the last one who opened the database may make, and that is made once. One after the other: if
   *  the connection is lost, none is made before an earlier one that has to be repeated. */
  write(stores, counters, work) {
    const written = this.last.then(() => this.write_next(stores, counters, work));
    this.last = written.catch(() => undefined);
    return written;
  }

  async write_next(stores, counters, work) {
    const owner = { number: this.number, writes: (this.writes += 1), counters: counters ?? this.counters };
    let is_repeated = false;
    const result = await this.transact(["meta", "fences", ...stores], "readwrite", (transaction) => {
      const meta = transaction.objectStore("meta");
      const result = { failure: undefined };
      this.pass(transaction.objectStore("fences"), result);
      const make = () => {
        meta.put(owner, OWNER);
        work(transaction);
      };
      if (!is_repeated) {
        is_repeated = true;
        make();
      } else {
        // It may have been made, and only the answer was lost with the connection.
        meta.get(OWNER).onsuccess = (event) => {
          if (event.target.result.writes < owner.writes) make();
        };
      }
      return result;
    });
    this.counters = owner.counters;
    return result;
  }

  /** Fails the transaction if the database was opened by another one: that one has put a row where this one adds it. */
  pass(fences, result) {
    fences.add(0, this.number).onerror = () => (result.failure = named("InUse", "the replica was opened by another page"));
    fences.delete(this.number);
  }

  async content(hash) {
    const found = await this.transact(["contents"], "readonly", (transaction) => get(transaction, "contents", hash));
    return found.value;
  }

  put_content(hash, bytes) {
    return this.commit({ contents: [hash, bytes], entries: [], history: [], log: [], stamps: [], settings: [] });
  }

  /** Rows of history, newest first. */
  history(path, limit) {
    return this.transact(["history"], "readonly", (transaction) => {
      const store = transaction.objectStore("history");
      const source = path === undefined ? store : store.index("path");
      const range = path === undefined ? null : IDBKeyRange.only(path);
      const rows = [];
      source.openCursor(range, "prev").onsuccess = (event) => {
        const cursor = event.target.result;
        if (!cursor || rows.length >= limit) return;
        rows.push(cursor.value);
        cursor.continue();
      };
      return rows;
    });
  }

  /** Rows of the log, newest first. A record has those of one transaction. */
  log(path, limit) {
    return this.transact(["log"], "readonly", (transaction) => {
      const rows = [];
      newestFirst(transaction.objectStore("log"), (cursor) => {
        for (const row of cursor.value.toReversed()) {
          if (rows.length < limit && (path === undefined || row.path === path)) rows.push(row);
        }
        return rows.length < limit;
      });
      return rows;
    });
  }

  /** Drops history that was replaced before a time or does not fit into so many bytes, and log rows beyond a number. */
  prune(before, bytesMax, logMax) {
    return this.write(["history", "log"], undefined, (transaction) => {
      let [bytes, rows] = [0, 0];
      newestFirst(transaction.objectStore("history"), (cursor) => {
        bytes += cursor.value.size;
        if (bytes > bytesMax || cursor.value.replaced < before) cursor.delete();
        return true;
      });
      newestFirst(transaction.objectStore("log"), (cursor) => {
        if (rows >= logMax) cursor.delete();
        rows += cursor.value.length;
        return true;
      });
    });
  }

  /** Drops content that nothing names but `keep`. */
  collect(keep) {
    return this.write(["entries", "history", "contents"], undefined, (transaction) => {
      const named = new Set(keep);
      transaction.objectStore("entries").getAll().onsuccess = (event) => {
        for (const row of event.target.result) row.contents.forEach((hash) => named.add(hash));
        transaction.objectStore("history").getAll().onsuccess = (event) => {
          for (const row of event.target.result) named.add(row.content);
          const contents = transaction.objectStore("contents");
          contents.getAllKeys().onsuccess = (event) => {
            for (const hash of event.target.result) if (!named.has(hash)) contents.delete(hash);
          };
        };
      };
    });
  }

  close() {
    this.connection?.close();
    this.connection = undefined;
  }
}

function upgrade(connection) {
  for (const name of ["entries", "contents", "stamps", "settings", "meta", "fences"]) connection.createObjectStore(name);
  connection.createObjectStore("history", { autoIncrement: true }).createIndex("path", "path");
  connection.createObjectStore("log", { autoIncrement: true });
}

/** Runs `work` in a transaction; what it returned is filled by then. A `failure` in it is thrown. */
function run(connection, stores, mode, work) {
  return new Promise((resolve, reject) => {
    const transaction = connection.transaction(stores, mode, { durability: "relaxed" });
    const result = work(transaction);
    transaction.oncomplete = () => resolve(result);
    transaction.onabort = () => reject(result?.failure ?? transaction.error ?? named("AbortError", "the transaction was ended"));
  });
}

function get(transaction, name, key) {
  const result = {};
  transaction.objectStore(name).get(key).onsuccess = (event) => (result.value = event.target.result);
  transaction.commit();
  return result;
}

function replace(store, flat) {
  for (let at = 0; at < flat.length; at += 2) {
    if (flat[at + 1] === null) store.delete(flat[at]);
    else store.put(flat[at + 1], flat[at]);
  }
}

/** Goes through a store from its newest row on, as long as `each` wants more. */
function newestFirst(store, each) {
  store.openCursor(null, "prev").onsuccess = (event) => {
    const cursor = event.target.result;
    if (!cursor) return;
    if (each(cursor)) cursor.continue();
  };
}

function named(name, message) {
  const error = new Error(message);
  error.name = name;
  return error;
}
