import assert from 'node:assert/strict';
import { test } from 'node:test';

import { visit } from '../support/browser.mjs';
import { eventually } from '../support/wait.mjs';
import { openBucket, world } from '../support/world.mjs';

/** A tab with the application's service worker. */
async function openWithServiceWorker(chromium, site) {
  const tab = await chromium.open(site.url);
  await tab.evaluate(async () => {
    await navigator.serviceWorker.register('/sw.js', { type: 'module' });
    await navigator.serviceWorker.ready;
  });
  await visit(tab, site.url);
  return tab;
}

/** Has the browser send a sync event, as it does when the network is back. */
async function dispatchSync(chromium, site) {
  const tab = await chromium.context.newPage();
  const session = await chromium.context.newCDPSession(tab);
  const registered = new Promise((resolve) => {
    session.on('ServiceWorker.workerRegistrationUpdated', ({ registrations }) => {
      const ours = registrations.find(({ scopeURL }) => scopeURL.startsWith(site.origin));
      if (ours !== undefined) {
        resolve(ours.registrationId);
      }
    });
  });
  await session.send('ServiceWorker.enable');
  const registrationId = await registered;
  await session.send('ServiceWorker.dispatchSyncEvent', {
    origin: site.origin, registrationId, tag: 'pangaea', lastChance: false,
  });
  return tab;
}

test('what was not sent is sent by the service worker after all tabs are closed', async (t) => {
  const { hub, site, key, browser, device } = await world(t);
  const chromium = await browser();
  const tab = await openWithServiceWorker(chromium, site);
  await openBucket(tab, { hub: hub.url, key });
  await hub.stop();
  const support = await tab.evaluate(async () => {
    await bucket.put('late.txt', 'written on the train');
    return background.registerBackgroundSync(bucket, { keepKey: true });
  });
  assert.equal(support.sync, true);
  await tab.close();
  await hub.start();

  await dispatchSync(chromium, site);
  const other = await device();
  await eventually('the hub has it', async () => {
    await other.sync();
    return (await other.list()).includes('late.txt');
  });
  assert.equal(await other.cat('late.txt'), 'written on the train');

  // The page that is opened next finds the lock free and the file sent.
  const again = await chromium.open(site.url);
  await openBucket(again, { hub: hub.url, key });
  await again.evaluate(() => bucket.accepted('late.txt'));
});

test('a key that was not kept, or is forgotten, is in no storage', async (t) => {
  const { hub, site, key, browser } = await world(t);
  const chromium = await browser();
  const tab = await openWithServiceWorker(chromium, site);
  await openBucket(tab, { hub: hub.url, key });
  const kept = () => tab.evaluate(async () => {
    const opening = indexedDB.open('pangaea-background', 1);
    await new Promise((resolve) => (opening.onsuccess = resolve));
    const all = opening.result.transaction('buckets').objectStore('buckets').getAll();
    await new Promise((resolve) => (all.onsuccess = resolve));
    opening.result.close();
    return all.result.map((bucket) => ({ hub: bucket.hub, key: bucket.key }));
  });
  await tab.evaluate(() => background.registerBackgroundSync(bucket, { keepKey: false }));
  assert.deepEqual(await kept(), [{ hub: hub.url, key: undefined }]);
  await tab.evaluate(() => background.registerBackgroundSync(bucket, { keepKey: true }));
  assert.deepEqual(await kept(), [{ hub: hub.url, key }]);
  await tab.evaluate(() => background.forgetBackgroundSync(bucket));
  assert.deepEqual(await kept(), []);
});

test('without a service worker nothing is registered, and nothing fails', async (t) => {
  const { hub, site, key, browser } = await world(t);
  const tab = await (await browser()).open(site.url);
  await openBucket(tab, { hub: hub.url, key });
  const support = await tab.evaluate(() => background.registerBackgroundSync(bucket, { keepKey: true }));
  assert.deepEqual(support, { sync: false, periodic: false });
});
