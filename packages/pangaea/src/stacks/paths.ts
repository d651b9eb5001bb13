// What becomes of a path on its way through a URL. The stock client puts it into one as it is, so this is what a file was
// always called on the hub.

import { BadPathError, DoesNotExist } from "./errors.js";

const BUCKET = "/bucket/";
const BASE = `https://hub.invalid${BUCKET}`;

/**
 * The name under which a hub knows what an application calls `path`.
 *
 * @param refused What the error says in its message when no hub takes it.
 */
export function hubPath(path: string, refused: string): string {
  const { pathname } = new URL(BASE + path);
  if (!pathname.startsWith(BUCKET) || pathname === BUCKET) {
    throw new DoesNotExist(refused, { status: 404, statusText: "Not Found" });
  }
  try {
    return decodeURIComponent(pathname.slice(BUCKET.length)).replace(/\/$/, "");
  } catch {
    throw new Error(refused);
  }
}

/** The stock client's error for a path that the replica refuses. */
export function badPath(message: string): BadPathError {
  const body = { message: "Invalid Path", error: "BadPathError" };
  return new BadPathError(message, { status: 403, statusText: "Forbidden", body });
}
