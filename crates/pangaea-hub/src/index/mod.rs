//! The index: which version every path of every bucket has, and when tokens were revoked.
//!
//! This is the seam to other databases. Everything above it speaks in [`Change`]s, [`Verdict`]s
//! and [`Version`]s and every call names its bucket first, so a bucket never crosses a shard.
//!
//! In the embedded implementation a change is decided by `decide`, made durable by `log`, seen in
//! `pending` from then on, and written to the database by `merge` soon after, with many others;
//! `layer` is the value that goes from one to the next, `writer` the order of these steps. `paths`
//! spares the database questions for what it does not have. `schema` and `sqlite` hold the tables
//! and connections, `removals` what is remembered of deleted files, `list` the listing, `changes`
//! the feed, `usage` what buckets hold, `copy` and `waiting` what is seen of it from outside. HTTP
//! and file bodies above 64 KiB are not known here.

mod adopt;
mod cache;
mod changes;
mod copy;
mod decide;
mod layer;
mod list;
mod log;
mod merge;
mod paths;
mod pending;
mod removals;
mod schema;
mod sqlite;
mod usage;
mod waiting;
mod writer;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use gaia::address::Address;
use gaia::auth::AuthError;
use gaia::etag::ETag;
use gaia::path::FilePath;
use rusqlite::ErrorCode;

use crate::auth::Grant;
use crate::blobs::{BlobId, StagedBlob};
use crate::error::is_full;
use crate::quota::{OverQuota, Usage};

pub(crate) use adopt::{Adopted, AdoptedFile, Known, Lookup};
pub(crate) use changes::{Feed, FeedPage, FeedRequest, Found, Position};
pub(crate) use copy::{CopyError, IndexCopy, NamedBlob, companions, remove_with_companions};
pub(crate) use layer::Layer;
pub(crate) use list::{History, ListRequest, Naming, parse_cursor};
pub(crate) use merge::Merger;
pub(crate) use pending::{Again, Task};
pub(crate) use schema::{begin_new_history, counts_usage};
pub(crate) use sqlite::{Index, Opened, Revocations, is_made, open_beside};
pub(crate) use waiting::{LogCopy, Waiting};
pub(crate) use writer::Writer;

/// The database, in the data folder.
pub(crate) const INDEX_FILE: &str = "index.sqlite3";

/// One file of one bucket: the key by which versions are found, compared and ordered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileKey {
    pub(crate) bucket: Address,
    pub(crate) path: FilePath,
}

/// What the index knows of a path's current version. Tag, type, length and body come from one
/// row, so that an answer made of them can never mix two versions.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) size: u64,
    pub(crate) etag: ETag,
    pub(crate) content_type: String,
    pub(crate) modified_ms: i64,
    pub(crate) digest: BlobId,
    pub(crate) body: StoredBody,
    /// Whether inline bytes are those of the digest, asked once when they came from the disk.
    /// Those of a blob are verified by whoever reads it.
    pub(crate) is_whole: bool,
}

#[cfg(test)]
impl Version {
    /// Text that is small enough to live in the index.
    fn inline(body: Bytes, modified_ms: i64) -> Self {
        Self {
            size: body.len() as u64,
            etag: ETag::of(&body),
            content_type: "text/plain".into(),
            modified_ms,
            digest: BlobId::of(&body),
            body: StoredBody::Inline(body),
            is_whole: true,
        }
    }
}

/// What all buckets hold together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stored {
    pub(crate) buckets: u64,
    pub(crate) usage: Usage,
}

/// Where a file is to be put.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    /// What its bucket holds.
    pub(crate) usage: Usage,
    /// The size of the file that is there.
    pub(crate) current: Option<u64>,
}

/// Where a version's bytes are.
#[derive(Clone, Debug)]
pub(crate) enum StoredBody {
    /// In the index itself.
    Inline(Bytes),
    /// In an immutable file named by its digest.
    Blob(BlobId),
}

impl StoredBody {
    /// Whether inline bytes are those of the digest.
    pub(crate) fn is_whole(&self, digest: BlobId) -> bool {
        match self {
            Self::Inline(bytes) => BlobId::of(bytes) == digest,
            Self::Blob(_) => true,
        }
    }
}

/// The bytes of a version that is about to be committed.
#[derive(Debug)]
pub(crate) enum NewBody {
    /// Small enough to live in the index.
    Inline(Bytes),
    /// Already durable in the blob folder; the guard keeps the sweeper away until the commit.
    Blob(StagedBlob),
}

/// What must hold of the current version for a change to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// Nothing: the change wins over whatever is there.
    Any,
    /// No version exists.
    Missing,
    /// The current version has one of these tags. An empty list never holds.
    Tagged(Vec<ETag>),
}

/// One change to a bucket, decided and made durable as a whole.
#[derive(Debug)]
pub(crate) enum Change {
    /// Writes a version.
    Store(StoreChange),
    /// Removes a path.
    Delete(DeleteChange),
    /// Refuses tokens issued before a time.
    Revoke(RevokeChange),
}

