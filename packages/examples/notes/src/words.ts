// What the page says: the state of the sync and moments, in plain words.

import type { Status } from "pangaea";

/** How something looks; the words say the same. */
export type Tone = "good" | "busy" | "waiting" | "problem";

export interface Summary {
  tone: Tone;
  /** Fits into a badge. */
  short: string;
  /** Says what it means, and what to do if there is something to do. */
  long: string;
}

export function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

/** Says how the sync is doing. */
export function summary(status: Status | undefined, conflicts: number, isOnline: boolean): Summary {
  if (status === undefined) {
    return { tone: "busy", short: "Opening…", long: "Your notes are being opened." };
  }
  const { pending, parked, hub } = status;
  const changes = count(pending, "change");
  const kept = pending === 0 ? "Nothing waits to be sent." : `${changes} ${pending === 1 ? "is" : "are"} kept on this device.`;
  switch (hub.state) {
    case "paused":
      return {
        tone: "problem",
        short: pending === 0 ? "Sign in again" : `Sign in again: ${changes} kept`,
        long: `The hub does not accept your key at the moment. ${kept}`,
      };
    case "halted":
      return { tone: "problem", short: "A question for you", long: `Something unusual was found, and nothing is changed until you have looked. ${kept}` };
    default:
  }
  if (!isOnline) {
    return pending === 0
      ? { tone: "waiting", short: "Offline", long: "There is no network. You can write all the same; it is sent later." }
      : { tone: "waiting", short: `${changes} ${waits(pending)} for a network`, long: "They are safe on this device, and are sent when there is a network again." };
  }
  if (hub.state === "waiting") {
    return pending === 0
      ? { tone: "waiting", short: "The hub cannot be reached", long: "You can write all the same. The hub is tried again by itself." }
      : { tone: "waiting", short: `${changes} ${waits(pending)} for the hub`, long: "They are safe on this device. The hub is tried again by itself." };
  }
  if (parked > 0) {
    return { tone: "problem", short: `${count(parked, "file")} cannot be stored`, long: "The hub refused this for good. It stays on this device; the reason is below." };
  }
  if (conflicts > 0) {
    return { tone: "problem", short: `${count(conflicts, "conflict")} to settle`, long: "Two devices changed the same place. Both versions are kept; you choose." };
  }
  if (pending > 0) {
    return { tone: "busy", short: `Sending ${changes}…`, long: "They are on their way, and safe on this device." };
  }
  if (!status.caughtUp) {
    return { tone: "busy", short: "Fetching your notes…", long: "This device does not have everything yet." };
  }
  return { tone: "good", short: "Everything is stored", long: "The hub has all that this device has." };
}

function waits(number: number): string {
  return number === 1 ? "waits" : "wait";
}

const MINUTE = 60_000;
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const fullDay = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

/** Says when something was, as people do. */
export function moment(ms: number, now = Date.now()): string {
  const then = new Date(ms);
  const today = new Date(now);
  const yesterday = new Date(now);
  yesterday.setDate(today.getDate() - 1);
  if (now - ms < MINUTE && now >= ms) {
    return "just now";
  }
  if (then.toDateString() === today.toDateString()) {
    return `today, ${clock.format(then)}`;
  }
  if (then.toDateString() === yesterday.toDateString()) {
    return `yesterday, ${clock.format(then)}`;
  }
  return (then.getFullYear() === today.getFullYear() ? day : fullDay).format(then);
}

export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function size(bytes: number): string {
  const units = ["bytes", "KB", "MB", "GB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
