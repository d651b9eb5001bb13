//! What an import asks of the index: what it has of a path, in passing, without a hub around it.

use std::path::Path;

use gaia::address::Address;
use gaia::etag::ETag;
use rusqlite::{Connection, OptionalExtension as _};

use super::decide::{Draft, View};
use super::layer::Layer;
use super::pending::Layers;
use super::sqlite::{now_ms, open_beside, stored_etag, unsigned};
use super::{FileKey, IndexError, NewBody};
use crate::blobs::BlobId;

/// What comes from another hub's disk: no token stands behind it, and it brings its own time.
pub(crate) enum Adopted {
    File(AdoptedFile),
    Revocation { bucket: Address, oldest_valid: u64 },
}

pub(crate) struct AdoptedFile {
    pub(crate) key: FileKey,
    pub(crate) body: NewBody,
    pub(crate) size: u64,
    pub(crate) etag: ETag,
    pub(crate) digest: BlobId,
    pub(crate) content_type: String,
    pub(crate) modified_ms: i64,
}

impl Adopted {
    /// What the index becomes with all of these.
    pub(super) fn decide(all: Vec<Self>, connection: &Connection) -> Result<Layer, IndexError> {
        let layers = Layers::default();
        let mut draft = Draft::new(View::new(&layers, connection, None), now_ms());
        for adopted in all {
            draft.adopt(adopted)?;
        }
        Ok(draft.finish()?.layer)
    }
}

/// What the index has of a path.
pub(crate) struct Known {
    pub(crate) size: u64,
    pub(crate) etag: ETag,
    pub(crate) digest: BlobId,
    pub(crate) content_type: String,
    pub(crate) modified_ms: i64,
}

/// Looks up paths beside the connection that writes.
pub(crate) struct Lookup {
    connection: Connection,
}

impl Lookup {
    pub(crate) fn open(path: &Path) -> Result<Self, IndexError> {
        let connection = open_beside(path)?;
        Ok(Self { connection })
    }

    pub(crate) fn find(&self, key: &FileKey) -> Result<Option<Known>, IndexError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT size, etag, digest, content_type, modified_ms FROM files
             WHERE bucket = (SELECT id FROM buckets WHERE address = ?1) AND path = ?2",
        )?;
        let row = statement
            .query_row((key.bucket.as_str(), key.path.as_str()), |row| {
                let etag: String = row.get(1)?;
                Ok((row.get(0)?, etag, row.get(2)?, row.get(3)?, row.get(4)?))
            })
            .optional()?;
        let Some((size, etag, digest, content_type, modified_ms)) = row else {
            return Ok(None);
        };
        Ok(Some(Known {
            size: unsigned(size)?,
            etag: stored_etag(&etag)?,
            digest: BlobId::new(digest),
            content_type,
            modified_ms,
        }))
    }
}

impl Known {
    /// Whether this came from a file with this length and time, and this tag if one was noted.
    pub(crate) fn is_taken_from(&self, size: u64, modified_ms: i64, noted: Option<&ETag>) -> bool {
        self.size == size
            && self.modified_ms == modified_ms
            && noted.is_none_or(|noted| *noted == self.etag)
    }
}
