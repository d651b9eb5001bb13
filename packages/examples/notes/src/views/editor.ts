// One note: typing is stored as it goes, and what other devices write comes in while somebody types.

import { PangaeaError } from "pangaea";

import type { App } from "../app.js";
import { drawing, h } from "../dom.js";
import { join, split, titleOf, TYPE } from "../notes.js";
import { link } from "../routes.js";
import { both, moved, splice } from "../splice.js";

/** How long somebody pauses before what was typed becomes a version. */
const PAUSE_MS = 700;

/** The fields of a note. */
export class Editor {
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #path: string;
  readonly #title: HTMLInputElement;
  readonly #body: HTMLTextAreaElement;
  readonly #state = h("p", { class: "note-state" });
  readonly #history: HTMLAnchorElement;
  readonly #delete: HTMLButtonElement;
  /** What was read or written last; what is in the fields is made of it. */
  #base: { text: string; version: string | undefined } = { text: "", version: undefined };
  #timer: ReturnType<typeof setTimeout> | undefined;
  #last: Promise<void> = Promise.resolve();
  #isGone = false;

  constructor(app: App, path: string) {
    this.#app = app;
    this.#path = path;
    const oninput = () => this.#typed();
    this.#title = h("input", {
      class: "title", id: "title", "aria-label": "Title", placeholder: "Title", maxlength: 200, autocomplete: "off", oninput,
      onkeydown: (event) => {
        if ((event as KeyboardEvent).key === "Enter" && !(event as KeyboardEvent).isComposing) {
          event.preventDefault();
          this.#body.focus();
        }
      },
    });
    this.#body = h("textarea", { class: "text", id: "text", "aria-label": "Text", placeholder: "Write something…", oninput });
    this.#history = h("a", { class: "button quiet", href: link("history", path), id: "history" }, drawing("clock"), "History");
    this.#delete = h("button", { class: "button quiet", id: "delete", onclick: () => void this.#remove() }, drawing("bin"), "Delete");
    const back = h("a", { class: "button quiet back", href: link("notes") }, drawing("back"), "All notes");
    this.element = h("div", { class: "editor" }, h("h1", { class: "unseen only-phone", tabindex: -1 }, "Note"),
      h("div", { class: "toolbar" }, back, this.#state, h("span", { class: "spring" }), this.#history, this.#delete), this.#title, this.#body);
    this.#tell(undefined);
  }

  focus(): void {
    (this.#base.version === undefined ? this.#title : this.#body).focus();
  }

  /** Takes in what another device or tab wrote. */
  async refresh(): Promise<void> {
    return this.#queue(async () => {
      const there = await this.#app.bucket.get(this.#path);
      if (there === undefined || there.version === this.#base.version) {
        this.#tell(there?.state);
        return;
      }
      this.#takeIn(there.text(), there.version);
      this.#tell(there.state);
    });
  }

  /** Stores what was typed. */
  async leave(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#save();
  }

  #typed(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#save(), PAUSE_MS);
  }

  #text(): string {
    const fields = { title: this.#title.value, body: this.#body.value };
    // A file without a heading of our form stays as it is until somebody changes it.
    const before = split(this.#base.text);
    return fields.title === before.title && fields.body === before.body ? this.#base.text : join(fields);
  }

  async #save(): Promise<void> {
    return this.#queue(async () => {
      if (this.#text() === this.#base.text || this.#isGone) {
        return;
      }
      await this.#app.attempt(async () => {
        while (!(await this.#store())) {
          // Another version came in between reading and storing: once more, with that.
        }
        this.#tell("queued");
      });
    });
  }

  /** Stores the fields, made of the latest version there is; tells whether it still was the latest by then. */
  async #store(): Promise<boolean> {
    const there = await this.#app.bucket.get(this.#path);
    if (there !== undefined && there.version !== this.#base.version) {
      this.#takeIn(there.text(), there.version);
    }
    const text = this.#text();
    try {
      const { version } = await this.#app.bucket.put(this.#path, text, { type: TYPE, ...(there && { after: there.version }) });
      this.#base = { text, version };
      return true;
    } catch (thrown) {
      if (thrown instanceof PangaeaError && thrown.code === "changed") {
        return false;
      }
      throw thrown;
    }
  }

  /** Puts another version into the fields, without losing what was typed and not stored yet. */
  #takeIn(text: string, version: string): void {
    const typed = this.#text();
    let wanted = text;
    if (typed !== this.#base.text) {
      const merged = both(this.#base.text, typed, text);
      if (merged === undefined) {
        this.#app.say("Another device wrote in the same place. Its version is in this note's history.");
      }
      wanted = merged ?? typed;
      this.#typed();
    }
    const { title, body } = split(wanted);
    put(this.#title, title);
    put(this.#body, body);
    this.#base = { text, version };
  }

  #tell(state: "stored" | "queued" | "parked" | undefined): void {
    const words = { stored: "Stored", queued: "Saved on this device", parked: "Cannot be stored" };
    this.#state.textContent = state === undefined ? "" : words[state];
    this.#state.className = `note-state ${state ?? ""}`;
    const isNew = this.#base.version === undefined;
    this.#history.hidden = isNew;
    this.#delete.hidden = isNew;
  }

  async #remove(): Promise<void> {
    await this.leave();
    const { text } = this.#base;
    this.#isGone = true;
    if (await this.#app.attempt(() => this.#app.bucket.delete(this.#path))) {
      const undo = () => void this.#app.attempt(() => this.#app.bucket.put(this.#path, text, { type: TYPE }));
      this.#app.say(`“${titleOf(text)}” was deleted.`, { label: "Undo", run: undo });
      location.hash = link("notes");
    } else {
      this.#isGone = false;
    }
  }

  #queue(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }
}

/** Changes a field under somebody's hands: the caret stays where it was in the text. */
function put(field: HTMLInputElement | HTMLTextAreaElement, value: string): void {
  if (field.value === value) {
    return;
  }
  const change = splice(field.value, value);
  const [start, end] = [field.selectionStart ?? 0, field.selectionEnd ?? 0];
  field.value = value;
  if (document.activeElement === field) {
    field.setSelectionRange(moved(start, change), moved(end, change));
  }
}
