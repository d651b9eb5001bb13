// What all views share: the open bucket, how it is doing, and where to say something.

import { openBucket, type Bucket, type Conflict, type Policy, type Question, type Status } from "pangaea";
import { forgetBackgroundSync, registerBackgroundSync } from "pangaea/worker";

import { forgetAccount, keepAccount, type Account, type Keeping } from "./account.js";
import { tellName } from "./devices.js";
import { Notes } from "./notes.js";
import { Todo } from "./todo.js";
import { summary, type Summary } from "./words.js";

/** How concurrent versions become one. */
const POLICIES: Policy[] = [
  { glob: "notes/**", strategy: "text" },
  { glob: "todo/**", strategy: "json", key: "id" },
];

/** A page of the application. */
export interface View {
  readonly title: string;
  readonly element: HTMLElement;
  /** The bucket changed. */
  refresh(): void | Promise<void>;
  /** Another page is shown next. */
  leave?(): void | Promise<void>;
}

/** The application while somebody is signed in. */
export class App {
  readonly bucket: Bucket;
  readonly account: Account & { keeping: Keeping };
  readonly notes: Notes;
  readonly todo: Todo;
  status: Status | undefined;
  conflicts: Conflict[] = [];
  /** Says something for a while, with something to press perhaps. */
  readonly say: (text: string, action?: { label: string; run: () => void }) => void;

  /** The name that the other devices can read. */
  #toldName: string | undefined;

  private constructor(bucket: Bucket, account: Account & { keeping: Keeping }, say: App["say"]) {
    this.bucket = bucket;
    this.account = account;
    this.say = say;
    this.notes = new Notes(bucket);
    this.todo = new Todo(bucket);
  }

  static async open(account: Account & { keeping: Keeping }, say: App["say"]): Promise<App> {
    const { hub, key } = account;
    const bucket = await openBucket({ hub, key, policies: POLICIES });
    return new App(bucket, account, say);
  }

  /** Calls `changed` now, and whenever the bucket is another one than before. */
  async follow(changed: () => void): Promise<void> {
    const look = together(async () => {
      [this.status, this.conflicts] = await Promise.all([this.bucket.status(), this.bucket.conflicts()]);
      await this.#tellName();
      changed();
    });
    for (const name of ["status", "change", "stored", "conflict", "problem"] as const) {
      this.bucket.on(name, look);
    }
    this.bucket.on("evicted", ({ unsent }) => {
      this.say(`The browser had removed your notes from this device. They come back from the hub.${unsent ? " What had not been sent may be lost." : ""}`);
    });
    this.bucket.on("storage", () => this.say("There is little room left on this device. Make some, so that your notes can be stored."));
    addEventListener("online", look);
    addEventListener("offline", look);
    await look();
  }

  summary(): Summary {
    return summary(this.status, this.conflicts.length, navigator.onLine);
  }

  /** What the sync asks before it goes on. */
  question(): { question: Question; missing?: number; known?: number } | undefined {
    const hub = this.status?.hub as { state: string; question?: Question; missing?: number; known?: number } | undefined;
    return hub?.state === "halted" && hub.question !== undefined ? { ...hub, question: hub.question } : undefined;
  }

  /** Does something, and says so if it fails. */
  async attempt(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (thrown) {
      this.say(messageOf(thrown));
      return false;
    }
  }

  async rename(name: string): Promise<void> {
    this.account.name = name;
    keepAccount(this.account, this.account.keeping);
    await this.#tellName();
  }

  /** Has the browser send what waits after the last tab is closed. The service worker needs the key for that. */
  async syncInBackground(): Promise<void> {
    if (this.account.keeping === "device") {
      await registerBackgroundSync(this.bucket, { keepKey: true });
    }
  }

  /** Signs out, and removes the notes from this device if they are not to be kept for the next time. */
  async signOut(keep: boolean): Promise<void> {
    await forgetBackgroundSync(this.bucket);
    const { database } = this.bucket;
    await this.bucket.close();
    forgetAccount();
    if (!keep) {
      await remove(database);
    }
  }

  /** Once everything is here that is on the hub; before that, the name may be there already. */
  async #tellName(): Promise<void> {
    const { name } = this.account;
    if (this.status?.caughtUp === true && name !== "" && name !== this.#toldName) {
      this.#toldName = name;
      await tellName(this.bucket, name);
    }
  }
}

/** What went wrong, for people. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** Calls of which many come at once are made one after the other, and never more than one is waiting. */
export function together(work: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined;
  let next: Promise<void> | undefined;
  const run = (): Promise<void> => {
    if (running === undefined) {
      running = work()
        .catch((thrown: unknown) => console.warn(thrown))
        .finally(() => (running = undefined));
      return running;
    }
    next ??= running.then(() => {
      next = undefined;
      return run();
    });
    return next;
  };
  return run;
}

async function remove(database: string): Promise<void> {
  // By this the package would notice that the browser took the data away; here somebody wanted it.
  localStorage.removeItem(`pangaea:${database}`);
  await new Promise<void>((resolve, reject) => {
    const request = indexedDB.deleteDatabase(database);
    request.onsuccess = () => resolve();
    // Another tab has it open still; it is removed when that is closed.
    request.onblocked = () => resolve();
    request.onerror = () => reject(request.error);
  });
}
