// The stock client as a program: every operation is a call of @stacks/storage, nothing here speaks to a hub by itself.
//
// The hub's URL comes from GAIA_HUB_URL and the secret key (64 hex digits) from GAIA_SECRET_KEY, never from arguments.
// Each operation answers with one line of JSON: {"ok":true,...}, or {"ok":false,"error":{...}} and exit code 1. Wrong
// usage is exit code 2. `session` keeps one signed-in session, with the tags that the library remembers, over many
// operations: one JSON request a line on standard input, for instance
// {"operation":"put","path":"a.txt","content":{"string":"hello"},"encrypt":false}.

import { parseArgs } from 'node:util';
import auth from '@stacks/auth';
import storage from '@stacks/storage';
import { UsageError, answer, outcome, perform, run, session, settings } from '../perform.mjs';

const USAGE = `usage: client.mjs OPERATION [OPTIONS]
  put PATH      store standard input
      --plain | --encrypt         encrypt is the library's default
      --sign                      sign with the key
      --string | --bytes          hand the content to the library as text or as bytes (default: bytes)
      --stdin raw | base64        how standard input is written (default: raw)
      --encoding hex | base64     of the cipher text (default: hex, the library's)
      --content-type TYPE         of content that is not encrypted
      --after-read                get the file first, as an application does that changes it
      --ignore-etag               write without a condition
  get PATH      fetch
      --decrypt | --no-decrypt    decrypt is the library's default
      --verify                    check the signature
  list          all names
  delete PATH
      --signed                    delete the signature beside it too
  session       many operations, one JSON request a line
`;

async function main() {
  const [operation, ...rest] = process.argv.slice(2);
  const client = connect();
  if (operation === 'session') {
    await session(client);
    return 0;
  }
  const request = await requestFromArguments(operation, rest);
  const result = await outcome(() => perform(client, request));
  answer(result);
  return result.ok ? 0 : 1;
}

function connect() {
  const { hubUrl, secretKey, userData } = settings();
  const appConfig = new auth.AppConfig(['store_write', 'publish_data'], 'http://localhost');
  const userSession = new auth.UserSession({ appConfig, sessionOptions: { userData } });
  const library = new storage.Storage({ userSession });
  return { library, store: userSession.store, hubUrl, secretKey };
}

async function requestFromArguments(operation, rest) {
  switch (operation) {
    case 'put':
      return putRequest(rest);
    case 'get': {
      const { path, values } = parse(rest, {
        decrypt: { type: 'boolean' },
        'no-decrypt': { type: 'boolean' },
        verify: { type: 'boolean' },
      });
      exclude(values, 'decrypt', 'no-decrypt');
      return { operation, path, decrypt: !values['no-decrypt'], verify: values.verify };
    }
    case 'list':
      return { operation };
    case 'delete': {
      const { path, values } = parse(rest, { signed: { type: 'boolean' } });
      return { operation, path, signed: values.signed };
    }
    default:
      throw new UsageError(`there is no operation ${operation ?? ''}`);
  }
}

async function putRequest(rest) {
  const { path, values } = parse(rest, {
    encrypt: { type: 'boolean' },
    plain: { type: 'boolean' },
    sign: { type: 'boolean' },
    string: { type: 'boolean' },
    bytes: { type: 'boolean' },
    stdin: { type: 'string', default: 'raw' },
    encoding: { type: 'string' },
    'content-type': { type: 'string' },
    'after-read': { type: 'boolean' },
    'ignore-etag': { type: 'boolean' },
  });
  exclude(values, 'encrypt', 'plain');
  exclude(values, 'string', 'bytes');
  oneOf('--stdin', values.stdin, ['raw', 'base64']);
  if (values.encoding !== undefined) {
    oneOf('--encoding', values.encoding, ['hex', 'base64']);
  }
  const input = await readAll(process.stdin);
  const bytes = values.stdin === 'base64' ? Buffer.from(input.toString('ascii'), 'base64') : input;
  return {
    operation: 'put',
    path,
    content: values.string ? { string: bytes.toString('utf8') } : { base64: bytes.toString('base64') },
    encrypt: !values.plain,
    sign: values.sign,
    encoding: values.encoding,
    contentType: values['content-type'],
    afterRead: values['after-read'],
    ignoreEtag: values['ignore-etag'],
  };
}

function parse(rest, options) {
  let parsed;
  try {
    parsed = parseArgs({ args: rest, options, allowPositionals: true });
  } catch (error) {
    throw new UsageError(error.message);
  }
  if (parsed.positionals.length !== 1) {
    throw new UsageError('give one path');
  }
  return { path: parsed.positionals[0], values: parsed.values };
}

function exclude(values, one, other) {
  if (values[one] && values[other]) {
    throw new UsageError(`--${one} and --${other} exclude each other`);
  }
}

function oneOf(option, value, allowed) {
  if (!allowed.includes(value)) {
    throw new UsageError(`${option} is one of ${allowed.join(', ')}`);
  }
}

async function readAll(stream) {
  const chunks = [];
  for await (const chunk of stream) {
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

await run(main, USAGE);
