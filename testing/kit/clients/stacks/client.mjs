// The stock client as a program: every operation is a call of @stacks/storage, nothing here speaks to a hub by itself.
//
// The hub's URL comes from GAIA_HUB_URL and the secret key (64 hex digits) from GAIA_SECRET_KEY, never from arguments.
// Each operation answers with one line of JSON: {"ok":true,...}, or {"ok":false,"error":{...}} and exit code 1. Wrong
// usage is exit code 2. `session` keeps one signed-in session, with the tags that the library remembers, over many
// operations: one JSON request a line on standard input, for instance
// {"operation":"put","path":"a.txt","content":{"string":"hello"},"encrypt":false}.

import { Console } from 'node:console';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import auth from '@stacks/auth';
import storage from '@stacks/storage';

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

// The library writes its debug lines with console.debug, which would end up among the answers.
globalThis.console = new Console(process.stderr, process.stderr);

class UsageError extends Error {}

async function main() {
  const [operation, ...rest] = process.argv.slice(2);
  const client = connect();
  if (operation === 'session') {
    for await (const line of createInterface({ input: process.stdin })) {
      if (line.trim() !== '') {
        answer(await outcome(() => perform(client, JSON.parse(line))));
      }
    }
    return 0;
  }
  const request = await requestFromArguments(operation, rest);
  const result = await outcome(() => perform(client, request));
  answer(result);
  return result.ok ? 0 : 1;
}

function connect() {
  const hubUrl = fromEnvironment('GAIA_HUB_URL').replace(/\/+$/, '');
  const appPrivateKey = fromEnvironment('GAIA_SECRET_KEY');
  if (!/^[0-9a-fA-F]{64}$/.test(appPrivateKey)) {
    throw new UsageError('GAIA_SECRET_KEY is not 64 hex digits');
  }
  const appConfig = new auth.AppConfig(['store_write', 'publish_data'], 'http://localhost');
  const sessionOptions = { userData: { appPrivateKey, hubUrl, profile: {} } };
  return new storage.Storage({ userSession: new auth.UserSession({ appConfig, sessionOptions }) });
}

function fromEnvironment(name) {
  const value = process.env[name];
  if (!value) {
    throw new UsageError(`set ${name} in the environment`);
  }
  return value;
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

async function perform(client, request) {
  switch (request.operation) {
    case 'put':
      return put(client, request);
    case 'get': {
      const content = await client.getFile(request.path, {
        decrypt: request.decrypt ?? true,
        verify: request.verify ?? false,
      });
      return { path: request.path, etag: etag(client, request.path), ...describe(content) };
    }
    case 'list': {
      const files = [];
      const count = await client.listFiles((name) => files.push(name) > 0);
      return { count, files };
    }
    case 'delete':
      await client.deleteFile(request.path, { wasSigned: request.signed ?? false });
      return { path: request.path };
    default:
      throw new UsageError(`there is no operation ${request.operation}`);
  }
}

async function put(client, request) {
  if (request.afterRead) {
    await client.getFile(request.path, { decrypt: false });
  }
  const content = 'string' in request.content ? request.content.string : toBytes(request.content.base64);
  const options = {
    encrypt: request.encrypt ?? true,
    sign: request.sign ?? false,
    dangerouslyIgnoreEtag: request.ignoreEtag ?? false,
  };
  // The library tells an option that is absent from one that is undefined.
  if (request.encoding !== undefined) {
    options.cipherTextEncoding = request.encoding;
  }
  if (request.contentType !== undefined) {
    options.contentType = request.contentType;
  }
  const url = await client.putFile(request.path, content, options);
  return { path: request.path, url, etag: etag(client, request.path) };
}

function toBytes(base64) {
  return new Uint8Array(Buffer.from(base64, 'base64'));
}

/** The tag that the library remembers for a path. */
function etag(client, path) {
  return client.userSession.store.getSessionData().etags?.[path] ?? null;
}

/** What the library gave: text or bytes, and its bytes in base64 either way. */
function describe(content) {
  if (typeof content === 'string') {
    return { kind: 'string', base64: Buffer.from(content, 'utf8').toString('base64') };
  }
  return { kind: 'bytes', base64: Buffer.from(content).toString('base64') };
}

async function outcome(work) {
  try {
    return { ok: true, ...(await work()) };
  } catch (error) {
    return {
      ok: false,
      error: {
        name: error.constructor?.name ?? 'Error',
        code: error.code ?? null,
        // The library adds its stack trace below the first line.
        message: String(error.message ?? error).split('\n')[0],
        status: error.hubError?.statusCode ?? null,
        hub: error.hubError ?? null,
        cause: error.cause ? String(error.cause.message ?? error.cause) : null,
      },
    };
  }
}

function answer(result) {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError)) {
    throw error;
  }
  process.stderr.write(`${error.message}\n${USAGE}`);
  process.exitCode = 2;
}
