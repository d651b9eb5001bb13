/**
 * The stock Gaia client's `Storage`, on a bucket that works offline.
 *
 * @example
 * // import { Storage } from "@stacks/storage";
 * import { Storage } from "pangaea/stacks";
 *
 * const storage = new Storage({ userSession });
 * await storage.putFile("todos.json", JSON.stringify(todos)); // works offline
 *
 * @module
 */

import { userAppFileUrl } from "./stacks/names.js";

export { Storage } from "./stacks/storage.js";
export type { GetFileOptions, GetFileUrlOptions, PutFileOptions, StorageOptions } from "./stacks/storage.js";
export type { PutFileContent } from "./stacks/content.js";
export type { CipherTextEncoding } from "./stacks/crypto.js";
export type { OpenOptions } from "./stacks/own.js";
export type { SessionDataLike, UserDataLike, UserSessionLike } from "./stacks/session.js";
export { BLOCKSTACK_GAIA_HUB_LABEL, connectToGaiaHub, getBucketUrl, getFullReadUrl } from "./stacks/hub.js";
export type { GaiaHubConfig } from "./stacks/hub.js";
export {
  BadPathError, ConflictError, DoesNotExist, FailedDecryptionError, GaiaHubError, InvalidStateError, NotEnoughProofError,
  PayloadTooLargeError, PreconditionFailedError, SignatureVerificationError, StorageError, ValidationError,
} from "./stacks/errors.js";
export type { HubErrorDetails } from "./stacks/errors.js";

/** The public URL of a file of another user in some app. */
export function getUserAppFileUrl(options: {
  path: string;
  username: string;
  appOrigin: string;
  zoneFileLookupURL: string;
}): Promise<string | undefined> {
  return userAppFileUrl(options.path, options.username, options.appOrigin, options.zoneFileLookupURL);
}
