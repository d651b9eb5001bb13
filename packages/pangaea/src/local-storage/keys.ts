// Which keys are mirrored, and which file each of them is.

/** Which keys: these names, or those that match; or all that begin with a prefix. */
export interface KeyOptions {
  /** Names, and patterns for names. */
  keys?: readonly (string | RegExp)[];
  /** All keys that begin with this. */
  prefix?: string;
  /** The path of a key's file. Without it: in the folder `local-storage`. */
  path?: (key: string) => string;
  /** The key of a path: needed beside `path` unless all keys are named. */
  key?: (path: string) => string | undefined;
}

const FOLDER = "local-storage/";
const EXTENSION = ".json";

/** Keys and their paths. */
export class Keys {
  readonly #options: KeyOptions;
  /** Of the keys that are named. */
  readonly #named = new Map<string, string>();

  /** @throws {TypeError} when the options do not fit together. */
  constructor(options: KeyOptions) {
    const { keys = [], prefix, path, key } = options;
    if (keys.length === 0 && prefix === undefined) {
      throw new TypeError("say which keys to mirror: keys or a prefix");
    }
    const areNamed = prefix === undefined && keys.every((key) => typeof key === "string");
    if (path !== undefined && key === undefined && !areNamed) {
      throw new TypeError("with a path function of your own, say with a key function which key a path is");
    }
    this.#options = options;
    for (const key of keys) {
      if (typeof key === "string") {
        this.#named.set(this.path(key), key);
      }
    }
  }

  /** Whether a key is mirrored. */
  has(key: string): boolean {
    const { keys = [], prefix } = this.#options;
    const matches = (one: string | RegExp) => (typeof one === "string" ? one === key : key.search(one) >= 0);
    return key !== MARKER && ((prefix !== undefined && key.startsWith(prefix)) || keys.some(matches));
  }

  /** The path of a key's file. */
  path(key: string): string {
    return this.#options.path?.(key) ?? `${FOLDER}${encode(key)}${EXTENSION}`;
  }

  /** The mirrored key whose file this is; undefined if it is none, for instance a conflict copy of one. */
  of(path: string): string | undefined {
    const { path: own, key: inverse } = this.#options;
    const key = this.#named.get(path) ?? (inverse === undefined ? undefined : inverse(path));
    const found = key ?? (own === undefined ? decode(path) : undefined);
    return found !== undefined && this.has(found) && this.path(found) === path ? found : undefined;
  }
}

/** Shows that the storage is the one that was mirrored before, and has not been emptied since. */
export const MARKER = "pangaea:mirror";

/** A key as a name that every file system and hub takes: readable where it can be. */
function encode(key: string): string {
  return encodeURIComponent(key).replace(/[.!'()*~]/g, (letter) => `%${letter.charCodeAt(0).toString(16).toUpperCase()}`);
}

function decode(path: string): string | undefined {
  if (!path.startsWith(FOLDER) || !path.endsWith(EXTENSION)) {
    return undefined;
  }
  try {
    return decodeURIComponent(path.slice(FOLDER.length, -EXTENSION.length));
  } catch {
    return undefined;
  }
}
