// Other users: from a name to their profile, and from there to their bucket of an app.

import { loadCrypto } from "./crypto.js";
import { compactToDer, fromBase64Url, stacksAddress } from "./encoding.js";
import { fetchKept } from "./others.js";

/** Where names are looked up when nobody says where, as in the stock client. */
const NAMES = "https://api.mainnet.hiro.so/v1/names";

/** What a person publishes of themselves. */
export interface Profile {
  /** Their buckets, by the origin of the app. */
  apps?: Record<string, string>;
  [field: string]: unknown;
}

/**
 * Looks a name up and returns the profile that its owner signed.
 *
 * @param names Where to look up; the name is appended.
 */
export async function lookupProfile(username: string, names: string | undefined): Promise<Profile> {
  if (!username) {
    throw new Error("No username provided");
  }
  const record = names ? await askServer(names, username) : await askDefault(username);
  if (typeof record !== "object" || record === null || !("zonefile" in record) || !("address" in record)) {
    throw new Error("Invalid zonefile lookup response: did not contain `address` or `zonefile` field");
  }
  const file = profileAddress(String(record.zonefile));
  if (file === undefined) {
    return {};
  }
  const response = await fetchKept(file);
  const tokens = JSON.parse(await response.text()) as { token: string }[];
  return verifiedProfile(tokens[0]?.token ?? "", String(record.address));
}

/** The public URL of a file in somebody's bucket of an app; undefined when they do not have the app. */
export async function userAppFileUrl(
  path: string,
  username: string,
  app: string,
  names: string | undefined,
): Promise<string | undefined> {
  const { apps } = await lookupProfile(username, names);
  if (apps === undefined || !Object.hasOwn(apps, app)) {
    return undefined;
  }
  return `${String(apps[app]).replace(/\/?(\?|#|$)/, "/$1")}${path}`;
}

async function askServer(names: string, username: string): Promise<unknown> {
  const response = await fetchKept(`${names.replace(/\/$/, "")}/${username}`);
  return response.json();
}

async function askDefault(username: string): Promise<unknown> {
  const response = await fetchKept(`${NAMES}/${username}`);
  if (response.status === 404) {
    throw new Error("Name not found");
  }
  if (response.status !== 200) {
    throw new Error(`Bad response status: ${response.status}`);
  }
  return response.json();
}

/** The address of the profile in a zone file: the first record of a web address. */
function profileAddress(zonefile: string): string | undefined {
  if (!/^\$ORIGIN\b/im.test(zonefile)) {
    throw new Error("The name has a zone file in a form that is not used any more");
  }
  for (const line of zonefile.split("\n")) {
    const record = /^_http\._tcp\s+(?:\d+\s+)?(?:IN\s+)?URI\s+\d+\s+\d+\s+"?([^"\s]+)/i.exec(line.trim());
    if (record?.[1] !== undefined) {
      return record[1].startsWith("http") ? record[1] : `https://${record[1]}`;
    }
  }
  return undefined;
}

interface ProfileToken {
  subject?: { publicKey?: string };
  issuer?: { publicKey?: string };
  claim?: Profile;
}

/** The profile in a token, if the owner of the name signed it. */
async function verifiedProfile(token: string, owner: string): Promise<Profile> {
  const [header = "", body = "", signature = ""] = token.split(".");
  const { subject, issuer, claim } = decode<ProfileToken>(body);
  checkParts(subject, issuer, claim);
  const publicKey = issuer?.publicKey ?? "";
  const crypto = await loadCrypto();
  if (owner !== publicKey && owner !== (await stacksAddress(crypto.addressOf(publicKey)))) {
    throw new Error("Token issuer public key does not match the verifying value");
  }
  if (decode<{ alg?: string }>(header).alg !== "ES256K") {
    throw new Error("Invalid token verifier");
  }
  const signed = new TextEncoder().encode(`${header}.${body}`);
  if (!crypto.verify(signed, publicKey, compactToDer(fromBase64Url(signature)))) {
    throw new Error("Token verification failed");
  }
  return claim as Profile;
}

function checkParts(subject: ProfileToken["subject"], issuer: ProfileToken["issuer"], claim: unknown): void {
  if (!subject) {
    throw new Error("Token doesn't have a subject");
  }
  if (!("publicKey" in subject)) {
    throw new Error("Token doesn't have a subject public key");
  }
  if (!issuer) {
    throw new Error("Token doesn't have an issuer");
  }
  if (!("publicKey" in issuer)) {
    throw new Error("Token doesn't have an issuer public key");
  }
  if (claim === undefined) {
    throw new Error("Token doesn't have a claim");
  }
}

function decode<T>(part: string): T {
  return JSON.parse(new TextDecoder().decode(fromBase64Url(part))) as T;
}
