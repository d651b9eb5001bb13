// How large a file will be on the hub, told before anything is encrypted.

import type { CipherTextEncoding } from "./crypto.js";
import { PayloadTooLargeError } from "./errors.js";

const BLOCK = 16;

/** What matters for the size of an encrypted file. */
export interface EnvelopeOptions {
  wasString: boolean;
  signed: boolean;
  encoding: CipherTextEncoding;
}

/** The bytes of an envelope around so many bytes; with a signature, the most that it can take. */
export function envelopeSize(contentBytes: number, { wasString, signed, encoding }: EnvelopeOptions): number {
  const cipherBytes = (Math.floor(contentBytes / BLOCK) + 1) * BLOCK;
  const cipherText = encoding === "base64" ? Math.ceil(cipherBytes / 3) * 4 : cipherBytes * 2;
  const frame = {
    iv: "i".repeat(32),
    ephemeralPK: "e".repeat(66),
    cipherText: "",
    mac: "m".repeat(64),
    wasString,
    ...(encoding === "base64" ? { cipherTextEncoding: encoding } : {}),
  };
  const envelope = JSON.stringify(frame);
  if (!signed) {
    return envelope.length + cipherText;
  }
  return JSON.stringify({ signature: "s".repeat(144), publicKey: "p".repeat(66), cipherText: envelope }).length + cipherText;
}

/** Fails if a hub takes no files as large as that. */
export function checkSize(bytes: number, megabytesMax: number | undefined, isEncrypted: "encrypted" | "plain"): void {
  const bytesMax = Number.isFinite(megabytesMax) ? Math.floor((megabytesMax ?? 0) * 1024 * 1024) : 0;
  if (bytesMax > 0 && bytes > bytesMax) {
    const when = isEncrypted === "encrypted" ? " after encryption" : "";
    throw new PayloadTooLargeError(
      `The max file upload size for this hub is ${bytesMax} bytes, the given content is ${bytes} bytes${when}`,
      bytesMax,
    );
  }
}
