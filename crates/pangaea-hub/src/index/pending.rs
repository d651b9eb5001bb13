//! What has been decided and is durable in the log, and is not in the database yet.
//!
//! There are two layers: one to which decisions are added, and one that is being merged. Whoever
//! asks the database asks here first, and takes what is found here for newer. A layer stays here
//! until the database has it: a path that is not found here, and is looked up in a view of the
//! database that begins afterwards, is never an old one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{
    Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
use std::time::{Duration, Instant};

use gaia::address::Address;
use gaia::path::FilePath;
use rusqlite::{Connection, Transaction};
use tokio::sync::watch;

use super::layer::{BucketLayer, Entry, Layer, Slot};
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
    /// Whether anything more will be added. The thread that merges waits with it.
    call: Mutex<Call>,
    called: Condvar,
    progress: watch::Sender<Progress>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    GoOn,
    End,
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
            call: Mutex::new(Call::GoOn),
            called: Condvar::new(),
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

    /// Begins a view of the database, and takes out of the layers what is asked for beside it. What
    /// is not in the one is in the other.
    pub(super) fn beside<'c, T>(
        &self,
        connection: &'c Connection,
        take: impl FnOnce(&Layers) -> T,
    ) -> Result<(Transaction<'c>, T), IndexError> {
        // No layer goes while they are held, and the view is that of the first question.
        let layers = self.layers();
        let moment = connection.unchecked_transaction()?;
        moment
            .prepare_cached("SELECT merged FROM feed")?
            .query_row((), |_| Ok(()))?;
        Ok((moment, take(&layers)))
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
            self.call();
        }
    }

    /// Waits until there is room for more, or merging fails.
    pub(super) fn room(&self) -> Result<(), IndexError> {
        let mut call = self.waiting();
        while self.layers().open.bytes() >= LAYER_BYTES_MAX {
            if let Some(failure) = self.progress.borrow().failure.clone() {
                return Err(IndexError::Behind(failure));
            }
            let waited = self.called.wait_timeout(call, RETRY);
            (call, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, Call> {
        self.call.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has whoever waits look again.
    fn call(&self) {
        // Whoever looks and then waits does so under this lock, and so does not miss it.
        drop(self.waiting());
        self.called.notify_all();
    }

    /// Nothing more will be added.
    pub(super) fn end(&self) {
        *self.waiting() = Call::End;
        self.called.notify_all();
    }

    /// Has the database brought to where it has everything up to a frame.
    pub(super) async fn merge_until(&self, until: u64) -> Result<(), IndexError> {
        let mut progress = self.progress.subscribe();
        let tries = progress.borrow().tries;
        self.wanted.fetch_max(until, Ordering::AcqRel);
        self.call();
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

    /// Waits for the next thing to merge. Once [`Self::end`] was called, there is no waiting.
    pub(super) fn next_task(&self) -> Task {
        let mut call = self.waiting();
        let mut since = None;
        loop {
            let is_ending = *call == Call::End;
            let is_old = since.is_some_and(|since: Instant| since.elapsed() >= STAY);
            if is_ending || is_old || self.is_due() {
                match self.take() {
                    Some((layer, last)) => return Task::Merge(layer, last),
                    None if is_ending => return Task::End,
                    None => since = None,
                }
            }
            if self.is_merged() {
                since = None;
                let waited = self.called.wait(call);
                call = waited.unwrap_or_else(PoisonError::into_inner);
            } else {
                let left = STAY.saturating_sub(since.get_or_insert_with(Instant::now).elapsed());
                let waited = self.called.wait_timeout(call, left);
                (call, _) = waited.unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn is_due(&self) -> bool {
        let merged = self.progress.borrow().merged;
        self.wanted.load(Ordering::Acquire) > merged
            || self.layers().open.bytes() >= LAYER_BYTES_ENOUGH
    }

    /// What is to be merged next, and the number of its last frame.
    pub(super) fn take(&self) -> Option<(Arc<Layer>, u64)> {
        let mut layers = self.layers_mut();
        if layers.last == self.progress.borrow().merged {
            return None;
        }
        let layer = Arc::new(std::mem::take(&mut layers.open));
        layers.merging = Some(Arc::clone(&layer));
        let last = layers.last;
        drop(layers);
        // There is room again.
        self.called.notify_all();
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

    /// A try to merge has failed. Waits until the next one is due, and says whether there is to
    /// be one.
    pub(super) fn failed(&self, error: IndexError) -> Again {
        self.progress.send_modify(|progress| {
            progress.tries += 1;
            progress.failure = Some(Arc::new(error));
        });
        let call = self.waiting();
        if *call == Call::End {
            return Again::No;
        }
        let (call, _) = self
            .called
            .wait_timeout(call, RETRY)
            .unwrap_or_else(PoisonError::into_inner);
        match *call {
            Call::GoOn => Again::Yes,
            Call::End => Again::No,
        }
    }
}

/// Whether what has failed is to be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Yes,
    /// The hub stops; the next start has to do it.
    No,
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

    /// The parts of a bucket: what is being merged, and what came after it.
    fn parts(&self, address: &Address) -> [Option<&BucketLayer>; 2] {
        let merging = self.merging.as_ref();
        [
            merging.and_then(|layer| layer.bucket(address)),
            self.open.bucket(address),
        ]
    }

    /// What has become of a bucket's paths, from a text on and with a prefix, in the order of
    /// bytes: as much of it as a page of so many files can be about.
    pub(super) fn page(
        &self,
        bucket: &Address,
        first: &str,
        prefix: &str,
        files_max: usize,
    ) -> Vec<(FilePath, Entry)> {
        let [mut older, mut newer] = self.parts(bucket).map(|part| {
            let files = part.into_iter().flat_map(|part| part.files_from(first));
            files.peekable()
        });
        let mut page = Vec::new();
        let mut files = 0;
        while files < files_max {
            let next = match (older.peek(), newer.peek()) {
                (Some((old, _)), Some((new, _))) if old < new => older.next(),
                (Some((old, _)), Some((new, _))) => {
                    if old == new {
                        older.next();
                    }
                    newer.next()
                }
                (Some(_), None) => older.next(),
                (None, _) => newer.next(),
            };
            let Some((path, entry)) = next.filter(|(path, _)| path.as_str().starts_with(prefix))
            else {
                break;
            };
            files += usize::from(matches!(entry.slot, Slot::Present { .. }));
            page.push((path.clone(), entry.clone()));
        }
        page
    }

    /// What has become of a bucket's paths after a change, in the order of the changes: as much of
    /// it as a page of so many entries can be about.
    pub(super) fn since(
        &self,
        bucket: &Address,
        seq: i64,
        entries_max: usize,
    ) -> Vec<(FilePath, Entry)> {
        let [older, newer] = self.parts(bucket);
        let all = [older, newer]
            .into_iter()
            .flatten()
            .flat_map(|part| part.files_since(seq));
        // What the later layer says of a path holds, and whatever it says came later.
        let all = all.filter(|(path, entry)| {
            let last = newer.and_then(|newer| newer.file(path));
            last.is_none_or(|last| last.seq == entry.seq)
        });
        all.take(entries_max)
            .map(|(path, entry)| (path.clone(), entry.clone()))
            .collect()
    }
}
