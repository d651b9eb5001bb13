// What is around the database: whether the browser may take it away, how much room there is, and whether it was taken away.

/** A tenth of the room is left. */
const SHORT_OF_ROOM = 0.9;

/** What is known of the room that the browser gives this origin. */
export interface Room {
  /** Bytes that are used by all of this origin. Undefined when the browser does not tell. */
  usage?: number;
  /** Bytes that it may use. */
  quota?: number;
  /** The browser takes nothing away by itself. */
  persisted: boolean;
  /** There is little room left. */
  short: boolean;
}

/** What was found when a database had gone. */
export interface Evicted {
  /** The id of the device that was lost. The bucket has another one now. */
  device: string;
  /** When it was last known to be there, in milliseconds since 1970. */
  seen: number;
  /** Changes may have been lost that the hub had not got. */
  unsent: boolean;
}

/** Asks how much room there is. */
export async function room(): Promise<Room> {
  const { storage } = navigator;
  const persisted = (await storage?.persisted?.()) ?? false;
  const { usage, quota } = (await storage?.estimate?.()) ?? {};
  const known = usage !== undefined && quota !== undefined && quota > 0;
  return {
    ...(usage === undefined ? {} : { usage }),
    ...(quota === undefined ? {} : { quota }),
    persisted,
    short: known && usage / quota > SHORT_OF_ROOM,
  };
}

/** Asks the browser once for this origin not to take the data away. Some browsers ask the person. */
export async function persistOnce(): Promise<void> {
  const asked = "pangaea:persist-asked";
  const { storage } = navigator;
  if (storage?.persist === undefined || recall(asked) !== null || (await storage.persisted())) {
    return;
  }
  keep(asked, "yes");
  await storage.persist();
}

/** Whose copy of which bucket a database is. */
export interface Known {
  /** The bucket's Gaia address. */
  address: string;
  /** The id of this device. */
  device: string;
}

/** Remembers, outside of IndexedDB, that a database was there. */
export class Memory {
  readonly #name: string;
  #known: Known | undefined;

  constructor(database: string) {
    this.#name = `pangaea:${database}`;
  }

  /** What the database was when it was last known to be there. */
  known(): Known | undefined {
    return this.#read();
  }

  /** Takes note of what the database is now. Tells when it was another device's before: then it was taken away. */
  opened({ address, device }: Known): Evicted | undefined {
    const before = this.#read();
    this.#known = { address, device };
    if (before?.device === device) {
      return undefined;
    }
    this.#write(false);
    return before && { device: before.device, seen: before.seen, unsent: before.unsent };
  }

  /** Takes note of whether there are changes that the hub has not got. */
  unsent(unsent: boolean): void {
    if (this.#known !== undefined && this.#read()?.unsent !== unsent) {
      this.#write(unsent);
    }
  }

  #read(): (Known & Evicted) | undefined {
    try {
      const { address, device, seen, unsent } = JSON.parse(recall(this.#name) ?? "") as Partial<Known & Evicted>;
      const isWhole = typeof address === "string" && typeof device === "string";
      return isWhole ? { address, device, seen: Number(seen), unsent: unsent === true } : undefined;
    } catch {
      return undefined;
    }
  }

  #write(unsent: boolean): void {
    keep(this.#name, JSON.stringify({ ...this.#known, seen: Date.now(), unsent }));
  }
}

function recall(name: string): string | null {
  try {
    return localStorage.getItem(name);
  } catch {
    // There is none, or it is not allowed: nothing is remembered.
    return null;
  }
}

function keep(name: string, text: string): void {
  try {
    localStorage.setItem(name, text);
  } catch {
    // As above, or it is full.
  }
}
