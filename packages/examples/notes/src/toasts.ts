// Short messages at the edge of the page, which screen readers say too.

import { h } from "./dom.js";

const STAY_MS = 8000;

export class Toasts {
  readonly #place: HTMLElement;

  constructor(place: HTMLElement) {
    this.#place = place;
  }

  /** Shows a message for a while; one with something to press stays until it is pressed or closed. */
  show(text: string, action?: { label: string; run: () => void }): void {
    for (const shown of this.#place.children) {
      if (shown.firstElementChild?.textContent === text) {
        return;
      }
    }
    const close = () => toast.remove();
    const button = action !== undefined && h("button", {
      class: "button",
      onclick: () => {
        close();
        action.run();
      },
    }, action.label);
    const toast = h("div", { class: "toast" }, h("p", {}, text), button, h("button", { class: "button icon", "aria-label": "Close this message", onclick: close }, "×"));
    this.#place.append(toast);
    if (action === undefined) {
      setTimeout(close, STAY_MS);
    }
  }
}
