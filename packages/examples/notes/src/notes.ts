// Notes as files: notes/*.md, the title as a heading in the first line.

import type { Bucket, FileInfo } from "pangaea";

export const FOLDER = "notes/";
export const TYPE = "text/markdown";

export interface Note {
  path: string;
  title: string;
  /** The first words of the text. */
  start: string;
  modified: number;
  state: FileInfo["state"];
}

/** A path for a new note that no other device takes. */
export function newPath(now = new Date()): string {
  const time = now.toISOString().slice(0, 16).replace("T", " ").replace(":", "");
  const random = [...crypto.getRandomValues(new Uint8Array(3))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return `${FOLDER}${time} ${random}.md`;
}

export function isNote(path: string): boolean {
  return path.startsWith(FOLDER) && /\.(md|txt)$/i.test(path);
}

/** Takes the title out of a text. */
export function split(text: string): { title: string; body: string } {
  const [, title, body] = /^# ([^\r\n]*)(?:\r?\n(?:\r?\n)?([^]*))?$/.exec(text) ?? [];
  return title === undefined ? { title: "", body: text } : { title, body: body ?? "" };
}

export function join({ title, body }: { title: string; body: string }): string {
  const heading = title.replace(/[\r\n]+/g, " ").trimStart();
  return heading === "" ? body : `# ${heading}\n\n${body}`;
}

/** What a note is called where it is listed. */
export function titleOf(text: string): string {
  const { title, body } = split(text);
  const line = title === "" ? firstLines(body)[0] : title;
  return line === undefined || line.trim() === "" ? "Untitled note" : line.trim();
}

function firstLines(text: string): string[] {
  return text.slice(0, 2000).split(/\r?\n/).filter((line) => line.trim() !== "");
}

function startOf(text: string): string {
  const { title, body } = split(text);
  const lines = firstLines(body);
  return (title === "" ? lines.slice(1) : lines).map((line) => line.replace(/^\s*(?:[-*+]|#+|\d+[.)]) +/, "")).join(" · ").slice(0, 140);
}

/** Reads the notes, each version of each once. */
export class Notes {
  readonly #bucket: Bucket;
  #read = new Map<string, { version: string; text: string }>();

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  /** The notes with all of these words, the last changed first. */
  async list(search = ""): Promise<Note[]> {
    const files = (await this.#bucket.list(FOLDER)).filter(({ path }) => isNote(path));
    const texts = await Promise.all(files.map((file) => this.#text(file)));
    this.#read = new Map(files.map(({ path, version }, index) => [path, { version, text: texts[index] as string }]));
    const words = search.toLowerCase().split(/\s+/).filter((word) => word !== "");
    return files
      .map(({ path, modified, state }, index) => ({ path, modified, state, text: texts[index] as string }))
      .filter(({ text }) => words.every((word) => text.toLowerCase().includes(word)))
      .map(({ path, modified, state, text }) => ({ path, modified, state, title: titleOf(text), start: startOf(text) }))
      .sort((a, b) => b.modified - a.modified);
  }

  async title(path: string): Promise<string> {
    const file = await this.#bucket.get(path);
    return file === undefined ? "A deleted note" : titleOf(file.text());
  }

  async #text({ path, version }: FileInfo): Promise<string> {
    const known = this.#read.get(path);
    if (known?.version === version) {
      return known.text;
    }
    return (await this.#bucket.get(path))?.text() ?? "";
  }
}
