// How a file is to be stored, worked out from the many ways in which an application can say it.

import type { PutOptions } from "../content.js";
import { loadCrypto, seal, signEnvelope, type CipherTextEncoding } from "./crypto.js";
import type { Content } from "./content.js";
import { envelopeSize } from "./sizes.js";

/** What an application asked for. */
export interface Wishes {
  contentType?: string;
  encrypt?: boolean | string;
  sign?: boolean | string;
  cipherTextEncoding?: CipherTextEncoding;
}

/** Who does the work. */
export type Plan =
  /** The replica encrypts for and signs with the own key. The file can be merged. */
  | { by: "replica"; encrypted: boolean; signed: boolean }
  /** It is encrypted here, for another key or signed by another, and to the replica a file like any other. */
  | { by: "page"; recipient: string; signer: string | undefined; encoding: CipherTextEncoding }
  /** It is not encrypted, and another key signs it: two plain files. */
  | { by: "signature file"; signer: string };

/** A file that goes into the replica. */
export interface Prepared {
  path: string;
  bytes: Uint8Array;
  options: PutOptions;
}

/** Decides who encrypts and who signs. */
export async function plan({ encrypt, sign, cipherTextEncoding }: Wishes, own: string): Promise<Plan> {
  const isSigned = !!sign;
  const signsItself = typeof sign === "string" && sign !== "" && !isSameKey(sign, own);
  if (!encrypt) {
    return signsItself ? { by: "signature file", signer: sign } : { by: "replica", encrypted: false, signed: isSigned };
  }
  if (cipherTextEncoding !== undefined && cipherTextEncoding !== "hex" && cipherTextEncoding !== "base64") {
    throw new Error(`Unexpected cipherTextEncoding "${String(cipherTextEncoding)}"`);
  }
  if (encrypt === true && !signsItself) {
    return { by: "replica", encrypted: true, signed: isSigned };
  }
  const { publicKey } = await loadCrypto();
  const ownPublic = publicKey(own);
  // A key that signs is also encrypted for, unless another is named.
  const recipient = typeof encrypt === "string" ? encrypt : publicKey(sign as string);
  if (recipient.toLowerCase() === ownPublic && !signsItself) {
    return { by: "replica", encrypted: true, signed: isSigned };
  }
  const signer = isSigned ? (signsItself ? sign : own) : undefined;
  return { by: "page", recipient, signer, encoding: cipherTextEncoding ?? "hex" };
}

/** The bytes that the hub will have to take. */
export function plannedSize(content: Content, plan: Plan): number {
  if (plan.by === "signature file" || (plan.by === "replica" && !plan.encrypted)) {
    return content.size;
  }
  const signed = plan.by === "page" ? plan.signer !== undefined : plan.signed;
  const encoding = plan.by === "page" ? plan.encoding : "base64";
  return envelopeSize(content.size, { wasString: content.wasString, signed, encoding });
}

/** Makes what the replica is to store. */
export async function prepare(path: string, content: Content, plan: Plan): Promise<Prepared[]> {
  const bytes = await content.bytes();
  const kind = content.wasString ? "text" : "bytes";
  if (plan.by === "replica") {
    const { encrypted, signed } = plan;
    const format = { encryption: encrypted ? ("ecies" as const) : ("plain" as const), signed, kind } as const;
    // The type of what is encrypted does not travel, so it is told from the name, as on the other devices.
    return [{ path, bytes, options: { format, ...(encrypted ? {} : { type: mediaType(content.type) }) } }];
  }
  if (plan.by === "page") {
    const envelope = await seal(plan.recipient, bytes, content.wasString, plan.encoding);
    const text = plan.signer === undefined ? envelope : await signEnvelope(envelope, plan.signer);
    return [plainJson(path, text)];
  }
  const { sign } = await loadCrypto();
  const { signature, publicKey } = sign(plan.signer, bytes);
  const format = { encryption: "plain", signed: false, kind } as const;
  return [
    { path, bytes, options: { type: mediaType(content.type), format } },
    plainJson(`${path}.sig`, JSON.stringify({ signature, publicKey })),
  ];
}

/** Whether two ways of writing a private key mean the same: some wallets append two digits. */
export function isSameKey(one: string, other: string): boolean {
  const digits = (key: string) => key.slice(0, 64).toLowerCase();
  return digits(one) === digits(other);
}

/** A media type that the replica takes; what is none becomes the one that readers would treat alike. */
function mediaType(type: string): string {
  const [essence = "", ...parameters] = type.split(";");
  const lower = essence.trim().toLowerCase();
  if (/^[!#$%&'*+.^_`|~0-9a-z-]+\/[!#$%&'*+.^_`|~0-9a-z-]+$/.test(lower)) {
    return [lower, ...parameters].join(";");
  }
  return lower.startsWith("text") ? "text/plain" : lower.startsWith("application/json") ? "application/json" : "application/octet-stream";
}

function plainJson(path: string, text: string): Prepared {
  const format = { encryption: "plain", signed: false, kind: "text" } as const;
  return { path, bytes: new TextEncoder().encode(text), options: { type: "application/json", format } };
}
