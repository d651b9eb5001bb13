//! Where a replica keeps what it must not forget: the [`Store`] trait and its implementations. A
//! store knows transactions, rows and content by digest; it knows nothing of hubs, merges or
//! folders.

use async_trait::async_trait;
use bytes::Bytes;
use gaia::path::FilePath;
use pangaea_core::commit::Commit;
use pangaea_core::commit::Counters;
use pangaea_core::commit::HistoryRow;
use pangaea_core::commit::LogRow;
use pangaea_core::record::RecordError;
use pangaea_core::state::Entry;
use pangaea_core::version::ContentHash;
use std::path::PathBuf;

use crate::body::Body;
use crate::shared::Shared;

#[cfg(any(test, feature = "testing"))]
pub mod contract;
pub mod memory;
#[cfg(feature = "sqlite")]
pub mod sqlite;

/// Content up to this many bytes lies in the store itself, larger content in files beside it.
pub const INLINE_BYTES_MAX: usize = 64 * 1024;

/// So many rows of the activity log are kept; [`Store::prune_history`] drops the oldest beyond.
pub const LOG_ROWS_MAX: u32 = 100_000;

/// All that is written together or not at all (I-10).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Transaction {
    /// The engine's part.
    pub commit: Commit,
    /// Content that must be there as soon as the entries are, each at most
    /// [`INLINE_BYTES_MAX`] long; larger content comes in through [`Store::adopt`] before.
    pub contents: Vec<(ContentHash, Bytes)>,
    /// What the mirrored folder's files looked like when folder and replica last agreed; none
    /// forgets the path. Opaque to the store.
    pub stamps: Vec<(FilePath, Option<Vec<u8>>)>,
    /// Named settings of the replica; none removes one.
    pub settings: Vec<(String, Option<String>)>,
}

/// All that a replica remembers, as read at its start.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// By path.
    pub entries: Vec<(FilePath, Entry)>,
    /// The stamps of the mirrored folder, by path.
    pub stamps: Vec<(FilePath, Vec<u8>)>,
    /// The counters; none in a new store.
    pub counters: Option<Counters>,
    /// The settings, by name.
    pub settings: Vec<(String, String)>,
}

/// Which rows of history or log are wanted.
#[derive(Debug, Clone, Default)]
pub struct RowQuery {
    /// Only this path.
    pub path: Option<FilePath>,
    /// At most this many, the newest; none: all.
    pub limit: Option<u32>,
}

/// How much history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryLimit {
    /// Rows replaced before this time go, in milliseconds since 1970.
    pub replaced_before_ms: u64,
    /// Beyond this many bytes of content the oldest rows go.
    pub bytes_max: u64,
}

/// What went wrong in a store, by what is to be done about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another program has the replica open.
    #[error("the replica is in use by another program; stop that one first")]
    InUse,
    /// A newer program wrote the store (I-18).
    #[error("the replica's data has format {found}, this program knows {known} at most; update it")]
    Newer {
        /// The format found.
        found: u32,
        /// The newest format that this program knows.
        known: u32,
    },
    /// There is no replica at this place, and this call does not make one.
    #[error("there is no replica here; set one up first")]
    Missing,
    /// The replica was opened for reading only.
    #[error("the replica was opened for reading only; open it for writing to change it")]
    ReadOnly,
    /// The stored data contradicts itself.
    #[error("the replica's data is damaged ({detail}); nothing was changed")]
    Damaged {
        /// What was found.
        detail: String,
    },
    /// The disk is full, read-only, failing or not ours.
    #[error("the replica's data cannot be read or written ({context}): {source}")]
    Io {
        /// What was being done.
        context: &'static str,
        /// The cause.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl StoreError {
    /// An error of disk or database, and what was being done.
    pub fn io(
        context: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Io {
            context,
            source: source.into(),
        }
    }

    /// Content whose bytes do not match the digest that names it (I-15).
    pub fn wrong_digest() -> Self {
        Self::Damaged {
            detail: "content does not match its digest".to_owned(),
        }
    }
}

impl From<RecordError> for StoreError {
    fn from(error: RecordError) -> Self {
        match error {
            RecordError::Newer { found, known } => Self::Newer {
                found: found.into(),
                known: known.into(),
            },
            other => Self::Damaged {
                detail: other.to_string(),
            },
        }
    }
}

/// Durable storage of one replica.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait Store: Shared {
    /// Reads everything that a replica starts from.
    async fn load(&self) -> Result<Loaded, StoreError>;

    /// Writes a transaction; when this returns, it survives a power cut.
    async fn commit(&self, transaction: Transaction) -> Result<(), StoreError>;

    /// The content of this digest, if the store has it. Files handed out stay readable until the
    /// next [`Store::collect_garbage`].
    async fn content(&self, hash: ContentHash) -> Result<Option<Body>, StoreError>;

    /// Takes over content of any size: bytes, or a finished file inside [`Store::staging`], which
    /// is moved, not copied. Durable when this returns. Putting what is there already is harmless.
    async fn adopt(&self, hash: ContentHash, body: Body) -> Result<(), StoreError>;

    /// A folder on the same file system as the content, for files that are being made; emptied
    /// when the store is opened. None: this store keeps everything in memory or in a browser.
    fn staging(&self) -> Option<PathBuf>;

    /// History rows, newest first.
    async fn history(&self, query: RowQuery) -> Result<Vec<HistoryRow>, StoreError>;

    /// Log rows, newest first.
    async fn log(&self, query: RowQuery) -> Result<Vec<LogRow>, StoreError>;

    /// Drops history beyond the limit.
    async fn prune_history(&self, limit: HistoryLimit) -> Result<(), StoreError>;

    /// Drops content that no entry (local or base), no history row and nothing in `keep` names.
    async fn collect_garbage(&self, keep: &[ContentHash]) -> Result<(), StoreError>;
}
