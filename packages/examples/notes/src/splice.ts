// One change to a text: what was typed since it was read, put into what has come in meanwhile.

export interface Splice {
  start: number;
  /** Where what is taken out ends. */
  end: number;
  text: string;
}

/** The one place in which two texts differ. */
export function splice(from: string, to: string): Splice {
  const shorter = Math.min(from.length, to.length);
  let start = 0;
  while (start < shorter && from[start] === to[start]) {
    start += 1;
  }
  let tail = 0;
  while (tail < shorter - start && from[from.length - 1 - tail] === to[to.length - 1 - tail]) {
    tail += 1;
  }
  return { start, end: from.length - tail, text: to.slice(start, to.length - tail) };
}

/** Makes both changes to `base`. Undefined: they are in the same place. */
export function both(base: string, mine: string, theirs: string): string | undefined {
  const [one, two] = [splice(base, mine), splice(base, theirs)].sort((a, b) => a.start - b.start || a.end - b.end) as [Splice, Splice];
  if (one.end > two.start || (one.end === two.start && one.start === two.start)) {
    return mine === theirs ? mine : undefined;
  }
  return base.slice(0, one.start) + one.text + base.slice(one.end, two.start) + two.text + base.slice(two.end);
}

/** Where a caret is after a change. */
export function moved(caret: number, { start, end, text }: Splice): number {
  if (caret <= start) {
    return caret;
  }
  return caret >= end ? caret + text.length - (end - start) : start + text.length;
}
