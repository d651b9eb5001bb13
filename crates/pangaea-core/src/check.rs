//! What must hold of an engine at every moment, whatever happened before. Cited by simulator,
//! tests and fuzzers; cheap enough to call after every step there.

use crate::engine::Engine;

/// Checks the engine against itself. The error names what is broken.
pub fn check_invariants(engine: &Engine) -> Result<(), String> {
    let mut pending = 0;
    for (path, entry) in engine.entries() {
        if let Some(record) = &entry.pending {
            pending += 1;
            if engine.journal_path(record.sequence) != Some(path) {
                return Err(format!("journal: {path} is not at {}", record.sequence));
            }
        }
        let is_settled = entry.is_clean() || entry.pending.is_some();
        if !is_settled && entry.local.version().is_some() {
            return Err(format!(
                "journal: {path} has an unsent state without a record"
            ));
        }
        if entry
            .base
            .version()
            .is_some_and(|version| version.clock > engine.clock_last())
            && engine.clock_last().ms() == 0
        {
            return Err(format!("clock: {path} has a base, the clock never ran"));
        }
    }
    if pending != engine.status().pending {
        return Err("journal: a record without an entry".to_owned());
    }
    Ok(())
}
