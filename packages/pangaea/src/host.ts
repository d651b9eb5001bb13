// The host: holds the bucket's lock, has the replica, and does what clients ask. It runs in a dedicated worker, in a service
// worker, or, where there are no workers, in the page.

import { PangaeaError, toData } from "./errors.js";
import { Merges } from "./merges.js";
import { channelName, type CallMessage, type FromWorker, type HostOptions, type Message } from "./protocol.js";
import type { Edit, OpenReplica, Question, Choice, Replica, ReplicaEvent } from "./wasm.js";

/** How long edits are collected before they are sent. */
const EDITS_WAIT_MS = 50;
/** How often a hub without a change feed is asked while things change; the replica asks it less while nothing does. */
const FOLLOW_MS = 2_000;
/** How long events are collected before the pages are told: a message to all of them takes longer than most edits. */
const EVENTS_WAIT_MS = 10;
/** After the store failed, it is opened again this much later. */
const REOPEN_MS = 1_000;
/** Closing waits no longer for what the replica is still doing: all that was promised is stored. */
const CLOSE_LIMIT_MS = 5_000;

/** What a host needs from where it runs. */
export interface HostPlace {
  /** Loads the WebAssembly module. */
  load(wasm: string | undefined): Promise<OpenReplica>;
  /** Tells the own page something. */
  tell(message: FromWorker): void;
  /** Ends all of this: the module has met a mistake of its own and cannot be used any more. Where there is no other way, not at all. */
  crash?(thrown: unknown): void;
}

/** Waits for the lock, and is the host from then on. */
export class Host {
  readonly #options: HostOptions;
  readonly #place: HostPlace;
  readonly #channel: BroadcastChannel;
  readonly #merges: Merges;
  #replica: Replica | undefined;
  #serving = false;
  /** Which time this is that it serves: each time it is another host to its clients. */
  #turn = 0;
  #closed = false;
  /** Gives up waiting for the lock. */
  #waiting: AbortController | undefined;
  #stealing = false;
  /** Ends serving; there only while it waits for its end. */
  #end: (() => void) | undefined;
  #stopped = false;
  #served: Promise<void> = Promise.resolve();
  #pause_ms = 0;
  #edits: ReturnType<typeof setTimeout> | undefined;
  readonly #gone = new AbortController();
  #listeners: ((event: ReplicaEvent) => void)[] = [];
  /** Whether another page than the own one has been heard of. */
  #hasOthers = false;
  #untold: ReplicaEvent[] = [];
  #telling: ReturnType<typeof setTimeout> | undefined;