impl Change {
    pub(crate) fn bucket(&self) -> &Address {
        match self {
            Self::Store(change) => &change.key.bucket,
            Self::Delete(change) => &change.key.bucket,
            Self::Revoke(change) => &change.bucket,
        }
    }

    /// What lets the sender make this change.
    pub(crate) fn grant(&self) -> &Grant {
        match self {
            Self::Store(change) => &change.grant,
            Self::Delete(change) => &change.grant,
            Self::Revoke(change) => &change.grant,
        }
    }
}

#[derive(Debug)]
pub(crate) struct StoreChange {
    pub(crate) key: FileKey,
    pub(crate) condition: Condition,
    pub(crate) grant: Grant,
    /// Where an existing version is moved to instead of being replaced.
    pub(crate) archive_to: Option<FilePath>,
    pub(crate) body: NewBody,
    pub(crate) size: u64,
    pub(crate) etag: ETag,
    pub(crate) digest: BlobId,
    pub(crate) content_type: String,
}

#[derive(Debug)]
pub(crate) struct DeleteChange {
    pub(crate) key: FileKey,
    pub(crate) condition: Condition,
    pub(crate) grant: Grant,
    /// Where the version is moved to instead of being removed.
    pub(crate) archive_to: Option<FilePath>,
}

#[derive(Debug)]
pub(crate) struct RevokeChange {
    pub(crate) bucket: Address,
    pub(crate) grant: Grant,
    pub(crate) oldest_valid: u64,
}

/// The changes of one request, in order.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) changes: Vec<Change>,
    pub(crate) unit: Unit,
}

/// Whether the changes of one request depend on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Each is applied or refused by itself.
    Each,
    /// All are applied or none is.
    All,
}

/// What became of a [`Change`]. Everything but `Done` left the bucket as it was.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Applied and durable.
    Done,
    /// The condition did not hold; the tag that the path has now.
    ConditionFailed { current: Option<ETag> },
    /// There is no such file.
    NoSuchFile,
    /// The token was revoked since the request began.
    Unauthorized(AuthError),
    /// The bucket would hold more than it may.
    OverQuota(OverQuota),
    /// Another change of the same [`Unit::All`] was refused.
    Undone,
}

/// A failure of the index's storage.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IndexError {
    /// The database refused or failed an operation.
    #[error("the hub's index failed: {0}; check the disk that holds the data folder")]
    Database(#[source] rusqlite::Error),
    /// Another process holds the database, for longer than is waited for.
    #[error("another process keeps the hub's index locked; stop it, or try again")]
    Busy,
    /// The disk has no room for the database.
    #[error("there is no room left on the disk that holds the hub's index")]
    Full,
    /// A process died when it opened the database for the first time, and has to open it again
    /// before it can be only read.
    #[error(
        "a hub was killed while it opened this index for the first time; start it once, which \
         mends that"
    )]
    Unsettled,
    /// The file is no database, or a damaged one.
    #[error("the hub's index is damaged: {0}; restore it from a backup")]
    Corrupt(#[source] rusqlite::Error),
    /// The database was written by a newer hub.
    #[error(
        "the index in {path} has format {found}, and this hub knows formats up to {known}; \
         start the newer hub that wrote it"
    )]
    NewerFormat {
        /// The index file.
        path: PathBuf,
        /// The format found in it.
        found: i64,
        /// The newest format this hub can write.
        known: i64,
    },
    /// The log cannot be written or read.
    #[error("the hub's log of changes failed: {0}; check the disk that holds the data folder")]
    Log(#[source] io::Error),
    /// A part of the log is missing or damaged.
    #[error(
        "the hub's log of changes is damaged: what is in {path} does not follow from what is \
         before it; restore the data folder from a backup"
    )]
    LogHole {
        /// The segment, or the folder of all.
        path: PathBuf,
    },
    /// The log was written for another index.
    #[error(
        "{path} is the log of another index; if you have put back an older index or a backup, \
         move the log out of the data folder"
    )]
    StrangeLog {
        /// The segment.
        path: PathBuf,
    },
    /// The database could not be brought to where its log is.
    #[error("{0}")]
    Behind(#[source] Arc<IndexError>),
    /// The database holds something that this hub cannot have written.
    #[error("the hub's index is damaged: {0}; restore it from a backup")]
    Damaged(&'static str),
    /// The hub is stopping and takes no more changes.
    #[error("the hub is stopping; try again when it is back")]
    Stopping,
}

impl IndexError {
    /// What is behind it, if it only passes something on.
    pub(crate) fn cause(&self) -> &Self {
        match self {
            Self::Behind(cause) => cause.cause(),
            other => other,
        }
    }
}

impl From<io::Error> for IndexError {
    fn from(error: io::Error) -> Self {
        if is_full(&error) {
            Self::Full
        } else {
            Self::Log(error)
        }
    }
}

impl From<rusqlite::Error> for IndexError {
    fn from(error: rusqlite::Error) -> Self {
        if let rusqlite::Error::SqliteFailure(failure, _) = &error
            && failure.extended_code == rusqlite::ffi::SQLITE_READONLY_ROLLBACK
        {
            return Self::Unsettled;
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(error),
            _ => Self::Database(error),
        }
    }
}

#[cfg(test)]
mod tests;
