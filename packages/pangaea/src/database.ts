// What a bucket's database is called, and what must be there to have one.

import { PangaeaError } from "./errors.js";
import type { BucketOptions } from "./types.js";

const KEY = /^[0-9a-fA-F]{64}(01)?$/;

/**
 * Returns the database's name: another one for every key and every hub, so that accounts are never mixed.
 *
 * @throws {PangaeaError} `bad-key`, `bad-hub`.
 */
export async function databaseName(options: Pick<BucketOptions, "hub" | "key" | "database">): Promise<string> {
  const { hub, key, database } = options;
  if (typeof key !== "string" || !KEY.test(key)) {
    throw new PangaeaError("bad-key", "the bucket's key is not 64 hex digits (or 66 that end in 01)");
  }
  const identity = `${hubAddress(hub)} ${key.slice(0, 64).toLowerCase()}`;
  const digest = await digestOf(new TextEncoder().encode(identity));
  return `${database ?? "bucket"}-${digest.slice(0, 16)}`;
}

/** SHA-256, as hex digits. */
export async function digestOf(bytes: Uint8Array): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", bytes as BufferSource);
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function hubAddress(hub: string): string {
  try {
    const { protocol, href } = new URL(hub);
    if (protocol === "https:" || protocol === "http:") {
      return href.replace(/\/+$/, "");
    }
  } catch {
    // Told below.
  }
  throw new PangaeaError("bad-hub", `the hub's address is not one: ${String(hub)}; write it like https://hub.example`);
}

/**
 * Makes sure that the browser has what is needed.
 *
 * @throws {PangaeaError} `unsupported`.
 */
export function checkSurroundings(): void {
  const missing = [
    ["indexedDB", "IndexedDB"],
    ["BroadcastChannel", "BroadcastChannel"],
    ["WebAssembly", "WebAssembly"],
  ].filter(([name]) => !(name as string in globalThis));
  if (globalThis.isSecureContext === false || globalThis.crypto?.subtle === undefined) {
    throw new PangaeaError("unsupported", "a bucket needs a page that is served over HTTPS, or from localhost");
  }
  if (missing.length > 0 || navigator.locks === undefined) {
    const names = [...missing.map(([, name]) => name), ...(navigator.locks === undefined ? ["Web Locks"] : [])];
    throw new PangaeaError("unsupported", `this browser cannot keep a bucket: it has no ${names.join(", no ")}`);
  }
}
