// What the WebAssembly module gives, as types. The module itself is generated, and loaded by engine.ts alone.

/**
 * Where a file stands: `stored` is on the hub as it is here, `queued` waits to be sent, `parked` was refused by the hub for
 * good and stays on this device until it is changed or deleted.
 */
export type FileState = "stored" | "queued" | "parked";

/** How the hub holds a file. */
export interface Format {
  /** Encrypted for the owner of the bucket, or not at all. */
  encryption: "ecies" | "plain";
  /** Whether the owner's signature is with it, in the stock client's way. */
  signed: boolean;
  /** What a stock client's reader gets. */
  kind: "text" | "bytes";
}

/** What is known of a file without its content. */
export interface FileInfo {
  path: string;
  /** Bytes of the content. */
  size: number;
  /** The media type. */
  type: string;
  version: string;
  /** When it was last changed, in milliseconds since 1970. */
  modified: number;
  state: FileState;
  format: Format;
  /** Why it is not on the hub, when something is wrong. */
  problem?: { kind: string; message: string };
}

/** A version of a file that was replaced and is kept. */
export interface HistoryEntry {
  version: string;
  /** When another version took its place, in milliseconds since 1970. */
  replaced: number;
  /** Bytes of the content. */
  size: number;
  type: string;
  /** The device that wrote it. */
  device: string;
}

/** A path whose versions could not be made one. */
export interface Conflict {
  path: string;
  /** The copy that was kept beside it. Without one the path waits for a decision. */
  copy?: string;
}

/** What a decision keeps. */
export type Choice = "mine" | "theirs" | "both";

/** How the bucket is doing. */
export interface Status {
  /** Files on this device. */
  files: number;
  /** Changes that the hub has not got. */
  pending: number;
  pendingBytes: number;
  /** Since when the oldest of them waits, in milliseconds since 1970. */
  oldest?: number;
  /** Changes that are being sent now. */
  inFlight: number;
  /** Files that the hub refused for good. */
  parked: number;
  hub: {
    /**
     * `ready`: nothing stands in the way. `waiting`: asked again by itself, at `until` at the latest. `paused`: sign in again.
     * `halted`: something unusual was found, and `answer` says how to go on.
     */
    state: "ready" | "waiting" | "paused" | "halted";
    message?: string;
    /** In milliseconds since 1970. */
    until?: number;
  };
  /** The id of this device. */
  device: string;
  /** Nothing waits, and nothing is under way. */
  clean: boolean;
  /** This device has once had everything that was on the hub. Until then a file that is not here may be there. */
  caughtUp: boolean;
}

/** One line of what happened. */
export type LogRow = Record<string, unknown>;

/** What stopped the sync until a person has looked at it. */
export type Question = "mass-delete" | "other-bucket";

/** What a replica tells by itself. */
export type ReplicaEvent =
  | { kind: "changed"; path: string }
  | { kind: "stored"; path: string; version: string }
  | { kind: "conflict"; path: string; copy?: string }
  | { kind: "parked"; path: string; message: string }
  | { kind: "waiting"; until: number; message: string }
  | { kind: "paused"; message: string }
  | { kind: "halted"; question: Question; message?: string }
  | { kind: "quiet" }
  | { kind: "round"; left: number }
  | { kind: "failed"; code: string; message: string };

/** One change. Without content the file is deleted. */
export interface Edit {
  path: string;
  content?: Uint8Array;
  type?: string;
  /** What is left out stays as it was, or follows the policy. */
  format?: Partial<Format>;
  /** Only if this is the latest version. */
  after?: string;
}

/** A file with its content. */
export interface FileData {
  content: Uint8Array;
  type: string;
  version: string;
  state: FileState;
  format: Format;
}

/** Two versions that a strategy of the application's own is to make one, the lesser version first. */
export interface MergeInput {
  path: string;
  /** The name that the policy gives. */
  strategy: string;
  /** The last version that both come from, when there is one and its content is still kept. */
  base?: Uint8Array;
  a: Uint8Array;
  b: Uint8Array;
}

/** With what a replica is opened. */
export interface OpenOptions {
  database: string;
  hub: string;
  key: string;
  plain?: boolean;
  association?: string;
}

/** A device's copy of a bucket. Its methods that return no promise begin something. */
export interface Replica {
  address(): string;
  device(): string;
  edit(edits: Edit[]): Promise<string[]>;
  read(path: string): Promise<FileData | undefined>;
  list(prefix: string): Promise<FileInfo[]>;
  history(path: string): Promise<HistoryEntry[]>;
  restore(path: string, version: string): Promise<string>;
  conflicts(): Promise<Conflict[]>;
  resolve(path: string, choice: Choice): Promise<void>;
  status(): Promise<Status>;
  unsent(): Promise<FileInfo[]>;
  log(limit: number): Promise<LogRow[]>;
  answer(question: Question): void;
  sync(): void;
  follow(interval_ms: number): void;
  pause_network(on: boolean): void;
  close(): Promise<void>;
}

/** Opens a replica. `merge` that fails leaves the path undecided until the next `sync`. */
export type OpenReplica = (
  options: OpenOptions,
  onEvents: (events: ReplicaEvent[]) => void,
  merge: (input: MergeInput) => Promise<Uint8Array | undefined>,
) => Promise<Replica>;
