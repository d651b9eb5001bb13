// `pangaea/stacks` does what the stock client does: one scenario, played by the real @stacks/storage and by ours in one
// Chromium against one hub, and every outcome compared.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';

import { FRIEND, keyPair, makeFriend } from '../stacks/friend.mjs';
import { serveNames, stacksPages } from '../stacks/page.mjs';
import { world } from '../support/world.mjs';

test('the stock client and ours give the same', async (t) => {
  const place = await world(t, await stacksPages(), ['--max-file-megabytes', '20']);
  const [stock, ours, other] = [keyPair(), keyPair(), keyPair()];
  const records = await makeFriend({
    hub: place.hub.url,
    app: place.site.origin,
    readers: [stock.publicKey, ours.publicKey],
    other: other.publicKey,
  });
  const names = await serveNames(t, records);
  const browser = await place.browser();
  const tab = await browser.open(`${place.site.url}stacks`);
  const common = { hub: place.hub.url, names, other, friend: FRIEND };
  const expected = await play(tab, { ...common, who: 'stock', me: 0, keys: stock });
  const found = await play(tab, { ...common, who: 'ours', me: 1, keys: ours });
  compare(found, expected);
});

/** Lets one of the clients play; what is another one in each bucket is written out of the outcomes. */
async function play(tab, { keys, ...settings }) {
  const outcomes = await tab.evaluate(async ({ who, hub, appPrivateKey, ...api }) => {
    const { Storage } = who === 'stock' ? globalThis.stock.storage : globalThis.ours;
    const userSession = globalThis.signIn(who, { hubUrl: hub, appPrivateKey });
    const outcomes = await globalThis.play({ ...api, Storage, userSession, signedOut: globalThis.signIn('nobody') });
    return JSON.stringify(outcomes).replaceAll(userSession.loadUserData().gaiaHubConfig.address, 'ADDRESS');
  }, { ...settings, appPrivateKey: keys.privateKey });
  return JSON.parse(outcomes.replaceAll(keys.privateKey, 'KEY').replaceAll(keys.publicKey, 'PUBLIC KEY'));
}

/** Where ours differs on purpose; docs/browser-faces.md says so. */
const INTENDED = {
  // The stock client fails with a TypeError of a library that it uses.
  'verify plain.json': { thrown: unsigned('plain.json') },
  'verify what is not signed': { thrown: unsigned('not-signed.txt') },
  // What the owner of the bucket encrypts for themselves is always in the shorter encoding.
  'the stored form': {
    value: { iv: 'string', ephemeralPK: 'string', cipherText: 'string', mac: 'string', wasString: true, cipherTextEncoding: 'string' },
  },
  // The browser's cache keeps the former type while the hub's tag is the same, and the stock client reads through the cache.
  'read: the same bytes as text': { value: '\u0001' },
};

function unsigned(path) {
  const message = `Failed to verify signature: Failed to get signature verification data from file: ${path}`;
  return { class: 'SignatureVerificationError', name: 'SignatureVerificationError', message, code: 'signature_verification_failure' };
}

function compare(found, expected) {
  assert.deepEqual(found.map(([name]) => name), expected.map(([name]) => name));
  const differences = found.flatMap(([name, outcome], index) => {
    const stock = withoutPages(expected[index][1]);
    assert.notDeepEqual(INTENDED[name], stock, `${name}: no difference any more`);
    const wanted = INTENDED[name] ?? stock;
    return isDeepStrictEqual(outcome, wanted) ? [] : [{ name, ours: outcome, wanted }];
  });
  assert.deepEqual(differences, []);
}

/** Where no path is left, the hub answers with a page for people, which we do not imitate. */
function withoutPages({ ...outcome }) {
  if (outcome.thrown?.hubError?.message?.startsWith('<!DOCTYPE html>')) {
    outcome.thrown.hubError.message = 'No file is named.';
  }
  return outcome;
}
