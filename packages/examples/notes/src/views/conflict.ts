// Two versions of a file that could not be made one, side by side.

import type { Choice } from "pangaea";

import { together, type App, type View } from "../app.js";
import { log, nameOf, names } from "../devices.js";
import { marks } from "../difference.js";
import { drawing, h, nothing, replace } from "../dom.js";
import { isNote, newPath } from "../notes.js";
import { link } from "../routes.js";
import { PATH, readItems } from "../todo.js";
import { moment } from "../words.js";
import { labelOf } from "./sync.js";

interface Version {
  text: string;
  who: string;
  when: string;
}

export class ConflictView implements View {
  readonly title = "Compare";
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #path: string;
  readonly #heading = h("h1", { tabindex: -1 }, "Compare");
  readonly #body = h("div", {});

  constructor(app: App, path: string) {
    this.#app = app;
    this.#path = path;
    this.element = h("div", { class: "column broad" },
      h("a", { class: "button quiet back-link", href: link("sync") }, drawing("back"), "Back to sync"), this.#heading, this.#body);
    void this.refresh();
  }

  readonly refresh = together(async () => {
    const conflict = (await this.#app.bucket.conflicts()).find(({ path }) => path === this.#path);
    this.#heading.textContent = `Two versions of “${await labelOf(this.#app, this.#path)}”`;
    if (conflict === undefined) {
      replace(this.#body, nothing("fork", "Settled", "There is one version of this now."));
    } else if (conflict.copy === undefined) {
      replace(this.#body, ...this.#undecided());
    } else {
      const copy = conflict.copy;
      const versions = await Promise.all([this.#version(this.#path), this.#version(copy)]);
      replace(this.#body, ...this.#compare(versions, copy));
    }
  });

  async #version(path: string): Promise<Version> {
    const { bucket } = this.#app;
    const [file, all, lines] = await Promise.all([bucket.get(path), names(bucket), log(bucket)]);
    const line = lines.find(({ version }) => version === file?.version);
    // The name of a copy tells which device wrote what is in it.
    const author = / \(conflict ([0-9a-f]{6}) /.exec(path)?.[1] ?? line?.device;
    const [info] = (await bucket.list(path)).filter((one) => one.path === path);
    return {
      text: readable(path, file?.text() ?? ""),
      who: author === undefined ? "an unknown device" : nameOf(all, author, bucket.device),
      when: info === undefined ? "" : moment(info.modified),
    };
  }

  #compare([kept, aside]: [Version, Version], copy: string): HTMLElement[] {
    const [keptMarks, asideMarks] = marks(kept.text, aside.text);
    const both = this.#path === PATH
      ? h("button", { class: "button", id: "keep-both", onclick: () => void this.#putTogether(copy) }, "Put both lists together")
      : h("button", { class: "button", id: "keep-both", onclick: () => void this.#choose("both", copy) }, isNote(this.#path) ? "Keep both, as two notes" : "Keep both");
    return [
      h("p", { class: "lead" }, "Two devices changed the same lines before they heard of each other. The lines that differ are marked."),
      h("div", { class: "versions" },
        this.#side("The version in place", kept, keptMarks, "mine", copy),
        this.#side("The version set aside", aside, asideMarks, "theirs", copy)),
      h("div", { class: "actions" }, both, h("p", { class: "hint" }, "Nothing is lost: what you do not choose is found in the note's history or among the deleted notes for a while.")),
    ];
  }

  #side(heading: string, { who, when }: Version, lines: { text: string; isOnlyHere: boolean }[], choice: "mine" | "theirs", copy: string): HTMLElement {
    const rows = lines.map(({ text, isOnlyHere }) =>
      isOnlyHere ? h("mark", { class: "line" }, text === "" ? " " : text) : h("span", { class: "line" }, text === "" ? " " : text));
    return h("section", { class: "card version", "aria-labelledby": `side-${choice}` },
      h("h2", { id: `side-${choice}` }, heading),
      h("p", { class: "hint" }, `Written by ${who}${when === "" ? "" : `, ${when}`}`),
      h("div", { class: "version-text", tabindex: 0, role: "group", "aria-label": `Text of ${heading.toLowerCase()}` }, ...rows),
      h("button", { class: "button primary", id: `keep-${choice}`, "data-copy": copy, "aria-describedby": `side-${choice}`, onclick: () => void this.#choose(choice, copy) }, "Keep this one"));
  }

  #undecided(): HTMLElement[] {
    const button = (choice: Choice, label: string) => h("button", { class: "button", id: `keep-${choice}`, onclick: () => void this.#choose(choice) }, label);
    return [
      h("p", { class: "lead" }, "Your bucket's rules say that you are asked about this file. This device has its own version; the other one is still on the hub."),
      h("div", { class: "actions" }, button("mine", "Keep mine"), button("theirs", "Take the other"), button("both", "Keep both")),
    ];
  }

  async #choose(choice: Choice, copy?: string): Promise<void> {
    if (await this.#app.attempt(() => this.#decide(choice, copy))) {
      this.#app.say(choice === "both" ? "Both are kept." : "Settled: there is one version now.");
      location.hash = link("sync");
    }
  }

  async #decide(choice: Choice, copy: string | undefined): Promise<void> {
    const { bucket } = this.#app;
    if (choice !== "both" || copy === undefined) {
      await bucket.resolve(copy ?? this.#path, choice);
      return;
    }
    // A copy becomes a note of its own by getting a name of its own.
    const file = await bucket.get(copy);
    await bucket.transaction((all) => {
      if (file !== undefined) {
        all.put(isNote(this.#path) ? newPath() : beside(this.#path), file.bytes, { type: file.type });
      }
      all.delete(copy);
    });
  }

  async #putTogether(copy: string): Promise<void> {
    const isDone = await this.#app.attempt(async () => {
      await this.#app.todo.include(copy);
      await this.#app.bucket.resolve(copy, "mine");
    });
    if (isDone) {
      this.#app.say("The lists are one now.");
      location.hash = link("sync");
    }
  }
}

/** A name of its own for a second version of a file. */
function beside(path: string): string {
  const time = new Date().toISOString().slice(0, 19).replace("T", " ").replaceAll(":", "");
  return path.replace(/(\.[^./]+)?$/, ` ${time}$1`);
}

/** A list as lines; everything else as it is. */
function readable(path: string, text: string): string {
  if (!path.startsWith("todo/list")) {
    return text;
  }
  try {
    return readItems(text).map((item) => `${item.done ? "☑" : "☐"} ${item.text}`).join("\n");
  } catch {
    return text;
  }
}

