//! Merging: a layer becomes rows, in one transaction.
//!
//! What the database had of a path is replaced by what the layer says. The rows are written in
//! their order, so that neighbours share a page. Nothing is decided here.

use std::sync::Arc;
use std::time::Duration;

use gaia::address::Address;
use gaia::path::FilePath;
use rusqlite::{CachedStatement, Connection, OptionalExtension as _, params};

use super::adopt::Adopted;
use super::cache::Cache;
use super::decide::{find_bucket_id, load_bucket};
use super::layer::{BucketLayer, Entry, Layer, Slot};
use super::log::{Closed, Unmerged};
use super::pending::{Again, Pending, Task};
use super::sqlite::{now_ms, signed};
use super::{FileKey, Index, IndexError, StoredBody, Version, removals};
use crate::blobs::BlobId;
use removals::Removed;

const STORE_BUCKET: &str = "
UPDATE buckets SET seq = ?2, oldest_valid = ?3, files = ?4, bytes = ?5 WHERE id = ?1";

const STORE_MERGED: &str = "UPDATE feed SET merged = ?1";

/// Old removals dropped in one transaction of a starting hub.
const FORGET_AT_START_MAX: usize = 10_000;

/// Old removals dropped beside a layer: more than most layers add, so that what is too old does
/// not pile up, and few enough to cost little.
const FORGET_BESIDE_MAX: usize = 1_000;

/// The one connection that writes.
pub(crate) struct Merger {
    connection: Connection,
    cache: Arc<Cache>,
    pending: Arc<Pending>,
    closed: Closed,
    keep_removals: Duration,
}

impl Merger {
    pub(super) fn new(
        index: &Index,
        connection: Connection,
        closed: Closed,
        keep_removals: Duration,
    ) -> Self {
        Self {
            connection,
            cache: Arc::clone(index.cache()),
            pending: Arc::clone(index.pending()),
            closed,
            keep_removals,
        }
    }

    /// Drops what was removed longer ago than is kept.
    pub(super) fn forget_old(&mut self) -> Result<(), IndexError> {
        let before_ms = ago_ms(now_ms(), self.keep_removals);
        loop {
            let transaction = self.connection.transaction()?;
            let forgotten = removals::forget(&transaction, before_ms, FORGET_AT_START_MAX)?;
            transaction.commit()?;
            if forgotten < FORGET_AT_START_MAX {
                return Ok(());
            }
        }
    }

    /// Waits for the next layer.
    pub(crate) fn next_task(&self) -> Task {
        self.pending.next_task()
    }

    /// Tells whoever waits that merging has failed, and waits until it is time to try again, if it
    /// is to be tried again.
    pub(crate) fn failed(&self, error: IndexError) -> Again {
        self.pending.failed(error)
    }

    /// Merges a layer and, with it, everything up to a frame of the log, and returns the blobs that
    /// lost a use.
    pub(crate) fn merge(&mut self, layer: &Layer, until: u64) -> Result<Vec<BlobId>, IndexError> {
        let keys: Vec<_> = keys_of(layer).collect();
        let before_ms = ago_ms(now_ms(), self.keep_removals);
        let change = self.cache.change(&keys);
        let merged = merge(&mut self.connection, layer, Some(until), before_ms);
        drop(change);
        let released = merged?;
        self.closed.remove(until);
        self.pending.merged(until);
        Ok(released)
    }

    /// Brings a layer into the database, and no further.
    #[cfg(test)]
    pub(super) fn write(&mut self, layer: &Layer, until: u64) -> Result<(), IndexError> {
        merge(&mut self.connection, layer, Some(until), i64::MIN)?;
        Ok(())
    }

    /// Takes over what an import brings, in one transaction that is durable on return.
    pub(crate) fn adopt(&mut self, adopted: Vec<Adopted>) -> Result<(), IndexError> {
        let layer = Adopted::decide(adopted, &self.connection)?;
        merge(&mut self.connection, &layer, None, i64::MIN)?;
        Ok(())
    }

    /// Whether the database has everything.
    pub(crate) fn is_done(&self) -> bool {
        self.pending.is_merged()
    }
}

fn keys_of(layer: &Layer) -> impl Iterator<Item = FileKey> {
    layer.buckets().flat_map(|(address, part)| {
        part.files().map(|(path, _)| FileKey {
            bucket: *address,
            path: path.clone(),
        })
    })
}

/// Brings a database that nobody serves from to where its log is.
pub(super) fn catch_up(connection: &mut Connection, unmerged: &Unmerged) -> Result<(), IndexError> {
    if let Some(last) = unmerged.last {
        merge(connection, &unmerged.layer, Some(last), i64::MIN)?;
        tracing::info!(frames = last, "brought the index to the end of its log");
    }
    Ok(())
}

/// Writes a layer, and returns the blobs that lost a use.
fn merge(
    connection: &mut Connection,
    layer: &Layer,
    until: Option<u64>,
    forget_before_ms: i64,
) -> Result<Vec<BlobId>, IndexError> {
    let transaction = connection.transaction()?;
    let released = write_rows(&transaction, layer)?;
    if let Some(until) = until {
        transaction
            .prepare_cached(STORE_MERGED)?
            .execute([signed(until)])?;
    }
    removals::forget(&transaction, forget_before_ms, FORGET_BESIDE_MAX)?;
    transaction.commit()?;
    Ok(released)
}

