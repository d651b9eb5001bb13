/**
 * Syncing while no page of the application is open, where the browser can.
 *
 * @module
 */

export { forgetBackgroundSync, registerBackgroundSync } from "./background.js";
export type { BackgroundOptions, BackgroundSupport } from "./background.js";
export { handleBackgroundSync } from "./service-worker.js";
export type { HandlerOptions, ServiceWorkerScope } from "./service-worker.js";
