// What the clients in the folders beside this file have in common: both libraries have the same calls. Each request is
// a call of the library, nothing here speaks to a hub by itself.
//
// A client is { library, store, hubUrl, secretKey }: the library's object with getFile and the others, and the store
// that it keeps its session in.

import { Console } from 'node:console';
import { createInterface } from 'node:readline';

// The libraries write to the console, which would end up among the answers.
globalThis.console = new Console(process.stderr, process.stderr);

/** A mistake in how the program was called. */
export class UsageError extends Error {}

/** A variable that must be set. */
export function fromEnvironment(name) {
  const value = process.env[name];
  if (!value) {
    throw new UsageError(`set ${name} in the environment`);
  }
  return value;
}

/** The hub and the bucket that the environment names, and what a session of the libraries begins with. */
export function settings() {
  const hubUrl = fromEnvironment('GAIA_HUB_URL').replace(/\/+$/, '');
  const secretKey = fromEnvironment('GAIA_SECRET_KEY');
  if (!/^[0-9a-fA-F]{64}$/.test(secretKey)) {
    throw new UsageError('GAIA_SECRET_KEY is not 64 hex digits');
  }
  const userData = { appPrivateKey: secretKey, hubUrl, profile: {} };
  if (process.env.GAIA_ASSOCIATION_TOKEN) {
    userData.gaiaAssociationToken = process.env.GAIA_ASSOCIATION_TOKEN;
  }
  return { hubUrl, secretKey, userData };
}

/** Performs the requests that come on standard input, one JSON object a line, and answers each with one line. */
export async function session(client) {
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() !== '') {
      answer(await outcome(() => perform(client, JSON.parse(line))));
    }
  }
}

export async function perform(client, request) {
  const { library } = client;
  switch (request.operation) {
    case 'connect': {
      const config = await library.getOrSetLocalGaiaHubConnection();
      return {
        address: config.address,
        server: config.server,
        readPrefix: config.url_prefix,
        maxMegabytes: config.max_file_upload_size_megabytes,
        token: config.token.startsWith('v1:') ? 'v1' : 'legacy',
      };
    }
    case 'put':
      return put(client, request);
    case 'get': {
      const content = await library.getFile(request.path, {
        decrypt: request.decrypt ?? true,
        verify: request.verify ?? false,
        ...request.of,
      });
      return { path: request.path, etag: etag(client, request.path), ...describe(content) };
    }
    case 'url':
      return { url: await library.getFileUrl(request.path, { ...request.of }) };
    case 'bucket-url':
      return { url: await library.getAppBucketUrl(client.hubUrl, client.secretKey) };
    case 'list': {
      const files = [];
      const limit = request.stopAfter ?? Infinity;
      const count = await library.listFiles((name) => files.length < limit && files.push(name) > 0);
      return { count, files };
    }
    case 'delete':
      await library.deleteFile(request.path, { wasSigned: request.signed ?? false });
      return { path: request.path };
    default:
      throw new UsageError(`there is no operation ${request.operation}`);
  }
}

async function put(client, request) {
  if (request.afterRead) {
    await client.library.getFile(request.path, { decrypt: false });
  }
  const options = {
    encrypt: request.encrypt ?? true,
    sign: request.sign ?? false,
    dangerouslyIgnoreEtag: request.ignoreEtag ?? false,
  };
  // The libraries tell an option that is absent from one that is undefined.
  if (request.encoding !== undefined) {
    options.cipherTextEncoding = request.encoding;
  }
  if (request.contentType !== undefined) {
    options.contentType = request.contentType;
  }
  const url = await client.library.putFile(request.path, toContent(request.content), options);
  return { path: request.path, url, etag: etag(client, request.path) };
}

/** Text, or bytes in one of the forms that the libraries take. */
function toContent(content) {
  if ('string' in content) {
    return content.string;
  }
  const bytes = new Uint8Array(Buffer.from(content.base64, 'base64'));
  switch (content.as ?? 'bytes') {
    case 'bytes':
      return bytes;
    case 'buffer':
      return bytes.buffer;
    case 'view':
      return new DataView(bytes.buffer);
    case 'blob':
      return new Blob([bytes], { type: content.type ?? '' });
    default:
      throw new UsageError(`content cannot be given as ${content.as}`);
  }
}

/** The tag that the library remembers for a path. */
function etag(client, path) {
  return client.store.getSessionData().etags?.[path] ?? null;
}

/** What the library gave: text or bytes, and its bytes in base64 either way. */
function describe(content) {
  if (typeof content === 'string') {
    return { kind: 'string', base64: Buffer.from(content, 'utf8').toString('base64') };
  }
  return { kind: 'bytes', base64: Buffer.from(content).toString('base64') };
}

export async function outcome(work) {
  try {
    return { ok: true, ...(await work()) };
  } catch (error) {
    return {
      ok: false,
      error: {
        name: error.constructor?.name ?? 'Error',
        code: error.code ?? null,
        // The libraries add their stack trace below the first line.
        message: String(error.message ?? error).split('\n')[0],
        status: error.hubError?.statusCode ?? null,
        hub: error.hubError ?? null,
        cause: error.cause ? String(error.cause.message ?? error.cause) : null,
      },
    };
  }
}

export function answer(result) {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

/** Runs the program; wrong usage is exit code 2. */
export async function run(main, usage) {
  try {
    process.exitCode = await main();
  } catch (error) {
    if (!(error instanceof UsageError)) {
      throw error;
    }
    process.stderr.write(`${error.message}\n${usage}`);
    process.exitCode = 2;
  }
}
