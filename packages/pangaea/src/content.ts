// What an application puts and gets: text, JSON, bytes.

import { PangaeaError } from "./errors.js";
import type { Edit, FileData, FileState, Format } from "./wasm.js";

/** A value that JSON can hold. */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json | undefined };

/**
 * What can be put: bytes, a Blob, text, or any other value, which becomes JSON.
 *
 * A string is stored as text, not as JSON: `put("a.json", '{"b":1}')` stores those seven characters.
 */
export type Content = Uint8Array | ArrayBuffer | Blob | string | Json | object;

/** What may be said of a file that is put. */
export interface PutOptions {
  /** The media type. Without it: that of a Blob, JSON for values, otherwise told from the file's name and content. */
  type?: string;
  /** How the hub is to hold it. What is left out stays as it was; for a new file the policy says it. */
  format?: Partial<Format>;
  /**
   * Stores it only if this is the version that is here, and fails with `changed` otherwise: for what is made of a version that
   * was read, so that what comes in from another device meanwhile is not written over.
   */
  after?: string;
}

/** A file as it is on this device. */
export class BucketFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** The media type. */
  readonly type: string;
  readonly version: string;
  /** Where it stands: on the hub, waiting, or refused by it. */
  readonly state: FileState;
  /** How the hub holds it. */
  readonly format: Format;

  constructor(path: string, data: FileData) {
    this.path = path;
    this.bytes = data.content;
    this.type = data.type;
    this.version = data.version;
    this.state = data.state;
    this.format = data.format;
  }

  /** The content as text (UTF-8; what is none becomes U+FFFD). */
  text(): string {
    return new TextDecoder().decode(this.bytes);
  }

  /**
   * The content as a JSON value.
   *
   * @throws {PangaeaError} `unreadable` when it is not JSON.
   */
  json<T = Json>(): T {
    try {
      return JSON.parse(this.text()) as T;
    } catch (cause) {
      throw new PangaeaError("unreadable", `${this.path} is not JSON`, { cause });
    }
  }
}

/**
 * Makes an edit of what is put.
 *
 * @throws {PangaeaError} `bad-content` when it is nothing that can be stored.
 */
export async function toEdit(path: string, content: Content, options: PutOptions = {}): Promise<Edit> {
  const [bytes, type] = await toBytes(path, content);
  const said = options.type ?? type;
  return {
    path,
    content: bytes,
    ...(said === undefined || said === "" ? {} : { type: said }),
    ...(options.format === undefined ? {} : { format: options.format }),
    ...(options.after === undefined ? {} : { after: options.after }),
  };
}

async function toBytes(path: string, content: Content): Promise<[Uint8Array, string?]> {
  if (typeof content === "string") {
    return [new TextEncoder().encode(content)];
  }
  if (content instanceof Blob) {
    return [new Uint8Array(await content.arrayBuffer()), content.type];
  }
  if (content instanceof ArrayBuffer) {
    return [new Uint8Array(content.slice(0))];
  }
  if (ArrayBuffer.isView(content)) {
    // A copy: what the application does with its own afterwards is not stored.
    return [new Uint8Array(content.buffer, content.byteOffset, content.byteLength).slice()];
  }
  return [new TextEncoder().encode(toJson(path, content)), "application/json"];
}

function toJson(path: string, value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new PangaeaError("bad-content", `what is put to ${path} cannot be written as JSON`, { cause });
  }
  if (text === undefined) {
    throw new PangaeaError("bad-content", `nothing is put to ${path}: to delete a file call delete()`);
  }
  return text;
}
