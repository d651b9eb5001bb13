// The host's side of merge functions: they live in pages, and any page that has one for the strategy will do.

import { PangaeaError, fromData, type ErrorData } from "./errors.js";
import { randomId, type Message } from "./protocol.js";
import type { MergeInput } from "./wasm.js";

/** A page that does not answer by then is asked no longer; the next one is. */
const ANSWER_LIMIT_MS = 10_000;

interface Question {
  resolve(content: Uint8Array | undefined): void;
  reject(error: Error): void;
  timer: ReturnType<typeof setTimeout>;
}

/** Knows which pages have functions for which strategies, and asks them. */
export class Merges {
  readonly #post: (message: Message) => void;
  readonly #pages = new Map<string, readonly string[]>();
  readonly #questions = new Map<string, Question>();
  /** Strategies that came up when nobody was there to ask. */
  readonly #missed = new Set<string>();

  constructor(post: (message: Message) => void) {
    this.#post = post;
  }

  /** Takes note of a page's functions. Tells whether one of them was missed, so that a new round is worth while. */
  arrived(page: string, strategies: readonly string[]): boolean {
    this.#pages.set(page, strategies);
    const wanted = strategies.filter((strategy) => this.#missed.delete(strategy));
    return wanted.length > 0;
  }

  /**
   * Has two versions made one; undefined means that both are kept.
   *
   * Fails with the code `no-merge-function` when no page has a function for the strategy: the path stays undecided.
   */
  async ask(input: MergeInput): Promise<Uint8Array | undefined> {
    for (const [page, strategies] of [...this.#pages]) {
      if (!strategies.includes(input.strategy)) {
        continue;
      }
      try {
        return await this.#askPage(page, input);
      } catch (thrown) {
        if (!(thrown instanceof PangaeaError && thrown.code === "timeout")) {
          throw thrown;
        }
        // It was closed, or it is asleep; it tells again of its functions when it is back.
        this.#pages.delete(page);
      }
    }
    this.#missed.add(input.strategy);
    throw new PangaeaError(
      "no-merge-function",
      `no open page has a merge function for the strategy "${input.strategy}": ${input.path} waits, both versions are kept`,
    );
  }

  /** Takes a page's answer. */
  answered(id: string, content: Uint8Array | undefined, error: ErrorData | undefined): void {
    const question = this.#questions.get(id);
    if (question === undefined) {
      return;
    }
    clearTimeout(question.timer);
    this.#questions.delete(id);
    if (error === undefined) {
      question.resolve(content);
    } else {
      question.reject(fromData(error));
    }
  }

  #askPage(page: string, input: MergeInput): Promise<Uint8Array | undefined> {
    const id = randomId();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#questions.delete(id);
        reject(new PangaeaError("timeout", "the page does not answer"));
      }, ANSWER_LIMIT_MS);
      this.#questions.set(id, { resolve, reject, timer });
      this.#post({ type: "merge", id, to: page, input });
    });
  }
}
