// What applications in TypeScript see.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

const folder = new URL('..', import.meta.url).pathname;

test("the stock client's calls fit ours, and its session is taken", async () => {
  const compile = promisify(execFile)(`${folder}../node_modules/.bin/tsc`, ['--project', 'stacks/tsconfig.json'], { cwd: folder });
  await assert.doesNotReject(compile.catch(({ stdout }) => Promise.reject(new Error(stdout))));
});
