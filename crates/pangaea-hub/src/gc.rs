//! The sweeper: removes blobs that no version names any more.
//!
//! It looks at every blob once after a start, and at single ones when a replaced or deleted
//! version, or an upload that came to nothing, may have left them behind. What an upload holds is
//! skipped, and a reader that has a blob open reads on.

use std::io;
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::mpsc;

use crate::blobs::{BlobId, Blobs, Swept};
use crate::index::{Index, IndexError};

/// Suspects looked at with one connection before it is given back to the readers.
const BATCH_MAX: usize = 64;

#[derive(Debug, thiserror::Error)]
enum SweepError {
    #[error(transparent)]
    Index(#[from] IndexError),
    #[error("the blob folder failed: {0}")]
    Folder(#[from] io::Error),
}

/// Sweeps everything once, then suspects as they come, until the hub has dropped `blobs`' sender.
pub(crate) async fn run(
    index: Index,
    blobs: Arc<Blobs>,
    mut suspects: mpsc::UnboundedReceiver<BlobId>,
) {
    if let Err(error) = sweep_all(&index, &blobs).await {
        tracing::warn!(%error, "the sweep at start stopped early; unused blobs may remain");
    }
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while suspects.recv_many(&mut batch, BATCH_MAX).await > 0 {
        if let Err(error) = sweep(&index, &blobs, std::mem::take(&mut batch)).await {
            tracing::warn!(%error, "could not sweep; the next start tries again");
        }
    }
}

async fn sweep_all(index: &Index, blobs: &Arc<Blobs>) -> Result<(), SweepError> {
    let mut removed = 0;
    for first in 0..=u8::MAX {
        let listed = Arc::clone(blobs);
        let found = index
            .read(move |_| Ok(listed.with_first_byte(first)))
            .await??;
        for batch in found.chunks(BATCH_MAX) {
            removed += sweep(index, blobs, batch.to_vec()).await?;
        }
    }
    if removed > 0 {
        tracing::info!(removed, "removed unused blobs");
    }
    Ok(())
}

/// Removes those of the blobs that nothing uses, and returns how many that were.
async fn sweep(index: &Index, blobs: &Arc<Blobs>, batch: Vec<BlobId>) -> Result<usize, SweepError> {
    let blobs = Arc::clone(blobs);
    index
        .read(move |connection| Ok(sweep_batch(connection, &blobs, batch)))
        .await?
}

fn sweep_batch(
    connection: &Connection,
    blobs: &Blobs,
    batch: Vec<BlobId>,
) -> Result<usize, SweepError> {
    let mut removed = 0;
    for id in batch {
        let referenced = || Ok::<_, SweepError>(Index::is_referenced(connection, id)?);
        if blobs.sweep(id, referenced)? == Swept::Removed {
            removed += 1;
        }
    }
    Ok(removed)
}
