// A replica's database in IndexedDB, for src/store.rs. Rows come and go as the Rust side makes them; here are
// transactions, the check that this is still the last one who opened the database, and what to do when the browser
// lost the connection.
//
// Each request to IndexedDB takes its time, however little it writes. So a transaction is one request: it is appended
// to the store `redo` whole, and durable with that. Its rows are brought to their stores later, many transactions at
// once; until then they are in memory too, and whoever opens the database reads both.
//
// The key of an appended transaction is the next number. Whoever opens the database takes a number as well, so that the
// one who had it open before finds its next number taken: it has been overtaken, and writes nothing any more.
//
// Pages read the stores `entries`, `contents` and `redo` as well (early.ts of the npm package).

const FORMAT = 1;
/** Who opened the database last, the replica's counters, and the number of the last transaction that is in its stores. */
const OWNER = "owner";
/** So many openings later, a worker that was suspended is gone. */
const OPENINGS_MAX = 1_000;
/** After so long without another one, appended transactions are brought to their stores. */
const APPLY_AFTER_MS = 1_000;
/** After that failed, it is tried again later and later, up to this. */
const APPLY_PAUSE_MS_MAX = 60_000;
/** So many bytes are appended before that is begun at once; with four times as many, writing waits for it. */
const APPENDED_BYTES_MAX = 8 * 1024 * 1024;
/** What a row takes beside its content. */
const ROW_BYTES = 200;
/** Requests of one transaction that brings rows to their stores: others come in between. */
const CHUNK = 500;

export class Database {
  /** Opens the database, or makes it. From then on whoever had it open before cannot write. */
  static async open(name) {
    const database = new Database();
    database.name = name;
    await database.connect();
    const found = await database.transact(["redo", "meta", "fences"], "readwrite", take_over);
    Object.assign(database, { owner: found.owner, sequence: found.sequence, counters: found.owner.counters });
    database.last = Promise.resolve();
    database.appended = [];
    database.contents = new Map();
    database.bytes = 0;
    database.pause_ms = APPLY_AFTER_MS;
    for (const [at, record] of found.records.entries()) {
      if (!record.is_opening) database.keep(found.keys[at], record);
    }
    database.apply_later();
    return database;
  }

