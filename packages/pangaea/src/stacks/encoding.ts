// Small encodings: hexadecimal digits, base64url, base58, c32, and the two forms of a signature.

const BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
const C32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/** The kind of address of a single key on the main network. */
const STACKS_VERSION = 22;

/** Bytes as hexadecimal digits. */
export function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Bytes from hexadecimal digits. */
export function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Text or bytes as base64url without padding. */
export function toBase64Url(value: string | Uint8Array): string {
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  const binary = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Bytes from base64url. */
export function fromBase64Url(text: string): Uint8Array {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** The two numbers of a signature, 32 bytes each, from its DER form in hexadecimal digits. */
export function derToCompact(der: string): Uint8Array {
  const bytes = fromHex(der);
  const compact = new Uint8Array(64);
  let at = 2;
  for (const end of [32, 64]) {
    const length = bytes[at + 1] ?? 0;
    const number = bytes.subarray(at + 2, at + 2 + length);
    const digits = number.length > 32 ? number.subarray(number.length - 32) : number;
    compact.set(digits, end - digits.length);
    at += 2 + length;
  }
  return compact;
}

/** The DER form in hexadecimal digits of a signature's two numbers. */
export function compactToDer(compact: Uint8Array): string {
  const numbers = [compact.subarray(0, 32), compact.subarray(32, 64)].map(derNumber);
  const body = numbers.flatMap((number) => [2, number.length, ...number]);
  return toHex(Uint8Array.from([48, body.length, ...body]));
}

/** Without zeros in front, but for one where the number would look negative. */
function derNumber(bytes: Uint8Array): number[] {
  let digits = Array.from(bytes);
  while (digits.length > 1 && digits[0] === 0) {
    digits = digits.slice(1);
  }
  return (digits[0] ?? 0) >= 0x80 ? [0, ...digits] : digits;
}

/** The Stacks address of the key that has this bitcoin address: the same hash of the key in other letters. */
export async function stacksAddress(bitcoinAddress: string): Promise<string> {
  // One byte for the kind of address, 20 of the hash, 4 to check them.
  const hash = base58Bytes(bitcoinAddress, 25).subarray(1, 21);
  const first = await sha256(Uint8Array.from([STACKS_VERSION, ...hash]));
  const check = (await sha256(first)).subarray(0, 4);
  return `S${C32[STACKS_VERSION]}${c32(Uint8Array.from([...hash, ...check]))}`;
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

function base58Bytes(text: string, length: number): Uint8Array {
  let number = 0n;
  for (const letter of text) {
    number = number * 58n + BigInt(BASE58.indexOf(letter));
  }
  return fromHex(number.toString(16).padStart(2 * length, "0"));
}

function c32(bytes: Uint8Array): string {
  let number = BigInt(`0x${toHex(bytes)}`);
  let text = "";
  for (; number > 0n; number /= 32n) {
    text = `${C32[Number(number % 32n)]}${text}`;
  }
  const zeros = bytes.findIndex((byte) => byte !== 0);
  return "0".repeat(zeros < 0 ? bytes.length : zeros) + text;
}
