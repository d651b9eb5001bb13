// Errors that an application sees, and their form on the way between tabs. What they say is decided where they arise.

/**
 * What went wrong, for programs. The message of the error is for people: what happened, what was kept, what to do.
 *
 * - `in-use`: another tab has taken over this bucket's data; nothing was lost. Normally repeated by itself.
 * - `newer`: the data on this device was written by a newer version of the package. Nothing was changed.
 * - `damaged`: the data on this device cannot be read.
 * - `storage`: the device's storage refused to write or read; with `quota` there is no room.
 * - `absent`: there is no such file, or no such version.
 * - `changed`: the file is another version than the one that was named; nothing was stored.
 * - `not-kept`: the version is known, its content is no longer kept.
 * - `no-conflict`: there is nothing to decide about that path.
 * - `bad-path`, `bad-key`, `bad-hub`, `bad-policy`, `bad-content`, `bad-options`: an argument is wrong.
 * - `unreadable`: the content is there and cannot be decrypted or verified.
 * - `refused`: the hub refuses the file for good; it is kept on this device.
 * - `closed`: the bucket was closed.
 * - `worker`: the background script of the package could not be started.
 * - `unsupported`: the browser lacks something that is needed.
 * - `timeout`: nobody answered in time.
 * - `internal`: a mistake in this package.
 */
export type ErrorCode =
  | "in-use" | "newer" | "damaged" | "storage" | "absent" | "changed" | "not-kept" | "no-conflict" | "bad-path" | "bad-key" | "bad-hub"
  | "bad-policy" | "bad-content" | "bad-options" | "unreadable" | "refused" | "closed" | "worker" | "unsupported" | "timeout"
  | "internal";

/** Every error of this package. */
export class PangaeaError extends Error {
  /** What went wrong, for programs; more codes may come with new versions. */
  readonly code: ErrorCode | (string & {});
  /** True when the device has no room left for this origin. */
  readonly quota: boolean;

  constructor(code: ErrorCode | (string & {}), message: string, options: { quota?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "PangaeaError";
    this.code = code;
    this.quota = options.quota ?? false;
  }
}

/** An error as it travels between tabs. */
export interface ErrorData {
  code: string;
  message: string;
  quota: boolean;
}

/** Takes from any thrown value what the other side needs to know. */
export function toData(thrown: unknown): ErrorData {
  if (typeof thrown === "object" && thrown !== null) {
    const { code, message, quota } = thrown as { code?: unknown; message?: unknown; quota?: unknown };
    return {
      // A DOMException has a number here.
      code: typeof code === "string" ? code : "internal",
      message: typeof message === "string" ? message : String(thrown),
      quota: quota === true,
    };
  }
  return { code: "internal", message: String(thrown), quota: false };
}

/** Makes an error of what came from another tab or from the WebAssembly module. */
export function fromData(data: ErrorData): PangaeaError {
  return new PangaeaError(data.code, data.message, { quota: data.quota });
}
