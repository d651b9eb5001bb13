//! The sweeper: removes blobs that no version names any more.
//!
//! It looks at every blob once after a start, and at single ones when a replaced or deleted
//! version, or an upload that came to nothing, may have left them behind. What an upload holds is
//! skipped, a reader that has a blob open reads on, and while a backup copies blobs, nothing is
//! removed.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::mpsc;

use crate::blobs::{BlobId, Blobs, Swept};
use crate::folder::SweepLock;
use crate::index::{Index, IndexError};
use crate::metrics::Metrics;

/// Suspects looked at with one connection before it is given back to the readers.
const BATCH_MAX: usize = 64;

/// How often it is asked whether a backup is done.
const PAUSE: Duration = Duration::from_secs(1);

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
    sweeps: SweepLock,
    mut suspects: mpsc::UnboundedReceiver<BlobId>,
    metrics: Arc<Metrics>,
) {
    let sweeper = Sweeper {
        index,
        blobs,
        sweeps: Arc::new(sweeps),
        metrics,
    };
    if let Err(error) = sweeper.sweep_all().await {
        tracing::warn!(%error, "the sweep at start stopped early; unused blobs may remain");
    }
    let mut batch = Vec::with_capacity(BATCH_MAX);
    while suspects.recv_many(&mut batch, BATCH_MAX).await > 0 {
        if let Err(error) = sweeper.sweep(std::mem::take(&mut batch)).await {
            tracing::warn!(%error, "could not sweep; the next start tries again");
        }
    }
}

struct Sweeper {
    index: Index,
    blobs: Arc<Blobs>,
    sweeps: Arc<SweepLock>,
    metrics: Arc<Metrics>,
}

impl Sweeper {
    async fn sweep_all(&self) -> Result<(), SweepError> {
        let mut removed = 0;
        for first in 0..=u8::MAX {
            let listed = Arc::clone(&self.blobs);
            let found = self
                .index
                .read(move |_| Ok(listed.with_first_byte(first)))
                .await??;
            for batch in found.chunks(BATCH_MAX) {
                removed += self.sweep(batch.to_vec()).await?;
            }
        }
        if removed > 0 {
            tracing::info!(removed, "removed unused blobs");
        }
        Ok(())
    }

    /// Removes those of the blobs that nothing uses, and returns how many that were.
    async fn sweep(&self, batch: Vec<BlobId>) -> Result<usize, SweepError> {
        let batch: Arc<[BlobId]> = batch.into();
        loop {
            let (blobs, sweeps) = (Arc::clone(&self.blobs), Arc::clone(&self.sweeps));
            let again = Arc::clone(&batch);
            let swept = self.index.read(move |connection| {
                Ok(sweeps
                    .try_sweep()
                    .map_err(SweepError::from)
                    .and_then(|leave| {
                        leave
                            .map(|_leave| sweep_batch(connection, &blobs, &again))
                            .transpose()
                    }))
            });
            if let Some(removed) = swept.await?? {
                self.metrics.blobs_collected.add(removed as u64);
                return Ok(removed);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn sweep_batch(
    connection: &Connection,
    blobs: &Blobs,
    batch: &[BlobId],
) -> Result<usize, SweepError> {
    let mut removed = 0;
    for &id in batch {
        let referenced = || Ok::<_, SweepError>(Index::is_referenced(connection, id)?);
        if blobs.sweep(id, referenced)? == Swept::Removed {
            removed += 1;
        }
    }
    Ok(removed)
}
