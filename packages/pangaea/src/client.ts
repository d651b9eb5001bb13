// A page's side: sends calls to whoever is the host, and again to the next one, until they are answered.

import { PangaeaError, fromData, toData, type ErrorData } from "./errors.js";
import type { HostPlace } from "./host.js";
import {
  channelName, randomId,
  type AnswerMessage, type CallMessage, type CallName, type Calls, type FromWorker, type HostMessage, type HostOptions, type Message,
  type ToWorker,
} from "./protocol.js";
import type { MergeInput, ReplicaEvent } from "./wasm.js";

/** How often a host that owes answers is asked whether it is there. */
const PING_MS = 1_000;
/** After so many questions without an answer the host counts as suspended. Counted, so that a machine that slept is not one. */
const PINGS_MAX = 5;
/** A page that has read its files itself starts its worker so much later. */
const START_AFTER_MS = 50;
/** So often the own worker is started again after it crashed. */
const RESTARTS_MAX = 3;

/** What the client tells the bucket. */
export interface ClientEvents {
  event(event: ReplicaEvent): void;
  /** Another host answers from now on: what was told while there was none may have been missed. */
  host(host: HostMessage): void;
  /** The own worker cannot open the bucket. */
  broken(error: PangaeaError): void;
  /** Makes two versions one. */
  merge(input: MergeInput): Promise<Uint8Array | undefined>;
  /** Strategies that `merge` has functions for. */
  strategies: string[];
}

/** The own worker, or the host in this page. */
interface Own {
  post(message: ToWorker): void;
  stop(): void;
}

interface Pending {
  message: CallMessage;
  /** The host that it was sent to last. */
  sentTo: string | undefined;
  resolve(result: unknown): void;
  reject(error: Error): void;
}

/** Finds the host of a database, and calls it. */
export class Client {
  readonly #id = randomId();
  readonly #options: HostOptions;
  readonly #events: ClientEvents;
  readonly #channel: BroadcastChannel;
  readonly #pending = new Map<string, Pending>();
  #own: Own | undefined;
  #host: HostMessage | undefined;
  #end: PangaeaError | undefined;
  #unanswered = 0;
  #ping: ReturnType<typeof setInterval> | undefined;
  #closed: (() => void) | undefined;
  #restarts = 0;
  #startNow: (() => void) | undefined;

  constructor(options: Omit<HostOptions, "id">, events: ClientEvents) {
    this.#options = { ...options, id: this.#id };
    this.#events = events;
    this.#channel = new BroadcastChannel(channelName(options.database));
    this.#channel.onmessage = (event: MessageEvent<Message>) => this.#heard(event.data);
  }

