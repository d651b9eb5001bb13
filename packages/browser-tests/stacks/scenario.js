// What an application does with its storage, step by step, and what it gets: written once, played by the stock client and
// by ours. A step's outcome is data that can be compared. Runs in a page; `api` says who plays.

/**
 * Plays all steps.
 *
 * @param {object} api `Storage`, a signed-in `userSession`, and `signedOut`, another session that nobody has signed in;
 *   `other`, a key pair that is not the user's; `settled`, which waits until a hub has everything; `names`, where names are
 *   looked up, and `friend`, a name there that has this app.
 * @returns {Promise<[string, unknown][]>} For each step its name and its outcome.
 */
export async function play(api) {
  const player = { ...api, storage: new api.Storage({ userSession: api.userSession }), outcomes: [] };
  player.step = async (name, action) => {
    player.outcomes.push([name, await outcome(action)]);
  };
  for (const act of [contents, types, unencrypted, rewrites, otherKeys, signatures, missing, paths, urls, lists, sizes, friends, sessions]) {
    await act(player);
  }
  return player.outcomes;
}

async function contents({ step, storage }) {
  const contents = {
    text: 'plain words',
    'empty text': '',
    'text beyond ASCII': 'äöü 🎈 \u0000',
    'text with a byte order mark': '\ufeffmarked',
    bytes: new Uint8Array([0, 1, 254, 255]),
    'no bytes': new Uint8Array(),
    'a part of a buffer': new Uint8Array([9, 8, 7, 6]).subarray(1, 3),
    floats: new Float32Array([1.5, -2]),
    'a view': new DataView(new Uint8Array([5, 6, 7, 8]).buffer, 1, 2),
    'an array buffer': new Uint8Array([1, 2, 3]).buffer,
    'a blob': new Blob(['in a blob'], { type: 'text/css' }),
    'a blob without a type': new Blob(['no type']),
    'a file': new File(['in a file'], 'name.svg', { type: 'image/svg+xml' }),
    'numbers': [1, 2, 3],
    'no numbers': [],
    'numbers that are no bytes': [1000],
    'a number': 5,
    'nothing': undefined,
    'null': null,
    'an object': { some: 'JSON' },
  };
  for (const [name, content] of Object.entries(contents)) {
    const path = `contents/${name.replaceAll(' ', '-')}`;
    await step(`put ${name}`, () => storage.putFile(path, content));
    await step(`get ${name}`, () => storage.getFile(path));
    await step(`put ${name} unencrypted`, () => storage.putFile(`${path}.plain`, content, { encrypt: false }));
    await step(`get ${name} unencrypted`, () => storage.getFile(`${path}.plain`, { decrypt: false }));
  }
}

async function types({ step, storage }) {
  const given = [
    'text/html', 'TEXT/Html', 'text/plain; charset=UTF-8', 'text/plain; charset=ascii', 'text/plain; charset=latin1',
    'application/json', 'application/json; charset=utf-8', 'image/png', 'application/xml', 'application/ld+json', '', 'garbage', 'text', 'text/x;;', 'image/svg+xml; a="b;c"', ' text/plain',
  ];
  for (const [index, contentType] of given.entries()) {
    for (const [kind, content] of [['text', '{"a": 1}'], ['bytes', new Uint8Array([123, 125])]]) {
      const path = `types/${index}-${kind}`;
      await step(`put ${kind} as "${contentType}"`, () => storage.putFile(path, content, { encrypt: false, contentType }));
      await step(`get ${kind} as "${contentType}"`, () => storage.getFile(path, { decrypt: false }));
      await step(`put encrypted ${kind} as "${contentType}"`, () => storage.putFile(`${path}-encrypted`, content, { contentType }));
      await step(`get encrypted ${kind} as "${contentType}"`, () => storage.getFile(`${path}-encrypted`));
    }
  }
}

async function unencrypted({ step, storage }) {
  await storage.putFile('plain.txt', 'not encrypted', { encrypt: false });
  await storage.putFile('plain.json', '{"not": "encrypted"}', { encrypt: false, contentType: 'application/json' });
  await storage.putFile('plain.bin', new Uint8Array([1, 2, 3]), { encrypt: false });
  for (const path of ['plain.txt', 'plain.json', 'plain.bin']) {
    await step(`decrypt ${path}`, () => storage.getFile(path));
    await step(`verify ${path}`, () => storage.getFile(path, { verify: true }));
    await step(`verify ${path} without decrypting`, () => storage.getFile(path, { verify: true, decrypt: false }));
  }
  await storage.putFile('secret', 'encrypted');
  await step('the stored form', async () => shape(await storage.getFile('secret', { decrypt: false })));
  await step('encrypt: undefined', () => storage.putFile('undefined.txt', 'text', { encrypt: undefined }));
  await step('is not encrypted', () => storage.getFile('undefined.txt', { decrypt: false }));
  await step('decrypt: undefined', () => storage.getFile('undefined.txt', { decrypt: undefined }));
}

