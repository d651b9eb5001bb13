//! Cutting history to its limits, now and then, so that a replica does not grow without bound.

use super::Replica;
use super::ReplicaError;
use crate::store::HistoryLimit;

/// The setting that holds when this was done last, in milliseconds since 1970.
pub(super) const SETTING_CLEANED: &str = "cleaned";

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// History is kept for so long.
const HISTORY_KEPT_MS: u64 = 30 * DAY_MS;

impl Replica {
    /// Drops history older than thirty days or beyond so many bytes of content, and content that nothing
    /// names any more; once a day, however often it is called. To be called when nothing is under way.
    ///
    /// # Errors
    /// [`ReplicaError::Store`]. Nothing is wrong then but the space that it takes.
    pub async fn clean(&mut self, history_bytes_max: u64) -> Result<(), ReplicaError> {
        let now_ms = self.carrier.time().now_ms();
        match self.cleaned_ms {
            Some(then_ms) if then_ms <= now_ms && now_ms - then_ms < DAY_MS => return Ok(()),
            Some(_) => {
                let limit = HistoryLimit {
                    replaced_before_ms: now_ms.saturating_sub(HISTORY_KEPT_MS),
                    bytes_max: history_bytes_max,
                };
                let store = self.carrier.store();
                store.prune_history(limit).await?;
                store.collect_garbage(&[]).await?;
            }
            // A new replica has nothing to clean.
            None => {}
        }
        let setting = (SETTING_CLEANED.to_owned(), Some(now_ms.to_string()));
        self.extra.settings.push(setting);
        self.save().await?;
        self.cleaned_ms = Some(now_ms);
        Ok(())
    }
}

#[cfg(all(test, feature = "http"))]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU64;
    use std::sync::atomic::Ordering;

    use async_trait::async_trait;
    use gaia::key::SecretKey;
    use gaia::path::FilePath;

    use super::*;
    use crate::hub::http::HttpHub;
    use crate::hub::http::HttpHubConfig;
    use crate::replica::BuiltInMerges;
    use crate::replica::Parts;
    use crate::store::RowQuery;
    use crate::store::memory::MemoryStore;
    use crate::time::Time;

    struct At(AtomicU64);

    #[async_trait]
    impl Time for At {
        fn now_ms(&self) -> u64 {
            self.0.load(Ordering::Relaxed)
        }

        async fn sleep_ms(&self, _: u64) {}
    }

    async fn open(store: &MemoryStore, time: &Arc<At>) -> Replica {
        let key = SecretKey::generate([7; 32]).unwrap();
        // Nobody listens there, and nobody is asked.
        let hub = HttpHub::new(HttpHubConfig::new("http://127.0.0.1:9", key.clone())).unwrap();
        let parts = Parts {
            store: Arc::new(store.clone()),
            hub: Arc::new(hub),
            time: Arc::clone(time) as Arc<dyn Time>,
            key,
            random: [1; 48],
            merges: Arc::new(BuiltInMerges),
            #[cfg(feature = "mirror")]
            mirror: None,
        };
        Replica::open(parts).await.unwrap()
    }

    async fn versions(replica: &Replica) -> usize {
        let rows = replica.history(RowQuery::default()).await.unwrap();
        rows.len()
    }

    #[tokio::test]
    async fn history_is_cut_once_a_day_and_the_day_is_remembered() {
        let (store, time) = (
            MemoryStore::new(),
            Arc::new(At(AtomicU64::new(1_700_000_000_000))),
        );
        let path = FilePath::parse("a.txt").unwrap();
        let mut replica = open(&store, &time).await;
        for text in ["one", "two", "three"] {
            replica.write(&path, text.into(), None).await.unwrap();
        }
        assert_eq!(versions(&replica).await, 2);
        replica.clean(0).await.unwrap();
        assert_eq!(
            versions(&replica).await,
            2,
            "a new replica has nothing to clean"
        );
        drop(replica);

        let mut replica = open(&store, &time).await;
        time.0.fetch_add(DAY_MS - 1, Ordering::Relaxed);
        replica.clean(0).await.unwrap();
        assert_eq!(versions(&replica).await, 2, "not a day has passed");
        time.0.fetch_add(1, Ordering::Relaxed);
        replica.clean(4).await.unwrap();
        assert_eq!(versions(&replica).await, 1, "the newest fits");
        assert!(replica.read(&path).await.is_ok(), "what is current stays");
        time.0.fetch_add(HISTORY_KEPT_MS + 1, Ordering::Relaxed);
        replica.clean(u64::MAX).await.unwrap();
        assert_eq!(versions(&replica).await, 0, "too old");
    }
}