  /** Starts the own worker and looks for a host. */
  async start(inWorker: boolean): Promise<void> {
    if (!(inWorker && this.#startWorker(this.#options))) {
      this.#own = await startHere(this.#options, (message) => this.#told(message));
      this.#own.post({ type: "open", options: this.#options });
    }
    this.#channel.postMessage({ type: "who", from: this.#id } satisfies Message);
    this.#watch();
  }

  /** The same with the first call, or in a moment: a page that only reads needs the processor for itself until then. */
  startLater(inWorker: boolean): void {
    const start = () => {
      clearTimeout(timer);
      this.#startNow = undefined;
      if (this.#end === undefined) {
        this.start(inWorker).catch((thrown: unknown) => this.#told({ type: "broken", error: toData(thrown) }));
      }
    };
    const timer = setTimeout(start, START_AFTER_MS);
    this.#startNow = start;
  }

  /** Calls the host; resolves when one has answered, however many there were in between. */
  call<K extends CallName>(call: K, ...args: Parameters<Calls[K]>): ReturnType<Calls[K]> {
    this.#startNow?.();
    const answer = new Promise<unknown>((resolve, reject) => {
      if (this.#end !== undefined) {
        reject(this.#end);
        return;
      }
      const id = randomId();
      const message: CallMessage = { type: "call", id, from: this.#id, call, arguments: args };
      const pending = { message, sentTo: undefined, resolve, reject };
      this.#pending.set(id, pending);
      this.#send(pending);
      this.#watch();
    });
    return answer as ReturnType<Calls[K]>;
  }

  /** Lets go of everything; calls that are not answered fail. */
  async close(): Promise<void> {
    if (this.#end?.code === "closed") {
      return;
    }
    this.withdraw();
    const closed = new Promise<void>((resolve) => (this.#closed = resolve));
    if (this.#end === undefined && this.#own !== undefined) {
      this.#own.post({ type: "close" });
      await closed;
    }
    this.#finish(new PangaeaError("closed", "the bucket was closed in this page; what was stored before is kept"));
  }

  /** Tells the host that this page merges nothing any more. */
  withdraw(): void {
    this.#tellStrategies([]);
  }

  /** Tells the host that this page is there, and asks who it is. */
  arrive(): void {
    this.#tellStrategies(this.#events.strategies);
    this.#postAll({ type: "who", from: this.#id });
  }

  /** Tells whether there can be workers. */
  #startWorker(options: HostOptions): boolean {
    try {
      this.#own = startWorker(
        (message) => this.#told(message),
        () => this.#crashed(),
      );
    } catch {
      // The package comes from another origin, which may not start workers here.
      return false;
    }
    this.#own.post({ type: "open", options });
    return true;
  }

  /** The worker met an error that nobody caught: what is left of it is not used any more, its data are safe. */
  #crashed(): void {
    this.#own?.stop();
    this.#restarts += 1;
    if (this.#restarts > RESTARTS_MAX) {
      const message = "the background script of pangaea failed several times; what was stored is kept: reload the page";
      this.#told({ type: "broken", error: { code: "internal", message, quota: false } });
      return;
    }
    if (this.#host !== undefined && this.#isOwn(this.#host)) {
      this.#lost(this.#host.host);
    }
    // Another id: to its clients it is another host.
    this.#startWorker({ ...this.#options, id: `${this.#id}.${this.#restarts}` });
  }

  #isOwn({ host }: HostMessage): boolean {
    return host.startsWith(`${this.#id}.`);
  }

  #finish(error: PangaeaError): void {
    this.#end = error;
    clearInterval(this.#ping);
    this.#own?.stop();
    this.#channel.close();
    for (const { reject } of this.#pending.values()) {
      reject(error);
    }
    this.#pending.clear();
  }

  #heard(message: Message): void {
    switch (message.type) {
      case "starting":
        this.#unanswered = 0;
        break;
      case "host":
        this.#met(message);
        break;
      case "bye":
        this.#lost(message.host);
        break;
      case "answer":
        if (message.to === this.#id) {
          this.#answered(message);
        }
        break;
      case "events":
        this.#unanswered = 0;
        message.events.forEach((event) => this.#events.event(event));
        break;
      case "merge":
        if (message.to === this.#id) {
          void this.#merge(message.id, message.input);
        }
        break;
    }
  }

  #told(message: FromWorker): void {
    if (message.type === "answer") {
      this.#answered(message);
    } else if (message.type === "broken") {
      const error = fromData(message.error);
      this.#finish(error);
      this.#events.broken(error);
    } else if (message.type === "closed") {
      this.#closed?.();
    }
  }

  /** A host is there. */
  #met(host: HostMessage): void {
    this.#unanswered = 0;
    const isNew = this.#host?.host !== host.host;
    this.#host = host;
    for (const pending of this.#pending.values()) {
      if (pending.sentTo !== host.host) {
        this.#send(pending);
      }
    }
    if (isNew) {
      this.#tellStrategies(this.#events.strategies);
      this.#events.host(host);
    }
  }

