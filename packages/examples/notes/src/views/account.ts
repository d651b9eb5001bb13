// The account: devices, another device, signing out.

import { joinLink } from "../account.js";
import { together, type App, type View } from "../app.js";
import { devices, type Device } from "../devices.js";
import { drawing, h, replace } from "../dom.js";
import { count, moment, size } from "../words.js";
import { copyText } from "./signin.js";

export class AccountView implements View {
  readonly title = "Account";
  readonly element: HTMLElement;
  readonly #app: App;
  readonly #signedOut: () => void;
  readonly #devices = h("ul", { class: "cards", role: "list" });
  readonly #room = h("p", { class: "hint" });

  constructor(app: App, signedOut: () => void) {
    this.#app = app;
    this.#signedOut = signedOut;
    this.element = h("div", { class: "column" }, h("h1", { tabindex: -1 }, "Account"), ...this.#deviceList(), ...this.#another(), ...this.#about(), ...this.#out());
    void this.refresh();
  }

  readonly refresh = together(async () => {
    const [all, room] = await Promise.all([devices(this.#app.bucket), this.#app.bucket.room()]);
    replace(this.#devices, ...all.map(card));
    const { usage } = room as { usage?: number };
    this.#room.textContent = usage === undefined ? "" : `This application uses ${size(usage)} on this device.`;
  });

  #deviceList(): HTMLElement[] {
    const name = h("input", { id: "device-name", name: "name", value: this.#app.account.name, maxlength: 60, required: true, autocomplete: "off" });
    const rename = h("form", {
      class: "inline-form",
      onsubmit: (event) => {
        event.preventDefault();
        void this.#app.attempt(() => this.#app.rename(name.value.trim())).then((isDone) => isDone && this.#app.say("This device has a new name."));
      },
    }, h("label", { for: "device-name", class: "label" }, "Name of this device"), h("div", { class: "input-row" }, name, h("button", { class: "button" }, "Save")));
    return [
      h("h2", {}, "Devices"),
      h("p", { class: "hint" }, "These devices have signed in here or changed something, as far as this device has heard. It is not a list of everybody who has the key, and a device cannot be shut out: the key would have to be another one."),
      this.#devices, rename,
    ];
  }

  #another(): HTMLElement[] {
    const link = joinLink(this.#app.account);
    const part = h("div", { class: "card" });
    const hide = () => {
      replace(part,
        h("p", {}, "The link signs in another device, or a folder on a computer. Whoever has it has your notes: keep it like a password, and send it to nobody but yourself."),
        h("button", { class: "button", id: "link-toggle", "aria-expanded": "false", onclick: show }, "Show the link"));
    };
    const show = () => {
      const copy = h("button", {
        class: "button primary", id: "link-copy",
        onclick: () => void copyText(link).then((done) => this.#app.say(done ? "The link is copied." : "Copying is not allowed here: mark the link and copy it by hand.")),
      }, "Copy the link");
      replace(part,
        h("output", { class: "secret", id: "link" }, link),
        h("p", { class: "hint" }, "Paste it where another device asks for “Your link”, or give it to ", h("code", {}, "pangaea join"), " for a folder."),
        h("div", { class: "actions" }, copy, h("button", { class: "button", id: "link-toggle", "aria-expanded": "true", onclick: hide }, "Hide the link")));
    };
    hide();
    return [h("h2", {}, "Add a device"), part];
  }

  #about(): HTMLElement[] {
    const { hub, keeping } = this.#app.account;
    const kept = keeping === "device"
      ? "The key is kept in this browser, unencrypted, so that your notes open without a network and are sent when no tab is open. Whoever can use this browser can read and change them."
      : "The key is kept until this tab is closed.";
    return [
      h("h2", {}, "Where your notes are"),
      h("div", { class: "card" },
        h("dl", { class: "facts" },
          h("dt", {}, "Hub"), h("dd", {}, hub),
          h("dt", {}, "Bucket"), h("dd", { class: "path" }, this.#app.bucket.address)),
        h("p", { class: "hint" }, "The hub gets your notes encrypted. It sees their number, size and names of files, not what is in them."),
        h("p", { class: "hint" }, kept),
        this.#room),
    ];
  }

  #out(): HTMLElement[] {
    const keep = h("input", { type: "checkbox", id: "keep-notes" });
    const warning = h("p", { class: "problem", hidden: true, role: "alert" });
    let isWarned = false;
    const button = h("button", {
      class: "button danger", id: "sign-out",
      onclick: () => void this.#app.attempt(async () => {
        const { pending } = await this.#app.bucket.status();
        if (pending > 0 && !keep.checked && !isWarned) {
          isWarned = true;
          warning.hidden = false;
          warning.textContent = `${count(pending, "change")} ${pending === 1 ? "is" : "are"} on this device only and would be lost. Keep the notes on this device, or press again to lose them.`;
          button.textContent = `Sign out and lose ${count(pending, "change")}`;
          return;
        }
        await this.#app.signOut(keep.checked);
        this.#signedOut();
      }),
    }, "Sign out");
    return [
      h("h2", {}, "Sign out"),
      h("div", { class: "card" },
        h("p", {}, "The key is removed from this browser. Keep it somewhere before: without it, or a link, or another device, nobody gets at your notes again."),
        h("label", { class: "check" }, keep, "Keep the notes on this device for the next time (they lie here unencrypted)"),
        warning, button),
    ];
  }
}

function card({ id, name, isThis, lastWrote }: Device): HTMLElement {
  return h("li", { class: "card row device" }, drawing("device"),
    h("div", {},
      h("p", { class: "card-title" }, name, isThis && h("span", { class: "tag" }, "This device")),
      h("p", { class: "hint" }, lastWrote === undefined ? "No change in the log of this device" : `Last change: ${moment(lastWrote)}`, ` · ${id.slice(0, 6)}`)));
}
