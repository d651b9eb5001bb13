//! The rows of the database: reading all at the start, and writing one transaction.

use bytes::Bytes;
use gaia::path::FilePath;
use pangaea_core::commit::Commit;
use pangaea_core::commit::Counters;
use pangaea_core::commit::HistoryRow;
use pangaea_core::commit::LogRow;
use pangaea_core::record;
use pangaea_core::version::ContentHash;
use pangaea_core::version::Hlc;
use pangaea_core::version::VersionId;
use rusqlite::Connection;
use rusqlite::OptionalExtension;
use rusqlite::Row;
use rusqlite::params;

use super::schema::damaged;
use super::schema::in_context;
use crate::store::Loaded;
use crate::store::RowQuery;
use crate::store::StoreError;
use crate::store::Transaction;

/// Reads all that a replica starts from, as of one moment.
pub(super) fn load(connection: &mut Connection) -> Result<Loaded, StoreError> {
    const CONTEXT: &str = "reading the replica's state";
    let snapshot = connection.transaction().map_err(in_context(CONTEXT))?;
    let mut loaded = Loaded::default();
    for_each(
        &snapshot,
        CONTEXT,
        "SELECT path, record FROM entries ORDER BY path",
        |row| {
            let bytes = row.get_ref(1).and_then(|value| Ok(value.as_blob()?));
            let entry = record::decode_entry(bytes.map_err(in_context(CONTEXT))?)?;
            loaded.entries.push((path(row, 0)?, entry));
            Ok(())
        },
    )?;
    for_each(
        &snapshot,
        CONTEXT,
        "SELECT path, stamp FROM stamps ORDER BY path",
        |row| {
            loaded
                .stamps
                .push((path(row, 0)?, row.get(1).map_err(in_context(CONTEXT))?));
            Ok(())
        },
    )?;
    for_each(
        &snapshot,
        CONTEXT,
        "SELECT name, value FROM settings ORDER BY name",
        |row| {
            let name = row.get(0).map_err(in_context(CONTEXT))?;
            loaded
                .settings
                .push((name, row.get(1).map_err(in_context(CONTEXT))?));
            Ok(())
        },
    )?;
    for_each(
        &snapshot,
        CONTEXT,
        "SELECT clock, sequence FROM counters",
        |row| {
            let clock: i64 = row.get(0).map_err(in_context(CONTEXT))?;
            let sequence: i64 = row.get(1).map_err(in_context(CONTEXT))?;
            let clock = Hlc::from_u64(clock.cast_unsigned());
            loaded.counters = Some(Counters {
                clock,
                sequence: sequence.cast_unsigned(),
            });
            Ok(())
        },
    )?;
    Ok(loaded)
}

/// Writes everything or nothing. Content larger than what the database takes is in files already.
pub(super) fn commit(
    connection: &mut Connection,
    transaction: &Transaction,
) -> Result<(), StoreError> {
    let to_store = connection
        .transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)
        .map_err(in_context("beginning a transaction"))?;
    write_contents(&to_store, &transaction.contents)?;
    write_engine_part(&to_store, &transaction.commit)?;
    write_shell_part(&to_store, transaction).map_err(in_context("writing stamps and settings"))?;
    to_store
        .commit()
        .map_err(in_context("finishing a transaction"))
}

fn write_contents(
    connection: &Connection,
    contents: &[(ContentHash, Bytes)],
) -> Result<(), StoreError> {
    for (hash, bytes) in contents {
        if ContentHash::of(bytes) != *hash {
            return Err(StoreError::wrong_digest());
        }
        insert_content(connection, *hash, bytes)?;
    }
    Ok(())
}

/// Puts small content into the database, if it is not there yet.
pub(super) fn insert_content(
    connection: &Connection,
    hash: ContentHash,
    bytes: &[u8],
) -> Result<(), StoreError> {
    connection
        .prepare_cached("INSERT OR IGNORE INTO content (hash, bytes) VALUES (?1, ?2)")
        .and_then(|mut insert| insert.execute(params![hash.as_bytes(), bytes]))
        .map_err(in_context("storing content"))?;
    Ok(())
}

