// The mirror: brings what changes on one side to the other, and makes one of what changed on both.
//
// Every tab brings its own changes to the bucket, in the order in which it made them, with the values that were given: a
// storage that tabs share may show another tab's value meanwhile. What other tabs change is looked at a moment later, and
// brought over only if no mirror over there sees to it.

import type { Bucket } from "../bucket.js";
import { Bases } from "./bases.js";
import { Keys, MARKER, type KeyOptions } from "./keys.js";
import { isNative, listen, type StorageLike } from "./patch.js";
import { BELIEVED_MS, Tabs } from "./tabs.js";
import { fromFile, mergeValues, toFile, type Preferred } from "./values.js";

/** What other tabs did to the storage has reached the bucket by then, if they have a mirror. */
const OTHERS_WAIT_MS = 500;
/** What the bucket tells may be this browser's doing, which the storage shows by then. */
const BUCKET_WAIT_MS = 50;
/** How often is looked for changes that went past the storage's methods. */
const LOOK_EVERY_MS = 1_000;
/** A key that changes all the time is left for the next occasion. */
const TRIES_MAX = 5;

/** A value that could not be brought to the other side. It is tried again when it changes, or when the page is loaded. */
export interface MirrorProblem {
  key: string;
  /** `quota`: the storage has no room. `bucket`: the bucket did not take it. `storage`: the storage failed otherwise. */
  kind: "quota" | "storage" | "bucket";
  /** For people. */
  message: string;
  error: unknown;
}

/** How a mirror is made. */
export interface MirrorSettings {
  keys: KeyOptions;
  name: string;
  onProblem: (problem: MirrorProblem) => void;
}

/** What makes a key be looked at. */
type Occasion =
  /** This tab has set it to this value, or removed it. */
  | { by: "own"; value: string | undefined }
  /** Something else may have changed it, on either side. */
  | { by: "others" };

/** A storage and a bucket that are kept the same. Made by `mirrorLocalStorage`. */
export class Mirror {
  /** Resolves when both sides were made one for the first time. */
  readonly ready: Promise<void>;
  readonly #bucket: Bucket;
  readonly #storage: StorageLike;
  readonly #keys: Keys;
  readonly #bases: Bases;
  readonly #tabs: Tabs;
  readonly #onProblem: (problem: MirrorProblem) => void;
  readonly #gone = new AbortController();
  /** What this tab did, by key, in order; done before anything else about the key. */
  readonly #own = new Map<string, (string | undefined)[]>();
  /** What is being done about a key, and whether it is to be looked at again afterwards. */
  readonly #busy = new Map<string, { again: boolean; done: Promise<void> }>();
  /** What the storage showed last. */
  readonly #seen = new Map<string, string | undefined>();
  /** When a key is looked at next. */
  readonly #timers = new Map<string, { timer: ReturnType<typeof setTimeout>; due: number }>();
  readonly #stops: (() => void)[] = [];
  #isReady = false;
  /** While the mirror itself writes to the storage. */
  #isWriting = false;

  /** @internal */
  constructor(bucket: Bucket, storage: StorageLike, { keys, name, onProblem }: MirrorSettings) {
    this.#bucket = bucket;
    this.#storage = storage;
    this.#keys = new Keys(keys);
    const mirror = `${bucket.database} ${name}`;
    this.#bases = new Bases(mirror);
    this.#tabs = new Tabs(storage === (globalThis.localStorage as StorageLike | undefined) ? mirror : undefined);
    this.#onProblem = onProblem;
    this.#stops.push(listen(storage, (key, value) => this.#changedHere(key, value)));
    this.ready = this.#begin();
    // For those who do not wait for it.
    this.ready.catch(() => undefined);
  }

