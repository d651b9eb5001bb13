// What tabs and workers say to each other. One of them is the host: it holds the lock and has the replica. All others are
// its clients.
//
// Everything but calls to the own worker goes over one BroadcastChannel of the bucket. A call may be sent again, to the same
// host or to the next one: all of them can be repeated.

import type { ErrorData } from "./errors.js";
import type { Edit, MergeInput, OpenOptions, Question, Replica, ReplicaEvent } from "./wasm.js";

/** What a host does for its clients. */
export interface Calls
  extends Pick<Replica, "read" | "list" | "history" | "restore" | "conflicts" | "resolve" | "status" | "unsent" | "log"> {
  /** The version of each; none for the delete of something that was not there. */
  edit(edits: Edit[]): Promise<(string | undefined)[]>;
  answer(question: Question): Promise<void>;
  /** Begins a round. */
  sync(): Promise<void>;
  /** Tells that the browser has lost or found the network. */
  network(online: boolean): Promise<void>;
}

/** The name of a call. */
export type CallName = keyof Calls;

/** A request to whoever is the host. */
export interface CallMessage {
  type: "call";
  id: string;
  from: string;
  call: CallName;
  arguments: unknown[];
}

/** What came of a call. */
export interface AnswerMessage {
  type: "answer";
  id: string;
  to: string;
  host: string;
  result?: unknown;
  error?: ErrorData;
}

/** A host says that it is there. Told when it begins, and to everybody who asks. */
export interface HostMessage {
  type: "host";
  host: string;
  address: string;
  device: string;
}

/** What is said on the channel. */
export type Message =
  | { type: "who"; from: string }
  /** Somebody has the lock and is opening the replica. */
  | { type: "starting"; host: string }
  | HostMessage
  /** A host has let go; the next one will tell. */
  | { type: "bye"; host: string }
  | CallMessage
  | AnswerMessage
  | { type: "events"; host: string; events: ReplicaEvent[] }
  /** A client tells a host for which strategies it has functions. */
  | { type: "strategies"; from: string; strategies: string[] }
  | { type: "merge"; id: string; to: string; input: MergeInput }
  | { type: "merged"; id: string; from: string; content?: Uint8Array; error?: ErrorData };

/** With what a worker opens the replica when its turn comes. */
export interface HostOptions extends OpenOptions {
  /** The worker's id, chosen by its page, so that the page knows it among the hosts. */
  id: string;
  /** Where the WebAssembly module is, if not beside its script. */
  wasm?: string;
}

/** What a page says to its own worker. */
export type ToWorker = CallMessage | { type: "open"; options: HostOptions } | { type: "steal" } | { type: "close" };

/** What a worker says to its own page. */
export type FromWorker =
  | AnswerMessage
  /** Its script runs. */
  | { type: "alive" }
  /** It cannot open the replica, and has given up. */
  | { type: "broken"; error: ErrorData }
  | { type: "closed" };

/** The name of the lock and of the channel of a database. */
export function channelName(database: string): string {
  return `pangaea:${database}`;
}

/** An id that nobody else has. */
export function randomId(): string {
  return crypto.randomUUID();
}