async function rewrites({ step, storage }) {
  const writes = [
    ['text', 'words', {}],
    ['bytes', new Uint8Array([1]), {}],
    ['text again', 'words', {}],
    ['the same text', 'words', {}],
    ['unencrypted', 'words', { encrypt: false }],
    ['unencrypted bytes', new Uint8Array([1]), { encrypt: false }],
    ['the same bytes as text', '\u0001', { encrypt: false }],
    ['another type alone', '\u0001', { encrypt: false, contentType: 'image/gif' }],
    ['base64', 'words', { cipherTextEncoding: 'base64' }],
    ['without a condition', 'more words', { dangerouslyIgnoreEtag: true }],
  ];
  for (const [name, content, options] of writes) {
    await step(`rewrite: ${name}`, () => storage.putFile('rewritten', content, options));
    await step(`read: ${name}`, () => storage.getFile('rewritten', { decrypt: options.encrypt !== false }));
  }
  await step('delete it', () => storage.deleteFile('rewritten'));
  await step('it is gone', () => storage.getFile('rewritten'));
  await step('write it anew', () => storage.putFile('rewritten', 'anew'));
  await step('it is there', () => storage.getFile('rewritten'));
}

async function otherKeys({ step, storage, other, userSession }) {
  const own = userSession.loadUserData().appPrivateKey;
  await step('encrypt for somebody', () => storage.putFile('theirs.txt', 'for you', { encrypt: other.publicKey }));
  await step('encrypt bytes for somebody', () => storage.putFile('theirs.bin', new Uint8Array([7]), { encrypt: other.publicKey }));
  await step('encrypt as base64 for somebody', () =>
    storage.putFile('theirs.b64', 'for you', { encrypt: other.publicKey, cipherTextEncoding: 'base64' }));
  for (const path of ['theirs.txt', 'theirs.bin', 'theirs.b64']) {
    await step(`decrypt ${path} with the own key`, () => storage.getFile(path));
    await step(`decrypt ${path} with their key`, () => storage.getFile(path, { decrypt: other.privateKey }));
    await step(`${path} as it is`, async () => shape(await storage.getFile(path, { decrypt: false })));
  }
  await storage.putFile('own.txt', 'mine');
  await step('decrypt with the own key, given', () => storage.getFile('own.txt', { decrypt: own }));
  await step('decrypt with another key', () => storage.getFile('own.txt', { decrypt: other.privateKey }));
  for (const encrypt of ['', 'no key', '02'.padEnd(66, 'f'), '04'.padEnd(130, '1')]) {
    await step(`encrypt for "${encrypt}"`, () => storage.putFile('bad-key.txt', 'text', { encrypt }));
  }
}

