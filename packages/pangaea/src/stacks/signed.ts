// Signatures of files, in the stock client's two forms: around an envelope, and in a file beside a plain one.

import { loadCrypto, openEnvelope } from "./crypto.js";
import { SignatureVerificationError } from "./errors.js";

interface SignedMembers {
  signature?: string;
  publicKey?: string;
  cipherText?: string;
}

/**
 * Verifies a signed envelope and opens it.
 *
 * @param address Tells whose signature it must be.
 */
export async function openSigned(path: string, text: string, secret: string, address: string): Promise<string | Uint8Array> {
  const { signature, publicKey, cipherText } = parse(
    text,
    "Failed to parse encrypted, signed content JSON. The content may not be encrypted. " +
      "If using getFile, try passing { verify: false, decrypt: false }.",
  );
  if (!publicKey || !cipherText || !signature) {
    throw new SignatureVerificationError(`Failed to get signature verification data from file: ${path}`);
  }
  await checkSigner(publicKey, address);
  if (!(await holds(new TextEncoder().encode(cipherText), publicKey, signature))) {
    throw new SignatureVerificationError(`Contents do not match ECDSA signature in file: ${path}`);
  }
  return openEnvelope(cipherText, secret);
}

/** Verifies what lies in the signature file beside some content. */
export async function verifyDetached(
  path: string,
  content: string | ArrayBuffer,
  signatureText: string,
  address: string,
): Promise<void> {
  const signatureFile = `${path}.sig`;
  const { signature, publicKey } = parse(
    signatureText,
    `Failed to parse signature content JSON (path: ${signatureFile}) The content may be corrupted.`,
  );
  await checkSigner(publicKey ?? "", address);
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : new Uint8Array(content);
  if (!(await holds(bytes, publicKey ?? "", signature ?? ""))) {
    throw new SignatureVerificationError(
      `Contents do not match ECDSA signature: path: ${path}, signature: ${signatureFile}`,
    );
  }
}


async function checkSigner(publicKey: string, address: string): Promise<void> {
  const { addressOf } = await loadCrypto();
  const signer = addressOf(publicKey);
  if (signer !== address) {
    throw new SignatureVerificationError(`Signer pubkey address (${signer}) doesn't match gaia address (${address})`);
  }
}

async function holds(bytes: Uint8Array, publicKey: string, signature: string): Promise<boolean> {
  const { verify } = await loadCrypto();
  return verify(bytes, publicKey, signature);
}

function parse(text: string, failed: string): SignedMembers {
  try {
    return (JSON.parse(text) ?? {}) as SignedMembers;
  } catch {
    throw new Error(failed);
  }
}
