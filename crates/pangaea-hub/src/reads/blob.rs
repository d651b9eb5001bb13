//! A blob that is being sent: read a piece at a time, off the async threads, and verified when it
//! is read from one end to the other.
//!
//! The digest is known with the last piece. If it is wrong, that piece is not handed out, so the
//! answer breaks off and no client takes it for whole. Parts of a blob are not verified: that would
//! take reading all of it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::blobs::{BlobId, Blobs};
use crate::upload::blocking;

/// How much is read at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// An open blob, and how far it has been read without a gap.
pub(crate) struct BlobReader {
    file: File,
    id: BlobId,
    size: u64,
    hashed: u64,
    sha256: Sha256,
}

impl BlobReader {
    /// Opens a blob that must have this size.
    pub(super) async fn open(blobs: &Arc<Blobs>, id: BlobId, size: u64) -> io::Result<Self> {
        let blobs = Arc::clone(blobs);
        blocking(move || {
            let file = blobs.open_blob(id)?;
            let found = file.metadata()?.len();
            if found != size {
                let message = format!("blob {id} has {found} bytes and should have {size}");
                return Err(io::Error::other(message));
            }
            Ok(Self {
                file,
                id,
                size,
                hashed: 0,
                sha256: Sha256::new(),
            })
        })
        .await
    }

    fn read(&mut self, part: Range<u64>) -> io::Result<Bytes> {
        let length =
            usize::try_from(part.end - part.start).map_or(PIECE_BYTES, |n| n.min(PIECE_BYTES));
        let mut piece = vec![0; length];
        self.file.seek(SeekFrom::Start(part.start))?;
        self.file.read_exact(&mut piece)?;
        if part.start == self.hashed {
            self.sha256.update(&piece);
            self.hashed += length as u64;
            self.verify()?;
        }
        Ok(piece.into())
    }

    /// Compares the digest once all is read.
    fn verify(&self) -> io::Result<()> {
        if self.hashed < self.size || BlobId::new(self.sha256.clone().finalize().into()) == self.id
        {
            return Ok(());
        }
        let id = self.id;
        tracing::error!(%id, "a blob is damaged: its digest differs; `hub check` says whose it is");
        Err(io::Error::other("a blob is damaged"))
    }
}

/// The beginning of a part of a blob, and what is left of the part.
pub(crate) async fn next_piece(
    mut blob: BlobReader,
    part: Range<u64>,
) -> io::Result<(Bytes, BlobReader, Range<u64>)> {
    let Range { start, end } = part;
    let (piece, blob) = blocking(move || Ok((blob.read(start..end)?, blob))).await?;
    let rest = start + piece.len() as u64..end;
    Ok((piece, blob, rest))
}
