//! What the client needs of where it runs: requests, timers, clocks and tasks. Both halves have the
//! same names, so that nothing else of the client knows which it is: `native` stands on reqwest and
//! tokio, `web` on the browser's `fetch`, in pages and in workers.

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(target_arch = "wasm32")]
mod web;

#[cfg(not(target_arch = "wasm32"))]
pub(super) use native::*;
#[cfg(target_arch = "wasm32")]
pub(super) use web::*;
