//! Real replicas (store, HTTP client, sync loop) and a real hub in one process, joined by proxies
//! that make trouble. One seed is one world: it says who edits what, which faults there are and
//! how often. What is checked is what users see: after the trouble has ended, everybody has the
//! same files, nothing acknowledged is gone, nothing deleted is back, nobody asks without end.
//!
//! Sockets and threads are real, so a seed does not tell the same story twice; the timeline of a
//! failure is its evidence. The engine alone, where a seed does, is the matter of `testing/sim`.
//!
//! `settings` and `fault` say what a seed expands into, `network` lets faults strike, `hub` and
//! `device` are the real things with a way to pull their plugs, `world` lets things happen,
//! `oracle` remembers what was written, `verdict` judges the end.

#![expect(
    clippy::unwrap_in_result,
    clippy::unwrap_used,
    reason = "what fails here outside the product fails the run"
)]

mod device;
pub mod fault;
mod hub;
mod network;
mod oracle;
pub mod settings;
mod verdict;
pub mod world;

pub use fault::Fault;
pub use settings::Planted;
pub use settings::Settings;
pub use world::Report;
pub use world::run;

/// A seed from the clock.
pub fn fresh_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs() * 1_000)
}

/// Where folders are made: in memory if this machine has such a place. What a power cut does is
/// the matter of `testing/disk`.
pub fn folder() -> &'static str {
    let in_memory = "/dev/shm";
    if std::path::Path::new(in_memory).is_dir() {
        in_memory
    } else {
        "/tmp"
    }
}
