// The older stock client as a program: every operation is a call of blockstack.js, nothing here speaks to a hub by
// itself. It keeps one signed-in session and performs one JSON request a line from standard input; see ../perform.mjs.
//
// The hub's URL comes from GAIA_HUB_URL and the secret key (64 hex digits) from GAIA_SECRET_KEY, never from arguments.

import { run, session, settings } from '../perform.mjs';

// The library asks for `referrer: 'no-referrer'`, which Node's own fetch refuses. Without one it takes that of the
// package cross-fetch, as it did when it was written.
delete globalThis.fetch;
const { default: blockstack } = await import('blockstack');

async function main() {
  const { hubUrl, secretKey, userData } = settings();
  const appConfig = new blockstack.AppConfig(['store_write', 'publish_data'], 'http://localhost');
  const library = new blockstack.UserSession({ appConfig, sessionOptions: { userData } });
  await session({ library, store: library.store, hubUrl, secretKey });
  return 0;
}

await run(main, '');
