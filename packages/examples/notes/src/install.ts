// The service worker: registered, and replaced when there is a new version and somebody agrees.

import type { Toasts } from "./toasts.js";

/** Without it everything works that does not need it. */
export async function registerServiceWorker(toasts: Toasts): Promise<void> {
  if (!("serviceWorker" in navigator)) {
    return;
  }
  const registration = await register();
  if (registration === undefined) {
    return;
  }
  const offer = (worker: ServiceWorker | null) => {
    // The first one takes over without a word.
    if (worker !== null && navigator.serviceWorker.controller !== null) {
      toasts.show("There is a new version of this application.", { label: "Use it now", run: () => worker.postMessage("take-over") });
    }
  };
  offer(registration.waiting);
  registration.addEventListener("updatefound", () => {
    const worker = registration.installing;
    worker?.addEventListener("statechange", () => worker.state === "installed" && offer(worker));
  });
  const hadOne = navigator.serviceWorker.controller !== null;
  navigator.serviceWorker.addEventListener("controllerchange", () => hadOne && location.reload());
}

async function register(): Promise<ServiceWorkerRegistration | undefined> {
  try {
    return await navigator.serviceWorker.register("service-worker.js", { type: "module" });
  } catch {
    // A browser that takes no modules for service workers has no background sync either.
  }
  try {
    return await navigator.serviceWorker.register("offline.js");
  } catch (thrown) {
    console.warn("The application will not start without a network:", thrown);
    return undefined;
  }
}
