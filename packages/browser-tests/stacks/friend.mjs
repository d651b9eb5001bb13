// Somebody else who uses the same app: their files, their profile and their name, made with the stock client's own
// libraries. Runs in Node.

import auth from '@stacks/auth';
import { makeECPrivateKey, getPublicKeyFromPrivate } from '@stacks/encryption';
import { makeProfileZoneFile, signProfileToken } from '@stacks/profile';
import storage from '@stacks/storage';
import { getAddressFromPublicKey } from '@stacks/transactions';

/** The name under which they are found. */
export const FRIEND = 'friend.id';

/** A key pair. */
export function keyPair() {
  const privateKey = makeECPrivateKey();
  return { privateKey, publicKey: getPublicKeyFromPrivate(privateKey) };
}

/** A session of the stock client for the owner of a key. */
export function stockStorage(hubUrl, appPrivateKey) {
  const appConfig = new auth.AppConfig(['store_write'], 'http://127.0.0.1');
  const userSession = new auth.UserSession({ appConfig, sessionOptions: { userData: { hubUrl, appPrivateKey } } });
  return new storage.Storage({ userSession });
}

/**
 * Stores a friend's files on the hub.
 *
 * @returns {Promise<Record<string, object>>} What a server of names answers, by name; nothing: 404.
 */
export async function makeFriend({ hub, app, readers, other }) {
  const bucket = keyPair();
  const files = stockStorage(hub, bucket.privateKey);
  await files.putFile('shared.txt', 'shared', { encrypt: false, sign: true });
  await files.putFile('shared.json', '{"shared": true}', { encrypt: false, contentType: 'application/json' });
  await files.putFile('shared.bin', new Uint8Array([3, 2, 1]), { encrypt: false });
  for (const [index, reader] of readers.entries()) {
    await files.putFile(`for-${index}.txt`, 'for you', { encrypt: reader });
    await files.putFile(`for-${index}-signed.txt`, 'for you', { encrypt: reader, sign: true });
  }
  await files.putFile('for-another.txt', new Uint8Array([9]), { encrypt: other });
  const identity = keyPair();
  const profile = { '@type': 'Person', apps: { [app]: await files.getAppBucketUrl(hub, bucket.privateKey) } };
  const home = stockStorage(hub, identity.privateKey);
  const token = signProfileToken(profile, identity.privateKey);
  const url = await storeToken(home, 'profile.json', token);
  const tampered = await storeToken(home, 'tampered.json', withOtherClaim(token));
  const owner = getAddressFromPublicKey(identity.publicKey);
  const record = (address, url) => ({ address, zonefile: makeProfileZoneFile(FRIEND, url) });
  return {
    [FRIEND]: record(owner, url),
    'forged.id': record(getAddressFromPublicKey(keyPair().publicKey), url),
    'tampered.id': record(owner, tampered),
    'empty.id': { status: 'available' },
  };
}

async function storeToken(home, path, token) {
  return home.putFile(path, JSON.stringify([{ token }]), { encrypt: false, contentType: 'application/json' });
}

/** The same signature over another claim. */
function withOtherClaim(token) {
  const [header, body, signature] = token.split('.');
  const payload = JSON.parse(Buffer.from(body, 'base64url'));
  payload.claim.name = 'Somebody else';
  return [header, Buffer.from(JSON.stringify(payload)).toString('base64url'), signature].join('.');
}
