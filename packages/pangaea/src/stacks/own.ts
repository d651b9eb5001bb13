// The user's own bucket: what an application's calls mean for the replica.

import { openBucket, type Bucket } from "../bucket.js";
import type { BucketFile } from "../content.js";
import { PangaeaError } from "../errors.js";
import type { BucketOptions, Transaction } from "../types.js";
import type { FileInfo } from "../wasm.js";
import { DoesNotExist, ValidationError } from "./errors.js";
import { fetchKept } from "./others.js";
import { badPath, hubPath } from "./paths.js";
import type { Session } from "./session.js";
import { fromReplica, fromResponse, isForeign, signatureOf, type Stored } from "./stored.js";

/** How the bucket is opened, where the session does not say it. */
export type OpenOptions = Omit<BucketOptions, "hub" | "key">;

const SIGNATURE_SUFFIX = ".sig";
/** A deleted file on a hub that cannot delete on condition: an empty body whose type says so. */
const TOMBSTONE = /pangaea="?1\.A[Q-Za-f]/;

/** All buckets that are open in this page, by whose they are: storage objects come and go. */
const buckets = new Map<string, Promise<Bucket>>();

/** Opens the session's bucket, or returns it if it is open in this page. */
export function ownBucket(session: Session, options: OpenOptions): Promise<Bucket> {
  const [hub, key, association] = [session.hubUrl(), session.key(), session.association()];
  const whose = `${hub} ${key} ${options.database ?? ""}`;
  let bucket = buckets.get(whose);
  if (bucket === undefined) {
    bucket = openBucket({ ...options, hub, key, ...(association === undefined ? {} : { association }) });
    buckets.set(whose, bucket);
    // The next call tries again.
    bucket.catch(() => buckets.delete(whose));
  }
  return bucket;
}

/** Closes a bucket that `ownBucket` opened. */
export async function closeBucket(bucket: Bucket): Promise<void> {
  for (const [whose, open] of buckets) {
    if ((await open.catch(() => undefined)) === bucket) {
      buckets.delete(whose);
    }
  }
  await bucket.close();
}

/**
 * Finds a file, in the replica or, while that has not caught up with the hub, there.
 *
 * @param url Tells the file's public address.
 */
export async function find(bucket: Bucket, path: string, secret: string, url: () => Promise<string>): Promise<Stored> {
  const refused = `getFile ${path} failed.`;
  const { name } = hubPath(path, refused);
  const file = await read(bucket, name, refused);
  if (file !== undefined) {
    return fromReplica(file, secret);
  }
  return (await findSignature(bucket, name, secret, refused, url)) ?? ask(bucket, name, refused, url);
}

/** The signature of a plain file is made by the replica, or beside the file on the hub; it is never among the files here. */
async function findSignature(
  bucket: Bucket,
  name: string,
  secret: string,
  refused: string,
  url: () => Promise<string>,
): Promise<Stored | undefined> {
  const file = name.endsWith(SIGNATURE_SUFFIX) ? await bucket.get(name.slice(0, -SIGNATURE_SUFFIX.length)) : undefined;
  if (file === undefined || file.format.encryption !== "plain" || !file.format.signed) {
    return undefined;
  }
  return isForeign(file) ? fromResponse(await fetchKept(await url()), refused) : signatureOf(file, secret);
}

/** Asks the hub for what is not here, unless it is known to have been deleted. */
async function ask(bucket: Bucket, name: string, refused: string, url: () => Promise<string>): Promise<Stored> {
  // The signature of a deleted file goes with it, if a moment later.
  const owner = name.endsWith(SIGNATURE_SUFFIX) ? name.slice(0, -SIGNATURE_SUFFIX.length) : name;
  if ((await isDeleted(bucket, name)) || (owner !== name && (await isDeleted(bucket, owner)))) {
    throw missing(refused);
  }
  let response: Response;
  try {
    // A signature file may never come here, so it is kept for when there is no network.
    response = await (owner === name ? fetch(await url(), { referrerPolicy: "origin" }) : fetchKept(await url()));
  } catch (thrown) {
    // Without the hub the replica's word counts, once it has seen all that there is.
    if ((await bucket.status()).caughtUp) {
      throw missing(refused);
    }
    throw thrown;
  }
  if (TOMBSTONE.test(response.headers.get("Content-Type") ?? "")) {
    throw missing(refused);
  }
  return fromResponse(response, refused);
}

