/**
 * Keeps chosen keys of `localStorage` in a bucket, in both directions: an application that knows nothing but `localStorage`
 * works on several devices.
 *
 * @example
 * import { openBucket } from "pangaea";
 * import { mirrorLocalStorage } from "pangaea/local-storage";
 *
 * const bucket = await openBucket({ hub, key });
 * const mirror = mirrorLocalStorage(bucket, { prefix: "todo-" });
 *
 * @module
 */

import type { Bucket } from "./bucket.js";
import type { KeyOptions } from "./local-storage/keys.js";
import { Mirror, type MirrorProblem } from "./local-storage/mirror.js";
import type { StorageLike } from "./local-storage/patch.js";

export { Mirror } from "./local-storage/mirror.js";
export type { MirrorProblem } from "./local-storage/mirror.js";
export type { KeyOptions } from "./local-storage/keys.js";
export type { StorageLike } from "./local-storage/patch.js";

/** What is mirrored, and how. */
export interface MirrorOptions extends KeyOptions {
  /** The storage; without it `localStorage`. */
  storage?: StorageLike;
  /** Tells several storages of one bucket apart that are not `localStorage`. */
  name?: string;
  /** Called when a value cannot be brought to the other side. Without it the console is told. */
  onProblem?: (problem: MirrorProblem) => void;
}

/**
 * Begins to mirror. What either side has is merged with what the other has; nothing is overwritten. On a device's first time
 * that waits until the bucket has caught up with the hub.
 *
 * @throws {TypeError} when it is not said which keys are meant.
 */
export function mirrorLocalStorage(bucket: Bucket, options: MirrorOptions): Mirror {
  const { storage = globalThis.localStorage, name = "localStorage", onProblem = warn, ...keys } = options;
  return new Mirror(bucket, storage, { keys, name, onProblem });
}

function warn({ key, message }: MirrorProblem): void {
  console.warn(`pangaea: ${key} is not mirrored: ${message}`);
}
