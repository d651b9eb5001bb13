//! Copying an index while a hub writes to it, and reading what a copy names.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OptionalExtension as _};

use super::sqlite::{open_beside, unsigned};
use super::{Index, IndexError, LogCopy};
use crate::blobs::BlobId;

/// Database pages copied between two reports of progress.
const PAGES: i32 = 4096;

/// A copy of an index that nobody serves from.
pub(crate) struct IndexCopy {
    connection: Connection,
}

/// A blob that a copy names.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NamedBlob {
    pub(crate) id: BlobId,
    pub(crate) size: u64,
}

/// What a copy holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) files: u64,
    pub(crate) blob_bytes: u64,
}

/// What went wrong with a copy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error(transparent)]
    Disk(#[from] io::Error),
}

impl From<rusqlite::Error> for CopyError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Index(error.into())
    }
}

impl IndexCopy {
    /// Copies the index at `from` as it is at one moment to `to`, durably, as a database of one
    /// file. It may be written to meanwhile.
    pub(crate) fn make(from: &Path, to: &Path) -> Result<Self, CopyError> {
        remove_with_companions(to)?;
        let source = open_beside(from)?;
        let log = LogCopy::read(from, &source)?;
        // While this reads, nothing that is committed shows, so the copy need not start over.
        let moment = source.unchecked_transaction()?;
        moment.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))?;
        let mut connection = Connection::open(to)?;
        {
            let backup = Backup::new(&moment, &mut connection)?;
            while backup.step(PAGES)? != StepResult::Done {}
        }
        drop(moment);
        log.catch_up(from, &mut connection)?;
        // A log beside it could be taken for that of another index.
        connection.pragma_update(None, "journal_mode", "DELETE")?;
        File::open(to)?.sync_all()?;
        Ok(Self { connection })
    }

    pub(crate) fn extent(&self) -> Result<Extent, IndexError> {
        let count = |sql| -> Result<u64, IndexError> {
            unsigned(self.connection.query_row(sql, (), |row| row.get(0))?)
        };
        Ok(Extent {
            files: count("SELECT count(*) FROM files")?,
            blob_bytes: count(
                "SELECT coalesce(sum(size), 0) FROM
                 (SELECT max(size) AS size FROM files WHERE body IS NULL GROUP BY digest)",
            )?,
        })
    }

    /// Calls `each` with every blob once. One that it fails on ends it.
    pub(crate) fn for_each_blob<E: From<IndexError>>(
        &self,
        mut each: impl FnMut(NamedBlob) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut statement = self
            .connection
            .prepare("SELECT digest, max(size) FROM files WHERE body IS NULL GROUP BY digest")
            .map_err(IndexError::from)?;
        let mut rows = statement.query(()).map_err(IndexError::from)?;
        while let Some(row) = rows.next().map_err(IndexError::from)? {
            let digest = row.get(0).map_err(IndexError::from)?;
            let size = row.get(1).map_err(IndexError::from)?;
            each(NamedBlob {
                id: BlobId::new(digest),
                size: unsigned(size)?,
            })?;
        }
        Ok(())
    }

    pub(crate) fn names(&self, id: BlobId) -> Result<bool, IndexError> {
        Index::is_referenced(&self.connection, id)
    }

    /// Bucket and path of a file that has its bytes in this blob.
    pub(crate) fn user_of(&self, id: BlobId) -> Result<Option<(String, String)>, IndexError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT k.address, f.path FROM files f JOIN buckets k ON k.id = f.bucket
             WHERE f.digest = ?1 AND f.body IS NULL LIMIT 1",
        )?;
        let found = statement
            .query_row([id.as_bytes().as_slice()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        Ok(found)
    }
}

/// Removes a database that is not in use, with what an interrupted change left beside it.
pub(crate) fn remove_with_companions(index: &Path) -> io::Result<()> {
    for path in [index.to_owned()].into_iter().chain(companions(index)) {
        match fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The files in which changes to a database can wait beside it.
pub(crate) fn companions(index: &Path) -> impl Iterator<Item = PathBuf> {
    let name = index.as_os_str().to_owned();
    ["-wal", "-shm", "-journal"].into_iter().map(move |ending| {
        let mut name = name.clone();
        name.push(ending);
        name.into()
    })
}
