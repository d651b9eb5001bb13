//! Applying changes: the one transaction in which conditions are tested and versions replaced.
//!
//! A change is tested before anything of it is written, so a refused one leaves nothing behind
//! and the others of its transaction stand. What must be told to the rest of the hub after the
//! transaction is durable is collected and handed out then, never before.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gaia::address::Address;
use gaia::etag::ETag;
use gaia::path::FilePath;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

use super::cache::Cache;
use super::sqlite::{Revocations, signed, stored_etag, unsigned};
use super::{
    Adopted, Change, Condition, DeleteChange, FileKey, Index, IndexError, NewBody, Part,
    RevokeChange, StoreChange, Unit, Verdict, removals,
};
use crate::blobs::BlobId;
use crate::quota::Usage;

const LOAD_BUCKET: &str = "
SELECT id, seq, oldest_valid, files, bytes FROM buckets WHERE address = ?1";

const STORE_BUCKET: &str = "
UPDATE buckets SET seq = ?2, oldest_valid = ?3, files = ?4, bytes = ?5 WHERE id = ?1";

/// Writes what is there already.
const TOUCH: &str = "UPDATE feed SET epoch = epoch";

/// Old removals dropped in one transaction of a starting hub.
const FORGET_AT_START_MAX: usize = 10_000;

/// Old removals dropped beside a group of changes: more than most groups add, so that what is
/// too old does not pile up, and few enough to cost little.
const FORGET_BESIDE_MAX: usize = 1_000;

/// The one connection that writes, and what it keeps true beside the database.
pub(crate) struct Writer {
    connection: Connection,
    revocations: Arc<Revocations>,
    cache: Arc<Cache>,
    keep_removals: Duration,
}

/// What a durable group of changes means for the rest of the hub.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// One for each change, in order.
    pub(crate) verdicts: Vec<Verdict>,
    /// Blobs that lost a reference and may have no other.
    pub(crate) released: Vec<BlobId>,
    /// The buckets that are no longer as they were.
    pub(crate) changed: Vec<Address>,
}

impl Writer {
    /// Takes the connection, and drops what was removed longer ago than is kept.
    pub(crate) fn new(
        connection: Connection,
        index: &Index,
        keep_removals: Duration,
    ) -> Result<Self, IndexError> {
        let mut writer = Self {
            connection,
            revocations: Arc::clone(index.revocations()),
            cache: Arc::clone(index.cache()),
            keep_removals,
        };
        let before_ms = ago_ms(now_ms(), keep_removals);
        loop {
            let transaction = writer.connection.transaction()?;
            let forgotten = removals::forget(&transaction, before_ms, FORGET_AT_START_MAX)?;
            transaction.commit()?;
            if forgotten < FORGET_AT_START_MAX {
                return Ok(writer);
            }
        }
    }

    /// Applies the changes in order, in one transaction that is durable on return. On an error
    /// none of them took place.
    pub(crate) fn apply(&mut self, parts: &[Part<'_>]) -> Result<Applied, IndexError> {
        let mut group = Group {
            transaction: self.connection.transaction()?,
            cache: &self.cache,
            touched: Vec::new(),
            now_ms: now_ms(),
            buckets: BTreeMap::new(),
            applied: Applied::default(),
        };
        for part in parts {
            match part.unit {
                Unit::Each => group.apply_each(part.changes)?,
                Unit::All => group.apply_all(part.changes)?,
            }
        }
        if parts.iter().any(|part| part.changes.is_empty()) {
            // Somebody wants to know whether the index can be written.
            group.transaction.execute_batch(TOUCH)?;
        }
        let before_ms = ago_ms(group.now_ms, self.keep_removals);
        removals::forget(&group.transaction, before_ms, FORGET_BESIDE_MAX)?;
        let (applied, revoked) = group.commit()?;
        for (bucket, oldest_valid) in revoked {
            self.revocations.raise(&bucket, oldest_valid);
        }
        Ok(applied)
    }

    /// Takes over what an import brings, in one transaction that is durable on return.
    pub(crate) fn adopt(&mut self, adopted: &[Adopted]) -> Result<(), IndexError> {
        let mut group = Group {
            transaction: self.connection.transaction()?,
            cache: &self.cache,
            touched: Vec::new(),
            now_ms: now_ms(),
            buckets: BTreeMap::new(),
            applied: Applied::default(),
        };
        for adopted in adopted {
            group.adopt(adopted)?;
        }
        group.commit()?;
        Ok(())
    }
}

/// A transaction under way. Buckets are read once and written once, however many of the
/// group's changes touch them.
struct Group<'a> {
    transaction: Transaction<'a>,
    cache: &'a Cache,
    /// Paths whose versions change, and perhaps some that do not after all.
    touched: Vec<FileKey>,
    now_ms: i64,
    buckets: BTreeMap<Address, Bucket>,
    applied: Applied,
}

