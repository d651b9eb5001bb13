import assert from 'node:assert/strict';
import { test } from 'node:test';

import { world } from '../support/world.mjs';

test('what stands in the way of opening a bucket is told by code and in words', async (t) => {
  const { hub, site, key, browser } = await world(t, {
    '/pangaea/dist/worker-entry.js': ['text/html', '<p>Not here'],
  });
  const tab = await (await browser()).open(site.url);
  const fails = (options) =>
    tab.evaluate(async (options) => {
      try {
        await pangaea.openBucket(options);
        return 'opened';
      } catch (error) {
        return [error.name, error.code, error.message.length > 20];
      }
    }, options);
  assert.deepEqual(await fails({ hub: hub.url, key: 'short' }), ['PangaeaError', 'bad-key', true]);
  assert.deepEqual(await fails({ hub: 'hub.example', key }), ['PangaeaError', 'bad-hub', true]);
  assert.deepEqual(await fails({ hub: hub.url, key, worker: true }), ['PangaeaError', 'worker', true]);
});
