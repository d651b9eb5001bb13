//! What is dropped in time: history beyond its limit, old log rows, and content that nothing
//! names.

use std::collections::BTreeSet;

use pangaea_core::version::ContentHash;
use rusqlite::Connection;
use rusqlite::params;

use super::rows::signed;
use super::rows::unsigned;
use super::schema::in_context;
use crate::store::HistoryLimit;
use crate::store::LOG_ROWS_MAX;
use crate::store::StoreError;

/// Drops history beyond the limit, and the oldest rows of a log that grew too long.
pub(super) fn prune(connection: &mut Connection, limit: HistoryLimit) -> Result<(), StoreError> {
    let dropped = connection.transaction().and_then(|transaction| {
        transaction.execute(
            "DELETE FROM history WHERE replaced_ms < ?1",
            [signed(limit.replaced_before_ms)],
        )?;
        if let Some(id) = newest_beyond(&transaction, limit.bytes_max)? {
            transaction.execute("DELETE FROM history WHERE id <= ?1", [id])?;
        }
        transaction.execute(
            "DELETE FROM log WHERE id <= (SELECT max(id) FROM log) - ?1",
            [LOG_ROWS_MAX],
        )?;
        transaction.commit()
    });
    dropped.map_err(in_context("dropping old history"))
}

/// The newest row of history that does not fit into so many bytes together with all newer ones.
fn newest_beyond(connection: &Connection, bytes_max: u64) -> rusqlite::Result<Option<i64>> {
    let mut select = connection.prepare("SELECT id, size FROM history ORDER BY id DESC")?;
    let mut rows = select.query(())?;
    let mut bytes = 0_u64;
    while let Some(row) = rows.next()? {
        bytes = bytes.saturating_add(unsigned(row.get(1)?));
        if bytes > bytes_max {
            return row.get(0).map(Some);
        }
    }
    Ok(None)
}

/// Drops small content that nothing names, and says which of `files` nothing names either.
pub(super) fn collect(
    connection: &mut Connection,
    keep: &[ContentHash],
    files: &[ContentHash],
) -> Result<Vec<ContentHash>, StoreError> {
    let unnamed = collect_in_transaction(connection, keep, files)
        .map_err(in_context("dropping content that nothing names"))?;
    // Gives free pages back to the file system.
    connection
        .prepare("PRAGMA incremental_vacuum")
        .and_then(|mut vacuum| {
            let mut pages = vacuum.query(())?;
            while pages.next()?.is_some() {}
            Ok(())
        })
        .map_err(in_context("shrinking the database"))?;
    Ok(unnamed)
}

fn collect_in_transaction(
    connection: &mut Connection,
    keep: &[ContentHash],
    files: &[ContentHash],
) -> rusqlite::Result<Vec<ContentHash>> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    transaction.execute_batch(
        "CREATE TEMP TABLE named (hash BLOB NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;
         INSERT OR IGNORE INTO named
             SELECT local_content FROM entries WHERE local_content IS NOT NULL
             UNION SELECT base_content FROM entries WHERE base_content IS NOT NULL
             UNION SELECT content FROM history;",
    )?;
    let mut insert = transaction.prepare("INSERT OR IGNORE INTO named (hash) VALUES (?1)")?;
    for hash in keep {
        insert.execute([hash.as_bytes()])?;
    }
    drop(insert);
    transaction.execute(
        "DELETE FROM content
         WHERE NOT EXISTS (SELECT 1 FROM named WHERE named.hash = content.hash)",
        (),
    )?;
    let mut select = transaction.prepare("SELECT 1 FROM named WHERE hash = ?1")?;
    let mut unnamed = BTreeSet::new();
    for hash in files {
        if !select.exists(params![hash.as_bytes()])? {
            unnamed.insert(*hash);
        }
    }
    drop(select);
    transaction.execute_batch("DROP TABLE named")?;
    transaction.commit()?;
    Ok(unnamed.into_iter().collect())
}
