// What becomes of a path on its way through a URL. The stock client puts it into one as it is, so this is what a file was
// always called on the hub.

import { BadPathError, DoesNotExist } from "./errors.js";

const BUCKET = "/bucket/";
const BASE = `https://hub.invalid${BUCKET}`;

/** A path as a hub understands it. */
export interface HubPath {
  /** The name of the file. */
  name: string;
  /** The path as it stands in the public URL that a hub answers with. */
  shown: string;
}

/**
 * Tells what a hub makes of a path.
 *
 * @param refused What the error says in its message when no hub takes it.
 */
export function hubPath(path: string, refused: string): HubPath {
  const { pathname } = new URL(BASE + path);
  if (!pathname.startsWith(BUCKET) || pathname === BUCKET) {
    throw new DoesNotExist(refused, { status: 404, statusText: "Not Found", body: "No file is named." });
  }
  let shown: string;
  try {
    shown = decodeURIComponent(pathname.slice(BUCKET.length)).replace(/\/$/, "");
  } catch {
    throw new Error(refused);
  }
  // Other spellings of the same file.
  const name = shown.split("/").filter((segment) => segment !== "" && segment !== ".").join("/");
  return { name, shown };
}

/** The stock client's error for writing to a path that no hub takes. */
export function badPath(refused: string, reason: string): BadPathError {
  const message = /long|bytes/.test(reason) ? "Path is too long" : /deep/.test(reason) ? "Path is too deep" : "Invalid Path";
  return new BadPathError(refused, { status: 403, statusText: "Forbidden", body: { message, error: "BadPathError" } });
}
