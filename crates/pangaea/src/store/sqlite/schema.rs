//! The database itself: how it is opened, its tables, its format number, and what its errors mean.

use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::ErrorCode;
use rusqlite::OpenFlags;

use crate::store::StoreError;

/// The newest format that this program reads, and the one it writes.
pub(super) const FORMAT: u32 = 1;
/// Marks the file as ours: "Pang".
const APPLICATION_ID: u32 = 0x5061_6e67;
/// How long to wait for another process's short lock, as when that one looks at the replica.
const BUSY_WAIT: Duration = Duration::from_secs(10);
/// Every statement of this store is prepared once.
const STATEMENTS_MAX: usize = 32;

/// Entries and stamps are looked up by path alone, so the path is the key of the row itself. The
/// two digests stand beside the record for the collection of garbage.
const SCHEMA: &str = "
CREATE TABLE entries (
    path TEXT NOT NULL PRIMARY KEY,
    record BLOB NOT NULL,
    local_content BLOB,
    base_content BLOB
) STRICT, WITHOUT ROWID;
CREATE TABLE content (
    hash BLOB NOT NULL PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT;
CREATE TABLE history (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    path TEXT NOT NULL,
    version BLOB NOT NULL,
    content BLOB NOT NULL,
    size INTEGER NOT NULL,
    media_type TEXT NOT NULL,
    replaced_ms INTEGER NOT NULL,
    cause INTEGER NOT NULL
) STRICT;
CREATE INDEX history_by_path ON history (path, id);
CREATE TABLE log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    path TEXT NOT NULL,
    action INTEGER NOT NULL,
    version BLOB NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE TABLE stamps (
    path TEXT NOT NULL PRIMARY KEY,
    stamp BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE settings (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE counters (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    clock INTEGER NOT NULL,
    sequence INTEGER NOT NULL
) STRICT;
";

/// Opens the database for the one connection that writes, making or bringing up to date the tables.
pub(super) fn open_writer(file: &Path) -> Result<Connection, StoreError> {
    const CONTEXT: &str = "opening the database";
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags).map_err(in_context(CONTEXT))?;
    configure(&connection).map_err(in_context(CONTEXT))?;
    let found = format_of(&connection)?;
    if found == 0 {
        // Only before the first table: lets the file shrink when content goes.
        connection
            .pragma_update(None, "auto_vacuum", "INCREMENTAL")
            .map_err(in_context(CONTEXT))?;
    }
    // Where the file system cannot do WAL, SQLite keeps its older journal, which is as durable.
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
        .map_err(in_context(CONTEXT))?;
    connection
        .pragma_update(None, "synchronous", "FULL")
        .map_err(in_context(CONTEXT))?;
    if found == 0 {
        create(&mut connection).map_err(in_context("making the database"))?;
    }
    Ok(connection)
}

/// Opens an existing database for a connection that only reads.
pub(super) fn open_reader(file: &Path) -> Result<Connection, StoreError> {
    const CONTEXT: &str = "opening the database for reading";
    // Not "read only": a reader may have to go through the journal that a killed writer left.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags).map_err(in_context(CONTEXT))?;
    configure(&connection).map_err(in_context(CONTEXT))?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(in_context(CONTEXT))?;
    if format_of(&connection)? == 0 {
        return Err(StoreError::Missing);
    }
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // The plain flush of macOS does not reach the disk.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)
}

/// The database's format; 0 for a new file.
fn format_of(connection: &Connection) -> Result<u32, StoreError> {
    const CONTEXT: &str = "reading the database's format";
    let number = |name: &str| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map(|number| u32::try_from(number).unwrap_or(u32::MAX))
            .map_err(in_context(CONTEXT))
    };
    let (id, found) = (number("application_id")?, number("user_version")?);
    match (id, found) {
        (APPLICATION_ID, 1..=FORMAT) => Ok(found),
        (APPLICATION_ID, 0) => Err(damaged("the database has no format")),
        (APPLICATION_ID, found) => Err(StoreError::Newer {
            found,
            known: FORMAT,
        }),
        (0, 0) if is_empty(connection)? => Ok(0),
        (_, _) => Err(damaged("the database belongs to another program")),
    }
}

fn is_empty(connection: &Connection) -> Result<bool, StoreError> {
    connection
        .query_row("SELECT count(*) FROM sqlite_schema", (), |row| {
            row.get::<_, i64>(0)
        })
        .map(|tables| tables == 0)
        .map_err(in_context("reading the database's tables"))
}

fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()
}

/// Turns an error of SQLite into one that says what is to be done.
pub(super) fn in_context(context: &'static str) -> impl Fn(rusqlite::Error) -> StoreError {
    move |error| {
        if let rusqlite::Error::SqliteFailure(failure, _) = &error {
            match failure.code {
                ErrorCode::DatabaseCorrupt => return damaged("the database is corrupt"),
                ErrorCode::NotADatabase => return damaged("the file is not a database"),
                ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => return StoreError::InUse,
                _ => {}
            }
        }
        match error {
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => damaged("a column has an impossible value"),
            other => StoreError::io(context, other),
        }
    }
}

pub(super) fn damaged(detail: &str) -> StoreError {
    StoreError::Damaged {
        detail: detail.to_owned(),
    }
}
