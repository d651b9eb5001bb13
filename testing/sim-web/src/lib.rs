//! The simulator as a WebAssembly module: the same worlds, played where the browser build runs.
//!
//! `cargo xtask web` plays schedules and seeds with it in Chromium and holds that everything
//! happens as it does natively, by the digests of all that happened.

use pangaea_sim::campaign::Tally;
use pangaea_sim::{Planted, Schedule, Trace, play};
use wasm_bindgen::prelude::{JsError, wasm_bindgen};

/// Plays a schedule, given as JSON, and returns the digest of all that happened as 16 hex digits,
/// followed by what promise was broken, if one was.
///
/// # Errors
/// If the text is no schedule.
#[wasm_bindgen]
pub fn replay(schedule: &str) -> Result<String, JsError> {
    let schedule: Schedule = serde_json::from_str(schedule)?;
    let report = play(&schedule, Planted::default(), Trace::Digest);
    Ok(match report.failure {
        Some(failure) => format!("{:016x} {failure}", report.digest),
        None => format!("{:016x}", report.digest),
    })
}

/// Plays so many seeds from a first one on, and returns the digest of all of them as 16 hex digits,
/// followed by the seeds that broke a promise.
#[wasm_bindgen]
#[must_use]
pub fn campaign(first: u32, seeds: u32) -> String {
    let mut tally = Tally::default();
    for number in 0..seeds {
        tally.play(u64::from(first) + u64::from(number), Planted::default());
    }
    let failures: String = tally
        .failures
        .iter()
        .map(|(seed, failure)| format!(" {seed}: {failure}"))
        .collect();
    format!("{:016x}{failures}", tally.digest)
}
