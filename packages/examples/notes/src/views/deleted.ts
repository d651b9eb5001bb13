// Notes that were deleted, here or elsewhere, and versions that were not chosen in a conflict.

import { together, type App, type View } from "../app.js";
import { log, nameOf, names } from "../devices.js";
import { drawing, h, nothing, replace } from "../dom.js";
import { FOLDER, isNote, newPath } from "../notes.js";
import { link } from "../routes.js";
import { moment, size } from "../words.js";

const COPY = / \(conflict [^)]*\)/;
/** The newest of them; each is looked up. */
const SHOWN_MAX = 100;

export class DeletedView implements View {
  readonly title = "Deleted notes";
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #list = h("ul", { class: "cards", role: "list" });
  readonly #empty = h("div", {});

  constructor(app: App) {
    this.#app = app;
    this.element = h("div", { class: "column" },
      h("a", { class: "button quiet back-link", href: link("notes") }, drawing("back"), "All notes"),
      h("h1", { tabindex: -1 }, "Deleted notes"),
      h("p", { class: "lead" }, "They are kept on this device for a while, up to 30 days. What a note says is seen again when it is brought back."),
      this.#list, this.#empty);
    void this.refresh();
  }

  readonly refresh = together(async () => {
    const { bucket } = this.#app;
    const [lines, files, all] = await Promise.all([log(bucket), bucket.list(FOLDER), names(bucket)]);
    const present = new Set(files.map(({ path }) => path));
    const gone = [...new Set(lines.map(({ path }) => path))].filter((path) => isNote(path) && !present.has(path)).slice(0, SHOWN_MAX);
    const rows = await Promise.all(gone.map(async (path) => {
      const [last] = await bucket.history(path);
      return last === undefined ? undefined : h("li", { class: "card row" },
        h("div", {},
          h("p", { class: "card-title" }, await this.#label(path, present)),
          h("p", { class: "hint" }, `Deleted ${moment(last.replaced)}, written by ${nameOf(all, last.device, bucket.device)}, ${size(last.size)}`)),
        h("button", { class: "button", id: `restore-${path}`, onclick: () => void this.#restore(path, last.version) }, "Bring back"));
    }));
    const found = rows.filter((row) => row !== undefined);
    replace(this.#list, ...found);
    this.#list.hidden = found.length === 0;
    replace(this.#empty, found.length === 0 && nothing("bin", "Nothing here", "No note was deleted lately."));
  });

  async #label(path: string, present: Set<string>): Promise<string> {
    const original = path.replace(COPY, "");
    if (original !== path && present.has(original)) {
      return `Set aside from “${await this.#app.notes.title(original)}”`;
    }
    const [, date] = /^notes\/(\d{4}-\d\d-\d\d) \d{4} /.exec(path) ?? [];
    return date === undefined ? path.slice(FOLDER.length) : `A note from ${new Date(`${date}T12:00`).toLocaleDateString()}`;
  }

  async #restore(path: string, version: string): Promise<void> {
    const { bucket } = this.#app;
    let place = path;
    const isDone = await this.#app.attempt(async () => {
      await bucket.restore(path, version);
      const file = COPY.test(path) ? await bucket.get(path) : undefined;
      if (file !== undefined) {
        // Under its old name it would be a conflict again.
        place = newPath();
        await bucket.transaction((all) => {
          all.put(place, file.bytes, { type: file.type });
          all.delete(path);
        });
      }
    });
    if (isDone) {
      this.#app.say("The note is back.");
      location.hash = link("note", place);
    }
  }
}
