//! What the end-to-end tests are made with: the built `pangaea` program, hubs and devices that run
//! it in processes of their own, the stock JavaScript client, and ways to compare folders.
//!
//! Nothing here links the product's own sync code: tests see what a user and a stock client see.
//! Everything that was started is killed, and every folder is removed, when its value is dropped.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

pub mod device;
pub mod hub;
pub mod program;
pub mod stock;
pub mod tree;
pub mod world;

use std::time::Duration;
use std::time::Instant;

/// Between two looks at something that is waited for.
const POLL: Duration = Duration::from_millis(10);

/// Looks again and again until there is an answer; fails when there is none by the deadline.
#[track_caller]
pub fn wait_for<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < limit, "{what}: not within {limit:?}");
        std::thread::sleep(POLL);
    }
}

/// The tag of no bytes at all.
pub const EMPTY_TAG: &str = "d41d8cd98f00b204e9800998ecf8427e";

/// Whether the programs use the plain calls of a stock hub alone. Then a delete leaves an empty
/// stand-in on the hub for a while, which stock clients see.
#[must_use]
pub fn uses_plain_calls() -> bool {
    std::env::var_os("PANGAEA_PLAIN_HUB").is_some_and(|value| value == "1")
}
