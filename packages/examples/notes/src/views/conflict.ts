// Two versions of a file that could not be made one, side by side.

import type { Choice } from "pangaea";

import { together, type App, type View } from "../app.js";
import { log, nameOf, names } from "../devices.js";
import { marks } from "../difference.js";
import { drawing, h, nothing, replace } from "../dom.js";
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
      : h("button", { class: "button", id: "keep-both", onclick: () => void this.#choose("both") }, "Keep both, as two notes");
    return [
      h("p", { class: "lead" }, "Two devices changed the same lines before they heard of each other. The lines that differ are marked."),
      h("div", { class: "versions" },
        this.#side("The version in place", kept, keptMarks, "mine"),
        this.#side("The version set aside", aside, asideMarks, "theirs")),
      h("div", { class: "actions" }, both, h("p", { class: "hint" }, "What you do not choose stays in the history.")),
    ];
  }

  #side(heading: string, { who, when }: Version, lines: { text: string; isOnlyHere: boolean }[], choice: "mine" | "theirs"): HTMLElement {
    const rows = lines.map(({ text, isOnlyHere }) =>
      isOnlyHere ? h("mark", { class: "line" }, text === "" ? " " : text) : h("span", { class: "line" }, text === "" ? " " : text));
    return h("section", { class: "card version", "aria-labelledby": `side-${choice}` },
      h("h2", { id: `side-${choice}` }, heading),
      h("p", { class: "hint" }, `Written by ${who}${when === "" ? "" : `, ${when}`}`),
      h("div", { class: "version-text", tabindex: 0, role: "group", "aria-label": `Text of ${heading.toLowerCase()}` }, ...rows),
      h("button", { class: "button primary", id: `keep-${choice}`, "aria-describedby": `side-${choice}`, onclick: () => void this.#choose(choice) }, "Keep this one"));
  }

  #undecided(): HTMLElement[] {
    const button = (choice: Choice, label: string) => h("button", { class: "button", id: `keep-${choice}`, onclick: () => void this.#choose(choice) }, label);
    return [
      h("p", { class: "lead" }, "Your bucket's rules say that you are asked about this file. This device has its own version; the other one is still on the hub."),
      h("div", { class: "actions" }, button("mine", "Keep mine"), button("theirs", "Take the other"), button("both", "Keep both")),
    ];
  }

  async #choose(choice: Choice): Promise<void> {
    if (await this.#app.attempt(() => this.#app.bucket.resolve(this.#path, choice))) {
      this.#app.say(choice === "both" ? "Both are kept." : "Settled. The other version is in the history.");
      location.hash = link("sync");
    }
  }

  async #putTogether(copy: string): Promise<void> {
    const isDone = await this.#app.attempt(async () => {
      await this.#app.todo.include(copy);
      await this.#app.bucket.resolve(this.#path, "mine");
    });
    if (isDone) {
      this.#app.say("The lists are one now.");
      location.hash = link("sync");
    }
  }
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