  /** Ends it. What this tab has changed until now is still brought to the bucket; what is on either side stays. */
  async stop(): Promise<void> {
    if (this.#isReady) {
      this.#look(0);
    }
    this.#gone.abort();
    this.#stops.splice(0).forEach((stop) => stop());
    this.#timers.forEach(({ timer }) => clearTimeout(timer));
    this.#timers.clear();
    while (this.#busy.size > 0) {
      await Promise.all([...this.#busy.values()].map(({ done }) => done));
    }
    this.#bases.close();
    this.#tabs.close();
  }

  async #begin(): Promise<void> {
    await this.#bases.open();
    if (this.#storage.getItem(MARKER) === null) {
      // Another storage than before, or one that was emptied behind our back: nothing counts as removed.
      this.#bases.clear();
    }
    if (this.#bases.isEmpty) {
      await this.#caughtUp();
    }
    if (this.#gone.signal.aborted) {
      return;
    }
    this.#isReady = true;
    this.#listen();
    await this.#attendAll();
    this.#write(MARKER, "1");
  }

  async #attendAll(): Promise<void> {
    const files = (await this.#bucket.list()).flatMap(({ path }) => this.#keys.of(path) ?? []);
    const all = new Set([...this.#stored(), ...this.#bases.keys(), ...this.#own.keys(), ...files]);
    await Promise.all([...all].map((key) => this.#attend(key)));
  }

  /** Waits until the bucket has once had everything that the hub has. */
  async #caughtUp(): Promise<void> {
    await new Promise<void>((resolve) => {
      const stop = this.#bucket.on("status", ({ caughtUp }) => caughtUp && resolve());
      this.#stops.push(stop, resolve);
      void this.#bucket.status().then(({ caughtUp }) => caughtUp && resolve(), () => undefined);
    });
  }

  #listen(): void {
    const { signal } = this.#gone;
    this.#stops.push(this.#bucket.watch("", ({ path }) => this.#later(this.#keys.of(path), BUCKET_WAIT_MS)));
    globalThis.addEventListener?.("storage", (event) => this.#changedElsewhere(event), { signal });
    // Before the page goes, what went past the methods is brought over.
    globalThis.addEventListener?.("pagehide", () => this.#look(0), { signal });
    globalThis.document?.addEventListener("visibilitychange", () => this.#shownOrHidden(), { signal });
    const looking = setInterval(() => {
      if (globalThis.document?.visibilityState !== "hidden") {
        this.#look(OTHERS_WAIT_MS);
      }
    }, LOOK_EVERY_MS);
    this.#stops.push(() => clearInterval(looking));
  }

  #shownOrHidden(): void {
    this.#look(0);
    if (globalThis.document.visibilityState === "visible") {
      // A page that was put aside may have missed what the bucket told. A bucket that was closed has nothing to tell.
      void this.#attendAll().catch(() => undefined);
    }
  }

  /** This tab has changed the storage through its methods. */
  #changedHere(key: string | null, value: string | null): void {
    if (this.#isWriting) {
      return;
    }
    const keys = key === null ? [...new Set([...this.#seen.keys(), ...this.#bases.keys()])] : [key];
    for (const one of keys.filter((key) => this.#keys.has(key))) {
      this.#own.set(one, [...(this.#own.get(one) ?? []), value ?? undefined]);
      this.#seen.set(one, value ?? undefined);
      this.#tabs.tell(one, value ?? undefined, "brings");
      void this.#attend(one);
    }
    if (key === null && this.#isReady) {
      this.#write(MARKER, "1");
    }
  }

  #changedElsewhere({ key, storageArea }: StorageEvent): void {
    if (storageArea !== (this.#storage as unknown)) {
      return;
    }
    for (const one of key === null ? this.#bases.keys() : [key]) {
      if (this.#keys.has(one)) {
        this.#seen.set(one, this.#read(one));
        this.#later(one, OTHERS_WAIT_MS);
      }
    }
  }

  /** Looks for changes that nobody told of. With some time to wait, another tab's mirror may have seen to them then. */
  #look(wait_ms: number): void {
    for (const key of new Set([...this.#stored(), ...this.#bases.keys()])) {
      const value = this.#read(key);
      if (value !== this.#seen.get(key)) {
        this.#seen.set(key, value);
        void (wait_ms === 0 ? this.#attend(key) : this.#later(key, wait_ms));
      }
    }
  }

  #later(key: string | undefined, wait_ms: number): void {
    const due = Date.now() + wait_ms;
    const planned = key === undefined ? undefined : this.#timers.get(key);
    if (key === undefined || this.#gone.signal.aborted || (planned !== undefined && planned.due <= due)) {
      return;
    }
    clearTimeout(planned?.timer);
    const timer = setTimeout(() => {
      this.#timers.delete(key);
      void this.#attend(key);
    }, wait_ms);
    this.#timers.set(key, { timer, due });
  }

  /** Makes both sides of a key one; one thing at a time. */
  #attend(key: string): Promise<void> {
    const busy = this.#busy.get(key);
    if (busy !== undefined) {
      busy.again = true;
      return busy.done;
    }
    if (!this.#isReady) {
      return Promise.resolve();
    }
    const work = { again: false, done: Promise.resolve() };
    this.#busy.set(key, work);
    work.done = this.#settle(key, work).finally(() => this.#busy.delete(key));
    return work.done;
  }

  async #settle(key: string, work: { again: boolean }): Promise<void> {
    for (let tries = 0; tries < TRIES_MAX || this.#own.has(key); tries += 1) {
      work.again = false;
      const occasion = this.#next(key);
      try {
        await this.#compare(key, occasion);
      } catch (error) {
        this.#onProblem({ key, kind: "bucket", message: messageOf(error), error });
        return;
      }
      if (!work.again && !this.#own.has(key)) {
        return;
      }
    }
  }

  #next(key: string): Occasion {
    const values = this.#own.get(key);
    if (values === undefined) {
      return { by: "others" };
    }
    this.#own.delete(key);
    return { by: "own", value: values.at(-1) };
  }

  async #compare(key: string, occasion: Occasion): Promise<void> {
    const path = this.#keys.path(key);
    const remote = (await this.#bucket.get(path))?.text();
    const remoteValue = remote === undefined ? undefined : fromFile(remote);
    const local = occasion.by === "own" ? occasion.value : this.#read(key);
    const seer = occasion.by === "others" && local !== remoteValue ? this.#tabs.who(key, local) : undefined;
    if (seer === "brings") {
      // If that tab is gone before it did, this one sees to it then.
      this.#later(key, BELIEVED_MS + OTHERS_WAIT_MS);
      return;
    }
    const base = seer === "brought" ? local : this.#bases.get(key);
    if (local === remoteValue) {
      this.#bases.set(key, local);
    } else if (local === base) {
      this.#project(key, local, remoteValue);
    } else if (remoteValue === base) {
      await this.#store(key, local);
    } else {
      await this.#merge(key, base, local, remoteValue, occasion.by === "own" && base !== undefined ? "local" : "remote");
    }
    if (occasion.by === "own" && this.#read(key) !== this.#bases.get(key)) {
      // Written past the methods, or by another tab that did not know of this; that one will notice.
      this.#later(key, OTHERS_WAIT_MS);
    }
  }

  /** Both sides have changed: the bucket gets what this side has, for the history, and then what both make together. */
  async #merge(
    key: string,
    base: string | undefined,
    local: string | undefined,
    remote: string | undefined,
    preferred: Preferred,
  ): Promise<void> {
    if (local === undefined || remote === undefined) {
      // Removed here, changed there, or the other way round: what was changed stays.
      return remote === undefined ? this.#store(key, local) : this.#project(key, local, remote);
    }
    const merged = mergeValues(base, local, remote, preferred);
    if (merged !== local) {
      await this.#bucket.put(this.#keys.path(key), toFile(local), { type: "application/json" });
    }
    await this.#store(key, merged);
    this.#project(key, local, merged);
  }

  async #store(key: string, value: string | undefined): Promise<void> {
    const path = this.#keys.path(key);
    if (value === undefined) {
      await this.#bucket.delete(path);
    } else {
      await this.#bucket.put(path, toFile(value), { type: "application/json" });
    }
    this.#bases.set(key, value);
  }

  /** Brings a value into the storage, unless that has changed meanwhile, and tells the application. */
  #project(key: string, before: string | undefined, value: string | undefined): void {
    if (this.#own.has(key) || before === value) {
      return;
    }
    if (this.#write(key, value)) {
      this.#bases.set(key, value);
      this.#announce(key, before, value);
    }
  }

  /** As browsers tell other tabs; the tab that writes hears nothing by itself. */
  #announce(key: string, before: string | undefined, value: string | undefined): void {
    if (typeof StorageEvent !== "function") {
      return;
    }
    const event = new StorageEvent("storage", {
      key,
      oldValue: before ?? null,
      newValue: value ?? null,
      url: globalThis.location?.href ?? "",
      storageArea: isNative(this.#storage) ? (this.#storage as Storage) : null,
    });
    globalThis.dispatchEvent(event);
  }

  #read(key: string): string | undefined {
    return this.#storage.getItem(key) ?? undefined;
  }

  /** Writes without taking it for the application's doing. */
  #write(key: string, value: string | undefined): boolean {
    this.#isWriting = true;
    try {
      if (value === undefined) {
        this.#storage.removeItem(key);
      } else {
        this.#storage.setItem(key, value);
      }
      this.#seen.set(key, value);
      this.#tabs.tell(key, value, "brought");
      return true;
    } catch (error) {
      const isFull = ["QuotaExceededError", "NS_ERROR_DOM_QUOTA_REACHED"].includes((error as Error | null)?.name ?? "");
      this.#onProblem({ key, kind: isFull ? "quota" : "storage", message: messageOf(error), error });
      return false;
    } finally {
      this.#isWriting = false;
    }
  }

  /** The mirrored keys that the storage has. */
  #stored(): string[] {
    return Array.from({ length: this.#storage.length }, (_, index) => this.#storage.key(index)).filter(
      (key): key is string => key !== null && this.#keys.has(key),
    );
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
