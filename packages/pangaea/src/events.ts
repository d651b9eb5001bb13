// Who wants to hear of what.

/** Ends a subscription. May be called any number of times. */
export type Stop = () => void;

/** Listeners by the name of what they listen to. */
export class Listeners<Events extends { [Name in keyof Events]: unknown }> {
  readonly #listeners = new Map<keyof Events, Set<(value: never) => void>>();

  /** Adds a listener; the same function may be added several times. */
  add<Name extends keyof Events>(name: Name, listener: (value: Events[Name]) => void): Stop {
    const all = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, all);
    const own = (value: Events[Name]) => listener(value);
    all.add(own);
    return () => void all.delete(own);
  }

  /** Tells all listeners. One that throws keeps nobody else from hearing, and is reported as any uncaught error is. */
  tell<Name extends keyof Events>(name: Name, value: Events[Name]): void {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        (listener as (value: Events[Name]) => void)(value);
      } catch (thrown) {
        queueMicrotask(() => {
          throw thrown;
        });
      }
    }
  }

  /** Tells whether anybody listens. */
  has(name: keyof Events): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }
}
