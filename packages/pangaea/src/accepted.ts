// Waiting until the hub has a file.

import { PangaeaError } from "./errors.js";
import type { Stop } from "./events.js";
import type { Session } from "./session.js";
import type { FileInfo } from "./wasm.js";

/**
 * Resolves when the hub has what was put to `path` last, there or in the copy that a conflict made of it.
 *
 * @throws {PangaeaError} `refused` when the hub refuses it for good, and whatever else asking for it fails with.
 */
export function accepted(session: Session, path: string): Promise<void> {
  const stops: Stop[] = [];
  const paths = new Set([path]);
  const made = new Set<string>();
  const ended = new Promise<void>((resolve, reject) => {
    let isLooking = false;
    let lookAgain = false;
    const look = async () => {
      lookAgain = true;
      if (isLooking) {
        return;
      }
      isLooking = true;
      try {
        while (lookAgain) {
          lookAgain = false;
          if (await areStored(session, path, paths, made)) {
            resolve();
            return;
          }
        }
      } catch (thrown) {
        reject(thrown);
      } finally {
        isLooking = false;
      }
    };
    const { listeners } = session;
    const mine = (told: { path: string }) => void (paths.has(told.path) && look());
    stops.push(
      listeners.add("stored", mine),
      listeners.add("change", mine),
      listeners.add("conflict", (conflict) => {
        if (conflict.path === path && conflict.copy !== undefined) {
          made.add(conflict.copy);
          void look();
        }
      }),
      listeners.add("problem", (problem) => void (problem.kind === "parked" && mine(problem))),
      listeners.add("quiet", () => void look()),
      // What was told while there was no host was not heard.
      listeners.add("host", () => void look()),
      listeners.add("ended", reject),
    );
    void look();
  });
  return ended.finally(() => stops.forEach((stop) => stop()));
}

/**
 * Tells whether the hub has a path, and the copies that keep what could not be made one with it: they join `paths`. An older
 * copy that the hub refuses is another matter than what was put now; those in `made` are not older.
 */
async function areStored(session: Session, path: string, paths: Set<string>, made: ReadonlySet<string>): Promise<boolean> {
  if (!isSettled(await find(session, path))) {
    return false;
  }
  for (const { path: main, copy } of await session.call("conflicts")) {
    if (main === path && copy !== undefined) {
      paths.add(copy);
      const info = await find(session, copy);
      if ((info?.state !== "parked" || made.has(copy)) && !isSettled(info)) {
        return false;
      }
    }
  }
  return true;
}

async function find(session: Session, path: string): Promise<FileInfo | undefined> {
  const there = (await session.call("list", path)).find((file) => file.path === path);
  // What was deleted is not in the list; it is unsent until the hub knows.
  return there ?? (await session.call("unsent")).find((file) => file.path === path);
}

function isSettled(info: FileInfo | undefined): boolean {
  if (info?.state === "parked") {
    throw new PangaeaError("refused", info.problem?.message ?? `the hub refuses ${info.path}; it is kept on this device`);
  }
  return info === undefined || info.state === "stored";
}
