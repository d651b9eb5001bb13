// Loads the WebAssembly module, once in each worker. Nothing else imports the generated files.

// @ts-ignore: generated into wasm/ by the build of the Rust part; types can be checked without it.
import init, { Replica as Module } from "../wasm/pangaea_wasm.js";
// @ts-ignore: likewise.
import initMerges, { merge as mergeContents } from "../wasm/pangaea_merges.js";

import type { MergeInput, OpenOptions, OpenReplica, Replica, ReplicaEvent } from "./wasm.js";

let loaded: Promise<unknown> | undefined;
let mergesLoaded: Promise<unknown> | undefined;

/** Contents that are to be made one: JSON if there are keys, and else text. */
interface BuiltInMergeInput {
  keys?: string[];
  base: Uint8Array;
  /** The lesser version. */
  a: Uint8Array;
  /** The greater version. */
  b: Uint8Array;
}

/**
 * Returns what opens replicas, as soon as the module is there.
 *
 * @param address Where the module is, if it does not lie beside its script.
 */
export async function loadEngine(address?: string): Promise<OpenReplica> {
  loaded ??= init(address === undefined ? undefined : { module_or_path: address });
  try {
    await loaded;
  } catch (thrown) {
    // The next attempt may have a network.
    loaded = undefined;
    throw thrown;
  }
  const mergeBuiltIn = async ({ keys, base, a, b }: BuiltInMergeInput): Promise<unknown> => {
    await loadMerges(address);
    return mergeContents(keys, base, b, a);
  };
  return (
    options: OpenOptions,
    onEvent: (event: ReplicaEvent) => void,
    merge: (input: MergeInput) => Promise<Uint8Array | undefined>,
  ) => Module.open(options, onEvent, merge, mergeBuiltIn) as Promise<Replica>;
}

/** Loads the merges, which lie beside the module. A replica asks again later when that fails. */
async function loadMerges(address?: string): Promise<void> {
  const beside = address === undefined ? undefined : new URL("pangaea_merges_bg.wasm", new URL(address, globalThis.location.href));
  mergesLoaded ??= initMerges(beside === undefined ? undefined : { module_or_path: beside });
  try {
    await mergesLoaded;
  } catch (thrown) {
    mergesLoaded = undefined;
    throw thrown;
  }
}
