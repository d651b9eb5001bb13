//! A store that forgets everything with its last handle: for tests, the simulator, and programs
//! that need no durability. It keeps the same promises as the durable ones otherwise.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use async_trait::async_trait;
use bytes::Bytes;
use gaia::path::FilePath;
use pangaea_core::commit::Counters;
use pangaea_core::commit::HistoryRow;
use pangaea_core::commit::LogRow;
use pangaea_core::record;
use pangaea_core::state::Entry;
use pangaea_core::version::ContentHash;

use crate::body::Body;
use crate::store::HistoryLimit;
use crate::store::LOG_ROWS_MAX;
use crate::store::Loaded;
use crate::store::RowQuery;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::Transaction;

/// A store in memory. Clones are handles on the same data, so dropping one and going on with
/// another is what closing and opening again is to a durable store.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    rows: Arc<Mutex<Rows>>,
}

#[derive(Debug, Clone, Default)]
struct Rows {
    entries: BTreeMap<FilePath, Entry>,
    contents: BTreeMap<ContentHash, Bytes>,
    /// Oldest first.
    history: Vec<HistoryRow>,
    /// Oldest first.
    log: Vec<LogRow>,
    stamps: BTreeMap<FilePath, Vec<u8>>,
    settings: BTreeMap<String, String>,
    counters: Option<Counters>,
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Copies all that is stored now into a store of its own, as a backup would.
    pub fn snapshot(&self) -> Self {
        let rows = self.rows().clone();
        Self {
            rows: Arc::new(Mutex::new(rows)),
        }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        // No code that can panic runs while the rows are half changed.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Store for MemoryStore {
    async fn load(&self) -> Result<Loaded, StoreError> {
        let rows = self.rows();
        Ok(Loaded {
            entries: pairs(&rows.entries),
            stamps: pairs(&rows.stamps),
            counters: rows.counters,
            settings: pairs(&rows.settings),
        })
    }

    async fn commit(&self, transaction: Transaction) -> Result<(), StoreError> {
        let Transaction {
            commit,
            contents,
            stamps,
            settings,
        } = transaction;
        // All that can fail comes first.
        for (hash, bytes) in &contents {
            check(*hash, bytes)?;
        }
        let entries = commit
            .entries
            .into_iter()
            .map(|(path, entry)| (path, as_stored(entry)));
        let mut rows = self.rows();
        put_or_remove(&mut rows.entries, entries);
        put_or_remove(&mut rows.stamps, stamps);
        put_or_remove(&mut rows.settings, settings);
        rows.contents.extend(contents);
        rows.history.extend(commit.history);
        rows.log.extend(commit.log);
        rows.counters = commit.counters.or(rows.counters);
        Ok(())
    }

    async fn content(&self, hash: ContentHash) -> Result<Option<Body>, StoreError> {
        Ok(self.rows().contents.get(&hash).cloned().map(Body::Bytes))
    }

    async fn adopt(&self, hash: ContentHash, body: Body) -> Result<(), StoreError> {
        let bytes = match body {
            Body::Bytes(bytes) => bytes,
            Body::File { path, .. } => std::fs::read(path)
                .map_err(|error| StoreError::io("reading new content", error))?
                .into(),
        };
        check(hash, &bytes)?;
        self.rows().contents.insert(hash, bytes);
        Ok(())
    }

    fn staging(&self) -> Option<PathBuf> {
        None
    }

    async fn history(&self, query: RowQuery) -> Result<Vec<HistoryRow>, StoreError> {
        Ok(newest(&self.rows().history, &query, |row| &row.path))
    }

    async fn log(&self, query: RowQuery) -> Result<Vec<LogRow>, StoreError> {
        Ok(newest(&self.rows().log, &query, |row| &row.path))
    }

    async fn prune_history(&self, limit: HistoryLimit) -> Result<(), StoreError> {
        let mut rows = self.rows();
        rows.history
            .retain(|row| row.replaced_ms >= limit.replaced_before_ms);
        let mut bytes = 0_u64;
        let fitting = rows
            .history
            .iter()
            .rev()
            .take_while(|row| {
                bytes = bytes.saturating_add(row.size);
                bytes <= limit.bytes_max
            })
            .count();
        let beyond = rows.history.len() - fitting;
        rows.history.drain(..beyond);
        let log_beyond = rows.log.len().saturating_sub(LOG_ROWS_MAX as usize);
        rows.log.drain(..log_beyond);
        Ok(())
    }

    async fn collect_garbage(&self, keep: &[ContentHash]) -> Result<(), StoreError> {
        let mut rows = self.rows();
        let mut named: BTreeSet<ContentHash> = keep.iter().copied().collect();
        for entry in rows.entries.values() {
            named.extend(entry.local.file().map(|file| file.content));
            named.extend(entry.base.file().map(|file| file.content));
        }
        named.extend(rows.history.iter().map(|row| row.content));
        rows.contents.retain(|hash, _| named.contains(hash));
        Ok(())
    }
}

fn check(hash: ContentHash, bytes: &[u8]) -> Result<(), StoreError> {
    if ContentHash::of(bytes) == hash {
        Ok(())
    } else {
        Err(StoreError::wrong_digest())
    }
}

/// What a durable store would read back of an entry; none if nothing.
fn as_stored(entry: Entry) -> Option<Entry> {
    let Entry {
        local,
        base,
        pending,
        problem,
        ..
    } = entry;
    let entry = Entry {
        local,
        base,
        pending,
        problem,
        ..Entry::default()
    };
    record::is_worth_storing(&entry).then_some(entry)
}

fn put_or_remove<K: Ord, V>(
    map: &mut BTreeMap<K, V>,
    changes: impl IntoIterator<Item = (K, Option<V>)>,
) {
    for (key, value) in changes {
        match value {
            Some(value) => drop(map.insert(key, value)),
            None => drop(map.remove(&key)),
        }
    }
}

fn pairs<K: Clone, V: Clone>(map: &BTreeMap<K, V>) -> Vec<(K, V)> {
    map.iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn newest<T: Clone>(rows: &[T], query: &RowQuery, path: impl Fn(&T) -> &FilePath) -> Vec<T> {
    let wanted = |row: &&T| query.path.as_ref().is_none_or(|wanted| path(row) == wanted);
    let limit = query.limit.map_or(usize::MAX, |limit| limit as usize);
    rows.iter()
        .rev()
        .filter(wanted)
        .take(limit)
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract;

    struct Memory(MemoryStore);

    #[async_trait]
    impl contract::Opener for Memory {
        type Store = MemoryStore;

        async fn open(&self) -> MemoryStore {
            self.0.clone()
        }
    }

    contract::store_contract!(Memory(MemoryStore::new()));

    #[tokio::test]
    async fn a_snapshot_does_not_see_what_comes_later() {
        let store = MemoryStore::new();
        let before = store.snapshot();
        let setting = ("name".to_owned(), Some("value".to_owned()));
        let transaction = Transaction {
            settings: vec![setting],
            ..Transaction::default()
        };
        store.commit(transaction).await.expect("committed");
        assert!(before.load().await.expect("loaded").settings.is_empty());
        assert_eq!(store.load().await.expect("loaded").settings.len(), 1);
    }
}
