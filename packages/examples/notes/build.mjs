// Puts what a web server needs into dist/, after the TypeScript compiler has been there: the pages, the package `pangaea` with its
// WebAssembly module, and the list of all of it by which the service worker serves the application without a network.

import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

const here = import.meta.dirname;
const dist = join(here, 'dist');
const library = resolve(here, '../../pangaea');
/** The scripts of the package that are asked for by name, and where browsers find them. */
const ENTRIES = { pangaea: './pangaea/dist/index.js', 'pangaea/worker': './pangaea/dist/worker.js' };

if (!existsSync(join(library, 'wasm/pangaea_wasm_bg.wasm'))) {
  throw new Error('packages/pangaea/wasm is empty: `cargo xtask web` builds the WebAssembly module');
}
cpSync(join(here, 'static'), dist, { recursive: true });
copyLibrary();
for (const file of files('').filter((name) => name.endsWith('.js') && !name.startsWith('pangaea/'))) {
  rewrite(file, (text) => nameEntries(text, file));
}
listFiles();

/** Copies the scripts that the entries need, and no others. */
function copyLibrary() {
  const wanted = Object.values(ENTRIES).map((path) => join(library, relative('pangaea', path)));
  wanted.push(join(library, 'wasm/pangaea_wasm_bg.wasm'), join(library, 'wasm/pangaea_merges_bg.wasm'));
  const seen = new Set();
  for (let file = wanted.pop(); file !== undefined; file = wanted.pop()) {
    if (seen.has(file)) {
      continue;
    }
    seen.add(file);
    const target = join(dist, 'pangaea', relative(library, file));
    mkdirSync(dirname(target), { recursive: true });
    if (!file.endsWith('.js')) {
      cpSync(file, target);
      continue;
    }
    const text = readFileSync(file, 'utf8').replace(/^\/\/# sourceMappingURL=.*\n?/m, '');
    writeFileSync(target, text);
    for (const [, name] of text.matchAll(/(?:from|import|new URL\()\s*["'](\.{1,2}\/[^"']+\.js)["']/g)) {
      wanted.push(resolve(dirname(file), name));
    }
  }
}

/** Browsers have no node_modules: `from "pangaea"` becomes the place of the file. */
function nameEntries(text, file) {
  return text.replace(/(from |import )"(pangaea(?:\/[a-z]+)?)"/g, (whole, keyword, name) => {
    if (ENTRIES[name] === undefined) {
      throw new Error(`${file} imports ${name}, which build.mjs does not copy`);
    }
    const path = relative(dirname(file), ENTRIES[name]);
    return `${keyword}"${path.startsWith('.') ? path : `./${path}`}"`;
  });
}

/** Tells the service worker what there is; another content is another version. */
function listFiles() {
  const served = files('').filter((name) => !['offline.js', 'service-worker.js'].includes(name));
  const hash = createHash('sha256');
  for (const name of served) {
    hash.update(`${name}\n`).update(createHash('sha256').update(readFileSync(join(dist, name))).digest());
  }
  const version = hash.digest('hex').slice(0, 12);
  const list = served.map((name) => (name === 'index.html' ? './' : name));
  rewrite('offline.js', (text) => text.replace('"FILES"', JSON.stringify(list)).replace('"VERSION"', JSON.stringify(version)));
  console.log(`notes: ${served.length} files, version ${version}`);
}

function rewrite(name, change) {
  const file = join(dist, name);
  writeFileSync(file, change(readFileSync(file, 'utf8')));
}

function files(folder) {
  return readdirSync(join(dist, folder), { withFileTypes: true })
    .flatMap((entry) => (entry.isDirectory() ? files(join(folder, entry.name)) : [join(folder, entry.name)]))
    .sort();
}
