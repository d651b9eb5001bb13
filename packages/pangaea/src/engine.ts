// Loads the WebAssembly module, once in each worker. Nothing else imports the generated files.

// @ts-ignore: generated into wasm/ by the build of the Rust part; types can be checked without it.
import init, { Replica as Module } from "../wasm/pangaea_wasm.js";

import type { MergeInput, OpenOptions, OpenReplica, Replica, ReplicaEvent } from "./wasm.js";

let loaded: Promise<unknown> | undefined;

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
  return open;
}

function open(
  options: OpenOptions,
  onEvent: (event: ReplicaEvent) => void,
  merge: (input: MergeInput) => Promise<Uint8Array | undefined>,
): Promise<Replica> {
  return Module.open(options, onEvent, merge) as Promise<Replica>;
}
