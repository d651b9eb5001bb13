// Which lines of two texts are not in the other one.

export interface Line {
  text: string;
  isOnlyHere: boolean;
}

/** Above this, comparing would be slow; then only equal beginnings and ends are told from the rest. */
const CELLS_MAX = 4_000_000;

/** Splits both texts into lines, and marks those that only one has. */
export function marks(left: string, right: string): [Line[], Line[]] {
  const a = left.split(/\r?\n/);
  const b = right.split(/\r?\n/);
  const isCommon = common(a, b);
  return [
    a.map((text, index) => ({ text, isOnlyHere: !isCommon.left.has(index) })),
    b.map((text, index) => ({ text, isOnlyHere: !isCommon.right.has(index) })),
  ];
}

function common(a: string[], b: string[]): { left: Set<number>; right: Set<number> } {
  const left = new Set<number>();
  const right = new Set<number>();
  const take = (i: number, j: number) => void (left.add(i), right.add(j));
  let start = 0;
  while (start < Math.min(a.length, b.length) && a[start] === b[start]) {
    take(start, start);
    start += 1;
  }
  let tail = 0;
  while (tail < Math.min(a.length, b.length) - start && a[a.length - 1 - tail] === b[b.length - 1 - tail]) {
    take(a.length - 1 - tail, b.length - 1 - tail);
    tail += 1;
  }
  const [rows, columns] = [a.length - tail - start, b.length - tail - start];
  if (rows * columns > CELLS_MAX) {
    return { left, right };
  }
  // The longest common subsequence of what is left, from the end.
  const width = columns + 1;
  const lengths = new Uint32Array((rows + 1) * width);
  const at = (i: number, j: number) => lengths[i * width + j] as number;
  for (let i = rows - 1; i >= 0; i -= 1) {
    for (let j = columns - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = a[start + i] === b[start + j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  for (let i = 0, j = 0; i < rows && j < columns; ) {
    if (a[start + i] === b[start + j]) {
      take(start + i, start + j);
      i += 1;
      j += 1;
    } else if (at(i + 1, j) >= at(i, j + 1)) {
      i += 1;
    } else {
      j += 1;
    }
  }
  return { left, right };
}
