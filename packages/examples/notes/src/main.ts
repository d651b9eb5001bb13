// Starts the application: signs in, shows what the address asks for, and keeps it fresh.

import { currentAccount, keepAccount, readLink, type Account, type Keeping } from "./account.js";
import { App, messageOf, type View } from "./app.js";
import { drawing, h, replace, type Drawing } from "./dom.js";
import { registerServiceWorker } from "./install.js";
import { link, route, type Place, type Route } from "./routes.js";
import { Toasts } from "./toasts.js";
import { AccountView } from "./views/account.js";
import { ConflictView } from "./views/conflict.js";
import { DeletedView } from "./views/deleted.js";
import { HistoryView } from "./views/history.js";
import { NotesView } from "./views/notes.js";
import { signIn } from "./views/signin.js";
import { SyncView } from "./views/sync.js";
import { TodoView } from "./views/todo.js";

const root = document.getElementById("app") as HTMLElement;
const toasts = new Toasts(document.getElementById("toasts") as HTMLElement);
/** Screen readers are told of another state of the sync, once it has stayed for so long. */
const CALM_MS = 1500;

void start();

async function start(): Promise<void> {
  const account = currentAccount();
  const linked = readLink(location.href);
  if (linked !== undefined) {
    // The key does not stay in the address, nor in what the browser remembers of it.
    history.replaceState(undefined, "", location.pathname);
  }
  if (account === undefined || (linked !== undefined && (linked.key !== account.key || linked.hub !== account.hub))) {
    showSignIn(linked);
  } else {
    await open(account);
  }
  await registerServiceWorker(toasts);
}

function showSignIn(linked?: Pick<Account, "hub" | "key">, problem?: string): void {
  document.title = "Sign in – Pangaea Notes";
  const done = (account: Account, keeping: Keeping) => {
    keepAccount(account, keeping);
    void open({ ...account, keeping });
  };
  replace(root, signIn({ done, ...(linked === undefined ? {} : { link: linked }), ...(problem === undefined ? {} : { problem }) }));
}

async function open(account: Account & { keeping: Keeping }): Promise<void> {
  replace(root, h("main", { class: "opening", id: "main" }, h("p", {}, "Opening your notes…")));
  try {
    const app = await App.open(account, (text, action) => toasts.show(text, action));
    new Shell(app);
  } catch (thrown) {
    showSignIn(undefined, messageOf(thrown));
  }
}

const TABS: [Place, string, Drawing][] = [["notes", "Notes", "notes"], ["todo", "To-do", "todo"], ["sync", "Sync", "sync"], ["account", "Account", "account"]];
/** The tab under which a place is found. */
const TAB_OF: Record<Place, Place> = { notes: "notes", note: "notes", history: "notes", deleted: "notes", todo: "todo", sync: "sync", conflict: "sync", account: "account" };

/** The frame around the views. */
class Shell {
  readonly #app: App;
  readonly #main = h("main", { id: "main" });
  readonly #badge = h("a", { class: "badge", id: "badge", href: link("sync") });
  readonly #live = h("p", { class: "unseen", role: "status", id: "live" });
  readonly #tabs: HTMLAnchorElement[];
  #view: View | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Views are shown one after the other: leaving one may take a moment. */
  #showing: Promise<void> = Promise.resolve();

  constructor(app: App) {
    this.#app = app;
    this.#tabs = TABS.map(([place, label, icon]) => h("a", { href: link(place), class: "tab", id: `tab-${place}` }, drawing(icon), h("span", {}, label)));
    const skip = h("a", {
      class: "skip", href: "#main",
      onclick: (event) => {
        event.preventDefault();
        this.#main.querySelector<HTMLElement>("h1, input")?.focus();
      },
    }, "Skip to the content");
    const name = h("span", { class: "brand" }, h("img", { src: "icons/icon.svg", alt: "", width: 28, height: 28 }), "Pangaea Notes");
    replace(root, skip, h("header", { class: "top" }, name, this.#badge), h("nav", { class: "tabs", "aria-label": "Main" }, ...this.#tabs), this.#main, this.#live);
    addEventListener("hashchange", () => this.#show(route(location.hash), true));
    addEventListener("pagehide", () => void this.#view?.leave?.());
    document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && void this.#view?.leave?.());
    addEventListener("storage", ({ key }) => key === "notes.account" && location.reload());
    this.#show(route(location.hash), false);
    void app.follow(() => this.#changed());
    void app.syncInBackground().catch((thrown: unknown) => console.warn(thrown));
  }

  #show(to: Route, focus: boolean): void {
    this.#showing = this.#showing.then(() => this.#go(to, focus)).catch((thrown: unknown) => toasts.show(messageOf(thrown)));
  }

  async #go(to: Route, focus: boolean): Promise<void> {
    const isNotes = to.place === "notes" || to.place === "note";
    if (isNotes && this.#view instanceof NotesView) {
      await this.#view.open(to.path);
    } else {
      await this.#view?.leave?.();
      this.#view = this.#viewOf(to);
      this.#main.replaceChildren(this.#view.element);
      scrollTo(0, 0);
    }
    this.#tabs.forEach((tab, index) => {
      const isHere = TABS[index]?.[0] === TAB_OF[to.place];
      isHere ? tab.setAttribute("aria-current", "page") : tab.removeAttribute("aria-current");
    });
    document.title = `${this.#view.title} – Pangaea Notes`;
    document.body.classList.toggle("has-note", to.place === "note");
    if (focus) {
      this.#view instanceof NotesView ? this.#view.focus() : this.#view.element.querySelector<HTMLElement>("h1")?.focus();
    }
  }

  #viewOf({ place, path }: Route): View {
    switch (place) {
      case "todo":
        return new TodoView(this.#app);
      case "sync":
        return new SyncView(this.#app);
      case "account":
        return new AccountView(this.#app, () => location.replace(location.pathname));
      case "history":
        return path === undefined ? new NotesView(this.#app, undefined) : new HistoryView(this.#app, path);
      case "deleted":
        return new DeletedView(this.#app);
      case "conflict":
        return path === undefined ? new SyncView(this.#app) : new ConflictView(this.#app, path);
      default:
        return new NotesView(this.#app, path);
    }
  }

  #changed(): void {
    const { tone, short } = this.#app.summary();
    this.#badge.className = `badge ${tone}`;
    replace(this.#badge, h("span", { class: "dot", "aria-hidden": "true" }), h("span", {}, short));
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (this.#live.textContent !== short) {
        this.#live.textContent = short;
      }
    }, CALM_MS);
    void this.#view?.refresh();
  }
}
