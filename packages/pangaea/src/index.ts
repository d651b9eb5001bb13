/**
 * Files of a Gaia bucket that work offline, in every tab and on every device.
 *
 * @example
 * import { openBucket } from "pangaea";
 *
 * const bucket = await openBucket({ hub: "https://hub.example", key });
 * await bucket.put("notes/a.json", { text: "milk" }); // stored on this device
 * await bucket.accepted("notes/a.json");              // the hub has it
 *
 * @module
 */

export { Bucket, openBucket } from "./bucket.js";
export type { BucketEvents, BucketOptions, Change, Problem, Put, Transaction } from "./types.js";
export { BucketFile } from "./content.js";
export type { Content, Json, PutOptions } from "./content.js";
export { PangaeaError } from "./errors.js";
export type { ErrorCode } from "./errors.js";
export type { Stop } from "./events.js";
export type { Merge, MergeFunction, Policy } from "./policies.js";
export type { Evicted, Room } from "./storage.js";
export type {
  Choice, Conflict, FileInfo, FileState, Format, HistoryEntry, LogRow, Question, Status,
} from "./wasm.js";
