// Measures the npm package beside PouchDB, RxDB, Dexie and remoteStorage.js, in one Chromium and in turns.
//
// node bench.mjs PROGRAM [--runs N] [--documents N] [--no-floors]
//
// PROGRAM is `pangaea`. Prints a table of medians and ends with an error if a floor is missed.

import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

import { build } from 'esbuild';
import { chromium } from 'playwright-core';

import { serve, startHub } from './servers.mjs';

const [program, ...options] = process.argv.slice(2);
const option = (name, otherwise) => {
  const at = options.indexOf(name);
  return at < 0 ? otherwise : Number(options[at + 1]);
};
const RUNS = option('--runs', 3);
const DOCUMENTS = option('--documents', 10_000);
const PUTS = Math.min(1000, DOCUMENTS);
const NAMES = ['pangaea', 'pouchdb', 'rxdb', 'dexie', 'remotestorage'];
const SYNCING = new Set(['pangaea', 'pouchdb', 'rxdb']);
/** remoteStorage.js needs minutes for what the others do in seconds. */
const FEWER = { remotestorage: 10 };
/** So long after the last write a visit ends. */
const REST_MS = 4_000;
const MEASURES = ['put p50', 'put p99', 'bulk put', 'cold sync', 'cold sync, encrypted', 'start'];
/** What others can do as well: they store on their servers what they are given. */
const PLAIN = [{ glob: 'docs/**', encryption: 'plain' }];

const packages = new URL('../', import.meta.url).pathname;

/** About a kibibyte of JSON each. */
function make(count) {
  return Array.from({ length: count }, (_, number) => [
    `d${String(number).padStart(6, '0')}`,
    { title: `Document ${number}`, text: randomBytes(450).toString('hex'), number },
  ]);
}

/** The scripts of a contender by their names: one, as an application's bundler makes it, and what it starts or loads besides. */
async function bundle(name) {
  const scripts = { [name]: new URL(`contenders/${name}.js`, import.meta.url).pathname };
  if (name === 'pangaea') scripts['worker-entry'] = join(packages, 'pangaea/dist/worker-entry.js');
  const files = {};
  for (const [script, path] of Object.entries(scripts)) {
    const made = await build({ entryPoints: [path], bundle: true, minify: true, format: 'esm', write: false, logLevel: 'error',
      define: { 'process.env.NODE_ENV': '"production"', global: 'globalThis' } });
    files[`${script}.js`] = made.outputFiles[0].contents;
  }
  if (name === 'pangaea') {
    for (const module of ['pangaea_wasm_bg.wasm', 'pangaea_merges_bg.wasm']) files[module] = await readFile(join(packages, 'pangaea/wasm', module));
  }
  return files;
}

/** What an application ships of it, gzipped. */
async function sizes(bundles) {
  const found = Object.fromEntries(NAMES.map((name) => [name, gzipSync(bundles[`${name}.js`], { level: 9 }).length]));
  // Its module and its scripts, as the check of its size counts them; without what is loaded later, if at all.
  const { stdout } = await promisify(execFile)(process.execPath, [join(packages, 'browser-tests/size.mjs')]);
  found.pangaea = stdout.trim().split('\n').filter((line) => !line.endsWith(' later')).reduce((sum, line) => sum + Number.parseInt(line, 10), 0);
  return found;
}

/** Runs in the page. Everything that is awaited there is in the times. */
async function inPage({ name, step, documents, settings }) {
  const contender = await import(`/bundles/${name}.js`);
  const timed = async (work) => {
    const before = performance.now();
    await work();
    return performance.now() - before;
  };
  await contender.open(`bench-${step}`, settings);
  if (step === 'puts') {
    const times = [];
    for (const [id, document] of documents) times.push(await timed(() => contender.put(id, document)));
    times.sort((a, b) => a - b);
    const at = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))];
    return { 'put p50': at(0.5), 'put p99': at(0.99) };
  }
  if (step === 'bulk') return { 'bulk put': await timed(() => contender.putAll(documents)), count: await contender.count() };
  if (step === 'fill') {
    await contender.putAll(documents);
    await contender.push();
    return {};
  }
  if (step.startsWith('sync')) return { 'cold sync': await timed(() => contender.pull(settings)), count: await contender.count() };
  throw new Error(step);
}

/** From the beginning of the page to the first document, when all are there. */
async function start({ name, id, settings }) {
  const contender = await import(`/bundles/${name}.js`);
  await contender.open('bench-bulk', settings);
  const found = await contender.get(id);
  if (found?.number === undefined) throw new Error('the document is not there');
  return { start: performance.now() };
}

