// The bucket as an application sees it.

import { accepted } from "./accepted.js";
import { BucketFile, toEdit, type Content, type PutOptions } from "./content.js";
import { checkSurroundings, databaseName } from "./database.js";
import type { Stop } from "./events.js";
import { Session } from "./session.js";
import { room, type Room } from "./storage.js";
import type { BucketEvents, BucketOptions, Change, Put, Transaction } from "./types.js";
import type { Choice, Conflict, Edit, FileInfo, HistoryEntry, LogRow, Question, Status } from "./wasm.js";

/** So much is stored at a time by `putAll`, in files and in bytes. */
const CHUNK_FILES = 1_000;
const CHUNK_BYTES = 8 * 1024 * 1024;

/**
 * Opens a bucket on this device, or makes an empty copy of it that fills by itself. Does not wait for the hub, and on a device
 * that has the bucket not for its background script either: files can be read at once.
 *
 * @throws {PangaeaError} `bad-options`, `bad-key`, `bad-hub`, `bad-policy`: an option is wrong. `unsupported`: the page is not
 * served over HTTPS (or from localhost), or the browser lacks IndexedDB, Web Locks or BroadcastChannel. `newer`, `damaged`,
 * `storage`: the data on this device cannot be used. `worker`: the package's files are not served as they were installed. Where
 * the device has the bucket already the last four come as a `failed` problem, and from the calls that need more than reading.
 */
export async function openBucket(options: BucketOptions): Promise<Bucket> {
  checkSurroundings();
  const session = new Session(await databaseName(options), options);
  try {
    await session.begin();
  } catch (thrown) {
    await session.close();
    throw thrown;
  }
  return new Bucket(session);
}

/** A bucket's copy on this device, the same in all tabs. Made by `openBucket`. */
export class Bucket {
  /** @internal For the package's other entry points. */
  readonly session: Session;

  /** @internal */
  constructor(session: Session) {
    this.session = session;
  }

  /** The name of the database in IndexedDB. */
  get database(): string {
    return this.session.database;
  }

  /** The bucket's Gaia address. */
  get address(): string {
    return this.session.known.address;
  }

  /** The id of this device among those of the bucket. */
  get device(): string {
    return this.session.known.device;
  }

  /**
   * Stores a file on this device; when this resolves it survives a reload, a crash and a lost network. It is sent by itself.
   *
   * @throws {PangaeaError} `bad-path`, `bad-content`; `changed`, with `after`; `storage`: nothing was stored, the former content
   * is kept.
   */
  async put(path: string, content: Content, options: PutOptions = {}): Promise<Put> {
    const [put] = await this.session.edit([await toEdit(path, content, options)]);
    return put as Put;
  }

  /** Reads a file from this device, in its latest version. Undefined: there is none. */
  async get(path: string): Promise<BucketFile | undefined> {
    const data = await this.session.read(path);
    return data === undefined ? undefined : new BucketFile(path, data);
  }

  /**
   * Deletes a file, here at once and on the other devices as they hear of it. Its last version is kept in the history.
   *
   * @throws {PangaeaError} `bad-path`, `storage`.
   */
  async delete(path: string): Promise<void> {
    await this.session.edit([{ path }]);
  }

  /** Lists the files whose path begins with `prefix`, in the order of their paths. */
  async list(prefix = ""): Promise<FileInfo[]> {
    return this.session.list(prefix);
  }

  /**
   * Changes several files at once: on this device all of it happens or nothing. On the hub the files are stored one by one.
   *
   * `collect` may take its time; nothing is stored if it throws. What it says last of a path counts.
   *
   * @throws {PangaeaError} as `put` does.
   */
  async transaction(collect: (transaction: Transaction) => void | Promise<void>): Promise<Put[]> {
    const edits = new Map<string, Edit | Promise<Edit>>();
    await collect({
      put: (path, content, options) => void edits.set(path, toEdit(path, content, options)),
      delete: (path) => void edits.set(path, { path }),
    });
    return this.session.edit(await Promise.all(edits.values()));
  }