  #lost(host: string): void {
    if (this.#host?.host === host) {
      this.#host = undefined;
      this.#watch();
    }
  }

  #answered({ id, host, result, error }: AnswerMessage): void {
    this.#unanswered = 0;
    const pending = this.#pending.get(id);
    if (pending === undefined) {
      return;
    }
    if (error?.code === "in-use") {
      // That one has lost the bucket to another host, which does it, or was asked already.
      if (pending.sentTo === host) {
        pending.sentTo = undefined;
        this.#lost(host);
      }
      return;
    }
    this.#pending.delete(id);
    if (error === undefined) {
      pending.resolve(result);
    } else {
      pending.reject(fromData(error));
    }
  }

  #send(pending: Pending): void {
    if (this.#host === undefined) {
      return;
    }
    pending.sentTo = this.#host.host;
    if (this.#isOwn(this.#host)) {
      this.#own?.post(pending.message);
    } else {
      this.#postAll(pending.message);
    }
  }

  async #merge(id: string, input: MergeInput): Promise<void> {
    const answer = { type: "merged", id, from: this.#id } as const;
    try {
      const content = await this.#events.merge(input);
      this.#postAll(content === undefined ? answer : { ...answer, content });
    } catch (thrown) {
      const message = thrown instanceof Error ? thrown.message : String(thrown);
      const error: ErrorData = { code: "merge", message: `the merge function failed: ${message}`, quota: false };
      this.#postAll({ ...answer, error });
    }
  }

  #tellStrategies(strategies: string[]): void {
    if (this.#events.strategies.length > 0) {
      this.#postAll({ type: "strategies", from: this.#id, strategies });
    }
  }

  #postAll(message: Message): void {
    if (this.#end === undefined) {
      this.#channel.postMessage(message);
    }
  }

  /** Asks for a sign of life while something is owed, and takes the bucket from a host that gives none. */
  #watch(): void {
    if (this.#ping !== undefined || this.#end !== undefined) {
      return;
    }
    this.#unanswered = 0;
    this.#ping = setInterval(() => {
      if (this.#host !== undefined && this.#pending.size === 0) {
        clearInterval(this.#ping);
        this.#ping = undefined;
      } else if (this.#unanswered < PINGS_MAX) {
        // What is hidden may be suspended itself: it judges nobody.
        this.#unanswered += globalThis.document?.visibilityState === "hidden" ? 0 : 1;
        this.#postAll({ type: "who", from: this.#id });
      } else {
        this.#unanswered = 0;
        void this.#takeOver();
      }
    }, PING_MS);
  }

  async #takeOver(): Promise<void> {
    const { held } = await navigator.locks.query();
    if (held?.some(({ name }) => name === channelName(this.#options.database))) {
      this.#own?.post({ type: "steal" });
    }
  }
}

function startWorker(tell: (message: FromWorker) => void, crashed: () => void): Own {
  const worker = new Worker(new URL("./worker-entry.js", import.meta.url), { type: "module", name: "pangaea" });
  let isAlive = false;
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    isAlive = true;
    tell(data);
  };
  worker.onerror = (event) => {
    if (isAlive) {
      crashed();
      return;
    }
    const message = `the background script of pangaea does not run: ${event.message || "worker-entry.js cannot be loaded"}`;
    tell({ type: "broken", error: { code: "worker", message, quota: false } });
  };
  return { post: (message) => worker.postMessage(message), stop: () => worker.terminate() };
}

/** The host in this page, where there are no workers. */
async function startHere(options: HostOptions, tell: HostPlace["tell"]): Promise<Own> {
  const { Host } = await import("./host.js");
  const load: HostPlace["load"] = async (wasm) => (await import("./engine.js")).loadEngine(wasm);
  const host = new Host(options, { load, tell });
  const post = (message: ToWorker) => {
    switch (message.type) {
      case "open": return void host.run();
      case "call": return void host.call(message);
      case "steal": return host.steal();
      case "close": return host.close();
    }
  };
  return { post, stop: () => host.close() };
}