  async connect() {
    const request = indexedDB.open(this.name, FORMAT);
    let is_gone = false;
    request.onupgradeneeded = () => {
      // The browser, or the person, has deleted what was opened: what is known of it here is no start for a new one.
      is_gone = this.owner !== undefined;
      if (is_gone) request.transaction.abort();
      else upgrade(request.result);
    };
    this.connection = await new Promise((resolve, reject) => {
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => reject(is_gone ? overtaken() : request.error);
      request.onblocked = () => reject(named("InUse", "another page keeps an older version of the database open"));
    });
    if (this.is_closed) {
      this.connection.close();
      throw overtaken();
    }
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

  /** Connects again, to what was opened before and to nothing that has been made in its place. */
  async reconnect() {
    await this.connect();
    if (this.owner === undefined) return;
    const found = await run(this.connection, ["meta"], "readonly", (transaction) => {
      const result = {};
      transaction.objectStore("meta").get(OWNER).onsuccess = (event) => (result.owner = event.target.result);
      return result;
    });
    if (found.owner?.id !== this.owner.id) {
      this.close();
      throw overtaken();
    }
  }

  /** Runs one transaction. If the connection was lost, as iOS does to pages that slept, opens a new one and tries once more. */
  async transact(stores, mode, work) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        if (this.is_closed) throw overtaken();
        if (!this.connection) await this.reconnect();
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
  async load() {
    const names = ["entries", "stamps", "settings"];
    const stored = await this.transact(names, "readonly", (transaction) => {
      const stored = {};
      for (const name of names) {
        const store = transaction.objectStore(name);
        store.getAllKeys().onsuccess = (event) => (stored[name + "_keys"] = event.target.result);
        store.getAll().onsuccess = (event) => (stored[name] = event.target.result);
      }
      transaction.commit();
      return stored;
    });
    const found = { counters: this.counters };
    for (const name of names) {
      const rows = new Map(stored[name].map((row, at) => [stored[name + "_keys"][at], row]));
      for (const { record } of this.appended) each(record[name], (key, row) => (row === null ? rows.delete(key) : rows.set(key, row)));
      found[name + "_keys"] = [...rows.keys()];
      found[name] = [...rows.values()];
    }
    return found;
  }

  /** Writes everything or nothing, and once. Lists hold keys and values in turn, of entries four values; one that is null removes its key. */
  commit(rows) {
    const record = { by: this.owner.id };
    const made = { ...rows, entries: entry_rows(rows.entries), log: log_rows(rows.log) };
    for (const [name, value] of Object.entries(made)) {
      if (value !== undefined && value.length > 0) record[name] = value;
    }
    return this.in_turn(() => this.append(record));
  }

  /** Does something after all that was asked for before: if the connection is lost, nothing overtakes what has to be repeated. */
  in_turn(work) {
    const done = this.last.then(work);
    this.last = done.catch(() => undefined);
    return done;
  }

  async append(record) {
    // If that fails, this one may still find room.
    if (this.bytes > 4 * APPENDED_BYTES_MAX) await this.apply().catch(() => undefined);
    const key = this.sequence + 1;
    let is_repeated = this.doubtful === key;
    this.doubtful = key;
    await this.transact(["redo"], "readwrite", (transaction) => {
      const redo = transaction.objectStore("redo");
      const result = {};
      const add = () => {
        redo.add(record, key).onerror = (event) => taken(event, result);
        transaction.commit();
      };
      if (!is_repeated) {
        is_repeated = true;
        add();
      } else {
        // It may have been made, and only the answer was lost with the connection.
        redo.get(key).onsuccess = (event) => event.target.result?.by === this.owner.id || add();
      }
      return result;
    });
    this.sequence = key;
    this.keep(key, record);
    this.apply_later();
  }

  keep(key, record) {
    this.appended.push({ key, record });
    this.counters = record.counters ?? this.counters;
    this.bytes += size_of(record);
    each(record.contents, (hash, bytes) => this.contents.set(hash, bytes));
  }

  apply_later() {
    clearTimeout(this.timer);
    if (this.appended.length === 0 || this.applying || this.is_closed) return;
    const is_much = this.bytes > APPENDED_BYTES_MAX && this.pause_ms === APPLY_AFTER_MS;
    const pause_ms = is_much ? 0 : this.pause_ms;
    // What fails is still appended, and tried again.
    this.timer = setTimeout(() => this.apply().catch(() => undefined), pause_ms);
  }

  /** Brings all that was appended to its stores. */
  apply() {
    this.applying ??= this.apply_all()
      .then(
        () => (this.pause_ms = APPLY_AFTER_MS),
        (error) => {
          this.pause_ms = Math.min(2 * this.pause_ms, APPLY_PAUSE_MS_MAX);
          throw error;
        },
      )
      .finally(() => {
        this.applying = undefined;
        this.apply_later();
      });
    return this.applying;
  }

  /** Until all that was appended before now is in its stores: one that is under way may have begun without the last of it. */
  async settle() {
    const last = this.sequence;
    while (this.appended.length > 0 && this.appended[0].key <= last) await this.apply();
  }

  async apply_all() {
    const taken = this.appended.slice();
    if (taken.length === 0) return;
    const rows = rows_of(taken);
    for (let at = 0; at < rows.length; at += CHUNK) {
      const some = rows.slice(at, at + CHUNK);
      // Only with the last ones the counters: until then everything is done again after a crash, which changes nothing.
      if (at + CHUNK >= rows.length) {
        some.push(["meta", OWNER, { ...this.owner, sequence: taken.at(-1).key, counters: this.counters }]);
      }
      await this.fenced(some.map(([store]) => store), (transaction) => {
        for (const [store, key, row] of some) {
          if (row === null) transaction.objectStore(store).delete(key);
          else transaction.objectStore(store).put(row, key);
        }
        transaction.commit();
      });
    }
    await this.transact(["redo"], "readwrite", (transaction) => {
      const redo = transaction.objectStore("redo");
      for (const [first, last] of runs(taken.map(({ key }) => key))) redo.delete(IDBKeyRange.bound(first, last));
      transaction.commit();
    });
    this.appended.splice(0, taken.length);
    this.bytes = this.appended.reduce((sum, { record }) => sum + size_of(record), 0);
    this.contents.clear();
    for (const { record } of this.appended) each(record.contents, (hash, bytes) => this.contents.set(hash, bytes));
  }

  /** A transaction that fails if the database was opened by another one: that one has put a row where this one adds it. */
  fenced(stores, work) {
    return this.transact(["fences", ...new Set(stores)], "readwrite", (transaction) => {
      const result = {};
      const fences = transaction.objectStore("fences");
      const pass = fences.add(0, this.owner.number);
      pass.onerror = (event) => taken(event, result);
      // Not before: after a commit() browsers differ in what one failed request does to the others.
      pass.onsuccess = () => {
        fences.delete(this.owner.number);
        work(transaction);
      };
      return result;
    });
  }

  async content(hash) {
    const appended = this.contents.get(hash);
    if (appended !== undefined) return appended;
    const found = await this.transact(["contents"], "readonly", (transaction) => {
      const result = {};
      transaction.objectStore("contents").get(hash).onsuccess = (event) => (result.value = event.target.result);
      transaction.commit();
      return result;
    });
    return found.value;
  }

  /** Content that is too large to be written twice. */
  put_content(hash, bytes) {
    return this.in_turn(() => this.fenced(["contents"], (transaction) => {
      transaction.objectStore("contents").put(bytes, hash);
      transaction.commit();
    }));
  }

  /** Rows of history, newest first. */
  async history(path, limit) {
    await this.settle();
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
  async log(path, limit) {
    await this.settle();
    return this.transact(["log"], "readonly", (transaction) => {
      const rows = [];
      newest_first(transaction.objectStore("log"), (cursor) => {
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
    return this.clean(["history", "log"], (transaction) => {
      let [bytes, rows] = [0, 0];
      newest_first(transaction.objectStore("history"), (cursor) => {
        bytes += cursor.value.size;
        if (bytes > bytesMax || cursor.value.replaced < before) cursor.delete();
        return true;
      });
      newest_first(transaction.objectStore("log"), (cursor) => {
        if (rows >= logMax) cursor.delete();
        rows += cursor.value.length;
        return true;
      });
    });
  }

  /** Drops content that nothing names but `keep`. */
  collect(keep) {
    return this.clean(["entries", "history", "contents"], (transaction) => {
      const named = new Set(keep);
      const name = { entry: (row) => row?.contents.forEach((hash) => named.add(hash)), history: (row) => named.add(row.content) };
      for (const { record } of this.appended) {
        each(record.entries, (_, row) => name.entry(row));
        record.history?.forEach(name.history);
      }
      transaction.objectStore("entries").getAll().onsuccess = (event) => {
        event.target.result.forEach(name.entry);
        transaction.objectStore("history").getAll().onsuccess = (event) => {
          event.target.result.forEach(name.history);
          const contents = transaction.objectStore("contents");
          contents.getAllKeys().onsuccess = (event) => {
            for (const hash of event.target.result) if (!named.has(hash)) contents.delete(hash);
          };
        };
      };
    });
  }

  /** Goes through whole stores, with nothing written meanwhile. */
  clean(stores, work) {
    return this.in_turn(async () => {
      // Without room for that there is all the more to clean.
      await this.settle().catch(() => undefined);
      await this.fenced(stores, work);
    });
  }

  close() {
    this.is_closed = true;
    clearTimeout(this.timer);
    this.connection?.close();
    this.connection = undefined;
  }
}

function upgrade(connection) {
  for (const name of ["entries", "contents", "stamps", "settings", "meta", "fences", "redo", "log"]) connection.createObjectStore(name);
  connection.createObjectStore("history").createIndex("path", "path");
}

/** Takes the next number from whoever had the database before, and finds what that one had appended. */
function take_over(transaction) {
  const [redo, meta, fences] = ["redo", "meta", "fences"].map((name) => transaction.objectStore(name));
  const found = {};
  meta.get(OWNER).onsuccess = (event) => (found.owner = event.target.result ?? { number: 0, sequence: 0 });
  redo.getAllKeys().onsuccess = (event) => (found.keys = event.target.result);
  redo.getAll().onsuccess = (event) => {
    found.records = event.target.result;
    const before = found.owner.number;
    found.owner = { ...found.owner, number: before + 1, id: crypto.randomUUID() };
    found.sequence = Math.max(found.owner.sequence, found.keys.at(-1) ?? 0) + 1;
    meta.put(found.owner, OWNER);
    fences.put(0, before);
    fences.delete(IDBKeyRange.upperBound(before - OPENINGS_MAX));
    redo.add({ by: found.owner.id, is_opening: true }, found.sequence);
    const openings = found.keys.filter((_, at) => found.records[at].is_opening);
    for (const key of openings.slice(0, -OPENINGS_MAX)) redo.delete(key);
  };
  return found;
}

/** A row that only this one adds is there: another one has opened the database. */
function taken(event, result) {
  if (event.target.error?.name === "ConstraintError") result.failure = overtaken();
}

function overtaken() {
  return named("InUse", "the replica was opened by another page");
}

/** Runs `work` in a transaction; what it returned is filled by then. A `failure` in it is thrown. */
function run(connection, stores, mode, work) {
  return new Promise((resolve, reject) => {
    const transaction = connection.transaction(stores, mode, { durability: "relaxed" });
    const result = work(transaction);
    // A request that fails after commit() ends the transaction in some browsers, and not in others.
    let failed;
    transaction.onerror = (event) => (failed ??= event.target.error);
    transaction.oncomplete = () => {
      const failure = result?.failure ?? failed;
      if (failure) reject(failure);
      else resolve(result);
    };
    transaction.onabort = () => reject(result?.failure ?? transaction.error ?? named("AbortError", "the transaction was ended"));
  });
}

/** The rows of appended transactions, as [store, key, row or null]; the last of each key. */
function rows_of(appended) {
  const rows = new Map();
  const put = (store, key, row) => rows.set(`${store} ${key}`, [store, key, row]);
  for (const { key, record } of appended) {
    for (const store of ["contents", "entries", "stamps", "settings"]) each(record[store], (name, row) => put(store, name, row));
    record.history?.forEach((row, at) => put("history", [key, at], row));
    if (record.log !== undefined) put("log", key, record.log);
  }
  return [...rows.values()];
}

/** Paths and rows in turn, of paths, records, names of content and what is told of the file. */
function entry_rows(flat) {
  const rows = [];
  for (let at = 0; at < flat.length; at += 4) {
    const [record, names, file] = [flat[at + 1], flat[at + 2], flat[at + 3]];
    rows.push(flat[at], record === null ? null : { record, contents: names === "" ? [] : names.split(" "), file });
  }
  return rows;
}

function log_rows(flat) {
  const rows = [];
  each(flat, (path, row) => rows.push({ path, row }));
  return rows;
}

/** About how many bytes a transaction takes. */
function size_of(record) {
  let bytes = ROW_BYTES * (1 + (record.entries?.length ?? 0));
  each(record.contents, (_, content) => (bytes += content.length));
  return bytes;
}

/** Calls `work` with the keys and values of a list that holds them in turn. */
function each(flat, work) {
  for (let at = 0; at < (flat?.length ?? 0); at += 2) work(flat[at], flat[at + 1]);
}

/** The first and the last of numbers that follow each other. */
function runs(numbers) {
  const found = [];
  for (const number of numbers) {
    if (found.at(-1)?.[1] === number - 1) found.at(-1)[1] = number;
    else found.push([number, number]);
  }
  return found;
}

/** Goes through a store from its newest row on, as long as `work` wants more. */
function newest_first(store, work) {
  store.openCursor(null, "prev").onsuccess = (event) => {
    const cursor = event.target.result;
    if (!cursor) return;
    if (work(cursor)) cursor.continue();
  };
}

function named(name, message) {
  const error = new Error(message);
  error.name = name;
  return error;
}
