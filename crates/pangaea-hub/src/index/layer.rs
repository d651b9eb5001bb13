//! Layers: changes that have been decided and are not in the database yet, as values.
//!
//! A layer says what its paths and its buckets have become, whatever they were before. The
//! decisions on a group of changes make one, a frame of the log holds one, what waits to be merged
//! is one, and merging writes one. Laid over another, the later says how it is.

use std::collections::BTreeMap;
use std::collections::btree_map;
use std::ops::Bound;
use std::sync::Arc;

use gaia::address::Address;
use gaia::path::FilePath;

use super::{StoredBody, Version};
use crate::blobs::StagedBlob;
use crate::quota::Usage;

/// What an entry takes beside its path, its type and its body, counted generously.
const ENTRY_BYTES: usize = 400;

/// What a bucket has become through changes to it.
#[derive(Debug, Default)]
pub(crate) struct Layer {
    buckets: BTreeMap<Address, BucketLayer>,
    bytes: usize,
}

/// What one bucket has become.
#[derive(Debug, Default)]
pub(super) struct BucketLayer {
    pub(super) state: BucketState,
    files: BTreeMap<FilePath, Entry>,
    /// The path of each change that is in `files`.
    order: BTreeMap<i64, FilePath>,
}

/// What is known of a bucket beside its files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct BucketState {
    /// The number of its last change.
    pub(super) seq: i64,
    /// Tokens from before this time, in seconds since 1970, are refused.
    pub(super) oldest_valid: u64,
    pub(super) usage: Usage,
}

/// What one path has become.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The number of the change in its bucket.
    pub(super) seq: i64,
    pub(super) slot: Slot,
}

/// What is in a path's place.
#[derive(Clone, Debug)]
pub(super) enum Slot {
    Present {
        version: Arc<Version>,
        /// Keeps the sweeper from a blob that the database does not name yet.
        pin: Option<Arc<StagedBlob>>,
    },
    Removed {
        removed_ms: i64,
    },
}

impl BucketState {
    /// Whether anything was ever done to the bucket.
    pub(super) fn is_made(&self) -> bool {
        *self != Self::default()
    }
}

impl Layer {
    /// Whether it says anything.
    pub(super) fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// About the memory it takes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn buckets(&self) -> impl Iterator<Item = (&Address, &BucketLayer)> {
        self.buckets.iter()
    }

    pub(super) fn bucket(&self, address: &Address) -> Option<&BucketLayer> {
        self.buckets.get(address)
    }

    /// The bucket's part, which says that it is as in `state` if there is none yet.
    pub(super) fn bucket_or(&mut self, address: Address, state: BucketState) -> &mut BucketLayer {
        let part = BucketLayer {
            state,
            ..BucketLayer::default()
        };
        self.buckets.entry(address).or_insert(part)
    }

    /// Drops the parts of buckets of which `keep` does not want to hear.
    pub(super) fn retain(&mut self, keep: impl Fn(&Address, &BucketLayer) -> bool) {
        self.buckets.retain(|address, part| keep(address, part));
    }

    pub(super) fn file(&self, bucket: &Address, path: &FilePath) -> Option<&Entry> {
        self.buckets.get(bucket)?.file(path)
    }

    /// Says what a path of a bucket that has a part has become; what was said before is returned.
    pub(super) fn set(
        &mut self,
        bucket: &Address,
        path: FilePath,
        entry: Option<Entry>,
    ) -> Option<Entry> {
        let part = self.buckets.get_mut(bucket)?;
        let added = entry.as_ref().map_or(0, |entry| entry.weight(&path));
        let weight = |entry: &Entry, path: &FilePath| entry.weight(path);
        if let Some(entry) = &entry {
            part.order.insert(entry.seq, path.clone());
        }
        let before = match (part.files.entry(path), entry) {
            (btree_map::Entry::Occupied(mut place), Some(entry)) => {
                self.bytes -= weight(place.get(), place.key());
                Some(place.insert(entry))
            }
            (btree_map::Entry::Occupied(place), None) => {
                let (path, before) = place.remove_entry();
                self.bytes -= weight(&before, &path);
                Some(before)
            }
            (btree_map::Entry::Vacant(place), Some(entry)) => {
                place.insert(entry);
                None
            }
            (btree_map::Entry::Vacant(_), None) => None,
        };
        if let Some(before) = &before {
            part.order.remove(&before.seq);
        }
        self.bytes += added;
        before
    }

    /// Lays a later layer over this one.
    pub(super) fn absorb(&mut self, later: Self) {
        for (address, part) in later.buckets {
            self.bucket_or(address, part.state).state = part.state;
            for (path, entry) in part.files {
                self.set(&address, path, Some(entry));
            }
        }
    }

    /// Takes the layer apart for the sake of what keeps blobs from the sweeper.
    pub(crate) fn into_pins(self) -> impl Iterator<Item = Arc<StagedBlob>> {
        let files = self.buckets.into_values().flat_map(|part| part.files);
        files.filter_map(|(_, entry)| match entry.slot {
            Slot::Present { pin, .. } => pin,
            Slot::Removed { .. } => None,
        })
    }
}

impl BucketLayer {
    pub(super) fn files(&self) -> impl Iterator<Item = (&FilePath, &Entry)> {
        self.files.iter()
    }

    /// The files from a text on, in the order of bytes.
    pub(super) fn files_from(&self, first: &str) -> impl Iterator<Item = (&FilePath, &Entry)> {
        self.files
            .range::<str, _>((Bound::Included(first), Bound::Unbounded))
    }

    /// The files that changed after a change, in the order of the changes.
    pub(super) fn files_since(&self, seq: i64) -> impl Iterator<Item = (&FilePath, &Entry)> {
        let since = self.order.range((Bound::Excluded(seq), Bound::Unbounded));
        since.filter_map(|(_, path)| self.files.get_key_value(path))
    }

    pub(super) fn file(&self, path: &FilePath) -> Option<&Entry> {
        self.files.get(path)
    }

    pub(super) fn has_files(&self) -> bool {
        !self.files.is_empty()
    }
}

impl Entry {
    /// The version in the path's place, if there is one.
    pub(super) fn into_version(self) -> Option<Arc<Version>> {
        match self.slot {
            Slot::Present { version, .. } => Some(version),
            Slot::Removed { .. } => None,
        }
    }

    fn weight(&self, path: &FilePath) -> usize {
        let content = match &self.slot {
            Slot::Present { version, .. } => {
                let body = match &version.body {
                    StoredBody::Inline(bytes) => bytes.len(),
                    StoredBody::Blob(_) => 0,
                };
                version.content_type.len() + body
            }
            Slot::Removed { .. } => 0,
        };
        ENTRY_BYTES + path.as_str().len() + content
    }
}
