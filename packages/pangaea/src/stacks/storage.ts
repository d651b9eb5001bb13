// The class that applications call: the stock client's `Storage`, over a replica.

import type { Bucket } from "../bucket.js";
import { loadCrypto, openEnvelope, placeCrypto, type CipherTextEncoding } from "./crypto.js";
import { readContent, type PutFileContent } from "./content.js";
import { SignatureVerificationError } from "./errors.js";
import { connectToGaiaHub, getBucketUrl, getFullReadUrl, type GaiaHubConfig } from "./hub.js";
import { userAppFileUrl } from "./names.js";
import { fetchKept } from "./others.js";
import { closeBucket, find, names, ownBucket, remove, store, type OpenOptions } from "./own.js";
import { hubPath } from "./paths.js";
import { isSameKey, plan, plannedSize, prepare } from "./plan.js";
import { Session, type UserSessionLike } from "./session.js";
import { openSigned, verifyDetached } from "./signed.js";
import { checkSize } from "./sizes.js";
import { fromResponse, type Stored } from "./stored.js";

/** How a file is stored. */
export interface PutFileOptions {
  /** The media type of a file that is not encrypted. */
  contentType?: string;
  /** For whom to encrypt: true for the user, a public key for its owner, false for nobody. True if not said. */
  encrypt?: boolean | string;
  /** Who signs: true for the user, a private key for its owner. Nobody if not said. */
  sign?: boolean | string;
  /** How ciphertext is written in files for others. Files for the user are always in base64. */
  cipherTextEncoding?: CipherTextEncoding;
  /** Whether a reader gets a string is told from the content; this has no effect, as in the stock client. */
  wasString?: boolean;
  /** Has no effect: no write is refused because of somebody else's, they are merged. */
  dangerouslyIgnoreEtag?: boolean;
}

/** Whose file is meant. */
export interface GetFileUrlOptions {
  /** The name of another user. */
  username?: string;
  /** The origin of another app. */
  app?: string;
  /** Where names are looked up. */
  zoneFileLookupURL?: string;
}

/** How a file is read. */
export interface GetFileOptions extends GetFileUrlOptions {
  /** Decrypt it: true with the user's key, otherwise with this private key. True if not said. */
  decrypt?: boolean | string;
  /** Verify that the owner of the bucket signed it. */
  verify?: boolean;
}

/** With what a storage is made. */
export interface StorageOptions {
  /** The stock client's session, or anything of its shape. */
  userSession?: UserSessionLike;
  /** How the bucket is opened on this device; beyond the stock client. */
  bucket?: OpenOptions;
}

const SIGNATURE_SUFFIX = ".sig";
/** Storing a file waits no longer for a hub whose addresses are not known yet. */
const CONNECT_WAIT_MS = 3_000;

/**
 * The stock client's `Storage` on a bucket that works offline: own files are read from and written to this device, and the
 * hub hears of it when it can be reached.
 */
export class Storage {
  /** The session that was given. */
  userSession: UserSessionLike;
  readonly #options: OpenOptions;
  /** The bucket that was used last. */
  #opened: Promise<Bucket> | undefined;
  #connecting: Promise<GaiaHubConfig> | undefined;

  constructor({ userSession, bucket = {} }: StorageOptions) {
    this.userSession = userSession as UserSessionLike;
    this.#options = bucket;
    if (bucket.wasm !== undefined) {
      placeCrypto(new URL(bucket.wasm, globalThis.location?.href).href);
    }
  }

  /** The bucket behind it: for watching changes, the status, history and conflicts. Beyond the stock client. */
  async bucket(): Promise<Bucket> {
    this.#opened = ownBucket(this.#session(), this.#options);
    return this.#opened;
  }

  /** Lets go of the bucket in this page, for instance when the user has signed out. Beyond the stock client. */
  async close(): Promise<void> {
    const bucket = await this.#opened?.catch(() => undefined);
    this.#opened = undefined;
    if (bucket !== undefined) {
      await closeBucket(bucket);
    }
  }

