// Signing in: by link, by key, or with a new key.

import { isHub, isKey, newKey, readLink, suggestedName, type Account, type Keeping } from "../account.js";
import { h, replace } from "../dom.js";

export interface SignInOptions {
  /** What a link says that led here. */
  link?: Pick<Account, "hub" | "key">;
  /** What went wrong when it was tried before. */
  problem?: string;
  done(account: Account, keeping: Keeping): void;
}

/** The page for those who are not signed in. */
export function signIn(options: SignInOptions): HTMLElement {
  const body = h("div", { class: "signin-body" });
  const show = (name: "link" | "key" | "new") => {
    const views = { link: byLink, key: byKey, new: byNewKey };
    replace(body, views[name](options, show));
    body.querySelector<HTMLElement>("input, textarea, button")?.focus();
  };
  replace(body, options.link === undefined ? byLink(options, show) : confirmLink(options.link, options, show));
  return h(
    "main", { class: "signin", id: "main" },
    h("div", { class: "signin-card" },
      h("img", { src: "icons/icon.svg", alt: "", width: 56, height: 56 }),
      h("h1", {}, "Pangaea Notes"),
      h("p", { class: "lead" }, "Notes and a to-do list that are yours: they work without a network, and on all your devices."),
      options.problem !== undefined && h("p", { class: "problem", role: "alert" }, options.problem),
      body,
    ),
  );
}

type Show = (name: "link" | "key" | "new") => void;

function byLink(options: SignInOptions, show: Show): HTMLElement {
  const link = field("link", "Your link", {
    placeholder: "pangaea://join?hub=…#key=…", autocomplete: "off", spellcheck: "false", required: true,
  }, "From another of your devices (Account, Add a device), or from the program: pangaea up prints one.");
  return form("Sign in", [link, ...common()], [["key", "Use a hub and a key instead"], ["new", "I am new here"]], show, (data) => {
    const found = readLink(data.link);
    if (found === undefined) {
      throw new Wrong("link", "This is not a whole link. Copy all of it, from pangaea:// to its end.");
    }
    finish(found, data, options);
  });
}

function confirmLink(link: Pick<Account, "hub" | "key">, options: SignInOptions, show: Show): HTMLElement {
  const note = h("p", { class: "hint" }, "This link opens the notes that are kept at ", h("strong", {}, new URL(link.hub).host), ". Go on only if it came from you.");
  return form("Open these notes", [note, ...common()], [["link", "Use another link"]], show, (data) => finish(link, data, options));
}

function byKey(options: SignInOptions, show: Show): HTMLElement {
  return form("Sign in", [hubField(), keyField(), ...common()], [["link", "Use a link instead"], ["new", "I am new here"]], show, (data) => {
    const key = data.key.trim();
    if (!isKey(key)) {
      throw new Wrong("key", "A key is 64 digits from 0 to 9 and a to f.");
    }
    finish({ hub: checkedHub(data.hub), key }, data, options);
  });
}

function byNewKey(options: SignInOptions, show: Show): HTMLElement {
  const key = newKey();
  const shown = h("output", { class: "secret", id: "new-key" }, key);
  const copy = h("button", {
    type: "button", class: "button",
    onclick: () => void copyText(key).then((done) => (copy.textContent = done ? "Copied" : "Copy it by hand")),
  }, "Copy the key");
  const kept = h("label", { class: "check" }, h("input", { type: "checkbox", name: "kept", required: true }), "I have put the key in a safe place, such as a password manager.");
  const part = h("div", { class: "field" },
    h("span", { class: "label" }, "Your new key"), shown, copy,
    h("p", { class: "hint" }, "The key is the only way to your notes. Nobody can replace it if it is lost, and whoever has it can read and change everything."));
  return form("Begin", [hubField(), part, kept, ...common()], [["link", "I have a link already"]], show, (data) => finish({ hub: checkedHub(data.hub), key }, data, options));
}

function hubField(): HTMLElement {
  return field("hub", "Hub", { type: "url", placeholder: "https://hub.example", required: true, autocomplete: "url" }, "The address of the server that keeps your files, encrypted.");
}

function keyField(): HTMLElement {
  return field("key", "Key", { type: "password", required: true, autocomplete: "current-password", spellcheck: "false" });
}

function common(): HTMLElement[] {
  const remember = h("input", { type: "checkbox", name: "remember", checked: true, "aria-describedby": "remember-hint" });
  return [
    field("name", "Name of this device", { value: suggestedName(), autocomplete: "off", maxlength: 60 }, "So that you know it on your other devices."),
    h("div", { class: "field" },
      h("label", { class: "check" }, remember, "Stay signed in on this device"),
      h("p", { class: "hint", id: "remember-hint" },
        "The key is then kept in this browser, unencrypted. Whoever can use this browser, or read its files, can read and change your notes. Leave it off on a device that is not yours.")),
  ];
}

function field(name: string, label: string, attributes: Record<string, string | number | boolean>, hint?: string): HTMLElement {
  const described = hint === undefined ? {} : { "aria-describedby": `${name}-hint` };
  return h("div", { class: "field" },
    h("label", { for: `in-${name}`, class: "label" }, label),
    h("input", { id: `in-${name}`, name, type: "text", ...described, ...attributes }),
    hint !== undefined && h("p", { class: "hint", id: `${name}-hint` }, hint));
}

interface Data {
  link: string;
  hub: string;
  key: string;
  name: string;
  remember: boolean;
}

/** Something in a field is not right. */
class Wrong extends Error {
  constructor(readonly field: string, message: string) {
    super(message);
  }
}

function form(label: string, parts: HTMLElement[], others: [Parameters<Show>[0], string][], show: Show, submit: (data: Data) => void): HTMLElement {
  const problem = h("p", { class: "problem", role: "alert", hidden: true, id: "form-problem" });
  const element = h("form", {
    onsubmit: (event) => {
      event.preventDefault();
      const data = new FormData(element);
      const text = (name: string) => String(data.get(name) ?? "");
      try {
        submit({ link: text("link"), hub: text("hub"), key: text("key"), name: text("name").trim(), remember: data.get("remember") !== null });
      } catch (thrown) {
        problem.hidden = false;
        problem.textContent = (thrown as Error).message;
        if (thrown instanceof Wrong) {
          const input = element.querySelector<HTMLElement>(`[name=${thrown.field}]`);
          input?.setAttribute("aria-invalid", "true");
          input?.focus();
        }
      }
    },
  }, ...parts, problem, h("button", { class: "button primary wide" }, label),
  h("div", { class: "others" }, ...others.map(([name, text]) => h("button", { type: "button", class: "link", onclick: () => show(name) }, text))));
  return element;
}

function checkedHub(text: string): string {
  const hub = text.trim();
  if (!isHub(hub)) {
    throw new Wrong("hub", "The address of a hub looks like https://hub.example");
  }
  return hub;
}

function finish(found: Pick<Account, "hub" | "key">, data: Data, options: SignInOptions): void {
  options.done({ ...found, name: data.name === "" ? suggestedName() : data.name }, data.remember ? "device" : "tab");
}

/** Tells whether it is in the clipboard. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

