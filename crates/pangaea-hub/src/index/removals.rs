//! What was removed: one row for each path that is gone, until it is written again or too old.
//!
//! A bucket remembers the highest sequence number among the rows dropped for their age; a cursor
//! from before that can no longer be told everything.

use std::collections::BTreeMap;

use gaia::path::FilePath;
use rusqlite::{Connection, params};

use super::IndexError;

/// Remembers that a path is gone.
pub(super) fn record(
    transaction: &Connection,
    bucket: i64,
    path: &FilePath,
    seq: i64,
    now_ms: i64,
) -> Result<(), IndexError> {
    let mut statement = transaction.prepare_cached(
        "INSERT OR REPLACE INTO removals (bucket, path, seq, removed_ms) VALUES (?1, ?2, ?3, ?4)",
    )?;
    statement.execute(params![bucket, path.as_str(), seq, now_ms])?;
    Ok(())
}

/// Whether a bucket remembers any removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removed {
    None,
    Some,
}

/// Whether a bucket remembers any removal: most do not, which spares a look for each new path.
pub(super) fn any(transaction: &Connection, bucket: i64) -> Result<Removed, IndexError> {
    let mut statement =
        transaction.prepare_cached("SELECT 1 FROM removals WHERE bucket = ?1 LIMIT 1")?;
    Ok(match statement.exists([bucket])? {
        true => Removed::Some,
        false => Removed::None,
    })
}

/// A path that had no file has one again; the file's own row says the rest.
pub(super) fn clear(
    transaction: &Connection,
    bucket: i64,
    path: &FilePath,
) -> Result<(), IndexError> {
    let mut statement =
        transaction.prepare_cached("DELETE FROM removals WHERE bucket = ?1 AND path = ?2")?;
    statement.execute(params![bucket, path.as_str()])?;
    Ok(())
}

/// Drops up to `rows_max` of the rows from before a time, oldest first, and returns how many it
/// dropped.
pub(super) fn forget(
    transaction: &Connection,
    before_ms: i64,
    rows_max: usize,
) -> Result<usize, IndexError> {
    let old = select_old(transaction, before_ms, rows_max)?;
    if old.is_empty() {
        return Ok(0);
    }
    let mut highest = BTreeMap::new();
    let mut delete =
        transaction.prepare_cached("DELETE FROM removals WHERE bucket = ?1 AND path = ?2")?;
    for (bucket, path, seq) in &old {
        delete.execute(params![bucket, path])?;
        let known = highest.entry(*bucket).or_insert(*seq);
        *known = (*known).max(*seq);
    }
    let mut update = transaction.prepare_cached(
        "UPDATE buckets SET forgotten_seq = max(forgotten_seq, ?2) WHERE id = ?1",
    )?;
    for (bucket, seq) in highest {
        update.execute(params![bucket, seq])?;
    }
    Ok(old.len())
}

fn select_old(
    transaction: &Connection,
    before_ms: i64,
    rows_max: usize,
) -> Result<Vec<(i64, String, i64)>, IndexError> {
    let mut statement = transaction.prepare_cached(
        "SELECT bucket, path, seq FROM removals WHERE removed_ms < ?1
         ORDER BY removed_ms LIMIT ?2",
    )?;
    let limit = i64::try_from(rows_max).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![before_ms, limit], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get(2)?))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