async function signatures({ step, storage, other }) {
  await step('sign', () => storage.putFile('signed.txt', 'signed', { sign: true }));
  await step('sign bytes', () => storage.putFile('signed.bin', new Uint8Array([4, 5]), { sign: true }));
  await step('sign unencrypted', () => storage.putFile('signed-plain.txt', 'signed', { sign: true, encrypt: false }));
  await step('sign unencrypted bytes', () => storage.putFile('signed-plain.bin', new Uint8Array([4, 5]), { sign: true, encrypt: false }));
  for (const path of ['signed.txt', 'signed.bin', 'signed-plain.txt', 'signed-plain.bin']) {
    for (const decrypt of [true, false]) {
      await step(`verify ${path}, decrypt ${decrypt}`, () => storage.getFile(path, { verify: true, decrypt }));
      await step(`get ${path}, decrypt ${decrypt}`, async () => shape(await storage.getFile(path, { decrypt })));
    }
  }
  await step('the signature file', async () => shape(await storage.getFile('signed-plain.txt.sig', { decrypt: false })));
  await step('sign with another key', () => storage.putFile('signed-other.txt', 'signed', { sign: other.privateKey }));
  await step('sign unencrypted with another key', () =>
    storage.putFile('signed-other-plain.txt', 'signed', { sign: other.privateKey, encrypt: false }));
  await step('sign with another key, for its owner', () =>
    storage.putFile('signed-other-theirs.txt', 'signed', { sign: other.privateKey, encrypt: other.publicKey }));
  await step('sign with the own key, for somebody', () => storage.putFile('signed-theirs.txt', 'signed', { sign: true, encrypt: other.publicKey }));
  for (const path of ['signed-other.txt', 'signed-other-plain.txt', 'signed-other-theirs.txt', 'signed-theirs.txt']) {
    for (const decrypt of [true, false, other.privateKey]) {
      const how = decrypt === other.privateKey ? 'their key' : decrypt;
      await step(`verify ${path}, decrypt ${how}`, () => storage.getFile(path, { verify: true, decrypt }));
    }
  }
  await storage.putFile('not-signed.txt', 'words');
  await step('verify what is not signed', () => storage.getFile('not-signed.txt', { verify: true }));
  await step('verify what is not signed, as it is', () => storage.getFile('not-signed.txt', { verify: true, decrypt: false }));
  await step('delete with its signature', () => storage.deleteFile('signed-plain.txt', { wasSigned: true }));
  await step('the signature is gone', () => storage.getFile('signed-plain.txt.sig', { decrypt: false }));
  await step('delete with a signature that is not there', () => storage.deleteFile('signed.txt', { wasSigned: true }));
  await step('the file is gone all the same', () => storage.getFile('signed.txt'));
}

async function missing({ step, storage, other }) {
  for (const options of [undefined, { decrypt: false }, { decrypt: other.privateKey }, { verify: true }, { verify: true, decrypt: false }]) {
    const name = JSON.stringify(options)?.replace(other.privateKey, 'KEY');
    await step(`get what is not there: ${name}`, () => storage.getFile('no/such.txt', options));
  }
  await step('delete what is not there', () => storage.deleteFile('no/such.txt'));
  await step('delete what is not there, signed', () => storage.deleteFile('no/such.txt', { wasSigned: true }));
}

async function paths({ step, storage }) {
  const paths = [
    'with space.txt', 'ümläut/ß.txt', 'deep/er/and/deeper.txt', 'up/../level.txt', './here.txt', 'cut#off.txt', 'cut?off.txt',
    '%41.txt', '100%.txt', 'plus+.txt', 'back\\slash.txt', 'line\nbreak.txt', 'trailing/', '/leading.txt', 'two//slashes.txt',
    'a..b.txt', '../../escape.txt', '', 'é'.repeat(100), 'x'.repeat(300), 'quote".txt', '%2e%2e/x.txt', '%2Fslash.txt',
  ];
  for (const path of paths) {
    const name = JSON.stringify(path);
    await step(`put at ${name}`, () => storage.putFile(path, 'here'));
    await step(`get from ${name}`, () => storage.getFile(path));
    await step(`the URL of ${name}`, () => storage.getFileUrl(path));
    await step(`delete ${name}`, () => storage.deleteFile(path));
    await step(`nothing at ${name}`, () => storage.getFile(path));
  }
}

async function urls({ step, storage, userSession, names, friend }) {
  const { appPrivateKey, hubUrl } = userSession.loadUserData();
  await step('the URL of the bucket', () => storage.getAppBucketUrl(hubUrl, appPrivateKey));
  await step('the address of the bucket', () => storage.getGaiaAddress(location.origin));
  await step('a URL of a friend', () => storage.getFileUrl('a/b.txt', { username: friend, zoneFileLookupURL: names }));
  await step('a URL of a friend in another app', () =>
    storage.getFileUrl('a/b.txt', { username: friend, zoneFileLookupURL: names, app: 'https://elsewhere.example' }));
  await step('a URL of nobody', () => storage.getFileUrl('a/b.txt', { username: 'nobody.id', zoneFileLookupURL: names }));
  await step('a URL for an app', () => storage.getUserAppFileUrl('x.txt', friend, location.origin, names));
  await step('the address of a friend', () => storage.getGaiaAddress(location.origin, friend, names));
}

