//! What has been decided and is durable in the log, and is not in the database yet.
//!
//! There are two layers: one to which decisions are added, and one that is being merged. Whoever
//! looks up a path asks here before the database; whoever needs rows in an order first has what is
//! here merged ([`Pending::settle`]), so that only one place knows how to list.
//!
//! A layer stays here until the database has it, so a path that is not found here and is then
//! looked up in the database is never an old one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use gaia::address::Address;
use gaia::path::FilePath;
use tokio::sync::{Notify, watch};

use super::layer::{BucketLayer, Entry, Layer};
use super::usage::UsageByBucket;
use super::{FileKey, IndexError};
use crate::quota::Usage;

/// A layer of so many bytes is merged at once.
const LAYER_BYTES_ENOUGH: usize = 16 * 1024 * 1024;

/// A layer of so many bytes takes no more until the one before it is merged.
const LAYER_BYTES_MAX: usize = 24 * 1024 * 1024;

/// How long a change stays here if nothing else asks for it.
const STAY: Duration = Duration::from_millis(500);

/// What is asked of the database for as long as it fails.
const RETRY: Duration = Duration::from_millis(200);

/// Both layers, and how the thread that merges is told and tells.
#[derive(Debug)]
pub(super) struct Pending {
    layers: RwLock<Layers>,
    /// Spares a lock where there is nothing.
    is_empty: AtomicBool,
    /// Up to this frame somebody waits for the database.
    wanted: AtomicU64,
    call: Notify,
    progress: watch::Sender<Progress>,
}

#[derive(Debug, Default)]
pub(super) struct Layers {
    /// Takes what is decided.
    open: Layer,
    /// The number of its last frame.
    last: u64,
    /// Is being merged, and will be tried again if that fails.
    merging: Option<Arc<Layer>>,
}

/// How far the database is.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// It has everything up to this frame.
    merged: u64,
    /// How often merging was tried.
    tries: u64,
    /// Why the last try failed, if it did.
    failure: Option<Arc<IndexError>>,
}

/// What the thread that merges is to do.
#[derive(Debug)]
pub(crate) enum Task {
    /// Merge this, up to that frame.
    Merge(Arc<Layer>, u64),
    /// End: nothing is left, and nothing more will come.
    End,
}

impl Pending {
    /// Nothing, beside a database that has everything up to a frame.
    pub(super) fn after(merged: u64) -> Self {
        let layers = Layers {
            last: merged,
            ..Layers::default()
        };
        let progress = Progress {
            merged,
            ..Progress::default()
        };
        Self {
            layers: RwLock::new(layers),
            is_empty: AtomicBool::new(true),
            wanted: AtomicU64::new(0),
            call: Notify::new(),
            progress: watch::Sender::new(progress),
        }
    }

    /// The number of the last frame.
    pub(super) fn last(&self) -> u64 {
        self.layers().last
    }

    /// Both layers as they are. While this is held no layer is taken away.
    pub(super) fn layers(&self) -> RwLockReadGuard<'_, Layers> {
        self.layers.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn layers_mut(&self) -> RwLockWriteGuard<'_, Layers> {
        self.layers.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a path has become, if that is not in the database.
    pub(super) fn find(&self, key: &FileKey) -> Option<Entry> {
        if self.is_empty.load(Ordering::Acquire) {
            return None;
        }
        self.layers().file(&key.bucket, &key.path).cloned()
    }

    /// What the buckets hold that are not in the database as they are.
    pub(super) fn usage(&self) -> UsageByBucket {
        let layers = self.layers();
        let merging = layers.merging.iter().flat_map(|layer| layer.buckets());
        // The later one says how it is.
        let parts = merging.chain(layers.open.buckets());
        parts
            .map(|(address, part)| (*address, part.state.usage))
            .collect()
    }

    /// What a bucket holds, if that is not in the database.
    pub(super) fn usage_of(&self, bucket: &Address) -> Option<Usage> {
        Some(self.layers().bucket(bucket)?.state.usage)
    }

    /// Adds what was decided and is in the log as the frame `number`.
    pub(super) fn add(&self, layer: Layer, number: u64) {
        let mut layers = self.layers_mut();
        let was_empty = layers.open.is_empty();
        layers.open.absorb(layer);
        layers.last = number;
        self.is_empty.store(false, Ordering::Release);
        let is_due = layers.open.bytes() >= LAYER_BYTES_ENOUGH;
        drop(layers);
        if was_empty || is_due {
            self.call.notify_one();
        }
    }

