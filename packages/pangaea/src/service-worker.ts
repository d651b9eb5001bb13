// Syncing inside an application's service worker, when no page is open.

import { SYNC_TAG } from "./background.js";
import { loadEngine } from "./engine.js";
import { Host } from "./host.js";
import { keptBuckets, type KeptBucket } from "./kept.js";
import { channelName, randomId, type Message } from "./protocol.js";
import type { ReplicaEvent } from "./wasm.js";

/** Browsers end an event that takes longer, some sooner. What was sent by then is sent. */
const LIMIT_MS = 120_000;

/** How a service worker gets at what it syncs. */
export interface HandlerOptions {
  /** Gets a bucket's key, where it was not kept by `registerBackgroundSync`. Undefined: that bucket is left alone. */
  key?: (bucket: { database: string; hub: string }) => Promise<string | undefined>;
  /** How long one bucket may take, in milliseconds. Normally two minutes. */
  limit_ms?: number;
}

/** The part of a service worker's global object that is used here. */
export interface ServiceWorkerScope {
  addEventListener(type: string, listener: (event: Event) => void): void;
}

interface SyncEvent extends Event {
  readonly tag: string;
  waitUntil(work: Promise<unknown>): void;
}

/**
 * Answers the browser's `sync` and `periodicsync` events: opens each bucket that `registerBackgroundSync` named and syncs it, or
 * has the page do it that has it open. What cannot be finished is left to the next event.
 *
 * To be called while the service worker's script runs first. The script is a module (`register(url, { type: "module" })`), or
 * bundled to be none; it and `pangaea_wasm_bg.wasm` need not be in the caches, as these events come with a network.
 *
 * @example
 * import { handleBackgroundSync } from "pangaea/worker";
 * handleBackgroundSync(self);
 */
export function handleBackgroundSync(scope: ServiceWorkerScope, options: HandlerOptions = {}): void {
  for (const type of ["sync", "periodicsync"]) {
    scope.addEventListener(type, (event) => {
      const { tag } = event as SyncEvent;
      if (tag === SYNC_TAG) {
        (event as SyncEvent).waitUntil(syncAll(options));
      }
    });
  }
}

async function syncAll(options: HandlerOptions): Promise<void> {
  let left = 0;
  for (const bucket of await keptBuckets()) {
    const key = bucket.key ?? (await options.key?.(bucket));
    if (key !== undefined && !(await syncOne({ ...bucket, key }, options.limit_ms ?? LIMIT_MS))) {
      left += 1;
    }
  }
  if (left > 0) {
    // The browser tries again when an event fails.
    throw new Error(`${left} buckets have changes that could not be sent yet`);
  }
}

/** Tells whether nothing is left to do. */
async function syncOne(bucket: KeptBucket & { key: string }, limit_ms: number): Promise<boolean> {
  const events = new RoundEnd();
  const host = new Host({ ...bucket, id: randomId() }, { load: loadEngine, tell: () => undefined });
  host.onEvent((event) => events.heard(event));
  const isOurs = await host.runOnce(() => events.end(limit_ms));
  return isOurs ? events.isQuiet : askPage(bucket.database, limit_ms);
}

/** Has the page that has the bucket sync it now. */
async function askPage(database: string, limit_ms: number): Promise<boolean> {
  const channel = new BroadcastChannel(channelName(database));
  const events = new RoundEnd();
  channel.onmessage = ({ data }: MessageEvent<Message>) => {
    if (data.type === "events") {
      data.events.forEach((event) => events.heard(event));
    }
  };
  const call: Message = { type: "call", id: randomId(), from: randomId(), call: "sync", arguments: [] };
  channel.postMessage(call);
  await events.end(limit_ms);
  channel.close();
  return events.isQuiet;
}

/** Waits until a round is over; what is left then has to wait. */
class RoundEnd {
  isQuiet = false;
  #resolve: () => void = () => undefined;
  readonly #ended = new Promise<void>((resolve) => (this.#resolve = resolve));

  heard(event: ReplicaEvent): void {
    switch (event.kind) {
      case "round":
        this.isQuiet = event.left === 0;
        this.#resolve();
        break;
      // Somebody has to wait, to sign in or to decide: not here.
      case "waiting":
      case "paused":
      case "halted":
      case "failed":
        this.#resolve();
        break;
      default:
        break;
    }
  }

  async end(limit_ms: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    await Promise.race([this.#ended, new Promise((resolve) => (timer = setTimeout(resolve, limit_ms)))]);
    clearTimeout(timer);
  }
}
