// Which devices wrote here. Pangaea's versions carry the id of the device that made them; the names are files of this application.

import type { Bucket } from "pangaea";

const FOLDER = "devices/";
/** So far back the log is read. */
const LOG_LINES = 1000;

export interface Device {
  id: string;
  name: string;
  isThis: boolean;
  /** The last change of this device in the log, in milliseconds since 1970. */
  lastWrote?: number;
}

/** What is told of a change in the log. */
export interface LogLine {
  at: number;
  path: string;
  action: string;
  version: string;
  device: string;
}

export async function log(bucket: Bucket, lines = LOG_LINES): Promise<LogLine[]> {
  return (await bucket.log(lines)) as unknown as LogLine[];
}

export function isDevice(path: string): boolean {
  return path.startsWith(FOLDER);
}

/** The names that devices gave themselves. */
export async function names(bucket: Bucket): Promise<Map<string, string>> {
  const files = (await bucket.list(FOLDER)).filter(({ path }) => path.endsWith(".json"));
  const found = await Promise.all(files.map(async ({ path }) => [path.slice(FOLDER.length, -".json".length), await nameIn(bucket, path)] as const));
  return new Map(found.filter((entry): entry is [string, string] => entry[1] !== undefined));
}

async function nameIn(bucket: Bucket, path: string): Promise<string | undefined> {
  try {
    const { name } = (await bucket.get(path))?.json<{ name?: unknown }>() ?? {};
    return typeof name === "string" && name.trim() !== "" ? name : undefined;
  } catch {
    return undefined;
  }
}

/** What a device is called, also if it has no name, or is known by the beginning of its id only. */
export function nameOf(all: Map<string, string>, id: string, self: string): string {
  if (self.startsWith(id)) {
    return "this device";
  }
  const [, name] = [...all].find(([known]) => known.startsWith(id)) ?? [];
  return name ?? `device ${id.slice(0, 6)}`;
}

/** Tells the other devices what this one is called. */
export async function tellName(bucket: Bucket, name: string): Promise<void> {
  if ((await names(bucket)).get(bucket.device) !== name) {
    await bucket.put(`${FOLDER}${bucket.device}.json`, { name });
  }
}

/** This device first, then those that wrote last. */
export async function devices(bucket: Bucket): Promise<Device[]> {
  const [all, lines] = await Promise.all([names(bucket), log(bucket)]);
  const last = new Map<string, number>();
  for (const { device, at, path } of lines) {
    if (!isDevice(path)) {
      last.set(device, Math.max(last.get(device) ?? 0, at));
    }
  }
  const ids = new Set([bucket.device, ...all.keys(), ...last.keys()]);
  return [...ids]
    .map((id) => {
      const lastWrote = last.get(id);
      return { id, name: all.get(id) ?? `Device ${id.slice(0, 6)}`, isThis: id === bucket.device, ...(lastWrote === undefined ? {} : { lastWrote }) };
    })
    .sort((a, b) => Number(b.isThis) - Number(a.isThis) || (b.lastWrote ?? 0) - (a.lastWrote ?? 0));
}