  /**
   * Reads a file.
   *
   * @returns Text or bytes, as it was stored. The bytes of what was encrypted are a Uint8Array, whatever the type says, and
   * the result is never null: both as in the stock client, whose type this is.
   */
  async getFile(path: string, options?: GetFileOptions): Promise<string | ArrayBuffer | null> {
    return this.#getFile(path, options) as Promise<string | ArrayBuffer>;
  }

  async #getFile(path: string, options?: GetFileOptions): Promise<string | ArrayBuffer | Uint8Array> {
    const settings = { decrypt: true as boolean | string, verify: false, app: globalThis.location?.origin, ...options };
    if (!settings.decrypt) {
      const stored = await this.#find(path, settings);
      return settings.verify ? this.#verified(path, stored, settings) : stored.asIs();
    }
    const stored = await this.#find(path, settings);
    const own = this.#session().key();
    const key = typeof settings.decrypt === "string" ? settings.decrypt : own;
    // What the replica opened with this key needs no second opening, if the form is the one that is asked for.
    if (stored.opened !== undefined && stored.signed === !!settings.verify && isSameKey(key, own)) {
      return stored.opened;
    }
    const text = await stored.text();
    return settings.verify ? openSigned(path, text, key, await this.#signer(key, settings)) : openEnvelope(text, key);
  }

  /**
   * Stores a file on this device; it is sent by itself.
   *
   * @returns Its public URL, where it will be once the hub has it.
   */
  async putFile(path: string, content: PutFileContent, options?: PutFileOptions): Promise<string> {
    const settings: PutFileOptions = { encrypt: true, sign: false, cipherTextEncoding: "hex", ...options };
    const connection = await this.#connection();
    const loaded = readContent(content, settings.contentType);
    const how = await plan(settings, this.#session().key());
    const when = settings.encrypt ? "encrypted" : "plain";
    checkSize(plannedSize(loaded, how), connection?.max_file_upload_size_megabytes, when);
    const refused = "Error when uploading to Gaia hub.";
    const { name, shown } = hubPath(path, refused);
    const files = await prepare(name, loaded, how);
    const bucket = await this.bucket();
    await store(bucket, refused, (transaction) => {
      for (const { path, bytes, options } of files) {
        transaction.put(path, bytes, options);
      }
    });
    const prefix = connection?.url_prefix ?? `${this.#session().hubUrl()}/`;
    return `${prefix}${bucket.address}/${shown}`;
  }

  /**
   * Deletes a file.
   *
   * @param options `wasSigned`: the signature file beside it too.
   */
  async deleteFile(path: string, options?: { wasSigned?: boolean }): Promise<void> {
    this.#session().user();
    await remove(await this.bucket(), path, options?.wasSigned ? "file and signature" : "file");
  }

  /**
   * Calls back with the name of each file.
   *
   * @param callback Ends the list by returning something falsy.
   * @returns How many files there were, without the one at which it was ended.
   */
  async listFiles(callback: (name: string) => boolean): Promise<number> {
    this.#session().user();
    const all = await names(await this.bucket());
    const end = all.findIndex((name) => !callback(name));
    return end < 0 ? all.length : end;
  }

  /** The public URL of a file. */
  async getFileUrl(path: string, options: GetFileUrlOptions = {}): Promise<string> {
    const { username, app, zoneFileLookupURL } = options;
    const session = this.#session();
    const url = username
      ? await userAppFileUrl(path, username, session.app(app) ?? "", session.names(zoneFileLookupURL))
      : await getFullReadUrl(path, await this.getOrSetLocalGaiaHubConnection());
    if (!url) {
      throw new Error("Missing readURL");
    }
    return url;
  }

  /** The public URL of a file of another user in some app. */
  async getUserAppFileUrl(path: string, username: string, appOrigin: string, zoneFileLookupURL?: string): Promise<string | undefined> {
    return userAppFileUrl(path, username, appOrigin, zoneFileLookupURL);
  }

  /** The public URL of the bucket that a key owns. */
  getAppBucketUrl(gaiaHubUrl: string, appPrivateKey: string): Promise<string> {
    return getBucketUrl(gaiaHubUrl, appPrivateKey);
  }

  /** The address of the user's bucket of an app, or of another user's. */
  async getGaiaAddress(app: string, username?: string, zoneFileLookupURL?: string): Promise<string> {
    const whose = { app, ...(username && { username }), ...(zoneFileLookupURL && { zoneFileLookupURL }) };
    const addresses = (await this.getFileUrl("/", whose)).match(/([13][a-km-zA-HJ-NP-Z0-9]{26,35})/g);
    const address = addresses?.at(-1);
    if (address === undefined) {
      throw new Error("Failed to parse gaia address");
    }
    return address;
  }

  /** The connection to the hub that the session keeps; made if there is none. */
  async getOrSetLocalGaiaHubConnection(): Promise<GaiaHubConfig> {
    return this.#session().connection() ?? this.setLocalGaiaHubConnection();
  }

  /** Connects to the hub anew, and keeps the connection in the session. */
  async setLocalGaiaHubConnection(): Promise<GaiaHubConfig> {
    const session = this.#session();
    const connection = await connectToGaiaHub(session.hubUrl(), session.key(), session.association());
    session.keep(connection);
    return connection;
  }

  #session(): Session {
    return new Session(this.userSession);
  }