async function lists({ step, storage }) {
  await storage.putFile('zoo/1.txt', 'one');
  await storage.putFile('zoo/2.txt', 'two');
  await step('all names', async () => {
    const names = [];
    const count = await storage.listFiles((name) => names.push(name));
    return [count, ...names.sort()];
  });
  await step('a list that ends early', async () => {
    let left = 3;
    return storage.listFiles(() => --left > 0);
  });
  await step('a list that ends at once', () => storage.listFiles(() => false));
  await step('a list whose callback fails', () =>
    storage.listFiles(() => {
      throw new RangeError('enough');
    }));
}

async function sizes({ step, storage }) {
  const mebibyte = 1024 * 1024;
  await step('too large', () => storage.putFile('large.bin', new Uint8Array(20 * mebibyte + 1), { encrypt: false }));
  await step('too large once it is encrypted', () =>
    storage.putFile('large.txt', 'x'.repeat(15.5 * mebibyte), { cipherTextEncoding: 'base64' }));
  await step('too large, signed', () =>
    storage.putFile('large.txt', new Uint8Array(16 * mebibyte), { cipherTextEncoding: 'base64', sign: true }));
  await step('not too large', () => storage.putFile('large.bin', new Uint8Array(mebibyte), { encrypt: false }));
}

async function friends({ step, storage, names, friend, other, me }) {
  const from = { username: friend, zoneFileLookupURL: names };
  for (const path of ['shared.txt', 'shared.json', 'shared.bin', 'missing.txt']) {
    await step(`a friend's ${path}`, () => storage.getFile(path, { ...from, decrypt: false }));
    await step(`a friend's ${path}, verified`, () => storage.getFile(path, { ...from, decrypt: false, verify: true }));
  }
  await step('encrypted for us', () => storage.getFile(`for-${me}.txt`, from));
  await step('encrypted for us and signed', () => storage.getFile(`for-${me}-signed.txt`, { ...from, verify: true }));
  await step('encrypted for another', () => storage.getFile('for-another.txt', { ...from, decrypt: other.privateKey }));
  await step('in no app', () => storage.getFile('shared.txt', { ...from, app: 'https://elsewhere.example' }));
  await step('of nobody', () => storage.getFile('shared.txt', { ...from, username: 'nobody.id' }));
  await step('of somebody without a name record', () => storage.getFile('shared.txt', { ...from, username: 'empty.id' }));
  await step('of somebody whose profile was changed', () => storage.getFile('shared.txt', { ...from, username: 'tampered.id' }));
  await step('of somebody whose profile another signed', () => storage.getFile('shared.txt', { ...from, username: 'forged.id' }));
}

async function sessions({ step, Storage, userSession, signedOut }) {
  await step('the session', () => {
    const { gaiaHubConfig, ...userData } = userSession.loadUserData();
    const { token, ...config } = gaiaHubConfig;
    return { fields: Object.keys(userData).sort(), config, token: token.replace(/\..*/s, '.') };
  });
  const storage = new Storage({ userSession: signedOut });
  await step('put without signing in', () => storage.putFile('a.txt', 'a'));
  await step('get without signing in', () => storage.getFile('a.txt'));
  await step('delete without signing in', () => storage.deleteFile('a.txt'));
  await step('list without signing in', () => storage.listFiles(() => true));
  await step('a URL without signing in', () => storage.getFileUrl('a.txt'));
}

/** Text that is never the same twice, by its form. */
function shape(value) {
  if (typeof value !== 'string') {
    return value;
  }
  let parsed;
  try {
    parsed = JSON.parse(value);
  } catch {
    return value;
  }
  const fixed = ['wasString', 'publicKey'];
  return Object.fromEntries(
    Object.entries(parsed).map(([key, part]) => [key, fixed.includes(key) ? part : typeof part]),
  );
}

async function outcome(action) {
  try {
    return { value: plain(await action()) };
  } catch (thrown) {
    return { thrown: thrown instanceof Error ? fault(thrown) : plain(thrown) };
  }
}

function plain(value) {
  if (value instanceof ArrayBuffer) {
    return { ArrayBuffer: [...new Uint8Array(value)].slice(0, 100) };
  }
  if (ArrayBuffer.isView(value)) {
    return { [value.constructor.name]: [...new Uint8Array(value.buffer, value.byteOffset, value.byteLength)].slice(0, 100) };
  }
  return value === undefined ? 'undefined' : value;
}

/** What applications look at. Below its first line the stock client's message is an address for reports and a stack. */
function fault(error) {
  const { name, code, parameter, hubError, maxUploadByteSize } = error;
  return { class: error.constructor.name, name, message: error.message.split('\n')[0], code, parameter, hubError, maxUploadByteSize };
}
