// The dedicated worker of a page: a host, or waiting to become one.

import { loadEngine } from "./engine.js";
import { Host } from "./host.js";
import type { FromWorker, ToWorker } from "./protocol.js";

/** The part of a worker's global object that is used here; TypeScript cannot know pages' and workers' at once. */
interface Scope {
  postMessage(message: FromWorker): void;
  onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
  close(): void;
}

const scope = globalThis as unknown as Scope;
let host: Host | undefined;

scope.onmessage = ({ data }) => {
  switch (data.type) {
    case "open":
      host = new Host(data.options, { load: loadEngine, tell: (message) => scope.postMessage(message), crash });
      void host.run().then(() => scope.close());
      break;
    case "call":
      void host?.call(data);
      break;
    case "steal":
      host?.steal();
      break;
    case "close":
      host?.close();
      break;
  }
};

/** As an error that nobody catches it reaches the page, which starts another worker. */
function crash(thrown: unknown): void {
  setTimeout(() => {
    throw thrown;
  });
}

scope.postMessage({ type: "alive" });