fn write_rows(transaction: &Connection, layer: &Layer) -> Result<Vec<BlobId>, IndexError> {
    let mut rows = Rows::new(transaction)?;
    for (address, part) in layer.buckets() {
        rows.bucket(address, part)?;
    }
    Ok(rows.released)
}

/// A transaction under way. What is run for every file is looked up once.
struct Rows<'a> {
    transaction: &'a Connection,
    find: CachedStatement<'a>,
    store: CachedStatement<'a>,
    delete: CachedStatement<'a>,
    add_body: CachedStatement<'a>,
    replace_body: CachedStatement<'a>,
    delete_body: CachedStatement<'a>,
    released: Vec<BlobId>,
}

/// What a row of a path had.
struct Before {
    digest: BlobId,
    body: Option<i64>,
}

impl<'a> Rows<'a> {
    fn new(transaction: &'a Connection) -> Result<Self, IndexError> {
        let prepare = |text| transaction.prepare_cached(text);
        Ok(Self {
            transaction,
            find: prepare("SELECT digest, body FROM files WHERE bucket = ?1 AND path = ?2")?,
            store: prepare(
                "INSERT OR REPLACE INTO files
                 (bucket, path, size, etag, content_type, modified_ms, seq, digest, body)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?,
            delete: prepare("DELETE FROM files WHERE bucket = ?1 AND path = ?2")?,
            add_body: prepare("INSERT INTO bodies (data) VALUES (?1)")?,
            replace_body: prepare("UPDATE bodies SET data = ?2 WHERE id = ?1")?,
            delete_body: prepare("DELETE FROM bodies WHERE id = ?1")?,
            released: Vec::new(),
        })
    }

    fn bucket(&mut self, address: &Address, part: &BucketLayer) -> Result<(), IndexError> {
        let id = self.bucket_id(address)?;
        let removed = removals::any(self.transaction, id)?;
        for (path, entry) in part.files() {
            self.file(id, path, entry, removed)?;
        }
        let state = part.state;
        // A revocation only grows, whatever a layer says.
        let known = load_bucket(self.transaction, address)?;
        self.transaction
            .prepare_cached(STORE_BUCKET)?
            .execute(params![
                id,
                state.seq,
                signed(state.oldest_valid.max(known.oldest_valid)),
                signed(state.usage.files),
                signed(state.usage.bytes),
            ])?;
        Ok(())
    }

    fn bucket_id(&self, address: &Address) -> Result<i64, IndexError> {
        if let Some(id) = find_bucket_id(self.transaction, address)? {
            return Ok(id);
        }
        let mut create = self
            .transaction
            .prepare_cached("INSERT INTO buckets (address) VALUES (?1)")?;
        Ok(create.insert([address.as_str()])?)
    }

    fn file(
        &mut self,
        bucket: i64,
        path: &FilePath,
        entry: &Entry,
        removed: Removed,
    ) -> Result<(), IndexError> {
        let before = self.before(bucket, path)?;
        let reusable = match &before {
            Some(before) => self.release(before),
            None => {
                if removed == Removed::Some {
                    removals::clear(self.transaction, bucket, path)?;
                }
                None
            }
        };
        match &entry.slot {
            Slot::Present { version, .. } => {
                self.present(bucket, path, entry.seq, version, reusable)
            }
            Slot::Removed { removed_ms } => {
                self.drop_body(reusable)?;
                if before.is_some() {
                    self.delete.execute(params![bucket, path.as_str()])?;
                }
                removals::record(self.transaction, bucket, path, entry.seq, *removed_ms)
            }
        }
    }

    fn before(&mut self, bucket: i64, path: &FilePath) -> Result<Option<Before>, IndexError> {
        let row = self.find.query_row(params![bucket, path.as_str()], |row| {
            Ok(Before {
                digest: BlobId::new(row.get(0)?),
                body: row.get(1)?,
            })
        });
        Ok(row.optional()?)
    }

    fn present(
        &mut self,
        bucket: i64,
        path: &FilePath,
        seq: i64,
        version: &Version,
        reusable: Option<i64>,
    ) -> Result<(), IndexError> {
        let body = match &version.body {
            StoredBody::Inline(bytes) => Some(self.put_body(reusable, bytes)?),
            StoredBody::Blob(_) => {
                self.drop_body(reusable)?;
                None
            }
        };
        self.store.execute(params![
            bucket,
            path.as_str(),
            signed(version.size),
            version.etag.as_str(),
            version.content_type,
            version.modified_ms,
            seq,
            version.digest.as_bytes().as_slice(),
            body,
        ])?;
        Ok(())
    }

    /// Takes a row's body out of use: an inline body's row is returned for the next body to be
    /// written over, a blob is noted for the sweeper.
    fn release(&mut self, before: &Before) -> Option<i64> {
        if before.body.is_none() {
            self.released.push(before.digest);
        }
        before.body
    }

    fn put_body(&mut self, reusable: Option<i64>, bytes: &[u8]) -> Result<i64, IndexError> {
        if let Some(id) = reusable {
            self.replace_body.execute(params![id, bytes])?;
            return Ok(id);
        }
        Ok(self.add_body.insert([bytes])?)
    }

    fn drop_body(&mut self, body: Option<i64>) -> Result<(), IndexError> {
        if let Some(id) = body {
            self.delete_body.execute([id])?;
        }
        Ok(())
    }
}

/// The time that is so long before another.
fn ago_ms(now_ms: i64, ago: Duration) -> i64 {
    now_ms.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX))
}