/// Reads small content.
pub(super) fn content(
    connection: &Connection,
    hash: ContentHash,
) -> Result<Option<Bytes>, StoreError> {
    let bytes = connection
        .prepare_cached("SELECT bytes FROM content WHERE hash = ?1")
        .and_then(|mut select| {
            select
                .query_row([hash.as_bytes()], |row| row.get::<_, Vec<u8>>(0))
                .optional()
        })
        .map_err(in_context("reading content"))?;
    match bytes {
        Some(bytes) if ContentHash::of(&bytes) != hash => Err(StoreError::wrong_digest()),
        other => Ok(other.map(Bytes::from)),
    }
}

fn write_engine_part(connection: &Connection, commit: &Commit) -> Result<(), StoreError> {
    write_entries(connection, commit)?;
    write_history(connection, &commit.history).map_err(in_context("writing history"))?;
    write_log(connection, &commit.log).map_err(in_context("writing the log"))?;
    if let Some(counters) = commit.counters {
        let clock = counters.clock.as_u64().cast_signed();
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO counters (id, clock, sequence) VALUES (1, ?1, ?2)",
            )
            .and_then(|mut put| put.execute(params![clock, counters.sequence.cast_signed()]))
            .map_err(in_context("writing the counters"))?;
    }
    Ok(())
}

fn write_entries(connection: &Connection, commit: &Commit) -> Result<(), StoreError> {
    let context = in_context("writing entries");
    let mut put = connection
        .prepare_cached(
            "INSERT OR REPLACE INTO entries (path, record, local_content, base_content)
             VALUES (?1, ?2, ?3, ?4)",
        )
        .map_err(&context)?;
    let mut remove = connection
        .prepare_cached("DELETE FROM entries WHERE path = ?1")
        .map_err(&context)?;
    for (path, entry) in &commit.entries {
        if !record::is_worth_storing(entry) {
            remove.execute([path.as_str()]).map_err(&context)?;
            continue;
        }
        let bytes = record::encode_entry(entry)?;
        let local = entry.local.file().map(|file| file.content);
        let base = entry.base.file().map(|file| file.content);
        let local = local.as_ref().map(ContentHash::as_bytes);
        let base = base.as_ref().map(ContentHash::as_bytes);
        put.execute(params![path.as_str(), bytes, local, base])
            .map_err(&context)?;
    }
    Ok(())
}

fn write_history(connection: &Connection, rows: &[HistoryRow]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO history (path, version, content, size, media_type, replaced_ms, cause)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    for row in rows {
        insert.execute(params![
            row.path.as_str(),
            row.version.to_bytes(),
            row.content.as_bytes(),
            signed(row.size),
            row.media_type.as_str(),
            signed(row.replaced_ms),
            record::cause_code(row.cause),
        ])?;
    }
    Ok(())
}

fn write_log(connection: &Connection, rows: &[LogRow]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO log (at_ms, path, action, version, detail) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    for row in rows {
        insert.execute(params![
            signed(row.at_ms),
            row.path.as_str(),
            record::action_code(row.action),
            row.version.to_bytes(),
            row.detail,
        ])?;
    }
    Ok(())
}

fn write_shell_part(connection: &Connection, transaction: &Transaction) -> rusqlite::Result<()> {
    let mut put_stamp =
        connection.prepare_cached("INSERT OR REPLACE INTO stamps (path, stamp) VALUES (?1, ?2)")?;
    let mut remove_stamp = connection.prepare_cached("DELETE FROM stamps WHERE path = ?1")?;
    for (path, stamp) in &transaction.stamps {
        match stamp {
            Some(stamp) => put_stamp.execute(params![path.as_str(), stamp])?,
            None => remove_stamp.execute([path.as_str()])?,
        };
    }
    let mut put_setting = connection
        .prepare_cached("INSERT OR REPLACE INTO settings (name, value) VALUES (?1, ?2)")?;
    let mut remove_setting = connection.prepare_cached("DELETE FROM settings WHERE name = ?1")?;
    for (name, value) in &transaction.settings {
        match value {
            Some(value) => put_setting.execute(params![name, value])?,
            None => remove_setting.execute([name])?,
        };
    }
    Ok(())
}

