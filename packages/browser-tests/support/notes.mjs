// The example application as it is served: a folder of files, and nothing else.

import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { extname, join, normalize } from 'node:path';
import { createInterface } from 'node:readline';

import { Browser } from './browser.mjs';
import { freePort, PROGRAM } from './hub.mjs';
import { world } from './world.mjs';

const dist = new URL('../../examples/notes/dist/', import.meta.url).pathname;
const types = {
  '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.wasm': 'application/wasm', '.css': 'text/css', '.svg': 'image/svg+xml', '.png': 'image/png',
  '.webmanifest': 'application/manifest+json',
};

/** The web server of the application, at one address, however often it is started. */
export class NotesSite {
  #server;

  constructor(port) {
    this.url = `http://127.0.0.1:${port}/`;
    this.port = port;
  }

  static async start() {
    const site = new NotesSite(await freePort());
    await site.start();
    return site;
  }

  async start() {
    this.#server = createServer(async (request, response) => {
      const { pathname } = new URL(request.url, this.url);
      const file = pathname === '/' ? 'index.html' : normalize(decodeURIComponent(pathname));
      try {
        const body = await readFile(join(dist, file));
        response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' }).end(body);
      } catch {
        response.writeHead(404).end();
      }
    });
    await new Promise((listening) => this.#server.listen(this.port, '127.0.0.1', listening));
  }

  async stop() {
    const server = this.#server;
    this.#server = undefined;
    if (server !== undefined) {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    }
  }
}

/** A hub, a key, and the application. */
export async function notesWorld(test) {
  const [all, notes] = await Promise.all([world(test), NotesSite.start()]);
  test.after(() => notes.stop());
  return { ...all, notes, link: `pangaea://join?hub=${encodeURIComponent(all.hub.url)}#key=${all.key}` };
}

/** `pangaea up` with the application, and a browser: what it takes to begin. */
export async function up(test) {
  const folder = mkdtempSync(join(tmpdir(), 'pangaea-up-'));
  const child = spawn(PROGRAM, ['up', join(folder, 'bucket'), '--app', dist, '--poll', '1', '--json'], {
    env: { ...process.env, HOME: folder },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const browser = new Browser(join(folder, 'profile'));
  test.after(async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGINT');
    await Promise.all([ended, browser.kill()]);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  });
  const ready = await new Promise((resolve, reject) => {
    child.once('exit', () => reject(new Error('pangaea up ended')));
    createInterface({ input: child.stdout }).on('line', (line) => {
      const said = JSON.parse(line);
      if (said.event === 'ready') {
        resolve(said);
      }
    });
  });
  return { folder: join(folder, 'bucket'), app: ready.app, browser: await browser.start() };
}

const DESK = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

/** Opens the application for the first time in a browser, and signs in with the link. */
export async function signIn(browser, { notes, link }, name, viewport = DESK) {
  const tab = await browser.context.newPage();
  await tab.setViewportSize(viewport);
  tab.errors = [];
  tab.on('pageerror', (error) => tab.errors.push(String(error)));
  tab.on('console', (message) => message.type() === 'error' && tab.errors.push(message.text()));
  await tab.goto(notes.url);
  await tab.getByLabel('Your link').fill(link);
  await tab.getByLabel('Name of this device').fill(name);
  await tab.getByRole('button', { name: 'Sign in' }).click();
  await tab.getByRole('heading', { name: 'Notes', exact: true }).waitFor();
  return tab;
}

/** Begins a note, and waits until it is kept on the device. */
export async function writeNote(tab, title, text) {
  await tabTo(tab, 'Notes');
  await tab.getByRole('button', { name: 'New note' }).click();
  await tab.getByLabel('Title', { exact: true }).fill(title);
  await tab.getByLabel('Text', { exact: true }).fill(text);
  await tab.locator('.note-state').filter({ hasText: /Stored|Saved/ }).waitFor();
}

/** Goes to one of the main places. On a phone an open note has the room of the tabs, and is left first. */
export async function tabTo(tab, name) {
  const back = tab.getByRole('link', { name: 'All notes' });
  if (await back.isVisible()) {
    await back.click();
  }
  await tab.getByRole('navigation').getByRole('link', { name, exact: true }).click();
}

/** Waits until the badge says so. */
export async function badge(tab, text) {
  await tab.locator('#badge').filter({ hasText: text }).waitFor();
}
