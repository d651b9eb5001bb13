// `pangaea/stacks` does what the stock client does: one scenario, played by the real @stacks/storage and by ours in one
// Chromium against one hub, and every outcome compared.

import assert from 'node:assert/strict';
import { test } from 'node:test';

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
  const expected = await play(tab, { ...common, who: 'stock', me: 0, appPrivateKey: stock.privateKey });
  const found = await play(tab, { ...common, who: 'ours', me: 1, appPrivateKey: ours.privateKey });
  compare(found, expected);
});

/** Lets one of the clients play; its bucket's address and key are written out of the outcomes. */
async function play(tab, settings) {
  const text = await tab.evaluate(async ({ who, hub, appPrivateKey, ...api }) => {
    const { Storage } = who === 'stock' ? globalThis.stock.storage : globalThis.ours;
    const userSession = globalThis.signIn(who, { hubUrl: hub, appPrivateKey });
    const outcomes = await globalThis.play({ ...api, Storage, userSession, signedOut: globalThis.signIn('nobody') });
    const { address } = userSession.loadUserData().gaiaHubConfig;
    return JSON.stringify(outcomes).replaceAll(address, 'ADDRESS').replaceAll(appPrivateKey, 'KEY');
  }, settings);
  return JSON.parse(text);
}

function compare(found, expected) {
  assert.deepEqual(found.map(([name]) => name), expected.map(([name]) => name));
  const differences = found.flatMap(([name, outcome], index) => {
    const [, wanted] = expected[index];
    return JSON.stringify(outcome) === JSON.stringify(wanted) ? [] : [{ name, ours: outcome, stock: wanted }];
  });
  assert.deepEqual(differences, []);
}
