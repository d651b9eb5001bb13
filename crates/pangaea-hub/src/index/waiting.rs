//! What a folder's log holds that its database lacks, as seen from outside: by a check, and by a
//! backup, of a hub that serves or of one that was killed.

use std::path::Path;

use gaia::address::Address;
use gaia::path::FilePath;
use rusqlite::Connection;

use super::layer::{Layer, Slot};
use super::log::{self, Frames, Unmerged};
use super::merge::catch_up;
use super::schema::{has_log, load_epoch, load_merged};
use super::{IndexError, StoredBody, Version};
use crate::blobs::BlobId;

/// A log as it was at one moment. It must be read before the database is looked at: what is merged
/// and removed in between is in the database then.
#[derive(Debug)]
pub(crate) struct LogCopy(Option<Frames>);

/// What a database lacks of its log.
#[derive(Debug, Default)]
pub(crate) struct Waiting(Layer);

impl LogCopy {
    /// Reads the log of the index at `path`, which `connection` reads.
    pub(crate) fn read(path: &Path, connection: &Connection) -> Result<Self, IndexError> {
        if !has_log(connection)? {
            return Ok(Self(None));
        }
        let frames = Frames::read(&log::folder_of(path), load_epoch(connection)?)?;
        Ok(Self(Some(frames)))
    }

    fn since(self, path: &Path, connection: &Connection) -> Result<Unmerged, IndexError> {
        match self.0 {
            Some(frames) => frames.since(&log::folder_of(path), load_merged(connection)?),
            None => Ok(Unmerged::default()),
        }
    }

    /// What the database lacks of it.
    pub(crate) fn waiting(
        self,
        path: &Path,
        connection: &Connection,
    ) -> Result<Waiting, IndexError> {
        Ok(Waiting(self.since(path, connection)?.layer))
    }

    /// Brings a copy of the database to where the log is.
    pub(super) fn catch_up(self, path: &Path, copy: &mut Connection) -> Result<(), IndexError> {
        let unmerged = self.since(path, copy)?;
        catch_up(copy, &unmerged)
    }
}

impl Waiting {
    /// Whether it says what has become of a path.
    pub(crate) fn concerns(&self, bucket: &str, path: &str) -> bool {
        let (Ok(bucket), Ok(path)) = (Address::parse(bucket), FilePath::parse(path)) else {
            return false;
        };
        self.0.file(&bucket, &path).is_some()
    }

    /// The buckets that it is about.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = &Address> {
        self.0.buckets().map(|(address, _)| address)
    }

    /// The files that are or will be there.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&Address, &FilePath, i64, &Version)> {
        let buckets = self.0.buckets();
        buckets.flat_map(|(address, part)| {
            part.files()
                .filter_map(move |(path, entry)| match &entry.slot {
                    Slot::Present { version, .. } => Some((address, path, entry.seq, &**version)),
                    Slot::Removed { .. } => None,
                })
        })
    }

    /// Whether a version has its bytes in this blob.
    pub(crate) fn names(&self, id: BlobId) -> bool {
        self.files()
            .any(|(.., version)| matches!(version.body, StoredBody::Blob(blob) if blob == id))
    }
}
