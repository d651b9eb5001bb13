//! The tables of the embedded index, and how an older index becomes one of today.
//!
//! Each step turns one format into the next, and all that an index lacks run in one transaction:
//! a hub that is stopped in between finds the index as it was.

use std::path::Path;

use rusqlite::{Connection, Transaction};

use super::IndexError;
use super::sqlite::unsigned;

/// What makes format 1 of nothing, format 2 of format 1, and so on. Steps are never changed, only
/// added: indexes that have taken them are out there.
const STEPS: [&str; 4] = [TABLES, REMOVALS, USAGE, LOG];

/// Bodies are kept apart from the file rows so that a listing walks small rows only.
const TABLES: &str = "
CREATE TABLE buckets (
    id INTEGER PRIMARY KEY,
    address TEXT NOT NULL UNIQUE,
    seq INTEGER NOT NULL DEFAULT 0,
    oldest_valid INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE files (
    bucket INTEGER NOT NULL,
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    etag TEXT NOT NULL,
    content_type TEXT NOT NULL,
    modified_ms INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    digest BLOB NOT NULL,
    body INTEGER,
    PRIMARY KEY (bucket, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX files_by_blob ON files (digest) WHERE body IS NULL;
CREATE TABLE bodies (
    id INTEGER PRIMARY KEY,
    data BLOB NOT NULL
) STRICT;
";

/// The change feed: files in the order of their changes, and what was removed when. What an older
/// hub removed left no trace, so no cursor may reach back to it.
const REMOVALS: &str = "
CREATE INDEX files_by_seq ON files (bucket, seq);
CREATE TABLE removals (
    bucket INTEGER NOT NULL,
    path TEXT NOT NULL,
    seq INTEGER NOT NULL,
    removed_ms INTEGER NOT NULL,
    PRIMARY KEY (bucket, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX removals_by_seq ON removals (bucket, seq);
CREATE INDEX removals_by_time ON removals (removed_ms);
ALTER TABLE buckets ADD COLUMN forgotten_seq INTEGER NOT NULL DEFAULT 0;
UPDATE buckets SET forgotten_seq = seq;
CREATE TABLE feed (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch BLOB NOT NULL
) STRICT;
";

/// What each bucket holds, counted once here and kept true by every change from then on.
const USAGE: &str = "
ALTER TABLE buckets ADD COLUMN files INTEGER NOT NULL DEFAULT 0;
ALTER TABLE buckets ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;
UPDATE buckets SET (files, bytes) =
    (SELECT count(*), coalesce(sum(size), 0) FROM files WHERE bucket = id);
";

/// The log in front of the database: the number of the last frame that is in the database.
const LOG: &str = "
ALTER TABLE feed ADD COLUMN merged INTEGER NOT NULL DEFAULT 0;
";

/// The format after [`REMOVALS`].
const FIRST_WITH_EPOCH: i64 = 2;

/// The format after [`LOG`].
const FIRST_WITH_LOG: i64 = 4;

/// The format after [`USAGE`].
const FIRST_WITH_USAGE: i64 = 3;

/// Whether an index, which may be one of an older hub, counts what buckets hold.
pub(crate) fn counts_usage(connection: &Connection) -> Result<bool, IndexError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(found >= FIRST_WITH_USAGE)
}

/// Whether an index, which may be one of an older hub, has a log in front of it.
pub(super) fn has_log(connection: &Connection) -> Result<bool, IndexError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok(found >= FIRST_WITH_LOG)
}

/// The identity of an index's history. Sequence numbers mean something only beside it.
pub(crate) type Epoch = [u8; 16];

/// Brings the index to the newest format, creating it if it is empty.
pub(super) fn migrate(path: &Path, connection: &mut Connection) -> Result<(), IndexError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    refuse_newer(path, found)?;
    let known = format();
    if found == known {
        return Ok(());
    }
    let taken =
        usize::try_from(found).map_err(|_| IndexError::Damaged("its format is negative"))?;
    let transaction = connection.transaction()?;
    for step in &STEPS[taken..] {
        transaction.execute_batch(step)?;
    }
    if found < FIRST_WITH_EPOCH {
        renew_epoch(&transaction)?;
    }
    transaction.pragma_update(None, "user_version", known)?;
    transaction.commit()?;
    if found > 0 {
        tracing::info!(
            from = found,
            to = known,
            "brought the index to a newer format"
        );
    }
    Ok(())
}

/// Refuses the format of a newer hub.
pub(super) fn refuse_newer(path: &Path, found: i64) -> Result<(), IndexError> {
    let known = format();
    if found > known {
        return Err(IndexError::NewerFormat {
            path: path.to_owned(),
            found,
            known,
        });
    }
    Ok(())
}

/// The newest format that this hub reads and writes.
fn format() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Gives the index a new identity, so that every cursor given out before has expired.
fn renew_epoch(transaction: &Transaction<'_>) -> Result<(), IndexError> {
    // Everything else that is said there begins anew as well.
    transaction.execute(
        "INSERT OR REPLACE INTO feed (one, epoch) VALUES (1, randomblob(16))",
        (),
    )?;
    Ok(())
}

/// Makes a copy of an index one in its own right. From the moment it was made its history is
/// another than that of the original, though its sequence numbers go on as those did.
pub(crate) fn begin_new_history(path: &Path) -> Result<(), IndexError> {
    let mut connection = Connection::open(path)?;
    migrate(path, &mut connection)?;
    let transaction = connection.transaction()?;
    renew_epoch(&transaction)?;
    transaction.commit()?;
    Ok(())
}

pub(super) fn load_epoch(connection: &Connection) -> Result<Epoch, IndexError> {
    Ok(connection.query_row("SELECT epoch FROM feed", (), |row| row.get(0))?)
}

/// The number of the last frame of the log that the database has.
pub(super) fn load_merged(connection: &Connection) -> Result<u64, IndexError> {
    unsigned(connection.query_row("SELECT merged FROM feed", (), |row| row.get(0))?)
}

/// A database with the tables of today.
#[cfg(test)]
pub(super) fn opened(path: &Path) -> Connection {
    let mut connection = Connection::open(path).unwrap();
    migrate(path, &mut connection).unwrap();
    connection
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every table and index as it was created.
    fn schema(connection: &Connection) -> Vec<String> {
        let mut statement = connection
            .prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name")
            .unwrap();
        let rows = statement.query_map((), |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    }

    #[test]
    fn an_index_of_the_first_format_keeps_its_files_and_expires_what_it_forgot() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(TABLES).unwrap();
        old.execute_batch(
            "PRAGMA user_version = 1;
             INSERT INTO buckets (address, seq, oldest_valid) VALUES ('A', 7, 5);
             INSERT INTO files VALUES (1, 'a', 11, 't', 'text/plain', 3, 6, x'00', NULL);",
        )
        .unwrap();
        drop(old);
        let connection = opened(&path);
        let bucket = connection.query_row(
            "SELECT seq, oldest_valid, forgotten_seq FROM buckets",
            (),
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        );
        assert_eq!(bucket, Ok((7, 5, 7)));
        let usage = connection.query_row("SELECT files, bytes FROM buckets", (), |row| {
            Ok((row.get(0)?, row.get(1)?))
        });
        assert_eq!(usage, Ok((1, 11)));
        let file = connection.query_row("SELECT path, seq FROM files", (), |row| {
            Ok((row.get::<_, String>(0)?, row.get(1)?))
        });
        assert_eq!(file, Ok(("a".to_owned(), 6)));
        let epoch = load_epoch(&connection).unwrap();
        drop(connection);
        assert_eq!(load_epoch(&opened(&path)).unwrap(), epoch, "it stays");
        assert_eq!(
            schema(&opened(&path)),
            schema(&opened(&folder.path().join("new"))),
            "old and new end alike"
        );
    }

    #[test]
    fn a_failed_migration_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let mut old = Connection::open(&path).unwrap();
        old.execute_batch(TABLES).unwrap();
        // Something that the step stumbles over when half of it is done.
        old.execute_batch("PRAGMA user_version = 1; CREATE TABLE feed (x);")
            .unwrap();
        let before = schema(&old);
        migrate(&path, &mut old).unwrap_err();
        assert_eq!(schema(&old), before);
        old.execute_batch("DROP TABLE feed;").unwrap();
        migrate(&path, &mut old).unwrap();
    }

    #[test]
    fn each_index_has_an_epoch_of_its_own_and_a_copy_gets_another() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("one");
        let one = opened(&path);
        let other = opened(&folder.path().join("other"));
        let epoch = load_epoch(&one).unwrap();
        assert_ne!(epoch, load_epoch(&other).unwrap());
        begin_new_history(&path).unwrap();
        assert_ne!(epoch, load_epoch(&one).unwrap());
    }
}
