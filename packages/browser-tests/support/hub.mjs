// A real hub in a process of its own, and a real second device: the `pangaea` program.

import { execFile, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { eventually } from './wait.mjs';

const root = new URL('../../../', import.meta.url).pathname;
const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target');

/** The program under test; cargo xtask test has built it. */
export const PROGRAM = process.env.PANGAEA_BIN ?? join(target, 'debug/pangaea');

/** A hub at one address with one data folder, however often it is started. */
export class Hub {
  #process;

  constructor(folder, port, options) {
    this.folder = folder;
    this.options = options;
    this.port = port;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Starts a new one; `options` are more arguments of the program. */
  static async start(folder, options = []) {
    const hub = new Hub(join(folder, 'hub'), await freePort(), options);
    mkdirSync(hub.folder, { recursive: true });
    await hub.start();
    return hub;
  }

  async start() {
    const where = ['--listen', `127.0.0.1:${this.port}`, '--data', join(this.folder, 'data')];
    const child = spawn(PROGRAM, ['hub', ...where, ...this.options], {
      cwd: this.folder,
      env: { ...process.env, HOME: this.folder },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let errors = '';
    child.stderr.on('data', (data) => (errors = (errors + data).slice(-4000)));
    child.once('error', (error) => (errors = `${error.message}: build it with cargo build -p pangaea-cli`));
    this.#process = child;
    await eventually('the hub answers', async () => {
      if (child.exitCode !== null || child.pid === undefined) {
        throw new Error(`the hub ended: ${errors}`);
      }
      const answer = await fetch(`${this.url}/hub_info`).catch(() => undefined);
      return answer?.ok;
    });
  }

  async stop() {
    const child = this.#process;
    this.#process = undefined;
    if (child !== undefined && child.exitCode === null) {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    }
  }
}

/** Another device of a bucket: a folder that the command line keeps in sync. */
export class Device {
  #folder;
  #environment;

  static async init(folder, name, hub, key) {
    const device = new Device();
    device.#folder = join(folder, name);
    device.#environment = { ...process.env, HOME: folder };
    const keyFile = join(folder, `${name}.key`);
    writeFileSync(keyFile, key, { mode: 0o600 });
    await device.#run(['init', device.#folder, '--hub', hub, '--key-file', keyFile]);
    return device;
  }

  /** Syncs once; fails when something is left. */
  async sync() {
    await this.#run(['sync', this.#folder]);
  }

  /** The content of a file, as this device has it. */
  async cat(path) {
    return this.#run(['cat', this.#folder, path]);
  }

  /** Writes a file through the command line. */
  put(path, content) {
    const file = join(this.#folder, path);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, content);
  }

  /** The paths of all files. */
  async list() {
    const rows = JSON.parse(await this.#run(['--json', 'ls', this.#folder]));
    return (rows.files ?? rows).map(({ path }) => path).sort();
  }

  async #run(args) {
    const { stdout } = await promisify(execFile)(PROGRAM, args, {
      env: this.#environment,
      maxBuffer: 64 * 1024 * 1024,
    });
    return stdout;
  }
}

/** A port that nobody has, below those that systems give outgoing connections. */
export async function freePort() {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 20_000);
    const server = createServer();
    const isFree = await new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (isFree) {
      await new Promise((resolve) => server.close(resolve));
      return port;
    }
  }
}