#[derive(Clone, Copy)]
struct Bucket {
    id: i64,
    seq: i64,
    oldest_valid: u64,
    usage: Usage,
    changed: Changed,
}

#[derive(Clone, Copy, PartialEq)]
enum Changed {
    No,
    Files,
    Revocation,
}

/// What is written for a version.
struct NewVersion<'a> {
    body: &'a NewBody,
    size: u64,
    etag: &'a ETag,
    digest: BlobId,
    content_type: &'a str,
    modified_ms: i64,
}

/// The row that a change finds in its place.
struct Current {
    size: u64,
    etag: ETag,
    digest: BlobId,
    body: Option<i64>,
}

impl Group<'_> {
    fn apply_each(&mut self, changes: &[Change]) -> Result<(), IndexError> {
        for change in changes {
            let verdict = self.apply(change)?;
            self.applied.verdicts.push(verdict);
        }
        Ok(())
    }

    /// Applies all of the changes, or none if one of them is refused.
    fn apply_all(&mut self, changes: &[Change]) -> Result<(), IndexError> {
        self.transaction.execute_batch("SAVEPOINT part")?;
        let buckets = self.buckets.clone();
        let released = self.applied.released.len();
        let mut refused = None;
        for (at, change) in changes.iter().enumerate() {
            let verdict = self.apply(change)?;
            if verdict != Verdict::Done {
                refused = Some((at, verdict));
                break;
            }
        }
        let Some((at, verdict)) = refused else {
            self.transaction.execute_batch("RELEASE part")?;
            let done = std::iter::repeat_n(Verdict::Done, changes.len());
            self.applied.verdicts.extend(done);
            return Ok(());
        };
        self.transaction
            .execute_batch("ROLLBACK TO part; RELEASE part")?;
        self.buckets = buckets;
        self.applied.released.truncate(released);
        let first = self.applied.verdicts.len();
        let undone = std::iter::repeat_n(Verdict::Undone, changes.len());
        self.applied.verdicts.extend(undone);
        self.applied.verdicts[first + at] = verdict;
        Ok(())
    }

    fn apply(&mut self, change: &Change) -> Result<Verdict, IndexError> {
        let bucket = self.bucket(change.bucket())?;
        if let Err(error) = change.grant().check_again(bucket.oldest_valid) {
            return Ok(Verdict::Unauthorized(error));
        }
        match change {
            Change::Store(change) => self.store(bucket, change),
            Change::Delete(change) => self.delete(bucket, change),
            Change::Revoke(change) => self.revoke(change),
        }
    }

    fn store(&mut self, bucket: Bucket, change: &StoreChange) -> Result<Verdict, IndexError> {
        let current = self.current(bucket, &change.key.path)?;
        if let Some(refusal) = refusal(&change.condition, current.as_ref()) {
            return Ok(refusal);
        }
        let replaced = current.as_ref().filter(|_| change.archive_to.is_none());
        let after = bucket
            .usage
            .with(replaced.map(|current| current.size), change.size);
        if let Some(over) = change.grant.quota().over(bucket.usage, after) {
            return Ok(Verdict::OverQuota(over));
        }
        let version = NewVersion {
            body: &change.body,
            size: change.size,
            etag: &change.etag,
            digest: change.digest,
            content_type: &change.content_type,
            modified_ms: self.now_ms,
        };
        let archive_to = change.archive_to.as_ref();
        self.put(bucket, &change.key, current.as_ref(), archive_to, &version)?;
        Ok(Verdict::Done)
    }

    /// Writes a version in place of the current one, which goes or is moved.
    fn put(
        &mut self,
        bucket: Bucket,
        key: &FileKey,
        current: Option<&Current>,
        archive_to: Option<&FilePath>,
        version: &NewVersion<'_>,
    ) -> Result<(), IndexError> {
        self.touched.push(key.clone());
        let mut reusable = None;
        let mut replaced = None;
        match (current, archive_to) {
            (Some(_), Some(history)) => self.rename(bucket, key, history)?,
            (Some(current), None) => {
                replaced = Some(current.size);
                reusable = self.release(current);
            }
            (None, _) => removals::clear(&self.transaction, bucket.id, &key.path)?,
        }
        let body = match version.body {
            NewBody::Inline(bytes) => Some(self.put_body(reusable, bytes)?),
            NewBody::Blob(_) => {
                self.drop_body(reusable)?;
                None
            }
        };
        self.set_usage(&key.bucket, |usage| usage.with(replaced, version.size));
        let seq = self.next_seq(&key.bucket);
        let mut statement = self.transaction.prepare_cached(
            "INSERT OR REPLACE INTO files
             (bucket, path, size, etag, content_type, modified_ms, seq, digest, body)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        statement.execute(params![
            bucket.id,
            key.path.as_str(),
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

    fn delete(&mut self, bucket: Bucket, change: &DeleteChange) -> Result<Verdict, IndexError> {
        let Some(current) = self.current(bucket, &change.key.path)? else {
            return Ok(Verdict::NoSuchFile);
        };
        if let Some(refusal) = refusal(&change.condition, Some(&current)) {
            return Ok(refusal);
        }
        self.touched.push(change.key.clone());
        if let Some(history) = &change.archive_to {
            self.rename(bucket, &change.key, history)?;
            self.record_removal(bucket, &change.key)?;
            return Ok(Verdict::Done);
        }
        let body = self.release(&current);
        self.drop_body(body)?;
        let mut statement = self
            .transaction
            .prepare_cached("DELETE FROM files WHERE bucket = ?1 AND path = ?2")?;
        statement.execute(params![bucket.id, change.key.path.as_str()])?;
        drop(statement);
        self.set_usage(&change.key.bucket, |usage| usage.without(current.size));
        self.record_removal(bucket, &change.key)?;
        Ok(Verdict::Done)
    }

    fn revoke(&mut self, change: &RevokeChange) -> Result<Verdict, IndexError> {
        self.raise(&change.bucket, change.oldest_valid);
        Ok(Verdict::Done)
    }

    fn raise(&mut self, address: &Address, oldest_valid: u64) {
        if let Some(bucket) = self.buckets.get_mut(address)
            && oldest_valid > bucket.oldest_valid
        {
            bucket.oldest_valid = oldest_valid;
            bucket.changed = Changed::Revocation;
        }
    }

    fn adopt(&mut self, adopted: &Adopted) -> Result<(), IndexError> {
        match adopted {
            Adopted::File(file) => {
                let bucket = self.bucket(&file.key.bucket)?;
                let current = self.current(bucket, &file.key.path)?;
                let version = NewVersion {
                    body: &file.body,
                    size: file.size,
                    etag: &file.etag,
                    digest: file.digest,
                    content_type: &file.content_type,
                    modified_ms: file.modified_ms,
                };
                self.put(bucket, &file.key, current.as_ref(), None, &version)
            }
            Adopted::Revocation {
                bucket,
                oldest_valid,
            } => {
                self.bucket(bucket)?;
                self.raise(bucket, *oldest_valid);
                Ok(())
            }
        }
    }

    fn bucket(&mut self, address: &Address) -> Result<Bucket, IndexError> {
        if let Some(bucket) = self.buckets.get(address) {
            return Ok(*bucket);
        }
        let bucket = match self.load_bucket(address)? {
            Some(bucket) => bucket,
            None => self.create_bucket(address)?,
        };
        self.buckets.insert(*address, bucket);
        Ok(bucket)
    }

    fn load_bucket(&self, address: &Address) -> Result<Option<Bucket>, IndexError> {
        let mut statement = self.transaction.prepare_cached(LOAD_BUCKET)?;
        let row = statement
            .query_row([address.as_str()], |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                ))
            })
            .optional()?;
        let Some((id, seq, oldest_valid, files, bytes)) = row else {
            return Ok(None);
        };
        let oldest_valid = unsigned(oldest_valid)?;
        Ok(Some(Bucket {
            id,
            seq,
            oldest_valid,
            usage: Usage {
                files: unsigned(files)?,
                bytes: unsigned(bytes)?,
            },
            changed: Changed::No,
        }))
    }

    fn create_bucket(&self, address: &Address) -> Result<Bucket, IndexError> {
        let mut statement = self
            .transaction
            .prepare_cached("INSERT INTO buckets (address) VALUES (?1)")?;
        let id = statement.insert([address.as_str()])?;
        Ok(Bucket {
            id,
            seq: 0,
            oldest_valid: 0,
            usage: Usage::default(),
            changed: Changed::No,
        })
    }

    /// Counts what a change makes of a bucket; [`Self::next_seq`] sees to it that this is written.
    fn set_usage(&mut self, address: &Address, change: impl FnOnce(Usage) -> Usage) {
        if let Some(bucket) = self.buckets.get_mut(address) {
            bucket.usage = change(bucket.usage);
        }
    }

    /// The bucket's next sequence number. It only grows, and a number belongs to one change.
    fn next_seq(&mut self, address: &Address) -> i64 {
        self.buckets.get_mut(address).map_or(0, |bucket| {
            bucket.seq += 1;
            if bucket.changed == Changed::No {
                bucket.changed = Changed::Files;
            }
            bucket.seq
        })
    }

    fn current(&self, bucket: Bucket, path: &FilePath) -> Result<Option<Current>, IndexError> {
        let mut statement = self.transaction.prepare_cached(
            "SELECT etag, digest, body, size FROM files WHERE bucket = ?1 AND path = ?2",
        )?;
        let mut rows = statement.query(params![bucket.id, path.as_str()])?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let etag = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        Ok(Some(Current {
            etag: stored_etag(etag)?,
            digest: BlobId::new(row.get(1)?),
            body: row.get(2)?,
            size: unsigned(row.get(3)?)?,
        }))
    }

    /// Takes a version's body out of use: an inline body's row is returned for the next body to
    /// be written over, a blob is noted for the sweeper.
    fn release(&mut self, current: &Current) -> Option<i64> {
        if current.body.is_none() {
            self.applied.released.push(current.digest);
        }
        current.body
    }

    fn put_body(&self, reusable: Option<i64>, bytes: &[u8]) -> Result<i64, IndexError> {
        if let Some(id) = reusable {
            let mut statement = self
                .transaction
                .prepare_cached("UPDATE bodies SET data = ?2 WHERE id = ?1")?;
            statement.execute(params![id, bytes])?;
            return Ok(id);
        }
        let mut statement = self
            .transaction
            .prepare_cached("INSERT INTO bodies (data) VALUES (?1)")?;
        Ok(statement.insert([bytes])?)
    }

    fn drop_body(&self, body: Option<i64>) -> Result<(), IndexError> {
        if let Some(id) = body {
            let mut statement = self
                .transaction
                .prepare_cached("DELETE FROM bodies WHERE id = ?1")?;
            statement.execute([id])?;
        }
        Ok(())
    }

    fn rename(&mut self, bucket: Bucket, from: &FileKey, to: &FilePath) -> Result<(), IndexError> {
        self.touched.push(FileKey {
            bucket: from.bucket,
            path: to.clone(),
        });
        let seq = self.next_seq(&from.bucket);
        removals::clear(&self.transaction, bucket.id, to)?;
        let mut statement = self.transaction.prepare_cached(
            "UPDATE files SET path = ?3, seq = ?4 WHERE bucket = ?1 AND path = ?2",
        )?;
        statement.execute(params![bucket.id, from.path.as_str(), to.as_str(), seq])?;
        Ok(())
    }

    fn record_removal(&mut self, bucket: Bucket, key: &FileKey) -> Result<(), IndexError> {
        let seq = self.next_seq(&key.bucket);
        removals::record(&self.transaction, bucket.id, &key.path, seq, self.now_ms)
    }

    fn commit(mut self) -> Result<(Applied, Vec<(Address, u64)>), IndexError> {
        let mut revoked = Vec::new();
        {
            let mut statement = self.transaction.prepare_cached(STORE_BUCKET)?;
            for (address, bucket) in self.buckets {
                if bucket.changed == Changed::No {
                    continue;
                }
                statement.execute(params![
                    bucket.id,
                    bucket.seq,
                    signed(bucket.oldest_valid),
                    signed(bucket.usage.files),
                    signed(bucket.usage.bytes),
                ])?;
                self.applied.changed.push(address);
                if bucket.changed == Changed::Revocation {
                    revoked.push((address, bucket.oldest_valid));
                }
            }
        }
        let change = self.cache.change(&self.touched);
        self.transaction.commit()?;
        drop(change);
        Ok((self.applied, revoked))
    }
}

/// The verdict against a change whose condition does not hold.
fn refusal(condition: &Condition, current: Option<&Current>) -> Option<Verdict> {
    let holds = match condition {
        Condition::Any => true,
        Condition::Missing => current.is_none(),
        Condition::Tagged(tags) => current.is_some_and(|current| tags.contains(&current.etag)),
    };
    if holds {
        return None;
    }
    Some(Verdict::ConditionFailed {
        current: current.map(|current| current.etag.clone()),
    })
}

fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The time that is so long before another.
fn ago_ms(now_ms: i64, ago: Duration) -> i64 {
    now_ms.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX))
}
