// A browser with a profile that outlives it. It is started and killed as a process, as on a person's machine.

import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';

import { chromium } from 'playwright-core';

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';
const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--remote-debugging-port=0',
  // Tabs that are not looked at are as awake as the others: what a browser saves is not what is tested here.
  '--disable-background-timer-throttling', '--disable-renderer-backgrounding', '--disable-backgrounding-occluded-windows',
];
const START_LIMIT_MS = 120_000;

/** A browser on one profile. */
export class Browser {
  #process;
  #connection;

  constructor(profile) {
    this.profile = profile;
    mkdirSync(profile, { recursive: true });
  }

  async start() {
    // In a group of its own, so that all its processes can be ended at once.
    this.#process = spawn(EXECUTABLE, [...FLAGS, `--user-data-dir=${this.profile}`, 'about:blank'], {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const address = await endpoint(this.#process);
    this.#connection = await chromium.connectOverCDP(address, { timeout: START_LIMIT_MS });
    this.context.setDefaultTimeout(START_LIMIT_MS);
    return this;
  }

  get context() {
    return this.#connection.contexts()[0];
  }

  /** A tab on a page of the site, with the package loaded. */
  async open(url) {
    const tab = await this.context.newPage();
    await visit(tab, url);
    return tab;
  }

  /** Ends it at once, as by kill -9 or a dead battery. */
  async kill() {
    const child = this.#process;
    this.#process = undefined;
    if (child === undefined) {
      return;
    }
    const ended = new Promise((resolve) => child.once('exit', resolve));
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch (error) {
      if (error.code !== 'ESRCH') {
        throw error;
      }
    }
    await ended;
    await this.#connection?.close().catch(() => undefined);
  }
}

/** Goes to a page of the site, or loads it again, and waits for the package. */
export async function visit(tab, url) {
  await tab.goto(url);
  await tab.waitForFunction(() => globalThis.pangaea !== undefined);
}

async function endpoint(child) {
  let text = '';
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`the browser does not start: ${text}`)), START_LIMIT_MS);
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`the browser ended: ${text}`)));
    child.stderr.on('data', (data) => {
      text = (text + data).slice(-4000);
      const [, address] = /DevTools listening on (ws:\S+)/.exec(text) ?? [];
      if (address !== undefined) {
        clearTimeout(timer);
        resolve(address);
      }
    });
  });
}
