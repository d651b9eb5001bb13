// The page's side of syncing while no page is open: registers what the browser offers, and tells the service worker which
// buckets there are.

import type { Bucket } from "./bucket.js";
import { forgetBucket, keepBucket } from "./kept.js";

/** The tag of our sync events, one-off and periodic. */
export const SYNC_TAG = "pangaea";
/** A browser decides itself how often it wakes a service worker; more often than this is not asked for. */
const EVERY_MS = 12 * 60 * 60 * 1000;

/** How a bucket is synced in the background. */
export interface BackgroundOptions {
  /**
   * True: the bucket's key is kept in this origin's IndexedDB, unencrypted, until `forgetBackgroundSync` is called.
   *
   * The service worker cannot sign in without it. The risk: whoever can read this origin's storage, by a script that was
   * smuggled into any of its pages or by the files of the browser's profile, has the key, with which the whole bucket can be read
   * and written. An application that keeps its key in `localStorage` runs that risk already. Without it, `handleBackgroundSync` is
   * given a function that gets the key from elsewhere.
   */
  keepKey: boolean;
  /** The least time between two periodic syncs, in milliseconds. Browsers make it longer. Normally twelve hours. */
  every_ms?: number;
}

/** What the browser took. Both false: syncing needs an open page here, and nothing else is different. */
export interface BackgroundSupport {
  /** What was not sent when the last page was closed is sent when there is a network. */
  sync: boolean;
  /** The browser looks for changes now and then. */
  periodic: boolean;
}

/** What TypeScript does not know of a registration yet. */
interface Registration extends ServiceWorkerRegistration {
  sync?: { register(tag: string): Promise<void> };
  periodicSync?: { register(tag: string, options: { minInterval: number }): Promise<void> };
}

/**
 * Has the browser sync a bucket when no page is open, where it can (Chromium does). Harmless elsewhere.
 *
 * The application's service worker must call `handleBackgroundSync`, and be registered before.
 */
export async function registerBackgroundSync(bucket: Bucket, options: BackgroundOptions): Promise<BackgroundSupport> {
  const registration = (await navigator.serviceWorker?.getRegistration()) as Registration | undefined;
  if (registration === undefined || (registration.sync === undefined && registration.periodicSync === undefined)) {
    return { sync: false, periodic: false };
  }
  const { key, ...kept } = bucket.session.kept();
  await keepBucket(options.keepKey ? { ...kept, key } : kept);
  const sync = await registerWhenUnsent(bucket, registration);
  return { sync, periodic: await registerPeriodic(registration, options.every_ms ?? EVERY_MS) };
}

/** Ends that, and removes the key that was kept. To be called when somebody signs out. */
export async function forgetBackgroundSync(bucket: Bucket): Promise<void> {
  await forgetBucket(bucket.database);
}

/** The browser forgets a registration once it is done: it is made anew when there is something to send again. */
async function registerWhenUnsent(bucket: Bucket, registration: Registration): Promise<boolean> {
  const { sync } = registration;
  if (sync === undefined) {
    return false;
  }
  let isRegistered = false;
  const register = async () => {
    if (!isRegistered && (await bucket.status()).pending > 0) {
      isRegistered = true;
      await sync.register(SYNC_TAG);
    }
  };
  try {
    await sync.register(SYNC_TAG);
  } catch {
    // Not allowed, in a private window for example.
    return false;
  }
  const { listeners } = bucket.session;
  listeners.add("quiet", () => (isRegistered = false));
  listeners.add("change", () => void register().catch(() => undefined));
  return true;
}

async function registerPeriodic(registration: Registration, minInterval: number): Promise<boolean> {
  try {
    const name = "periodic-background-sync" as PermissionName;
    const { state } = await navigator.permissions.query({ name });
    if (state !== "granted" || registration.periodicSync === undefined) {
      return false;
    }
    await registration.periodicSync.register(SYNC_TAG, { minInterval });
    return true;
  } catch {
    // The browser does not know the permission.
    return false;
  }
}
