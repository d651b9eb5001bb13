// The user session of an existing application, as far as storage needs it. It is the application's own object; only its shape
// is known here.

import { InvalidStateError } from "./errors.js";
import type { GaiaHubConfig } from "./hub.js";

/** What a session knows of its user. */
export interface UserDataLike {
  /** The key of the app's bucket, 64 or 66 hexadecimal digits. */
  appPrivateKey: string;
  /** The hub that the user chose. */
  hubUrl?: string;
  /** The word of another key that vouches for this one. */
  gaiaAssociationToken?: string;
  /** Where names are looked up, if the user chose. */
  coreNode?: string;
  /** The connection to the hub, kept by whoever made it. */
  gaiaHubConfig?: GaiaHubConfig | any;
}

/** The stored part of a session. */
export interface SessionDataLike {
  userData?: UserDataLike;
}

/** A session like the stock client's `UserSession`. */
export interface UserSessionLike {
  /** What the application said of itself. */
  appConfig?: { appDomain?: string; coreNode?: string };
  /** Where the session is kept. */
  store: {
    getSessionData(): SessionDataLike;
    setSessionData(session: any): boolean;
  };
  /** Returns the signed-in user's data, or fails. */
  loadUserData(): UserDataLike;
}

/** The hub of users who have chosen none, as in the stock client. */
const DEFAULT_HUB = "https://hub.blockstack.org";
const NAMES_PATH = "/v1/names";

/** What storage reads from and writes to a session. */
export class Session {
  readonly #session: UserSessionLike;

  constructor(session: UserSessionLike) {
    this.#session = session;
  }

  /** The hub's address as the session has it. */
  hubUrl(): string {
    const { gaiaHubConfig, hubUrl } = this.user();
    return gaiaHubConfig?.server ?? hubUrl ?? DEFAULT_HUB;
  }

  /** The key of the bucket. */
  key(): string {
    return this.user().appPrivateKey;
  }

  /** What another key says for this one, for hubs that ask for it. */
  association(): string | undefined {
    return this.user().gaiaAssociationToken;
  }

  /** The connection that somebody made before, if there was one. */
  connection(): GaiaHubConfig | undefined {
    return this.user().gaiaHubConfig;
  }

  /** Remembers a connection, where the stock client and applications look for it too. */
  keep(connection: GaiaHubConfig): void {
    const data = this.#session.store.getSessionData();
    if (data.userData !== undefined) {
      data.userData.hubUrl ??= connection.server;
      data.userData.gaiaHubConfig = connection;
      this.#session.store.setSessionData(data);
    }
  }

  /** The application whose files are meant if none is named. */
  app(named: string | undefined): string | undefined {
    return named || this.#appConfig().appDomain;
  }

  /** Where to look up a name if no place is named; none: where the stock client does. */
  names(named: string | undefined): string | undefined {
    if (named) {
      return named;
    }
    const node = this.#session.store.getSessionData().userData?.coreNode || this.#appConfig().coreNode;
    return node && `${node}${NAMES_PATH}`;
  }

  /** The signed-in user's data. */
  user(): UserDataLike {
    const data = this.#session.store.getSessionData().userData;
    if (!data) {
      throw new InvalidStateError("Missing userData");
    }
    return data;
  }

  #appConfig(): { appDomain?: string; coreNode?: string } {
    if (this.#session.appConfig === undefined) {
      throw new InvalidStateError("Missing AppConfig");
    }
    return this.#session.appConfig;
  }
}
