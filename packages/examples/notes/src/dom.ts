// Making elements.

export type Child = Node | string | undefined | false;
type Attributes = Record<string, string | number | boolean | undefined | ((event: Event) => void)>;

/** Makes an element. Attributes that begin with "on" are listeners; `false` and `undefined` are left out. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") {
      element.addEventListener(name.slice(2), value);
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== undefined && value !== false) {
      element.setAttribute(name, String(value));
    }
  }
  element.append(...children.filter((child) => child !== undefined && child !== false));
  return element;
}

/**
 * Replaces what is in an element, unless it is the same already. Whoever had the focus there has it again, found by its id, or else
 * at the heading of the page.
 */
export function replace(element: Element, ...children: Child[]): void {
  const wanted = children
    .filter((child) => child !== undefined && child !== false)
    .map((child) => (typeof child === "string" ? document.createTextNode(child) : child));
  const present = [...element.childNodes];
  if (present.length === wanted.length && present.every((child, index) => child.isEqualNode(wanted[index] ?? null))) {
    return;
  }
  const active = document.activeElement;
  const id = active !== null && element.contains(active) ? active.id : "";
  element.replaceChildren(...wanted);
  if (id !== "") {
    (document.getElementById(id) ?? document.querySelector<HTMLElement>("main h1"))?.focus();
  }
}

const DRAWINGS = {
  notes: "M6 3h9l4 4v14H6zM15 3v4h4M9 12h7M9 16h5",
  todo: "M4 6l2 2 3-4M4 14l2 2 3-4M13 6h7M13 15h7",
  sync: "M20 11a8 8 0 0 0-14-4L4 9M4 4v5h5M4 13a8 8 0 0 0 14 4l2-2M20 20v-5h-5",
  account: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 21a8 8 0 0 1 16 0",
  back: "M15 5l-7 7 7 7",
  plus: "M12 5v14M5 12h14",
  bin: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v6M14 11v6",
  clock: "M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7v5l3 2",
  device: "M8 3h8a1 1 0 0 1 1 1v16a1 1 0 0 1-1 1H8a1 1 0 0 1-1-1V4a1 1 0 0 1 1-1zM11 18h2",
  fork: "M7 4v7a4 4 0 0 0 4 4h6M17 4v4a4 4 0 0 1-4 4M14 12l3 3-3 3",
} as const;

export type Drawing = keyof typeof DRAWINGS;

/** A line drawing, for the eyes only: what it means is said in words beside it. */
export function drawing(name: Drawing): SVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "drawing");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", DRAWINGS[name]);
  svg.append(path);
  return svg;
}

/** What is shown where there is nothing yet. */
export function nothing(name: Drawing, heading: string, text: string, ...more: Child[]): HTMLElement {
  return h("div", { class: "nothing" }, drawing(name), h("p", { class: "nothing-heading" }, heading), h("p", {}, text), ...more);
}