  constructor(options: HostOptions, place: HostPlace) {
    this.#options = options;
    this.#place = place;
    this.#channel = new BroadcastChannel(channelName(options.database));
    this.#channel.onmessage = (event: MessageEvent<Message>) => this.#heard(event.data);
    this.#merges = new Merges((message) => this.#post(message));
    const { signal } = this.#gone;
    globalThis.addEventListener("online", () => this.#network(true), { signal });
    globalThis.addEventListener("offline", () => this.#network(false), { signal });
  }

  /** Waits for the lock and serves, again and again until it is closed. */
  async run(): Promise<void> {
    while (!this.#closed) {
      try {
        await this.#request();
      } catch (thrown) {
        // The lock was stolen, or waiting for it was given up in order to steal it.
        if (!isAbort(thrown)) {
          this.#giveUp(thrown);
        }
        this.#stop();
        await this.#served;
      }
      await new Promise((resolve) => setTimeout(resolve, this.#pause_ms));
    }
    this.#leaveChannel();
    this.#place.tell({ type: "closed" });
  }

  /** Serves once if nobody has the lock, until `work` is done. Tells whether it did. */
  async runOnce(work: (replica: Replica) => Promise<void>): Promise<boolean> {
    const held = await navigator.locks.request(channelName(this.#options.database), { ifAvailable: true }, async (lock) => {
      if (lock === null) {
        return false;
      }
      await this.#serve(work);
      return true;
    });
    this.#leaveChannel();
    return held;
  }

  /** Takes the lock from a host that does not answer any more. */
  steal(): void {
    if (!this.#serving) {
      this.#stealing = true;
      this.#waiting?.abort();
    }
  }

  /** Stops serving or waiting; the next one takes over. */
  close(): void {
    this.#closed = true;
    this.#waiting?.abort();
    this.#stop();
  }

  /** Does a call of the own page. */
  async call(message: CallMessage): Promise<void> {
    const answer = { type: "answer", id: message.id, to: message.from, host: this.#id() } as const;
    try {
      this.#place.tell({ ...answer, result: await this.#perform(message) });
    } catch (thrown) {
      if (!this.#crashes(thrown)) {
        this.#place.tell({ ...answer, error: toData(thrown) });
      }
    }
  }

  /** Calls `listener` with all that the replica tells. */
  onEvent(listener: (event: ReplicaEvent) => void): void {
    this.#listeners.push(listener);
  }

  #request(): Promise<void> {
    const name = channelName(this.#options.database);
    const serve = () => (this.#served = this.#serve(() => new Promise<void>((end) => (this.#end = end))));
    if (this.#stealing) {
      this.#stealing = false;
      return navigator.locks.request(name, { steal: true }, serve);
    }
    this.#waiting = new AbortController();
    return navigator.locks.request(name, { signal: this.#waiting.signal }, serve);
  }

  /** Is the host until `work` ends, it is told to end, or the store fails. */
  async #serve(work: (replica: Replica) => Promise<void>): Promise<void> {
    this.#waiting = undefined;
    this.#turn += 1;
    this.#serving = true;
    this.#stopped = false;
    this.#pause_ms = 0;
    try {
      this.#post({ type: "starting", host: this.#id() });
      this.#replica = await this.#open();
      // Otherwise it was closed, or the lock was stolen, while it opened.
      if (!this.#closed && !this.#stopped) {
        this.#begin(this.#replica);
        await work(this.#replica);
      }
    } catch (thrown) {
      this.#giveUp(thrown);
    } finally {
      await this.#leave();
    }
  }

  async #open(): Promise<Replica> {
    const { database, hub, key, plain, association, wasm } = this.#options;
    const open = await this.#place.load(wasm);
    const options = {
      database, hub, key,
      ...(plain === undefined ? {} : { plain }),
      ...(association === undefined ? {} : { association }),
    };
    return open(options, (events) => events.forEach((event) => this.#tellEvent(event)), (input) => this.#merges.ask(input));
  }

  #begin(replica: Replica): void {
    replica.pause_network(navigator.onLine === false);
    this.#announce(replica);
    replica.follow(FOLLOW_MS);
    replica.sync();
  }

  async #leave(): Promise<void> {
    const replica = this.#replica;
    this.#replica = undefined;
    this.#end = undefined;
    clearTimeout(this.#edits);
    this.#edits = undefined;
    if (replica !== undefined) {
      const late = new Promise<void>((resolve) => setTimeout(resolve, CLOSE_LIMIT_MS));
      // What was promised is stored already: there is nothing to lose when closing fails.
      await Promise.race([replica.close().catch(() => undefined), late]);
    }
    this.#tellAll();
    this.#post({ type: "bye", host: this.#id() });
    this.#serving = false;
  }

  #stop(): void {
    this.#stopped = true;
    this.#end?.();
  }

  #leaveChannel(): void {
    this.#gone.abort();
    this.#channel.close();
  }

  /** Opening failed: the own page is told, and the next one in the queue may try. */
  #giveUp(thrown: unknown): void {
    this.#closed = true;
    this.#place.tell({ type: "broken", error: toData(thrown) });
  }

  #heard(message: Message): void {
    if ("from" in message && !this.#options.id.startsWith(message.from)) {
      this.#hasOthers = true;
    }
    if (message.type === "who") {
      this.#introduce();
    } else if (message.type === "call") {
      void this.#answer(message);
    } else if (message.type === "strategies") {
      if (this.#merges.arrived(message.from, message.strategies)) {
        this.#replica?.sync();
      }
    } else if (message.type === "merged") {
      this.#merges.answered(message.id, message.content, message.error);
    }
  }

  #introduce(): void {
    if (this.#replica !== undefined) {
      this.#announce(this.#replica);
    } else if (this.#serving) {
      this.#post({ type: "starting", host: this.#id() });
    }
  }

  #announce(replica: Replica): void {
    this.#post({ type: "host", host: this.#id(), address: replica.address(), device: replica.device() });
  }

  async #answer(message: CallMessage): Promise<void> {
    if (this.#replica === undefined) {
      // Meant for another host, or sent too early: it is sent again.
      return;
    }
    const answer = { type: "answer", id: message.id, to: message.from, host: this.#id() } as const;
    try {
      this.#post({ ...answer, result: await this.#perform(message) });
    } catch (thrown) {
      if (!this.#crashes(thrown)) {
        this.#post({ ...answer, error: toData(thrown) });
      }
    }
  }

  /** Tells whether another worker is started instead, which will be asked again. */
  #crashes(thrown: unknown): boolean {
    if (!(thrown instanceof WebAssembly.RuntimeError) || this.#place.crash === undefined) {
      return false;
    }
    this.#tellAll();
    this.#place.crash(thrown);
    return true;
  }

  async #perform(message: CallMessage): Promise<unknown> {
    const replica = this.#replica;
    if (replica === undefined) {
      throw new PangaeaError("in-use", "another tab has taken over");
    }
    const [first, second] = message.arguments;
    switch (message.call) {
      case "edit": return this.#edit(replica, first as Edit[]);
      case "read": return replica.read(first as string);
      case "list": return replica.list(first as string);
      case "history": return replica.history(first as string);
      case "restore": return this.#restore(replica, first as string, second as string);
      case "conflicts": return replica.conflicts();
      case "resolve":
        await replica.resolve(first as string, second as Choice);
        return this.#soon();
      case "status": return withoutNulls(await replica.status());
      case "unsent": return replica.unsent();
      case "log": return replica.log(first as number);
      case "answer": return replica.answer(first as Question);
      case "sync":
        this.#network(navigator.onLine !== false);
        return replica.sync();
      case "network": return this.#network(first as boolean);
      default: {
        const unknown: never = message.call;
        throw new PangaeaError("unsupported", `an older version of this app in another tab cannot "${String(unknown)}": reload all tabs`);
      }
    }
  }

