// A value of localStorage as a file, and two values made one.
//
// A file is always JSON, so that every device merges it by fields: a value that is a JSON object or array is stored as it is,
// any other text as a JSON string.

/** JSON that was parsed. */
type Node = null | boolean | number | string | Node[] | { [field: string]: Node };
type Fields = { [field: string]: Node };

/** Fields by which the elements of an array are recognised, in this order. */
const IDENTITIES = ["id", "_id", "uuid", "key"];

/** What a value's file says. */
export function toFile(value: string): string {
  const parsed = parse(value);
  return isTree(parsed) ? value : JSON.stringify(value);
}

/** The value that a file stands for. */
export function fromFile(text: string): string {
  const parsed = parse(text);
  return typeof parsed === "string" ? parsed : text;
}

/** Whose value stands where both sides changed the same. */
export type Preferred = "local" | "remote";

/**
 * Makes one value of two. Fields that only one side has or has changed are taken from it, at any depth.
 *
 * @param base The last value that both had; undefined: they never had one in common, and nothing counts as deleted.
 */
export function mergeValues(base: string | undefined, local: string, remote: string, preferred: Preferred): string {
  const [l, r] = [parse(local), parse(remote)];
  if (!isTree(l) || !isTree(r)) {
    return preferred === "local" ? local : remote;
  }
  const b = base === undefined ? undefined : parse(base);
  return JSON.stringify(merge(b, l, r, { preferred, hasBase: base !== undefined }));
}

interface Rules {
  preferred: Preferred;
  hasBase: boolean;
}

function merge(base: Node | undefined, local: Node, remote: Node, rules: Rules): Node {
  if (same(local, remote) || same(base, local)) {
    return remote;
  }
  if (same(base, remote)) {
    return local;
  }
  if (isFields(local) && isFields(remote)) {
    return mergeFields(isFields(base) ? base : {}, local, remote, rules);
  }
  if (Array.isArray(local) && Array.isArray(remote)) {
    return mergeArrays(Array.isArray(base) ? base : [], local, remote, rules);
  }
  return rules.preferred === "local" ? local : remote;
}

function mergeFields(base: Fields, local: Fields, remote: Fields, rules: Rules): Fields {
  const entries = [...new Set([...Object.keys(remote), ...Object.keys(local)])].flatMap((field) => {
    const merged = mergeField(base[field], local[field], remote[field], rules);
    return merged === undefined ? [] : [[field, merged] as const];
  });
  return Object.fromEntries(entries);
}

/** What was deleted on one side stays so, unless the other side has changed it. */
function mergeField(base: Node | undefined, local: Node | undefined, remote: Node | undefined, rules: Rules): Node | undefined {
  if (local !== undefined && remote !== undefined) {
    return merge(base, local, remote, rules);
  }
  const left = local ?? remote;
  return rules.hasBase && base !== undefined && same(base, left) ? undefined : left;
}

function mergeArrays(base: Node[], local: Node[], remote: Node[], rules: Rules): Node[] {
  const identity = IDENTITIES.find((name) => [base, local, remote].every((array) => areIdentified(array, name)));
  if (identity !== undefined) {
    const [b, l, r] = [base, local, remote].map((array) => byIdentity(array, identity)) as [Fields, Fields, Fields];
    return Object.values(mergeFields(b, l, r, rules));
  }
  if (!rules.hasBase) {
    return [...remote, ...local.filter((element) => !remote.some((other) => same(element, other)))];
  }
  return rules.preferred === "local" ? local : remote;
}

function areIdentified(array: Node[], name: string): boolean {
  const identities = array.map((element) => (isFields(element) ? element[name] : undefined));
  const areGiven = identities.every((identity) => typeof identity === "string" || typeof identity === "number");
  return areGiven && new Set(identities).size === identities.length;
}

function byIdentity(array: Node[], name: string): Fields {
  // A letter in front: fields that look like numbers would be put in another order.
  return Object.fromEntries(array.map((element) => [`=${String((element as Fields)[name])}`, element]));
}

function same(one: Node | undefined, other: Node | undefined): boolean {
  if (one === other) {
    return true;
  }
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((element, index) => same(element, other[index]));
  }
  if (isFields(one) && isFields(other)) {
    const fields = Object.keys(one);
    return fields.length === Object.keys(other).length && fields.every((field) => same(one[field], other[field]));
  }
  return false;
}

function isFields(node: Node | undefined): node is Fields {
  return typeof node === "object" && node !== null && !Array.isArray(node);
}

function isTree(node: Node | undefined): node is Fields | Node[] {
  return typeof node === "object" && node !== null;
}

function parse(text: string): Node | undefined {
  try {
    return JSON.parse(text) as Node;
  } catch {
    return undefined;
  }
}
