// A bucket that is open in this page: its client, what the page itself notices, and who listens.

import { Client } from "./client.js";
import { Early } from "./early.js";
import { PangaeaError } from "./errors.js";
import { Listeners, type Stop } from "./events.js";
import type { KeptBucket } from "./kept.js";
import { functionsOf, mergeWith, policyFile, POLICY_PATH } from "./policies.js";
import type { CallName, Calls, HostMessage, HostOptions } from "./protocol.js";
import { Memory, persistOnce, room, type Evicted, type Known, type Room } from "./storage.js";
import type { BucketEvents, BucketOptions, Put } from "./types.js";
import type { Edit, FileData, FileInfo, ReplicaEvent } from "./wasm.js";

/** How long events are collected before the status is told anew. */
const STATUS_WAIT_MS = 100;
/** How often it is looked whether there is room, while something happens. */
const ROOM_EVERY_MS = 60_000;

/** The calls that change files. */
const WRITING: ReadonlySet<CallName> = new Set<CallName>(["edit", "restore", "resolve"]);

/** What is told inside the package as well. */
interface SessionEvents extends BucketEvents {
  /** Another host answers: what happened in between may not have been told. */
  host: HostMessage;
  /** Nothing waits any more. */
  quiet: undefined;
  /** Nothing will be answered any more. */
  ended: PangaeaError;
}

/** Everything behind a `Bucket`. */
export class Session {
  readonly database: string;
  readonly listeners = new Listeners<SessionEvents>();
  readonly #options: BucketOptions;
  readonly #client: Client;
  readonly #memory: Memory;
  readonly #gone = new AbortController();
  readonly #opened: Promise<void>;
  #finishOpen: () => void = () => undefined;
  #failOpen: (error: PangaeaError) => void = () => undefined;
  #host: HostMessage | undefined;
  /** Answers until there is a host. */
  #early: Early | undefined;
  #known: Known | undefined;
  /** Calls that are not answered yet and change files. */
  #writing = 0;
  #evicted: Evicted | undefined;
  #status: ReturnType<typeof setTimeout> | undefined;
  #roomChecked_ms = 0;

