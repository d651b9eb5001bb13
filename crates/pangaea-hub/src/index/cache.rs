//! Current versions kept in memory, so that a file that is read often is not looked up each time.
//!
//! A read never gets an older version than the database would give it. Before a transaction is
//! committed, the versions that it changes are dropped, and until it is over none of them can be
//! put in again; whoever looked one up in the database before that time, and brings it later, is
//! turned away. So while a commit is under way the database alone answers for its paths.
//!
//! This belongs to the embedded index, whose one writer knows of every change. An index that
//! several processes write to has to find its own way.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;

use super::{FileKey, StoredBody, Version};

/// Memory for all versions together, counted generously.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// What a version takes beside its texts and its body.
const ENTRY_BYTES: usize = 400;

/// Parts with a lock of their own.
const SHARDS: usize = 16;

/// Parts with a mark of their own: far more than paths change in one transaction, so that a
/// change keeps few other paths out for its time.
const MARKS: usize = 4096;

/// A bounded number of current versions, those that were asked for last.
pub(super) struct Cache {
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
    /// Each is even while nothing of its part is being changed, odd while something is, and
    /// higher after every change.
    marks: Box<[AtomicU64]>,
}

struct Shard {
    versions: LruCache<FileKey, Arc<Version>>,
    bytes: usize,
}

/// What looking for a version came to.
pub(super) enum Looked {
    Found(Arc<Version>),
    Missing(Ticket),
}

/// Leave to put a version in, if it was looked up in the database after this was given out.
pub(super) struct Ticket {
    hash: u64,
    mark: u64,
}

/// Keeps versions out, from before they are changed until after; ends when dropped.
pub(super) struct Change<'a> {
    cache: &'a Cache,
    parts: Vec<usize>,
}

impl Cache {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: std::array::from_fn(|_| Mutex::new(Shard::new())),
            marks: std::iter::repeat_with(AtomicU64::default)
                .take(MARKS)
                .collect(),
        }
    }

    pub(super) fn look(&self, key: &FileKey) -> Looked {
        let hash = self.hasher.hash_one(key);
        // Before the look: a version that is missing may be on its way out.
        let mark = self.mark(hash).load(Ordering::Acquire);
        match self.shard(hash).versions.get(key) {
            Some(version) => Looked::Found(Arc::clone(version)),
            None => Looked::Missing(Ticket { hash, mark }),
        }
    }

    /// Puts in what the database had, unless that may have changed since.
    pub(super) fn keep(&self, ticket: &Ticket, key: FileKey, version: &Arc<Version>) {
        let bytes = weight(&key, version);
        if ticket.mark % 2 == 1 {
            return;
        }
        let mut shard = self.shard(ticket.hash);
        // Asked while the shard is locked: a change that begins now takes the version out again.
        if self.mark(ticket.hash).load(Ordering::Acquire) == ticket.mark {
            shard.put(key, Arc::clone(version), bytes);
        }
    }

    /// Takes out what is about to change.
    pub(super) fn change(&self, keys: &[FileKey]) -> Change<'_> {
        let hashes: Vec<u64> = keys.iter().map(|key| self.hasher.hash_one(key)).collect();
        let mut parts: Vec<usize> = hashes.iter().map(|hash| mark_of(*hash)).collect();
        parts.sort_unstable();
        parts.dedup();
        for part in &parts {
            // Only the one writer comes here, so that these are odd from now on.
            self.marks[*part].fetch_add(1, Ordering::AcqRel);
        }
        for (key, hash) in keys.iter().zip(hashes) {
            self.shard(hash).remove(key);
        }
        Change { cache: self, parts }
    }

    fn mark(&self, hash: u64) -> &AtomicU64 {
        &self.marks[mark_of(hash)]
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        let shards = SHARDS as u64;
        // The low bits choose the mark.
        let at = usize::try_from((hash >> 32) % shards).unwrap_or(0);
        self.shards[at]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        for part in &self.parts {
            self.cache.marks[*part].fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Cache").finish_non_exhaustive()
    }
}

impl Shard {
    fn new() -> Self {
        Self {
            versions: LruCache::unbounded(),
            bytes: 0,
        }
    }

    fn put(&mut self, key: FileKey, version: Arc<Version>, bytes: usize) {
        self.remove(&key);
        self.bytes += bytes;
        self.versions.put(key, version);
        while self.bytes > BYTES_MAX / SHARDS {
            let Some((key, version)) = self.versions.pop_lru() else {
                break;
            };
            self.bytes -= weight(&key, &version);
        }
    }

    fn remove(&mut self, key: &FileKey) {
        if let Some(version) = self.versions.pop(key) {
            self.bytes -= weight(key, &version);
        }
    }
}

fn mark_of(hash: u64) -> usize {
    usize::try_from(hash % MARKS as u64).unwrap_or(0)
}

fn weight(key: &FileKey, version: &Version) -> usize {
    let body = match &version.body {
        StoredBody::Inline(bytes) => bytes.len(),
        StoredBody::Blob(_) => 0,
    };
    ENTRY_BYTES + key.path.as_str().len() + version.content_type.len() + body
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use gaia::key::SecretKey;
    use gaia::path::FilePath;

    use super::*;

    fn key(path: &str) -> FileKey {
        FileKey {
            bucket: SecretKey::from_bytes(&[1; 32]).unwrap().address(),
            path: FilePath::parse(path).unwrap(),
        }
    }

    fn version(body: &[u8]) -> Arc<Version> {
        Arc::new(Version::inline(Bytes::copy_from_slice(body), 0))
    }

    fn ticket(cache: &Cache, path: &str) -> Ticket {
        match cache.look(&key(path)) {
            Looked::Missing(ticket) => ticket,
            Looked::Found(_) => panic!("{path} is there"),
        }
    }

    fn has(cache: &Cache, path: &str) -> bool {
        matches!(cache.look(&key(path)), Looked::Found(_))
    }

    #[test]
    fn what_was_looked_up_before_or_during_a_change_is_turned_away() {
        let cache = Cache::new();
        let before = ticket(&cache, "a");
        let change = cache.change(&[key("a"), key("a")]);
        let during = ticket(&cache, "a");
        cache.keep(&before, key("a"), &version(b"old"));
        assert!(!has(&cache, "a"));
        drop(change);
        for ticket in [&before, &during] {
            cache.keep(ticket, key("a"), &version(b"old"));
            assert!(!has(&cache, "a"));
        }
        cache.keep(&ticket(&cache, "a"), key("a"), &version(b"new"));
        assert!(has(&cache, "a"));
        let change = cache.change(&[key("a")]);
        assert!(!has(&cache, "a"));
        drop(change);
        assert!(!has(&cache, "a"));
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let cache = Cache::new();
        let body = vec![1; 50_000];
        cache.keep(&ticket(&cache, "used"), key("used"), &version(b"x"));
        for number in 0..2000 {
            let path = format!("f{number}");
            cache.keep(&ticket(&cache, &path), key(&path), &version(&body));
            assert!(has(&cache, "used"));
        }
        let shards = cache.shards.iter().map(|shard| shard.lock().unwrap());
        let (mut bytes, mut entries) = (0, 0);
        for shard in shards {
            bytes += shard.bytes;
            entries += shard.versions.len();
        }
        assert!(bytes <= BYTES_MAX, "{bytes}");
        assert!((400..800).contains(&entries), "{entries}");
    }
}
