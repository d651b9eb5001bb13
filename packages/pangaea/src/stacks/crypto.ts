// The module's cryptography for keys and files outside the own replica, loaded into the page when it is needed first. What
// belongs to the replica is encrypted and verified there.

import { FailedDecryptionError } from "./errors.js";

/** A signature over some bytes. */
export interface Signature {
  /** In DER form, as hexadecimal digits. */
  signature: string;
  /** Compressed, as hexadecimal digits. */
  publicKey: string;
}

/** How ciphertext is written inside an envelope. */
export type CipherTextEncoding = "hex" | "base64";

/** What the WebAssembly module computes. Keys are hexadecimal digits. */
export interface GaiaCrypto {
  /** The compressed public key. */
  publicKey(secret: string): string;
  /** The address of the bucket that a public key owns. */
  addressOf(publicKey: string): string;
  /** Makes an envelope that only the owner of the key can open. */
  encrypt(publicKey: string, content: Uint8Array, wasString: boolean, encoding: CipherTextEncoding): string;
  /** Opens an envelope. Fails with the code "wrong-key", or another one if it is none. */
  decrypt(secret: string, envelope: string): { content: Uint8Array; wasString: boolean };
  sign(secret: string, bytes: Uint8Array): Signature;
  verify(bytes: Uint8Array, publicKey: string, signature: string): boolean;
}

interface Module extends GaiaCrypto {
  default(options?: { module_or_path: string }): Promise<unknown>;
}

let address: string | undefined;
let loading: Promise<GaiaCrypto> | undefined;

/** Says where the WebAssembly module is, if not beside its script. */
export function placeCrypto(wasm: string): void {
  address = wasm;
}

/** Loads it once. */
export function loadCrypto(): Promise<GaiaCrypto> {
  loading ??= load().catch((thrown: unknown) => {
    // The next attempt may have a network.
    loading = undefined;
    throw thrown;
  });
  return loading;
}

async function load(): Promise<GaiaCrypto> {
  // @ts-ignore: generated into wasm/ by the build of the Rust part; types can be checked without it.
  const module = (await import("../../wasm/pangaea_wasm.js")) as Module;
  await module.default(address === undefined ? undefined : { module_or_path: address });
  return module;
}

/** Opens an envelope in the stock client's JSON form. Text comes back as text. */
export async function openEnvelope(envelope: string, secret: string): Promise<string | Uint8Array> {
  const members = parseEnvelope(envelope);
  if (!members?.ephemeralPK) {
    throw new FailedDecryptionError(
      "Unable to get public key from cipher object. You might be trying to decrypt an unencrypted object.",
    );
  }
  const { decrypt } = await loadCrypto();
  try {
    const { content, wasString } = decrypt(secret, envelope);
    return wasString ? new TextDecoder().decode(content) : content;
  } catch (thrown) {
    if ((thrown as { code?: unknown } | null)?.code === "wrong-key") {
      throw new FailedDecryptionError("Decryption failed: failure in MAC check");
    }
    throw new FailedDecryptionError(`Unable to decrypt cipher object: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
  }
}

function parseEnvelope(text: string): { ephemeralPK?: unknown } | null {
  try {
    return JSON.parse(text) as { ephemeralPK?: unknown } | null;
  } catch {
    throw new Error(
      "Failed to parse encrypted content JSON. The content may not be encrypted. If using getFile, try passing { decrypt: false }.",
    );
  }
}

/** Makes an envelope; fails as the stock client does when the key is none. */
export async function seal(
  publicKey: string,
  content: Uint8Array,
  wasString: boolean,
  encoding: CipherTextEncoding,
): Promise<string> {
  if (!/^(0[23][0-9a-f]{64}|04[0-9a-f]{128})$/i.test(publicKey)) {
    throw invalidKey("InvalidFormat", "Invalid public key format");
  }
  const { encrypt } = await loadCrypto();
  try {
    return encrypt(publicKey, content, wasString, encoding);
  } catch {
    throw invalidKey("IsNotPoint", "Public key is not a point");
  }
}

/** No error, but what the stock client throws. */
function invalidKey(reason: string, data: string): object {
  return { result: false, reason_data: data, reason };
}

/** Puts an envelope and the signature over it into one file. */
export async function signEnvelope(envelope: string, secret: string): Promise<string> {
  const { sign } = await loadCrypto();
  const { signature, publicKey } = sign(secret, new TextEncoder().encode(envelope));
  return JSON.stringify({ signature, publicKey, cipherText: envelope });
}
