// The notes: the list, and beside it (or instead of it, on a phone) the one that is open.

import { together, type App, type View } from "../app.js";
import { drawing, h, nothing, replace } from "../dom.js";
import { newPath, type Note } from "../notes.js";
import { link } from "../routes.js";
import { moment } from "../words.js";
import { Editor } from "./editor.js";

/** The list, and the note at `path`. */
export class NotesView implements View {
  title = "Notes";
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #list = h("ul", { class: "note-list", role: "list" });
  readonly #empty = h("div", {});
  readonly #pane = h("section", { class: "pane", "aria-label": "Note" });
  readonly #search: HTMLInputElement;
  #path: string | undefined;
  #editor: Editor | undefined;

  constructor(app: App, path: string | undefined) {
    this.#app = app;
    this.#search = h("input", { type: "search", id: "search", placeholder: "Search", "aria-label": "Search notes", oninput: () => void this.refresh() });
    const heading = h("div", { class: "list-head" },
      h("h1", { tabindex: -1 }, "Notes"),
      h("button", { class: "button primary", id: "new-note", onclick: () => this.#new() }, drawing("plus"), "New note"));
    this.element = h("div", { class: "notes" },
      h("section", { class: "list", "aria-label": "All notes" }, heading, this.#search, this.#list, this.#empty,
        h("a", { class: "link aside", href: link("deleted") }, "Deleted notes")), this.#pane);
    void this.open(path);
  }

  /** Shows another note, or none. */
  async open(path: string | undefined): Promise<void> {
    await this.#editor?.leave();
    this.#path = path;
    this.element.classList.toggle("is-open", path !== undefined);
    if (path === undefined) {
      this.#editor = undefined;
      this.title = "Notes";
      replace(this.#pane, nothing("notes", "No note is open", "Choose one from the list, or begin a new one."));
    } else {
      this.#editor = new Editor(this.#app, path);
      this.title = "Note";
      replace(this.#pane, this.#editor.element);
      await this.#editor.refresh();
    }
    await this.refresh();
  }

  /** Puts the caret where somebody goes on. */
  focus(): void {
    if (this.#editor === undefined) {
      this.element.querySelector<HTMLElement>("h1")?.focus();
    } else {
      this.#editor.focus();
    }
  }

  readonly refresh = together(async () => {
    const search = this.#search.value;
    const [notes] = await Promise.all([this.#app.notes.list(search), this.#editor?.refresh()]);
    replace(this.#list, ...notes.map((note) => this.#item(note)));
    this.#list.hidden = notes.length === 0;
    const none = search.trim() === ""
      ? nothing("notes", "No notes yet", "What you write is kept on this device at once, and comes to your other devices by itself.")
      : nothing("notes", "Nothing found", "No note has these words.");
    replace(this.#empty, notes.length === 0 && none);
    this.#search.hidden = notes.length === 0 && search === "";
  });

  async leave(): Promise<void> {
    await this.#editor?.leave();
  }

  #item({ path, title, start, modified, state }: Note): HTMLElement {
    const isOpen = path === this.#path;
    const place = state === "stored" ? "" : state === "queued" ? "Not sent yet" : "Cannot be stored";
    return h("li", {},
      h("a", { href: link("note", path), id: `note-${path}`, class: "note-item", "aria-current": isOpen && "true" },
        h("span", { class: "note-title" }, title),
        h("span", { class: "note-start" }, start === "" ? "No more text" : start),
        h("span", { class: "note-meta" }, h("span", {}, moment(modified)), place !== "" && h("span", { class: `tag ${state}` }, place))));
  }

  #new(): void {
    this.#search.value = "";
    location.hash = link("note", newPath());
  }
}
