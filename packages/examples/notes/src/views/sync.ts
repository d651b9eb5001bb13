// How the sync is doing: what waits and why, and what has to be decided.

import type { FileInfo } from "pangaea";

import { together, type App, type View } from "../app.js";
import { isDevice } from "../devices.js";
import { h, nothing, replace, type Child } from "../dom.js";
import { isNote } from "../notes.js";
import { link } from "../routes.js";
import { PATH } from "../todo.js";
import { moment } from "../words.js";

/** What `unsent` tells beside what a file is. */
type Unsent = FileInfo & { deleted?: boolean; since?: number };

export class SyncView implements View {
  readonly title = "Sync";
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #state = h("div", {});
  readonly #conflicts = h("div", {});
  readonly #unsent = h("div", {});

  constructor(app: App) {
    this.#app = app;
    this.element = h("div", { class: "column" }, h("h1", { tabindex: -1 }, "Sync"), this.#state, this.#conflicts, this.#unsent);
    void this.refresh();
  }

  readonly refresh = together(async () => {
    const { bucket } = this.#app;
    const unsent = (await bucket.unsent()) as Unsent[];
    const [rows, conflicts] = await Promise.all([
      Promise.all(unsent.map((file) => this.#row(file))),
      Promise.all(this.#app.conflicts.map(async ({ path }) => ({ path, label: await labelOf(this.#app, path) }))),
    ]);
    replace(this.#state, this.#card());
    replace(this.#conflicts, ...(conflicts.length === 0 ? [] : [
      h("h2", {}, "For you to decide"),
      h("ul", { class: "cards", role: "list" }, ...conflicts.map(({ path, label }) =>
        h("li", {}, h("a", { class: "card row as-link", id: `conflict-${path}`, href: link("conflict", path) },
          h("div", {}, h("p", { class: "card-title" }, label), h("p", { class: "hint" }, "Two devices changed it. Both versions are kept.")),
          h("span", { class: "button", "aria-hidden": "true" }, "Compare"))))),
    ]));
    replace(this.#unsent, h("h2", {}, "Not sent yet"), rows.length === 0
      ? nothing("sync", "Nothing waits", "All that you wrote here is on the hub.")
      : h("ul", { class: "cards", role: "list" }, ...rows));
  });

  #card(): HTMLElement {
    const { status, bucket } = this.#app;
    const { tone, short, long } = this.#app.summary();
    const actions: Child[] = [];
    const question = this.#app.question();
    if (question?.question === "mass-delete") {
      const what = question.missing === undefined ? "Many files are" : `${question.missing} of ${question.known} files are`;
      actions.push(
        h("p", {}, `${what} gone from the hub. If they were deleted on purpose, they are deleted here too; until you say so they stay.`),
        this.#answer("They were deleted on purpose", "mass-delete"));
    } else if (question?.question === "other-bucket") {
      actions.push(
        h("p", {}, "What the hub has is not what this device knew: it was emptied, or set up anew. If you go on, the notes of this device are sent there."),
        this.#answer("Go on with it", "other-bucket"));
    } else {
      actions.push(h("button", { class: "button", id: "sync-now", onclick: () => void this.#app.attempt(() => bucket.sync()) }, "Sync now"));
    }
    if (status?.hub.state === "paused") {
      actions.push(h("a", { class: "button", id: "to-account", href: link("account") }, "Sign in with another key"));
    }
    const { message, until } = status?.hub ?? {};
    return h("section", { class: `card state ${tone}`, "aria-label": "State" },
      h("p", { class: "card-title big" }, h("span", { class: "dot", "aria-hidden": "true" }), short),
      h("p", {}, long),
      message !== undefined && message !== null && h("p", { class: "hint" }, `Why: ${message}.`),
      until !== undefined && until !== null && status?.hub.state === "waiting" && h("p", { class: "hint" }, `Tried again by itself at ${new Date(until).toLocaleTimeString()} at the latest.`),
      h("div", { class: "actions" }, ...actions));
  }

  #answer(label: string, question: "mass-delete" | "other-bucket"): HTMLElement {
    return h("button", { class: "button primary", id: "answer", onclick: () => void this.#app.attempt(() => this.#app.bucket.answer(question)) }, label);
  }

  async #row(file: Unsent): Promise<HTMLElement> {
    const label = await labelOf(this.#app, file.path);
    const when = file.since === undefined ? "" : ` ${moment(file.since)}`;
    return h("li", { class: "card" },
      h("p", { class: "card-title" }, label),
      h("p", {}, `${file.deleted === true ? "Deleted" : "Changed"}${when}. ${this.#reason(file)}`),
      h("p", { class: "hint path" }, file.path));
  }

  /** Why it is not on the hub. */
  #reason(file: Unsent): string {
    if (file.problem !== undefined) {
      return `${file.state === "parked" ? "It stays on this device" : "It waits"}: ${file.problem.message}`;
    }
    if (!navigator.onLine) {
      return "It waits for a network.";
    }
    const reasons = {
      ready: "It is being sent.",
      waiting: "It waits until the hub can be reached.",
      paused: "It waits until the hub accepts your key.",
      halted: "It waits for your answer above.",
    };
    return reasons[this.#app.status?.hub.state ?? "ready"];
  }
}

/** What a file is called in this application. */
export async function labelOf(app: App, path: string): Promise<string> {
  if (path === PATH) {
    return "To-do list";
  }
  if (isNote(path)) {
    return app.notes.title(path);
  }
  return isDevice(path) ? "Name of a device" : path;
}