async function measure(browser, site, name, documents, settings) {
  const context = await browser.newContext();
  const visit = async () => {
    const tab = await context.newPage();
    tab.setDefaultTimeout(0);
    tab.on('pageerror', (error) => console.error(`${name}: ${error.message}`));
    return tab;
  };
  let tab = await visit();
  const few = documents.slice(0, documents.length / (FEWER[name] ?? 1));
  const run = async (step, some) => {
    await tab.goto(site.origin);
    console.error(`${name}: ${step}`);
    return tab.evaluate(inPage, { name, step, documents: some, settings: settings[step] ?? settings.alone });
  };
  const found = await run('puts', documents.slice(0, PUTS / (FEWER[name] ?? 1)));
  const bulk = await run('bulk', few);
  check(name, bulk.count, few.length);
  // A visit later: what a library does after writing, and what a browser does with a page that ends, is done.
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  await tab.close();
  tab = await visit();
  found['bulk put'] = bulk['bulk put'] * (FEWER[name] ?? 1);
  await tab.goto(site.origin);
  Object.assign(found, await tab.evaluate(start, { name, id: few[few.length >> 1][0], settings: settings.alone }));
  for (const step of name === 'pangaea' ? ['sync', 'sync-encrypted'] : SYNCING.has(name) ? ['sync'] : []) {
    const synced = await run(step, []);
    check(name, synced.count, documents.length);
    found[step === 'sync' ? 'cold sync' : 'cold sync, encrypted'] = synced['cold sync'];
  }
  await context.close();
  return found;
}

function check(name, count, expected) {
  // remoteStorage.js has one database for a site, with what was put before.
  if (count < expected) throw new Error(`${name} has ${count} documents of ${expected}`);
}

const median = (numbers) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1];

async function main() {
  const folder = await mkdtemp(join(tmpdir(), 'pangaea-bench-'));
  const documents = make(DOCUMENTS);
  const bundles = Object.assign({}, ...(await Promise.all(NAMES.map(bundle))));
  const site = await serve(bundles, documents);
  const hub = await startHub(program, join(folder, 'hub'), 20_000 + Math.floor(Math.random() * 20_000));
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-sync'] });
  try {
    const key = () => randomBytes(32).toString('hex');
    const shared = [{ hub: hub.url, key: key(), policies: PLAIN }, { hub: hub.url, key: key() }];
    for (const settings of shared) {
      const filling = await (await browser.newContext()).newPage();
      filling.setDefaultTimeout(0);
      await filling.goto(site.origin);
      await filling.evaluate(inPage, { name: 'pangaea', step: 'fill', documents, settings });
      await filling.context().close();
    }
    const results = Object.fromEntries(NAMES.map((name) => [name, []]));
    for (let run = 0; run < RUNS; run += 1) {
      for (const name of NAMES) {
        // Nothing listens at that address: what is measured alone is this device's own work.
        const alone = { hub: 'http://127.0.0.1:9', key: key() };
        const sync = { ...shared[0], couch: `${site.origin}/couch/docs`, pages: `${site.origin}/pages` };
        results[name].push(await measure(browser, site, name, documents, { alone, sync, 'sync-encrypted': shared[1] }));
      }
    }
    report(results, await sizes(bundles));
  } finally {
    await browser.close();
    hub.stop();
    site.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function report(results, bytes) {
  const medians = {};
  console.log(`| | ${NAMES.join(' | ')} |\n|---|${'--:|'.repeat(NAMES.length)}`);
  for (const measure of MEASURES) {
    medians[measure] = Object.fromEntries(NAMES.map((name) => [name, median(results[name].map((found) => found[measure] ?? NaN))]));
    const cells = NAMES.map((name) => (Number.isNaN(medians[measure][name]) ? 'none' : `${medians[measure][name].toFixed(1)} ms`));
    console.log(`| ${measure} | ${cells.join(' | ')} |`);
  }
  console.log(`| size, gzipped | ${NAMES.map((name) => `${(bytes[name] / 1024).toFixed(0)} KiB`).join(' | ')} |`);
  const missed = [];
  for (const measure of MEASURES) {
    const { pangaea, pouchdb, rxdb, dexie } = medians[measure];
    // Only Pangaea encrypts.
    if (Number.isNaN(pouchdb)) continue;
    if (!(pangaea < pouchdb)) missed.push(`${measure}: behind PouchDB`);
    if (!(pangaea < rxdb)) missed.push(`${measure}: behind RxDB`);
    if (measure === 'put p50' && pangaea > 1.5 * dexie) missed.push(`${measure}: ${(pangaea / dexie).toFixed(2)} times Dexie, and not 1.5`);
  }
  for (const line of missed) console.log(`MISSED ${line}`);
  if (missed.length > 0 && !options.includes('--no-floors')) process.exitCode = 1;
}

await main();
