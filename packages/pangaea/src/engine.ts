// Loads the WebAssembly module, once in each worker. Nothing else imports the generated files.

// @ts-ignore: generated into wasm/ by the build of the Rust part; types can be checked without it.
import init, { Replica as Module } from "../wasm/pangaea_wasm.js";
// @ts-ignore: likewise.
import initMerges, { merge as mergeContents } from "../wasm/pangaea_merges.js";

import type { MergeInput, OpenOptions, OpenReplica, Replica, ReplicaEvent } from "./wasm.js";

const loadModule = loader(init as Init);
const loadMerges = loader(initMerges as Init);

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
  await loadModule(address);
  // The merges lie beside the module. A replica asks again later when they cannot be loaded.
  const beside = address === undefined ? undefined : new URL("pangaea_merges_bg.wasm", new URL(address, globalThis.location.href)).href;
  const mergeBuiltIn = async ({ keys, base, a, b }: BuiltInMergeInput): Promise<unknown> => {
    await loadMerges(beside);
    return mergeContents(keys, base, b, a);
  };
  return (
    options: OpenOptions,
    onEvents: (events: ReplicaEvent[]) => void,
    merge: (input: MergeInput) => Promise<Uint8Array | undefined>,
  ) => Module.open(options, onEvents, merge, mergeBuiltIn) as Promise<Replica>;
}

/** What a generated script begins with: it fetches its module and starts it. */
type Init = (from?: { module_or_path: string }) => Promise<unknown>;

/** Loads a module once. An attempt that fails is not the last: the next one may have a network. */
function loader(init: Init): (address?: string) => Promise<void> {
  let loaded: Promise<unknown> | undefined;
  return async (address) => {
    loaded ??= init(address === undefined ? undefined : { module_or_path: address });
    try {
      await loaded;
    } catch (thrown) {
      loaded = undefined;
      throw thrown;
    }
  };
}
