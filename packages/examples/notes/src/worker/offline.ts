// Serves the application from this device, so that it starts without a network. It is imported by service-worker.ts, and is a
// service worker by itself in browsers that take no modules for that: hence no import and no export.

/** Filled in by build.mjs: every file of the application, and a name for exactly these contents. */
const FILES = "FILES" as unknown as string[];
const VERSION: string = "VERSION";

const CACHE = `notes-${VERSION}`;
const scope = self as unknown as ServiceWorkerGlobalScope;

scope.addEventListener("install", (event) => event.waitUntil(keepFiles()));
scope.addEventListener("activate", (event) => event.waitUntil(takeOver()));
scope.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && new URL(request.url).origin === scope.location.origin) {
    event.respondWith(answer(request));
  }
});
scope.addEventListener("message", ({ data }) => {
  if (data === "take-over") {
    void scope.skipWaiting();
  }
});

/** All or nothing: a version of which a file is missing is not used. */
async function keepFiles(): Promise<void> {
  const cache = await caches.open(CACHE);
  // What the browser's own cache has may be of another version.
  await cache.addAll(FILES.map((file) => new Request(file, { cache: "reload" })));
}

async function takeOver(): Promise<void> {
  const names = await caches.keys();
  await Promise.all(names.filter((name) => name.startsWith("notes-") && name !== CACHE).map((name) => caches.delete(name)));
  await scope.clients.claim();
}

async function answer(request: Request): Promise<Response> {
  const cache = await caches.open(CACHE);
  const asked = request.mode === "navigate" ? "./" : request;
  return (await cache.match(asked, { ignoreSearch: true })) ?? fetch(request);
}