  async #edit(replica: Replica, edits: Edit[]): Promise<(string | undefined)[]> {
    const versions = await editThere(replica, edits);
    this.#soon();
    for (const { path } of edits) {
      this.#tellEvent({ kind: "changed", path });
    }
    this.#tellOthers();
    return versions;
  }

  async #restore(replica: Replica, path: string, version: string): Promise<string> {
    const restored = await replica.restore(path, version);
    this.#soon();
    this.#tellEvent({ kind: "changed", path });
    this.#tellOthers();
    return restored;
  }

  /** Sends what was edited, with what is edited in the next moment. */
  #soon(): void {
    this.#edits ??= setTimeout(() => {
      this.#edits = undefined;
      this.#replica?.sync();
    }, EDITS_WAIT_MS);
  }

  #network(online: boolean): void {
    this.#replica?.pause_network(!online);
    if (online) {
      this.#replica?.sync();
    }
  }

  #tellEvent(event: ReplicaEvent): void {
    // How a round ended is of interest until the next one does.
    this.#untold = event.kind === "round" ? this.#untold.filter(({ kind }) => kind !== "round") : this.#untold;
    this.#untold.push(event);
    this.#telling ??= setTimeout(() => this.#tellAll(), EVENTS_WAIT_MS);
    for (const listener of this.#listeners) {
      listener(event);
    }
    if (event.kind === "failed") {
      // "in-use": another one has taken over, and this one waits for its next turn. Otherwise the store is opened again.
      this.#pause_ms = event.code === "in-use" ? 0 : REOPEN_MS;
      this.#stop();
    }
  }

  /** Before a page hears that its edit is made: it may go at once, and this host with it. */
  #tellOthers(): void {
    if (this.#hasOthers) {
      this.#tellAll();
    }
  }

  #tellAll(): void {
    clearTimeout(this.#telling);
    this.#telling = undefined;
    if (this.#untold.length > 0) {
      this.#post({ type: "events", host: this.#id(), events: this.#untold });
      this.#untold = [];
    }
  }

  #post(message: Message): void {
    try {
      this.#channel.postMessage(message);
    } catch {
      // The channel is closed: nobody is to hear it any more.
    }
  }

  #id(): string {
    return `${this.#options.id}.${this.#turn}`;
  }
}

/** Makes edits; to delete what is not there is no mistake: the call may be made for the second time, after a host was lost. */
async function editThere(replica: Replica, edits: Edit[]): Promise<(string | undefined)[]> {
  try {
    return await replica.edit(edits);
  } catch (thrown) {
    if (toData(thrown).code !== "absent") {
      throw thrown;
    }
  }
  const needed = await Promise.all(edits.map(async ({ path, content }) => content !== undefined || isThere(replica, path)));
  const versions = await replica.edit(edits.filter((_, index) => needed[index]));
  return needed.map((isNeeded) => (isNeeded ? versions.shift() : undefined));
}

async function isThere(replica: Replica, path: string): Promise<boolean> {
  return (await replica.list(path)).some((file) => file.path === path);
}

/** What is not known is absent in JavaScript, not null. */
function withoutNulls<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null)) as T;
}

function isAbort(thrown: unknown): boolean {
  return typeof thrown === "object" && thrown !== null && (thrown as { name?: unknown }).name === "AbortError";
}
