//! Two devices, one real hub over HTTP, real stores and real folders.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod devices;
mod resources;
mod sync;
