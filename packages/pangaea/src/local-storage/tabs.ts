// What the mirrors of one storage in several tabs tell each other: which values they have seen to. A browser tells a tab that
// another one has changed the storage, not whether that one has a mirror, and perhaps not in time.

/** Who sees to a value. */
export type Seer =
  /** The application of another tab set it, and that tab's mirror brings it to the bucket. */
  | "brings"
  /** Another tab's mirror has it from the bucket. */
  | "brought";

/** What was told is believed for so long: the tab may have been closed since. */
export const BELIEVED_MS = 10_000;
/** Values of one key that are remembered. */
const VALUES_MAX = 100;

interface Told {
  key: string;
  value: string | undefined;
  seer: Seer;
}

/** The other tabs' mirrors. */
export class Tabs {
  readonly #channel: BroadcastChannel | undefined;
  readonly #told = new Map<string, { value: string | undefined; seer: Seer; until: number }[]>();

  /** @param mirror Tells mirrors apart; undefined: no other tab has this storage. */
  constructor(mirror: string | undefined) {
    if (mirror !== undefined && typeof BroadcastChannel === "function") {
      this.#channel = new BroadcastChannel(`pangaea-mirror:${mirror}`);
      this.#channel.onmessage = ({ data }: MessageEvent<Told>) => this.#remember(data);
    }
  }

  /** Tells the others that this tab sees to a value. */
  tell(key: string, value: string | undefined, seer: Seer): void {
    this.#channel?.postMessage({ key, value, seer } satisfies Told);
  }

  /** Who of the others sees to a value, as far as is known. */
  who(key: string, value: string | undefined): Seer | undefined {
    const now = Date.now();
    const told = (this.#told.get(key) ?? []).filter((one) => one.until > now && one.value === value);
    return told.at(-1)?.seer;
  }

  /** Ends it. */
  close(): void {
    this.#channel?.close();
  }

  #remember({ key, value, seer }: Told): void {
    const told = this.#told.get(key) ?? [];
    told.push({ value, seer, until: Date.now() + BELIEVED_MS });
    this.#told.set(key, told.slice(-VALUES_MAX));
  }
}
