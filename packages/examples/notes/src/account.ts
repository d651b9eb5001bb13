// Who is signed in: a hub and a key, kept in this browser.

/** What opens a bucket. Whoever has the key has the notes. */
export interface Account {
  hub: string;
  key: string;
  /** What people call this device. */
  name: string;
}

/** Where an account is kept: `localStorage` until somebody signs out, `sessionStorage` until the tab is closed. */
export type Keeping = "device" | "tab";

const PLACE = "notes.account";
const KEY = /^[0-9a-f]{64}(01)?$/i;

/** The account of this browser, if somebody is signed in. */
export function currentAccount(): (Account & { keeping: Keeping }) | undefined {
  for (const [keeping, storage] of [["device", localStorage], ["tab", sessionStorage]] as const) {
    try {
      const account = JSON.parse(storage.getItem(PLACE) ?? "null") as Account | null;
      if (account !== null && KEY.test(account.key)) {
        return { hub: account.hub, key: account.key, name: account.name, keeping };
      }
    } catch {
      // Somebody else's, or cut off: sign in again.
    }
  }
  return undefined;
}

export function keepAccount({ hub, key, name }: Account, keeping: Keeping): void {
  forgetAccount();
  const storage = keeping === "device" ? localStorage : sessionStorage;
  storage.setItem(PLACE, JSON.stringify({ hub, key, name }));
}

export function forgetAccount(): void {
  localStorage.removeItem(PLACE);
  sessionStorage.removeItem(PLACE);
}

/** Makes a new key. */
export function newKey(): string {
  return [...crypto.getRandomValues(new Uint8Array(32))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The link by which another device joins, as the program `pangaea` prints and takes it. */
export function joinLink({ hub, key }: Pick<Account, "hub" | "key">): string {
  return `pangaea://join?hub=${encodeURIComponent(hub)}#key=${key}`;
}

/** Reads a join link, or one that leads to this page (`…/#hub=…&key=…`). Undefined: it is neither. */
export function readLink(text: string): Pick<Account, "hub" | "key"> | undefined {
  const [before, secret] = text.trim().split("#", 2) as [string, string?];
  const inside = new URLSearchParams(secret ?? "");
  const hub = inside.get("hub") ?? new URLSearchParams(before.split("?", 2)[1] ?? "").get("hub");
  const key = inside.get("key");
  return hub !== null && key !== null && isHub(hub) && KEY.test(key) ? { hub, key } : undefined;
}

export function isKey(text: string): boolean {
  return KEY.test(text);
}

export function isHub(text: string): boolean {
  return URL.canParse(text) && ["https:", "http:"].includes(new URL(text).protocol);
}

/** A name for this device to begin with. */
export function suggestedName(): string {
  const agent = navigator.userAgent;
  const kinds = [["iPhone", "iPhone"], ["iPad", "iPad"], ["Android", "Android device"], ["Mac OS", "Mac"], ["Windows", "Windows computer"]];
  return kinds.find(([mark]) => agent.includes(mark as string))?.[1] ?? "Linux computer";
}
