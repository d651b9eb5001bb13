// Policies: how concurrent versions of a path become one, and whether it is encrypted. All devices of a bucket share them in
// the file .pangaea/policy.json.

import { PangaeaError } from "./errors.js";
import type { MergeInput } from "./wasm.js";

/** Where the policies of a bucket are. */
export const POLICY_PATH = ".pangaea/policy.json";

const BUILT_IN = ["latest", "keep-both", "text", "json", "ask"] as const;

/** Two versions of a file that were written without knowing of each other. */
export interface Merge {
  path: string;
  /** The last version that both come from. Absent when there is none, or when its content is not kept any more. */
  base?: Uint8Array;
  /**
   * One version. Which of the two it is all devices decide alike, whoever wrote it: what the function makes of the two must be
   * the same everywhere.
   */
  mine: Uint8Array;
  /** The other version. */
  theirs: Uint8Array;
}

/** Makes one version of two. Undefined: both are kept. The same versions must give the same bytes on every device. */
export type MergeFunction = (merge: Merge) => Uint8Array | string | undefined | Promise<Uint8Array | string | undefined>;

/** A rule for the paths that a pattern names; the first that matches a path and speaks of a property counts. */
export interface Policy {
  /** `*` and `?` stay inside one folder, `**` goes through all; `{a,b}` and `[a-z]` work as in a shell. */
  glob: string;
  /**
   * `text`: by lines. `json`: by fields. `latest`: the later version, the other goes to history. `keep-both`: the later one, and
   * a copy of the other beside it. `ask`: held until `resolve` is called. Any other word is a strategy of the application's own,
   * which comes with `merge`; where no page has it, the path waits.
   */
  strategy?: (typeof BUILT_IN)[number] | (string & {});
  /** For `json`: the field, or fields, by which elements of an array are recognised. */
  key?: string | string[];
  /** `ecies` (the default): encrypted before it leaves the device. `plain`: stored as it is. */
  encryption?: "ecies" | "plain";
  /** The function for a `strategy` of the application's own. */
  merge?: MergeFunction;
}

/** The functions by strategy. */
export type MergeFunctions = Map<string, MergeFunction>;

/**
 * Collects the functions of an application's policies.
 *
 * @throws {PangaeaError} `bad-policy` when a function has no strategy of its own.
 */
export function functionsOf(policies: readonly Policy[]): MergeFunctions {
  const functions: MergeFunctions = new Map();
  for (const { glob, strategy, merge } of policies) {
    if (merge === undefined) {
      continue;
    }
    if (strategy === undefined || (BUILT_IN as readonly string[]).includes(strategy)) {
      throw new PangaeaError("bad-policy", `the policy for ${glob} has a merge function: give its strategy a name of your own`);
    }
    functions.set(strategy, merge);
  }
  return functions;
}

/** Has a function of the application make one version of two. */
export async function mergeWith(functions: MergeFunctions, input: MergeInput): Promise<Uint8Array | undefined> {
  const merge = functions.get(input.strategy);
  if (merge === undefined) {
    throw new PangaeaError("bad-policy", `this page has no merge function for "${input.strategy}"`);
  }
  const { path, base, a, b } = input;
  const merged = await merge({ path, mine: a, theirs: b, ...(base === undefined ? {} : { base }) });
  return typeof merged === "string" ? new TextEncoder().encode(merged) : merged;
}

/**
 * Returns the policy file with these rules first, or undefined when it has them already.
 *
 * Rules for other patterns stay: another version of the application, or a person, has written them.
 *
 * @throws {PangaeaError} `bad-policy` when the file that is there is not one.
 */
export function policyFile(policies: readonly Policy[], current: string | undefined): string | undefined {
  const own = policies.map(({ glob, strategy, key, encryption }) => ({
    glob,
    ...(strategy === undefined ? {} : { strategy }),
    ...(key === undefined ? {} : { key }),
    ...(encryption === undefined ? {} : { encryption }),
  }));
  const there = current === undefined ? [] : rulesOf(current);
  const globs = new Set(own.map(({ glob }) => glob));
  const others = there.filter((rule) => !globs.has(rule.glob));
  const wanted = [...own, ...others];
  if (own.length === 0 || sameRules(wanted, there)) {
    return undefined;
  }
  // One rule a line, as every other program of Pangaea writes it.
  const lines = wanted.map((rule) => `    ${JSON.stringify(rule)}`);
  return `{\n  "rules": [\n${lines.join(",\n")}\n  ]\n}\n`;
}

type Rule = { glob: string } & Record<string, unknown>;

function rulesOf(text: string): Rule[] {
  try {
    const { rules } = JSON.parse(text) as { rules: Rule[] };
    if (Array.isArray(rules) && rules.every((rule) => typeof rule.glob === "string")) {
      return rules;
    }
  } catch {
    // Told below.
  }
  throw new PangaeaError("bad-policy", `${POLICY_PATH} in the bucket is not a list of policies: repair or delete it`);
}

function sameRules(left: readonly Rule[], right: readonly Rule[]): boolean {
  const text = (rule: Rule) => JSON.stringify(Object.entries(rule).sort(([a], [b]) => (a < b ? -1 : 1)));
  return left.length === right.length && left.every((rule, index) => text(rule) === text(right[index] as Rule));
}
