//! Pangaea in browsers: the same replica as native programs have, over IndexedDB and `fetch`, as a
//! WebAssembly module for the npm package `pangaea`.
//!
//! `store` is the database, `replica` what JavaScript calls, `driver` the loop that keeps a replica
//! going, `events` and `edits` what crosses between the two languages, `failure` how errors look
//! there, `keys` the cryptography that applications use by itself. Locks, tabs and workers are
//! the package's matter; what is decided is decided in `pangaea-core`.
//!
//! Elsewhere than in browsers this crate is empty.

#![cfg(target_arch = "wasm32")]

#[cfg(feature = "contract")]
mod contract;
mod driver;
mod edits;
mod events;
mod failure;
mod keys;
mod merges;
mod replica;
mod store;
