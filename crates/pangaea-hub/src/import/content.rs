//! Reading an original: hashed while it is read, small ones into memory, large ones into the staging
//! folder, by a second name for the file itself where that can be.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use gaia::etag::ETag;

use super::Originals;
use crate::blobs::{BlobId, Blobs, INLINE_BYTES_MAX, Staging};

/// How much of a large file is read at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// A file's bytes, held or staged.
pub(super) struct Content {
    pub(super) body: Body,
    pub(super) size: u64,
    pub(super) etag: ETag,
    pub(super) digest: BlobId,
}

pub(super) enum Body {
    Inline(Bytes),
    Staged(Box<Staging>),
}

/// Where reading and staging went wrong.
pub(super) enum ContentError {
    /// The original cannot be read.
    Unreadable(io::Error),
    /// The hub's folder cannot be written.
    Disk(io::Error),
}

/// Reads a file's bytes: small ones into memory, large ones into the staging folder.
pub(super) fn read(
    path: &Path,
    blobs: &Arc<Blobs>,
    originals: Originals,
) -> Result<Content, ContentError> {
    let mut original = File::open(path).map_err(ContentError::Unreadable)?;
    let mut small = Vec::new();
    original
        .by_ref()
        .take(INLINE_BYTES_MAX as u64 + 1)
        .read_to_end(&mut small)
        .map_err(ContentError::Unreadable)?;
    if small.len() <= INLINE_BYTES_MAX {
        let bytes = Bytes::from(small);
        return Ok(Content {
            size: bytes.len() as u64,
            etag: ETag::of(&bytes),
            digest: BlobId::of(&bytes),
            body: Body::Inline(bytes),
        });
    }
    let linked = match originals {
        Originals::Move => blobs.stage_link(path).ok(),
        Originals::Keep => None,
    };
    let mut staging = match linked {
        Some(staging) => staging,
        // Another disk, or another owner: copied instead.
        None => {
            let mut staging = blobs.stage().map_err(ContentError::Disk)?;
            staging.write(&small).map_err(ContentError::Disk)?;
            staging
        }
    };
    let mut piece = vec![0; PIECE_BYTES];
    if staging.is_link() {
        staging.look_at(&small);
    }
    loop {
        match original.read(&mut piece) {
            Ok(0) => break,
            Ok(read) if staging.is_link() => staging.look_at(&piece[..read]),
            Ok(read) => staging.write(&piece[..read]).map_err(ContentError::Disk)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ContentError::Unreadable(error)),
        }
    }
    Ok(Content {
        size: staging.size(),
        etag: staging.etag(),
        digest: staging.digest(),
        body: Body::Staged(Box::new(staging)),
    })
}
