// The to-do list.

import { together, type App, type View } from "../app.js";
import { drawing, h, nothing, replace } from "../dom.js";
import type { Item } from "../todo.js";
import { count } from "../words.js";

/** What is to be done, then what is done. */
export class TodoView implements View {
  readonly title = "To-do";
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #open = h("ul", { class: "todo-list", role: "list", "aria-label": "To do" });
  readonly #rest = h("div", {});
  readonly #empty = h("div", {});

  constructor(app: App) {
    this.#app = app;
    const input = h("input", { id: "new-todo", "aria-label": "New to-do", placeholder: "What is to be done?", maxlength: 500, autocomplete: "off", enterkeyhint: "done" });
    const form = h("form", {
      class: "todo-new",
      onsubmit: (event) => {
        event.preventDefault();
        const text = input.value.trim();
        if (text !== "") {
          void app.attempt(() => app.todo.add(text)).then((isDone) => isDone && input.value.trim() === text && (input.value = ""));
        }
      },
    }, input, h("button", { class: "button primary" }, drawing("plus"), "Add"));
    this.element = h("div", { class: "column" }, h("h1", { tabindex: -1 }, "To-do"), form, this.#open, this.#empty, this.#rest);
    void this.refresh();
  }

  readonly refresh = together(async () => {
    if (isTyping(this.element)) {
      return;
    }
    let items: Item[] = [];
    await this.#app.attempt(async () => (items = await this.#app.todo.items()));
    const open = items.filter(({ done }) => !done);
    const done = items.filter((item) => item.done);
    replace(this.#open, ...open.map((item) => this.#item(item)));
    this.#open.hidden = open.length === 0;
    const none = items.length === 0
      ? nothing("todo", "Nothing to do", "Add something above. You can tick it off on any of your devices.")
      : nothing("todo", "All done", "Enjoy the rest of the day.");
    replace(this.#empty, open.length === 0 && none);
    replace(this.#rest, ...(done.length === 0 ? [] : this.#done(done)));
  });

  #done(items: Item[]): HTMLElement[] {
    const clear = () => void this.#app.attempt(() => this.#app.todo.remove(items.map(({ id }) => id)));
    return [
      h("div", { class: "todo-done-head" },
        h("h2", { id: "done-heading" }, `Done (${items.length})`),
        h("button", { class: "button quiet", id: "clear-done", onclick: clear, "aria-label": `Remove ${count(items.length, "thing")} that ${items.length === 1 ? "is" : "are"} done` }, "Remove all")),
      h("ul", { class: "todo-list", role: "list", "aria-labelledby": "done-heading" }, ...items.map((item) => this.#item(item))),
    ];
  }

  #item({ id, text, done }: Item): HTMLElement {
    const { app } = { app: this.#app };
    const box = h("input", {
      type: "checkbox", id: `done-${id}`, checked: done, "aria-label": `Done: ${text}`,
      onchange: () => void app.attempt(() => app.todo.set(id, { done: box.checked })),
    });
    const words = h("textarea", {
      class: "todo-text", id: `text-${id}`, rows: 1, maxlength: 500, "aria-label": "To-do",
      onkeydown: (event) => {
        if ((event as KeyboardEvent).key === "Enter" && !(event as KeyboardEvent).isComposing) {
          event.preventDefault();
          words.blur();
        }
      },
      onblur: () => {
        const wanted = words.value.trim();
        if (wanted !== "" && wanted !== text) {
          words.defaultValue = wanted;
          void app.attempt(() => app.todo.set(id, { text: wanted }));
        } else {
          words.value = text;
          void this.refresh();
        }
      },
    }, text);
    const remove = h("button", {
      class: "button quiet icon", id: `remove-${id}`, "aria-label": `Delete: ${text}`,
      onclick: () => void app.attempt(() => app.todo.remove([id])),
    }, drawing("bin"));
    return h("li", { class: done && "is-done" }, box, words, remove);
  }
}

/** Nothing is taken from under somebody's hands. */
function isTyping(element: HTMLElement): boolean {
  const active = document.activeElement;
  return active instanceof HTMLTextAreaElement && element.contains(active) && active.value !== active.defaultValue;
}
