// A file as a reader of the hub gets it, whether it comes from there or from the replica.

import type { BucketFile } from "../content.js";
import { loadCrypto, seal, signEnvelope } from "./crypto.js";
import { refusal } from "./errors.js";

/** A file that was found. */
export interface Stored {
  /** The bytes as the hub has them, as text. */
  text(): Promise<string>;
  /** The same as an application gets them that does not ask to decrypt: text if their type says so. */
  asIs(): Promise<string | ArrayBuffer>;
  /** What is inside, when the replica has encrypted or decrypted it with the own key. */
  opened?: string | Uint8Array;
  /** Whether the replica has verified the owner's signature, or makes it. */
  signed: boolean;
}

/** The file in an answer of a hub. */
export async function fromResponse(response: Response, refused: string): Promise<Stored> {
  if (!response.ok) {
    throw await refusal(response, refused);
  }
  const type = response.headers.get("Content-Type");
  return {
    text: () => response.text(),
    asIs: () => (type === null || isText(type) ? response.text() : response.arrayBuffer()),
    signed: false,
  };
}

/** The file in the own replica. */
export function fromReplica(file: BucketFile, secret: string): Stored {
  const { encryption, kind, signed } = file.format;
  if (encryption === "plain") {
    return fromBytes(file.bytes, file.type, signed && !isForeign(file));
  }
  const text = once(() => seal64(file.bytes, kind === "text", signed, secret));
  const opened = kind === "text" ? file.text() : file.bytes;
  return { text, asIs: text, opened, signed };
}

/**
 * Whether another program wrote this version. The signature beside such a plain file was not verified, only seen; what a
 * device of the bucket wrote comes with a signature that was.
 */
export function isForeign({ version }: BucketFile): boolean {
  return version.endsWith("00");
}

/** The signature file that belongs to a file in the own replica. */
export async function signatureOf(file: BucketFile, secret: string): Promise<Stored> {
  const { sign } = await loadCrypto();
  const { signature, publicKey } = sign(secret, file.bytes);
  return fromBytes(new TextEncoder().encode(JSON.stringify({ signature, publicKey })), "application/json", false);
}

function fromBytes(bytes: Uint8Array, type: string, signed: boolean): Stored {
  const text = async () => new TextDecoder().decode(bytes);
  return {
    text,
    asIs: () => (isText(type) ? text() : Promise.resolve(new Uint8Array(bytes).buffer)),
    signed,
  };
}

/** Encrypts anew: the replica does not keep the bytes that the hub has. */
async function seal64(bytes: Uint8Array, wasString: boolean, signed: boolean, secret: string): Promise<string> {
  const { publicKey } = await loadCrypto();
  const envelope = await seal(publicKey(secret), bytes, wasString, "base64");
  return signed ? signEnvelope(envelope, secret) : envelope;
}

function isText(type: string): boolean {
  const lower = type.toLowerCase();
  return lower.startsWith("text") || lower.startsWith("application/json");
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}