    /// Waits until there is room for more, or merging fails.
    pub(super) async fn room(&self) -> Result<(), IndexError> {
        if self.layers().open.bytes() < LAYER_BYTES_MAX {
            return Ok(());
        }
        let mut progress = self.progress.subscribe();
        loop {
            let failure = progress.borrow_and_update().failure.clone();
            if self.layers().open.bytes() < LAYER_BYTES_MAX {
                return Ok(());
            }
            if let Some(failure) = failure {
                return Err(IndexError::Behind(failure));
            }
            progress.changed().await.map_err(|_| IndexError::Stopping)?;
        }
    }

    /// Has the database brought to where it has every change to this bucket, or to any.
    pub(super) async fn settle(&self, bucket: Option<&Address>) -> Result<(), IndexError> {
        if self.is_empty.load(Ordering::Acquire) {
            return Ok(());
        }
        let until = {
            let layers = self.layers();
            if !layers.concern(bucket) {
                return Ok(());
            }
            layers.last
        };
        self.merge_until(until).await
    }

    /// Has the database brought to where it has everything up to a frame.
    pub(super) async fn merge_until(&self, until: u64) -> Result<(), IndexError> {
        let mut progress = self.progress.subscribe();
        let tries = progress.borrow().tries;
        self.wanted.fetch_max(until, Ordering::AcqRel);
        self.call.notify_one();
        loop {
            {
                let now = progress.borrow_and_update();
                if now.merged >= until {
                    return Ok(());
                }
                if let Some(failure) = now.failure.clone().filter(|_| now.tries > tries) {
                    return Err(IndexError::Behind(failure));
                }
            }
            progress.changed().await.map_err(|_| IndexError::Stopping)?;
        }
    }

    /// Waits for the next thing to merge; `ending` says that nothing more will be added.
    pub(super) async fn next_task(&self, ending: &watch::Receiver<bool>) -> Task {
        let mut ending = ending.clone();
        loop {
            // A sender that is gone says the same.
            let is_ending = *ending.borrow() || ending.has_changed().is_err();
            if self.is_due() || is_ending {
                match self.take() {
                    Some((layer, last)) => return Task::Merge(layer, last),
                    None if is_ending => return Task::End,
                    None => {}
                }
            }
            let stay = async {
                if self.is_empty.load(Ordering::Acquire) {
                    std::future::pending().await
                } else {
                    tokio::time::sleep(STAY).await;
                }
            };
            tokio::select! {
                () = self.call.notified() => {}
                () = stay => {
                    self.wanted.fetch_max(self.last(), Ordering::AcqRel);
                }
                _ = ending.wait_for(|ending| *ending), if !is_ending => {}
            }
        }
    }

    fn is_due(&self) -> bool {
        let merged = self.progress.borrow().merged;
        self.wanted.load(Ordering::Acquire) > merged
            || self.layers().open.bytes() >= LAYER_BYTES_ENOUGH
    }

    /// What is to be merged next, and the number of its last frame.
    fn take(&self) -> Option<(Arc<Layer>, u64)> {
        let mut layers = self.layers_mut();
        if layers.last == self.progress.borrow().merged {
            return None;
        }
        let layer = Arc::new(std::mem::take(&mut layers.open));
        layers.merging = Some(Arc::clone(&layer));
        let last = layers.last;
        drop(layers);
        // There is room again.
        self.progress.send_modify(|_| {});
        Some((layer, last))
    }

    /// The database has everything up to a frame.
    pub(super) fn merged(&self, until: u64) {
        let mut layers = self.layers_mut();
        layers.merging = None;
        let is_empty = layers.open.is_empty();
        self.is_empty.store(is_empty, Ordering::Release);
        drop(layers);
        self.progress.send_modify(|progress| {
            progress.merged = until;
            progress.tries += 1;
            progress.failure = None;
        });
    }

    /// Whether the database has everything.
    pub(super) fn is_merged(&self) -> bool {
        self.last() == self.progress.borrow().merged
    }

    /// A try to merge has failed; it is made again after a while.
    pub(super) async fn failed(&self, error: IndexError) {
        self.progress.send_modify(|progress| {
            progress.tries += 1;
            progress.failure = Some(Arc::new(error));
        });
        tokio::time::sleep(RETRY).await;
    }
}

impl Layers {
    /// What a path has become, if it is in one of them.
    pub(super) fn file(&self, bucket: &Address, path: &FilePath) -> Option<&Entry> {
        let open = self.open.file(bucket, path);
        open.or_else(|| self.merging.as_ref()?.file(bucket, path))
    }

    /// What a bucket has become, if it is in one of them.
    pub(super) fn bucket(&self, address: &Address) -> Option<&BucketLayer> {
        let open = self.open.bucket(address);
        open.or_else(|| self.merging.as_ref()?.bucket(address))
    }

    fn concern(&self, bucket: Option<&Address>) -> bool {
        match bucket {
            Some(address) => self.bucket(address).is_some(),
            None => !self.open.is_empty() || self.merging.is_some(),
        }
    }
}