/** Whether this device has deleted the file, or heard that another one has. */
async function isDeleted(bucket: Bucket, name: string): Promise<boolean> {
  return (await bucket.history(name)).length > 0 && (await bucket.get(name)) === undefined;
}

/** Stores files together. */
export async function store(bucket: Bucket, refused: string, collect: (transaction: Transaction) => void): Promise<void> {
  try {
    await bucket.transaction(collect);
  } catch (thrown) {
    throw translate(thrown, refused);
  }
}

/** Deletes a file; with its signature if it has one that was stored on its own. */
export async function remove(bucket: Bucket, path: string, which: "file" | "file and signature"): Promise<void> {
  const refused = "Error deleting file from Gaia hub.";
  const { name } = hubPath(path, refused);
  const file = await row(bucket, name, refused);
  if (file === undefined) {
    throw missing(refused, { message: "File does not exist", error: "DoesNotExist" });
  }
  await bucket.delete(name);
  const hasOwnSignature = file.format.signed && file.format.encryption === "plain";
  if (which === "file and signature" && !hasOwnSignature) {
    await remove(bucket, `${path}${SIGNATURE_SUFFIX}`, "file");
  }
}

/** The names of all files, as the hub will list them. */
export async function names(bucket: Bucket): Promise<string[]> {
  await caughtUp(bucket);
  const rows = await bucket.list();
  return rows.flatMap(({ path, format: { encryption, signed } }) =>
    signed && encryption === "plain" ? [path, `${path}${SIGNATURE_SUFFIX}`] : [path],
  );
}

/** The file of this name, after the replica has caught up if it seems not to be there. */
async function row(bucket: Bucket, name: string, refused: string): Promise<FileInfo | undefined> {
  const look = async () => (await bucket.list(name)).find(({ path }) => path === name);
  const found = await look();
  if (found === undefined) {
    await bucket.get(name).catch((thrown: unknown) => {
      throw translate(thrown, refused);
    });
  }
  if (found !== undefined || (await bucket.history(name)).length > 0) {
    return found;
  }
  await caughtUp(bucket);
  return look();
}

/** Waits until this device has once had everything that was on the hub. Fails when the hub cannot be asked. */
async function caughtUp(bucket: Bucket): Promise<void> {
  if ((await bucket.status()).caughtUp) {
    return;
  }
  await new Promise<void>((resolve, reject) => {
    const stop = bucket.on("status", ({ caughtUp, hub }) => {
      if (!caughtUp && hub.state === "ready") {
        return;
      }
      stop();
      if (caughtUp) {
        resolve();
      } else if (hub.state === "paused") {
        reject(new ValidationError("ListFiles failed.", { status: 401, statusText: "Unauthorized", body: hub.message ?? "" }));
      } else {
        reject(new TypeError(hub.message ?? "Failed to fetch"));
      }
    });
    bucket.sync().catch(reject);
  });
}

async function read(bucket: Bucket, name: string, refused: string): Promise<BucketFile | undefined> {
  try {
    return await bucket.get(name);
  } catch (thrown) {
    // To the stock client the answer to reading such a path is none that it knows.
    throw isBadPath(thrown) ? new Error(refused) : thrown;
  }
}

function translate(thrown: unknown, refused: string): unknown {
  return isBadPath(thrown) ? badPath(refused, thrown.message) : thrown;
}

function isBadPath(thrown: unknown): thrown is PangaeaError {
  return thrown instanceof PangaeaError && thrown.code === "bad-path";
}

function missing(message: string, body: unknown = "File not found"): DoesNotExist {
  return new DoesNotExist(message, { status: 404, statusText: "Not Found", body });
}
