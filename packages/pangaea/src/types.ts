// What goes in and out of a bucket, for those who use one.

import type { Content, PutOptions } from "./content.js";
import type { Policy } from "./policies.js";
import type { Evicted, Room } from "./storage.js";
import type { Conflict, Question, Status } from "./wasm.js";

/** With what a bucket is opened. */
export interface BucketOptions {
  /** The address of the Gaia hub. */
  hub: string;
  /** The bucket's private key: 64 hex digits, or 66 as some wallets write them. */
  key: string;
  /** Tells several copies of one bucket in one origin apart. Normally left out. */
  database?: string;
  /** False: everything runs in the page. Only for surroundings without workers, where that is the default. */
  worker?: boolean;
  /** How concurrent versions become one, and what is encrypted. They are kept in the bucket, for all devices. */
  policies?: readonly Policy[];
  /** The word of another key that vouches for this one (an association token), for hubs that ask for it. */
  association?: string;
  /** True: only what every Gaia hub can is used. For finding out whether a hub's accelerations are at fault. */
  plain?: boolean;
  /** False: the browser is not asked to keep the data for good. */
  persist?: boolean;
  /** Where `pangaea_wasm_bg.wasm` is served, if not beside its script. `pangaea_merges_bg.wasm` is looked for beside it. */
  wasm?: string | URL;
}

/** A file that was put. */
export interface Put {
  path: string;
  version: string;
}

/** A path that is not what it was, whoever changed it. */
export interface Change {
  path: string;
}

/** Something that a person may want to know of. The message is for them. */
export type Problem =
  /** The hub cannot be reached, or asked to wait. It is asked again by itself, at `until` at the latest. */
  | { kind: "waiting"; message: string; until: number }
  /** The hub does not accept the key: sign in again. Everything is kept. */
  | { kind: "paused"; message: string }
  /** Something unusual was found, and nothing is done before `answer` is called. */
  | { kind: "halted"; message: string; question: Question }
  /** The hub refuses this file for good. It stays on this device. */
  | { kind: "parked"; message: string; path: string }
  /** The device's storage failed. */
  | { kind: "failed"; message: string; code: string };

/** What a bucket tells, by name. */
export interface BucketEvents {
  /** How the bucket is doing, at most ten times a second, when something happened. */
  status: Status;
  /** A file changed: here, in another tab or on another device. */
  change: Change;
  /** The hub has this version. */
  stored: Put;
  /** Two versions could not be made one. With `copy` both are kept; without, `resolve` decides. */
  conflict: Conflict;
  problem: Problem;
  /** The browser had taken the data away. They are being restored from the hub. Told to late listeners as well. */
  evicted: Evicted;
  /** The room is getting short, or there is none. */
  storage: Room;
}

/** Collects what is to happen together. */
export interface Transaction {
  /** Puts a file. */
  put(path: string, content: Content, options?: PutOptions): void;
  /** Deletes a file. */
  delete(path: string): void;
}
