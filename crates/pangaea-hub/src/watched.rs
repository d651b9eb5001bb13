//! Who waits for which bucket to change: the commit thread wakes them, and nobody asks the
//! database whether it is time.
//!
//! Only buckets that somebody watches are held, each until its last watcher has gone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use gaia::address::Address;
use tokio::sync::watch;

/// The buckets that are being watched.
#[derive(Debug, Default)]
pub(crate) struct Watched(Mutex<BTreeMap<Address, Watchers>>);

#[derive(Debug)]
struct Watchers {
    bell: watch::Sender<()>,
    /// Counted here, because a receiver goes only after its owner's `drop`.
    count: usize,
}

/// One watcher of one bucket. What happens to the bucket after it was made is not missed.
#[derive(Debug)]
pub(crate) struct Watch {
    watched: Arc<Watched>,
    bucket: Address,
    bell: watch::Receiver<()>,
}

impl Watched {
    /// Begins to watch a bucket.
    pub(crate) fn watch(self: &Arc<Self>, bucket: Address) -> Watch {
        let mut buckets = self.lock();
        let watchers = buckets.entry(bucket).or_insert_with(|| Watchers {
            bell: watch::Sender::new(()),
            count: 0,
        });
        watchers.count += 1;
        Watch {
            watched: Arc::clone(self),
            bucket,
            bell: watchers.bell.subscribe(),
        }
    }

    /// Wakes those who watch a bucket; to be called once its change can be read.
    pub(crate) fn wake(&self, bucket: &Address) {
        if let Some(watchers) = self.lock().get(bucket) {
            watchers.bell.send_replace(());
        }
    }

    /// How many watch something.
    pub(crate) fn count(&self) -> usize {
        self.lock().values().map(|watchers| watchers.count).sum()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Address, Watchers>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// Returns when the bucket has changed since the last time, or since the watch began.
    pub(crate) async fn changed(&mut self) {
        if self.bell.changed().await.is_err() {
            // The bell hangs as long as this watch is counted.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut buckets = self.watched.lock();
        if let Some(watchers) = buckets.get_mut(&self.bucket) {
            watchers.count -= 1;
            if watchers.count == 0 {
                buckets.remove(&self.bucket);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use gaia::key::SecretKey;

    use super::*;

    #[test]
    fn only_watched_buckets_are_held_and_only_theirs_are_woken() {
        let [one, other] = [1, 2].map(|n| SecretKey::from_bytes(&[n; 32]).unwrap().address());
        let watched = Arc::new(Watched::default());
        let mut first = watched.watch(one);
        let mut second = watched.watch(one);
        let mut stranger = watched.watch(other);
        assert_eq!(watched.lock().len(), 2);
        assert_eq!(first.changed().now_or_never(), None);

        watched.wake(&one);
        assert_eq!(first.changed().now_or_never(), Some(()));
        assert_eq!(first.changed().now_or_never(), None, "it has been told");
        assert_eq!(second.changed().now_or_never(), Some(()));
        assert_eq!(stranger.changed().now_or_never(), None);

        drop(first);
        assert_eq!(watched.lock().len(), 2);
        drop((second, stranger));
        assert!(watched.lock().is_empty());
        watched.wake(&one);
        let mut late = watched.watch(one);
        assert_eq!(late.changed().now_or_never(), None, "it was not there then");
    }
}
