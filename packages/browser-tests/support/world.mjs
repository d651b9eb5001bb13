// What a test has: a folder, a hub, a site, browsers. All of it goes when the test ends.

import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Browser } from './browser.mjs';
import { Hub, Device } from './hub.mjs';
import { serveSite } from './site.mjs';

/** Makes a hub, a site and a key for a test. */
export async function world(test, pages, hubOptions) {
  const folder = mkdtempSync(join(tmpdir(), 'pangaea-browser-'));
  const key = randomBytes(32).toString('hex');
  const [hub, site] = await Promise.all([Hub.start(folder, hubOptions), serveSite(pages)]);
  const browsers = [];
  test.after(async () => {
    await Promise.all([hub.stop(), ...browsers.map((browser) => browser.kill())]);
    site.close();
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  return {
    folder, hub, site, key,
    /** A browser on a profile of its own, or on one that was used before. */
    browser: async (name = 'profile') => {
      const browser = new Browser(join(folder, name));
      browsers.push(browser);
      return browser.start();
    },
    device: (name = 'device') => Device.init(folder, name, hub.url, key),
  };
}

/** Opens the bucket in a tab, as `bucket`; what it tells is collected in `told`. */
export async function openBucket(tab, options) {
  await tab.evaluate(async (options) => {
    globalThis.told = [];
    const bucket = await globalThis.pangaea.openBucket(options);
    for (const name of ['change', 'stored', 'conflict', 'problem', 'evicted', 'storage']) {
      bucket.on(name, (value) => globalThis.told.push({ name, ...value }));
    }
    globalThis.bucket = bucket;
  }, options);
}