  /** The connection, or nothing when the hub was never reached and cannot be within a moment. */
  async #connection(): Promise<GaiaHubConfig | undefined> {
    const known = this.#session().connection();
    if (known !== undefined) {
      return known;
    }
    this.#connecting ??= this.setLocalGaiaHubConnection().finally(() => (this.#connecting = undefined));
    const late = new Promise<undefined>((resolve) => setTimeout(resolve, CONNECT_WAIT_MS));
    try {
      return await Promise.race([this.#connecting, late]);
    } catch (thrown) {
      if (thrown instanceof TypeError) {
        return undefined;
      }
      throw thrown;
    }
  }

  async #find(path: string, settings: GetFileUrlOptions): Promise<Stored> {
    const url = () => this.getFileUrl(path, settings);
    if (!settings.username) {
      const session = this.#session();
      // Not awaited: the file may be here.
      void this.#connection().catch(() => undefined);
      return find(await this.bucket(), path, session.key(), url);
    }
    return fromResponse(await fetchKept(await url()), `getFile ${path} failed.`);
  }

  async #verified(path: string, stored: Stored, settings: GetFileUrlOptions & { app: string }): Promise<string | ArrayBuffer> {
    const content = await stored.asIs();
    if (stored.signed && stored.opened === undefined) {
      return content;
    }
    const signature = await this.#find(`${path}${SIGNATURE_SUFFIX}`, settings).catch((thrown: unknown) => {
      if ((thrown as { name?: unknown } | null)?.name === "DoesNotExist") {
        throw new SignatureVerificationError(`Failed to obtain signature for file: ${path} -- looked in ${path}${SIGNATURE_SUFFIX}`);
      }
      throw thrown;
    });
    if (!content) {
      return content;
    }
    const address = await this.getGaiaAddress(settings.app, settings.username, settings.zoneFileLookupURL);
    await verifyDetached(path, content, await signature.text(), address);
    return content;
  }

  /** Whose signature an encrypted file must have: the owner's of the bucket, or of the key that opens it. */
  async #signer(key: string, settings: GetFileUrlOptions & { app: string }): Promise<string> {
    if (settings.username) {
      return this.getGaiaAddress(settings.app, settings.username, settings.zoneFileLookupURL);
    }
    const crypto = await loadCrypto();
    return crypto.addressOf(crypto.publicKey(key));
  }
}
