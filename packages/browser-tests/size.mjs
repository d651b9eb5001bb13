// What a browser downloads, gzipped as a web server does at its best: the module, and the scripts as an
// application's bundler makes them, minified: the page's part, the worker's, and what both share, counted once.
// Prints a line for each: its bytes and its name, and "later" with what is not downloaded before the first merge.

import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

import { build } from 'esbuild';

const file = (name) => fileURLToPath(new URL(`../pangaea/${name}`, import.meta.url));
const gzipped = (bytes) => gzipSync(bytes, { level: 9 }).length;

const bundle = await build({
  entryPoints: [file('dist/index.js'), file('dist/worker-entry.js')],
  bundle: true,
  splitting: true,
  minify: true,
  write: false,
  format: 'esm',
  outdir: 'bundle',
  logLevel: 'error',
});
console.log(gzipped(await readFile(file('wasm/pangaea_wasm_bg.wasm'))), 'pangaea_wasm_bg.wasm');
console.log(gzipped(await readFile(file('wasm/pangaea_merges_bg.wasm'))), 'pangaea_merges_bg.wasm later');
for (const { path, contents } of bundle.outputFiles) console.log(gzipped(contents), path.split(/[/\\]/).at(-1));
