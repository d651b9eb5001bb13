// The service worker: the application without a network, and the notes that were not sent when the last tab was closed.

import "./offline.js";

import { handleBackgroundSync } from "pangaea/worker";

handleBackgroundSync(self);
