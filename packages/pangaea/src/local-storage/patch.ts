// Hearing of what this tab does to a storage. Browsers tell other tabs of that, not the one that does it.
//
// A real Storage takes an assignment to its methods for an item of that name, so its prototype is patched; the methods of
// any other object are replaced on the object itself. What goes past the methods (`localStorage.theme = "dark"`) is found by
// looking again and again, which is not done here.

/** What `localStorage` and `sessionStorage` are, and whatever an application has in their place. */
export interface StorageLike {
  readonly length: number;
  key(index: number): string | null;
  getItem(key: string): string | null;
  setItem(key: string, value: string): void;
  removeItem(key: string): void;
  clear(): void;
}

/** Somebody changed a storage: to this value, or with null removed the key, or with null and null all keys. */
export type Listener = (key: string | null, value: string | null) => void;

type Method = "setItem" | "removeItem" | "clear";
const METHODS: readonly Method[] = ["setItem", "removeItem", "clear"];

interface Patch {
  listeners: Set<{ storage: StorageLike; listener: Listener }>;
  restore(): void;
}

const patches = new WeakMap<object, Patch>();

/** Calls `listener` after each change of `storage` that this tab makes through its methods, until the result is called. */
export function listen(storage: StorageLike, listener: Listener): () => void {
  const target: object = isNative(storage) ? (Object.getPrototypeOf(storage) as object) : storage;
  const patch = patches.get(target) ?? install(target);
  patches.set(target, patch);
  const entry = { storage, listener };
  patch.listeners.add(entry);
  return () => {
    patch.listeners.delete(entry);
    if (patch.listeners.size === 0) {
      patch.restore();
      patches.delete(target);
    }
  };
}

/** Whether this is a storage of the browser's own. */
export function isNative(storage: StorageLike): boolean {
  return typeof Storage === "function" && storage instanceof Storage;
}

function install(target: object): Patch {
  const listeners: Patch["listeners"] = new Set();
  const tell = (storage: unknown, method: Method, [key, value]: unknown[]) => {
    const change: [string | null, string | null] =
      method === "clear" ? [null, null] : [String(key), method === "setItem" ? String(value) : null];
    for (const entry of [...listeners]) {
      if (entry.storage === storage) {
        entry.listener(...change);
      }
    }
  };
  const restores = METHODS.map((method) => replace(target as Record<Method, Function>, method, tell));
  return { listeners, restore: () => restores.forEach((restore) => restore()) };
}

function replace(
  target: Record<Method, Function>,
  method: Method,
  tell: (storage: unknown, method: Method, args: unknown[]) => void,
): () => void {
  const original = target[method];
  const isOwn = Object.hasOwn(target, method);
  const patched = function (this: unknown, ...args: unknown[]): unknown {
    // Throws when there is no room: then nothing has changed.
    const result: unknown = original.apply(this, args);
    tell(this, method, args);
    return result;
  };
  target[method] = patched;
  return () => {
    // Somebody else may have patched it since; then this one stays in the chain, and tells nobody any more.
    if (target[method] !== patched) {
      return;
    }
    if (isOwn) {
      target[method] = original;
    } else {
      delete (target as Partial<Record<Method, Function>>)[method];
    }
  };
}