  /**
   * Stores many files quickly, in portions of which each is stored whole or not at all.
   *
   * @throws {PangaeaError} as `put` does; the portions before are stored then.
   */
  async putAll(files: Iterable<readonly [path: string, content: Content, options?: PutOptions]>): Promise<Put[]> {
    const puts: Put[] = [];
    let edits: Edit[] = [];
    let bytes = 0;
    const flush = async () => {
      puts.push(...(await this.session.edit(edits)));
      edits = [];
      bytes = 0;
    };
    for (const [path, content, options] of files) {
      const edit = await toEdit(path, content, options);
      edits.push(edit);
      bytes += edit.content?.length ?? 0;
      if (edits.length >= CHUNK_FILES || bytes >= CHUNK_BYTES) {
        await flush();
      }
    }
    await flush();
    return puts;
  }

  /** Calls `listener` when a file whose path begins with `prefix` changes: here, in another tab, on another device. */
  watch(prefix: string, listener: (change: Change) => void): Stop {
    return this.session.listeners.add("change", (change) => {
      if (change.path.startsWith(prefix)) {
        listener(change);
      }
    });
  }

  /** The versions that were replaced or deleted and are kept, newest first. */
  async history(path: string): Promise<HistoryEntry[]> {
    return this.session.call("history", path);
  }

  /**
   * Makes an earlier version the latest again.
   *
   * @throws {PangaeaError} `absent`, `not-kept`.
   */
  async restore(path: string, version: string): Promise<Put> {
    return { path, version: await this.session.call("restore", path, version) };
  }

  /** Paths whose versions could not be made one. */
  async conflicts(): Promise<Conflict[]> {
    return this.session.call("conflicts");
  }

  /**
   * Decides a conflict, named by its path or as `conflicts` gave it.
   *
   * Where both versions are kept, `mine` drops the copy, `theirs` puts it in the file's place, `both` makes it a file of its own.
   * What is dropped or replaced goes to the history.
   *
   * @throws {PangaeaError} `no-conflict`.
   */
  async resolve(conflict: string | Conflict, choice: Choice): Promise<void> {
    for (const path of await this.#decided(conflict)) {
      await this.session.call("resolve", path, choice);
    }
  }

  /**
   * Resolves when the hub has what was put to (or deleted from) `path` last, there or in the copy that a conflict made of it,
   * however long that takes.
   *
   * @throws {PangaeaError} `refused`: the hub refuses it for good, it is kept on this device; `closed`.
   */
  async accepted(path: string): Promise<void> {
    return accepted(this.session, path);
  }

  /** How the bucket is doing. */
  async status(): Promise<Status> {
    return this.session.call("status");
  }

  /** The files that are not known to be on the hub. */
  async unsent(): Promise<FileInfo[]> {
    return this.session.call("unsent");
  }

  /** What happened last, newest first, at most `limit` lines. */
  async log(limit = 100): Promise<LogRow[]> {
    return this.session.call("log", limit);
  }

  /** Says that what halted the sync is as it should be; it goes on. */
  async answer(question: Question): Promise<void> {
    return this.session.call("answer", question);
  }

  /** Begins to send and to look for changes now; waits for nothing. Needed by nobody who has not been told to wait. */
  async sync(): Promise<void> {
    return this.session.call("sync");
  }

  /** How much room there is for this origin's data. */
  async room(): Promise<Room> {
    return room();
  }

  /** Calls `listener` when something of this name happens. */
  on<Name extends keyof BucketEvents>(name: Name, listener: (value: BucketEvents[Name]) => void): Stop {
    return this.session.on(name, listener);
  }

  /** Lets go of the bucket in this page. Other tabs go on; what is stored stays. */
  async close(): Promise<void> {
    return this.session.close();
  }

  /** The paths that a decision is about: of the copies, where there are some. */
  async #decided(conflict: string | Conflict): Promise<string[]> {
    if (typeof conflict !== "string") {
      return [conflict.copy ?? conflict.path];
    }
    const found = (await this.conflicts()).filter(({ path, copy }) => path === conflict || copy === conflict);
    return found.length === 0 ? [conflict] : found.map(({ path, copy }) => copy ?? path);
  }
}
