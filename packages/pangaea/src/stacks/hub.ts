// What is asked of a hub beside the replica: who it is, and the public addresses of files.

import { loadCrypto } from "./crypto.js";
import { derToCompact, toBase64Url, toHex } from "./encoding.js";

/** A connection to a hub, in the stock client's form. */
export interface GaiaHubConfig {
  /** The bucket's address. */
  address: string;
  /** What the public URLs of all files begin with. */
  url_prefix: string;
  /** Signs requests; made by the key of the bucket. */
  token: string;
  /** The largest file that the hub takes. */
  max_file_upload_size_megabytes: number | undefined;
  /** The hub's own address. */
  server: string;
}

/** Where old versions of the stock client kept the connection. */
export const BLOCKSTACK_GAIA_HUB_LABEL = "blockstack-gaia-hub-config";

/** Asks a hub who it is, and makes the token that signs in there. */
export async function connectToGaiaHub(
  gaiaHubUrl: string,
  challengeSignerHex: string,
  associationToken?: string,
): Promise<GaiaHubConfig> {
  const info = await hubInfo(gaiaHubUrl);
  const crypto = await loadCrypto();
  const publicKey = crypto.publicKey(challengeSignerHex);
  const salt = toHex(globalThis.crypto.getRandomValues(new Uint8Array(16)));
  const claims = { gaiaChallenge: info.challenge_text, hubUrl: gaiaHubUrl, iss: publicKey, salt, associationToken };
  const signed = `${toBase64Url('{"typ":"JWT","alg":"ES256K"}')}.${toBase64Url(JSON.stringify(claims))}`;
  const { signature } = crypto.sign(challengeSignerHex, new TextEncoder().encode(signed));
  return {
    url_prefix: info.read_url_prefix,
    max_file_upload_size_megabytes: info.max_file_upload_size_megabytes,
    address: crypto.addressOf(publicKey),
    token: `v1:${signed}.${toBase64Url(derToCompact(signature))}`,
    server: gaiaHubUrl,
  };
}

/** The public URL of the bucket that a key owns. */
export async function getBucketUrl(gaiaHubUrl: string, appPrivateKey: string): Promise<string> {
  const [info, crypto] = await Promise.all([hubInfo(gaiaHubUrl), loadCrypto()]);
  return `${info.read_url_prefix}${crypto.addressOf(crypto.publicKey(appPrivateKey))}/`;
}

/** The public URL of a file. */
export function getFullReadUrl(filename: string, hubConfig: GaiaHubConfig): Promise<string> {
  return Promise.resolve(`${hubConfig.url_prefix}${hubConfig.address}/${filename}`);
}

interface HubInfo {
  challenge_text: string;
  read_url_prefix: string;
  max_file_upload_size_megabytes?: number;
}

async function hubInfo(hub: string): Promise<HubInfo> {
  const response = await fetch(`${hub}/hub_info`, { referrerPolicy: "origin" });
  return response.json() as Promise<HubInfo>;
}
