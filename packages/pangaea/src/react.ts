/**
 * Hooks for React: a file, and how the bucket is doing, kept up to date.
 *
 * @example
 * import { useFile, useSyncStatus } from "pangaea/react";
 *
 * function Note({ bucket, path }) {
 *   const { file, isLoading } = useFile(bucket, path);
 *   const status = useSyncStatus(bucket);
 *   return isLoading ? null : <p>{file?.text()} {status?.pending ? "not sent yet" : ""}</p>;
 * }
 *
 * @module
 */

import { useCallback, useRef, useSyncExternalStore } from "react";

import type { Bucket } from "./bucket.js";
import type { BucketFile } from "./content.js";
import type { Stop } from "./events.js";
import type { Status } from "./wasm.js";

/** What is known of a file. */
export interface FileView {
  /** The file in its latest version; undefined when there is none, or none yet. */
  file: BucketFile | undefined;
  /** Nothing is known yet. */
  isLoading: boolean;
  /** Why it could not be read. What was known before is still in `file`. */
  error: Error | undefined;
}

const LOADING: FileView = { file: undefined, isLoading: true, error: undefined };

/** The file at `path`, in every version that it gets, whoever writes it. Without a bucket: loading. */
export function useFile(bucket: Bucket | undefined, path: string): FileView {
  const view = useRef({ bucket, path, value: LOADING });
  if (view.current.bucket !== bucket || view.current.path !== path) {
    view.current = { bucket, path, value: LOADING };
  }
  const subscribe = useCallback(
    (changed: () => void) => {
      const own = view.current;
      return bucket === undefined ? nothing : followFile(bucket, path, own.value, (value) => {
        own.value = value;
        changed();
      });
    },
    [bucket, path],
  );
  return useSyncExternalStore(subscribe, () => view.current.value, () => LOADING);
}

/** How the bucket is doing; undefined as long as it is not known. */
export function useSyncStatus(bucket: Bucket | undefined): Status | undefined {
  const view = useRef<{ bucket: Bucket | undefined; value: Status | undefined }>({ bucket, value: undefined });
  if (view.current.bucket !== bucket) {
    view.current = { bucket, value: undefined };
  }
  const subscribe = useCallback(
    (changed: () => void) => {
      const own = view.current;
      return bucket === undefined ? nothing : followStatus(bucket, (value) => {
        own.value = value;
        changed();
      });
    },
    [bucket],
  );
  return useSyncExternalStore(subscribe, () => view.current.value, () => undefined);
}

/** Reads the file now and after each change, one read at a time. */
function followFile(bucket: Bucket, path: string, known: FileView, tell: (view: FileView) => void): Stop {
  let view = known;
  let isOver = false;
  let reading = false;
  let again = false;
  const show = (next: FileView) => {
    const isNews = next.file?.version !== view.file?.version || next.file?.state !== view.file?.state;
    if (!isOver && (isNews || next.isLoading !== view.isLoading || next.error !== view.error)) {
      view = next;
      tell(next);
    }
  };
  const read = async () => {
    again = reading;
    if (reading) {
      return;
    }
    reading = true;
    try {
      show({ file: await bucket.get(path), isLoading: false, error: undefined });
    } catch (thrown) {
      show({ file: view.file, isLoading: false, error: thrown instanceof Error ? thrown : new Error(String(thrown)) });
    }
    reading = false;
    if (again && !isOver) {
      void read();
    }
  };
  const ifSame = (change: { path: string }) => {
    if (change.path === path) {
      void read();
    }
  };
  const stops = [bucket.watch(path, ifSame), bucket.on("stored", ifSame), whenShown(() => void read())];
  void read();
  return () => {
    isOver = true;
    stops.forEach((stop) => stop());
  };
}

function followStatus(bucket: Bucket, tell: (status: Status) => void): Stop {
  let isOver = false;
  const show = (status: Status) => {
    if (!isOver) {
      tell(status);
    }
  };
  const stop = bucket.on("status", show);
  // A closed bucket has none.
  bucket.status().then(show, () => undefined);
  return () => {
    isOver = true;
    stop();
  };
}

/** A page that was put aside may have missed what happened. */
function whenShown(look: () => void): Stop {
  const ended = new AbortController();
  globalThis.document?.addEventListener("visibilitychange", () => {
    if (globalThis.document.visibilityState === "visible") {
      look();
    }
  }, { signal: ended.signal });
  globalThis.addEventListener?.("pageshow", look, { signal: ended.signal });
  return () => ended.abort();
}

function nothing(): void {}
