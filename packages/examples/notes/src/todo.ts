// The to-do list: one JSON file, whose items are recognised by their id when two devices change it.

import type { Bucket } from "pangaea";

export const PATH = "todo/list.json";

export interface Item {
  id: string;
  text: string;
  done: boolean;
}

interface List {
  items: Item[];
}

/** Reads and changes the list, one change after the other. */
export class Todo {
  readonly #bucket: Bucket;
  #last: Promise<unknown> = Promise.resolve();

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  async items(path = PATH): Promise<Item[]> {
    return readItems((await this.#bucket.get(path))?.text());
  }

  async add(text: string): Promise<void> {
    const item = { id: crypto.randomUUID(), text, done: false };
    await this.#change((items) => [...items, item]);
  }

  async set(id: string, change: Partial<Item>): Promise<void> {
    await this.#change((items) => items.map((item) => (item.id === id ? { ...item, ...change } : item)));
  }

  async remove(ids: readonly string[]): Promise<void> {
    await this.#change((items) => items.filter(({ id }) => !ids.includes(id)));
  }

  /** Adds what is in another list and not in this one. */
  async include(path: string): Promise<void> {
    const others = await this.items(path);
    await this.#change((items) => [...items, ...others.filter(({ id }) => items.every((item) => item.id !== id))]);
  }

  async #change(change: (items: Item[]) => Item[]): Promise<void> {
    const changed = this.#last.then(async () => {
      const list: List = { items: change(await this.items()) };
      await this.#bucket.put(PATH, `${JSON.stringify(list, undefined, 1)}\n`, { type: "application/json" });
    });
    this.#last = changed.catch(() => undefined);
    await changed;
  }
}

/** Reads a list that anybody may have written. */
export function readItems(text: string | undefined): Item[] {
  try {
    const { items } = JSON.parse(text ?? "{}") as Partial<List>;
    return (Array.isArray(items) ? items : []).filter(
      (item) => typeof item?.id === "string" && typeof item.text === "string" && typeof item.done === "boolean",
    );
  } catch {
    throw new Error(`${PATH} in your bucket is no list that this program can read. It is left as it is; repair or delete the file.`);
  }
}
