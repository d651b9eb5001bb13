// The earlier versions of a note.

import { together, type App, type View } from "../app.js";
import { log, nameOf, names } from "../devices.js";
import { drawing, h, nothing, replace } from "../dom.js";
import { link } from "../routes.js";
import { capital, moment, size } from "../words.js";

/** A list of what was there before, each of which can be brought back. */
export class HistoryView implements View {
  readonly title = "History";
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #path: string;
  readonly #heading = h("h1", { tabindex: -1 }, "History");
  readonly #list = h("ol", { class: "cards", role: "list" });

  constructor(app: App, path: string) {
    this.#app = app;
    this.#path = path;
    this.element = h("div", { class: "column" },
      h("a", { class: "button quiet back-link", href: link("note", path) }, drawing("back"), "Back to the note"),
      this.#heading,
      h("p", { class: "lead" }, "What was replaced or deleted is kept on this device for a while, up to 30 days. Bringing a version back loses nothing: the present one is then found here."),
      this.#list);
    void this.refresh();
  }

  readonly refresh = together(async () => {
    const { bucket, notes } = this.#app;
    const [title, versions, all, lines, file] = await Promise.all([
      notes.title(this.#path), bucket.history(this.#path), names(bucket), log(bucket), bucket.get(this.#path),
    ]);
    this.#heading.textContent = `History of “${title}”`;
    const written = new Map(lines.map(({ version, at }) => [version, at]));
    const who = (id: string) => capital(nameOf(all, id, bucket.device));
    const rows = versions.map(({ version, device, replaced, size: bytes }) => {
      const at = written.get(version);
      return h("li", { class: "card row" },
        h("div", {},
          h("p", { class: "card-title" }, at === undefined ? `Replaced ${moment(replaced)}` : capital(moment(at))),
          h("p", { class: "hint" }, `${who(device)}, ${size(bytes)}${at === undefined ? "" : `, replaced ${moment(replaced)}`}`)),
        h("button", { class: "button", id: `restore-${version}`, onclick: () => void this.#restore(version) }, "Bring back"));
    });
    const present = file === undefined ? [] : [h("li", { class: "card row" }, h("div", {},
      h("p", { class: "card-title" }, "The present version"),
      h("p", { class: "hint" }, size(file.bytes.length))))];
    const none = h("li", {}, nothing("clock", "No earlier versions", "As soon as this note is changed, what was there before is found here."));
    replace(this.#list, ...present, ...(rows.length === 0 ? [none] : rows));
  });

  async #restore(version: string): Promise<void> {
    if (await this.#app.attempt(() => this.#app.bucket.restore(this.#path, version))) {
      this.#app.say("The earlier version is back.");
      location.hash = link("note", this.#path);
    }
  }
}