  constructor(database: string, options: BucketOptions) {
    this.database = database;
    this.#options = options;
    this.#memory = new Memory(database);
    this.#opened = new Promise((resolve, reject) => {
      this.#finishOpen = resolve;
      this.#failOpen = reject;
    });
    // Nobody waits for it when something else fails first.
    this.#opened.catch(() => undefined);
    const functions = functionsOf(options.policies ?? []);
    this.#client = new Client(hostOptions(database, options), {
      event: (event) => this.#heard(event),
      host: (host) => this.#met(host),
      broken: (error) => this.#broken(error),
      merge: (input) => mergeWith(functions, input),
      strategies: [...functions.keys()],
    });
  }

  /** Finds or becomes the host. Does not wait for it where this device has the bucket already. */
  async begin(): Promise<void> {
    const { worker, persist } = this.#options;
    await this.#readEarly();
    const inWorker = worker ?? typeof Worker === "function";
    if (this.#early === undefined) {
      await this.#client.start(inWorker);
      await this.#opened;
    } else {
      this.#client.startLater(inWorker);
    }
    this.#followPage();
    await this.#setPolicies();
    if (persist !== false) {
      // Not awaited: a browser may ask the person.
      void persistOnce().catch(() => undefined);
    }
    this.#checkRoom();
  }

  /** Whose copy of which bucket this is; known once `begin` has resolved. */
  get known(): Known {
    return this.#known as Known;
  }

  /** Reads a file. */
  async read(path: string): Promise<FileData | undefined> {
    const found = await this.#reader?.file(path);
    return found === undefined ? this.call("read", path) : found === "none" ? undefined : found;
  }

  /** Lists files. */
  async list(prefix: string): Promise<FileInfo[]> {
    return (await this.#reader?.list(prefix)) ?? this.call("list", prefix);
  }

  /** While a change is under way, only the host knows whether a file is as it was or as it will be. */
  get #reader(): Early | undefined {
    return this.#writing === 0 ? this.#early : undefined;
  }

  /** What a service worker needs to open the bucket. */
  kept(): KeptBucket & { key: string } {
    return hostOptions(this.database, this.#options);
  }

  /** Has the host do something. */
  call<K extends CallName>(call: K, ...args: Parameters<Calls[K]>): ReturnType<Calls[K]> {
    const answer = this.#client.call(call, ...args);
    if (WRITING.has(call)) {
      this.#writing += 1;
      const end = () => void (this.#writing -= 1);
      answer.then(end, end);
    }
    return answer;
  }

  /** Stores edits, all of them or none. */
  async edit(edits: Edit[]): Promise<Put[]> {
    if (edits.length === 0) {
      return [];
    }
    this.#memory.unsent(true);
    try {
      const versions = await this.call("edit", edits);
      return edits.flatMap(({ path }, index) => {
        const version = versions[index];
        return version === undefined ? [] : [{ path, version }];
      });
    } catch (thrown) {
      if (thrown instanceof PangaeaError && thrown.quota) {
        this.listeners.tell("storage", { ...(await room()), short: true });
      }
      throw thrown;
    }
  }

  /** Adds a listener. What was found when the bucket was opened is told to it too. */
  on<Name extends keyof BucketEvents>(name: Name, listener: (value: BucketEvents[Name]) => void): Stop {
    const evicted = this.#evicted;
    if (name === "evicted" && evicted !== undefined) {
      queueMicrotask(() => (listener as (value: Evicted) => void)(evicted));
    }
    return this.listeners.add(name, listener);
  }

  /** Lets go of everything. */
  async close(): Promise<void> {
    this.#gone.abort();
    clearTimeout(this.#status);
    this.#endEarly();
    await this.#client.close();
    this.listeners.tell("ended", new PangaeaError("closed", "the bucket was closed in this page; what was stored before is kept"));
  }

  #met(host: HostMessage): void {
    const isFirst = this.#host === undefined;
    this.#host = host;
    this.#endEarly();
    const { address, device } = host;
    this.#known = { address, device };
    const evicted = this.#memory.opened(this.#known);
    if (evicted !== undefined) {
      this.#evicted = evicted;
      this.listeners.tell("evicted", evicted);
    }
    if (isFirst) {
      this.#finishOpen();
    }
    this.listeners.tell("host", host);
    this.#statusSoon();
  }

  async #readEarly(): Promise<void> {
    const known = this.#memory.known();
    const early = known && (await Early.open(this.database));
    if (known !== undefined && early !== undefined) {
      this.#early = early;
      this.#known = known;
      this.#memory.opened(known);
    }
  }

  #endEarly(): void {
    this.#early?.close();
    this.#early = undefined;
  }

  #broken(error: PangaeaError): void {
    this.#endEarly();
    this.#failOpen(error);
    this.listeners.tell("ended", error);
    if (this.#known !== undefined) {
      this.listeners.tell("problem", { kind: "failed", code: error.code, message: error.message });
    }
  }

  #heard(event: ReplicaEvent): void {
    // What a host tells of may not be in the database yet.
    this.#endEarly();
    switch (event.kind) {
      case "changed":
        this.listeners.tell("change", { path: event.path });
        break;
      case "stored":
        this.listeners.tell("stored", { path: event.path, version: event.version });
        break;
      case "conflict": {
        const { path, copy } = event;
        this.listeners.tell("conflict", copy === undefined ? { path } : { path, copy });
        break;
      }
      // The end of the round tells it as well.
      case "quiet":
        break;
      case "halted": {
        const { question, message } = event;
        this.listeners.tell("problem", { kind: "halted", question, message: message ?? `stopped: ${question}` });
        break;
      }
      case "waiting":
      case "paused":
      case "parked":
        this.listeners.tell("problem", event);
        break;
      case "failed":
        // Another tab has taken over: nothing is wrong.
        if (event.code !== "in-use") {
          this.listeners.tell("problem", event);
        }
        break;
      case "round":
        this.#checkRoom();
        if (event.left === 0) {
          this.listeners.tell("quiet", undefined);
          void this.#noteUnsent();
        }
        break;
    }
    this.#statusSoon();
  }

  #statusSoon(): void {
    if (this.#status !== undefined || !this.listeners.has("status")) {
      return;
    }
    this.#status = setTimeout(() => {
      this.#status = undefined;
      // Closed in the meantime: nobody is there to be told.
      this.call("status").then((status) => this.listeners.tell("status", status), () => undefined);
    }, STATUS_WAIT_MS);
  }

  async #noteUnsent(): Promise<void> {
    try {
      this.#memory.unsent((await this.call("status")).pending > 0);
    } catch {
      // Closed in the meantime; the note errs on the side of "unsent".
    }
  }

  /** Syncs when the page comes and goes, and when the network does. */
  #followPage(): void {
    const { signal } = this.#gone;
    const sync = () => void this.call("sync").catch(() => undefined);
    const network = (online: boolean) => void this.call("network", online).catch(() => undefined);
    globalThis.addEventListener("online", () => network(true), { signal });
    globalThis.addEventListener("offline", () => network(false), { signal });
    // On hiding: what is stored is sent while there is time.
    globalThis.document?.addEventListener("visibilitychange", sync, { signal });
    globalThis.addEventListener("pagehide", () => {
      this.#client.withdraw();
      sync();
    }, { signal });
    globalThis.addEventListener("pageshow", () => this.#client.arrive(), { signal });
  }

  async #setPolicies(): Promise<void> {
    const policies = this.#options.policies ?? [];
    if (policies.length === 0) {
      return;
    }
    const current = await this.read(POLICY_PATH);
    const text = policyFile(policies, current && new TextDecoder().decode(current.content));
    if (text !== undefined) {
      await this.edit([{ path: POLICY_PATH, content: new TextEncoder().encode(text), type: "application/json" }]);
    }
  }

  #checkRoom(): void {
    if (Date.now() - this.#roomChecked_ms < ROOM_EVERY_MS) {
      return;
    }
    this.#roomChecked_ms = Date.now();
    const tell = (found: Room) => void (found.short && this.listeners.tell("storage", found));
    room().then(tell, () => undefined);
  }
}

function hostOptions(database: string, options: BucketOptions): Omit<HostOptions, "id"> {
  const { hub, key, plain, association, wasm } = options;
  return {
    database,
    hub,
    key,
    ...(plain === undefined ? {} : { plain }),
    ...(association === undefined ? {} : { association }),
    // A worker has another idea of what an address is relative to.
    ...(wasm === undefined ? {} : { wasm: new URL(wasm, globalThis.location?.href).href }),
  };
}
