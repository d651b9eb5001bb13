// Where in the application somebody is, as the part of the address behind the #.

export type Place = "notes" | "note" | "history" | "deleted" | "todo" | "sync" | "conflict" | "account";

const PLACES: readonly string[] = ["notes", "note", "history", "deleted", "todo", "sync", "conflict", "account"];

export interface Route {
  place: Place;
  path?: string;
}

export function link(place: Place, path?: string): string {
  return path === undefined ? `#/${place}` : `#/${place}/${encodeURIComponent(path)}`;
}

/** Reads an address; what is none leads to the notes. */
export function route(hash: string): Route {
  const [, place = "", path] = /^#\/([a-z]+)(?:\/(.+))?$/.exec(hash) ?? [];
  if (!PLACES.includes(place)) {
    return { place: "notes" };
  }
  try {
    return { place: place as Place, ...(path === undefined ? {} : { path: decodeURIComponent(path) }) };
  } catch {
    return { place: "notes" };
  }
}