/// History rows, newest first.
pub(super) fn history(
    connection: &Connection,
    query: &RowQuery,
) -> Result<Vec<HistoryRow>, StoreError> {
    const COLUMNS: &str =
        "SELECT path, version, content, size, media_type, replaced_ms, cause FROM history";
    select_rows(connection, "reading history", COLUMNS, query, |row| {
        let field = in_context("reading history");
        let media_type = row
            .get_ref(4)
            .and_then(|value| Ok(value.as_str()?))
            .map_err(&field)?;
        let cause = row.get(6).map_err(&field)?;
        Ok(HistoryRow {
            path: path(row, 0)?,
            version: VersionId::from_bytes(row.get(1).map_err(&field)?),
            content: ContentHash::from_bytes(row.get(2).map_err(&field)?),
            size: unsigned(row.get(3).map_err(&field)?),
            media_type: record::decode_media_type(media_type)?,
            replaced_ms: unsigned(row.get(5).map_err(&field)?),
            cause: record::cause_from_code(cause)
                .ok_or_else(|| damaged("a row of history has an unknown cause"))?,
        })
    })
}

/// Log rows, newest first.
pub(super) fn log(connection: &Connection, query: &RowQuery) -> Result<Vec<LogRow>, StoreError> {
    const COLUMNS: &str = "SELECT path, at_ms, action, version, detail FROM log";
    select_rows(connection, "reading the log", COLUMNS, query, |row| {
        let field = in_context("reading the log");
        let action = row.get(2).map_err(&field)?;
        Ok(LogRow {
            path: path(row, 0)?,
            at_ms: unsigned(row.get(1).map_err(&field)?),
            action: record::action_from_code(action)
                .ok_or_else(|| damaged("a row of the log has an unknown action"))?,
            version: VersionId::from_bytes(row.get(3).map_err(&field)?),
            detail: row.get(4).map_err(&field)?,
        })
    })
}

fn select_rows<T>(
    connection: &Connection,
    context: &'static str,
    columns: &str,
    query: &RowQuery,
    mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let filter = if query.path.is_some() {
        "WHERE path = ?1"
    } else {
        "WHERE ?1 IS NULL"
    };
    let path = query.path.as_ref().map(FilePath::as_str);
    // A negative limit is none.
    let limit = query.limit.map_or(-1, i64::from);
    let mut select = connection
        .prepare_cached(&format!("{columns} {filter} ORDER BY id DESC LIMIT ?2"))
        .map_err(in_context(context))?;
    let mut rows = select
        .query(params![path, limit])
        .map_err(in_context(context))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(in_context(context))? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn for_each(
    connection: &Connection,
    context: &'static str,
    statement: &str,
    mut each: impl FnMut(&Row<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut select = connection.prepare(statement).map_err(in_context(context))?;
    let mut rows = select.query(()).map_err(in_context(context))?;
    while let Some(row) = rows.next().map_err(in_context(context))? {
        each(row)?;
    }
    Ok(())
}

fn path(row: &Row<'_>, column: usize) -> Result<FilePath, StoreError> {
    let text = row
        .get_ref(column)
        .and_then(|value| Ok(value.as_str()?))
        .map_err(in_context("reading a path"))?;
    FilePath::parse(text).map_err(|_| damaged("a path has a form that none can have"))
}

/// Times and sizes are compared as numbers; none in use comes near the limit of SQLite's.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}
