//! Decisions: which changes are made, and what the bucket is after them.
//!
//! Changes are decided one after the other on what the ones before them have made of the bucket.
//! Nothing is written here: what comes out is a layer, and one verdict for each change. A change is
//! tested before anything of it is noted, so a refused one leaves nothing behind.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use gaia::address::Address;
use gaia::etag::ETag;
use gaia::path::FilePath;
use rusqlite::{Connection, OptionalExtension as _};

use super::layer::{BucketState, Entry, Layer, Slot};
use super::paths::Paths;
use super::pending::Layers;
use super::sqlite::{find_version, stored_etag, unsigned};
use super::{
    Adopted, Change, Condition, DeleteChange, FileKey, IndexError, NewBody, Part, RevokeChange,
    StoreChange, StoredBody, Unit, Verdict, Version,
};
use crate::blobs::StagedBlob;
use crate::quota::Usage;

const LOAD_BUCKET: &str = "
SELECT seq, oldest_valid, files, bytes FROM buckets WHERE address = ?1";

const FIND_CURRENT: &str = "SELECT etag, size FROM files WHERE bucket = ?1 AND path = ?2";

/// What there is before the changes: the layers that are not merged, over the database. The
/// layers must have been taken before the connection's view of the database.
pub(super) struct View<'a> {
    layers: &'a Layers,
    connection: &'a Connection,
    /// Which paths the database may have, if that is known.
    paths: Option<&'a Paths>,
    /// The numbers of buckets that were asked for.
    ids: RefCell<BTreeMap<Address, Option<i64>>>,
}

/// A group of changes while it is decided on.
pub(super) struct Draft<'a> {
    view: View<'a>,
    now_ms: i64,
    layer: Layer,
    /// What was said before, newest last, of the paths of a part that may come to nothing.
    undo: Vec<(FileKey, Option<Entry>)>,
    verdicts: Verdicts,
}

pub(super) type Verdicts = Vec<Result<Verdict, IndexError>>;

/// What was decided.
#[derive(Debug)]
pub(super) struct Decided {
    pub(super) layer: Layer,
    /// One for each change, in order.
    pub(super) verdicts: Verdicts,
}

/// What a condition is tested against.
struct Current {
    etag: ETag,
    size: u64,
}

impl<'a> Draft<'a> {
    pub(super) fn new(view: View<'a>, now_ms: i64) -> Self {
        Self {
            view,
            now_ms,
            layer: Layer::default(),
            undo: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, part: Part) {
        match part.unit {
            Unit::Each => {
                for change in part.changes {
                    let verdict = self.apply(change);
                    self.verdicts.push(verdict);
                }
                self.undo.clear();
            }
            Unit::All => self.take_all(part.changes),
        }
    }

    /// Takes over a file or a revocation as it is, whatever there was.
    pub(super) fn adopt(&mut self, adopted: Adopted) -> Result<(), IndexError> {
        let file = match adopted {
            Adopted::File(file) => file,
            Adopted::Revocation {
                bucket,
                oldest_valid,
            } => {
                self.bucket(&bucket)?;
                self.raise(&bucket, oldest_valid);
                return Ok(());
            }
        };
        self.bucket(&file.key.bucket)?;
        let replaced = self.current(&file.key)?.map(|current| current.size);
        let (body, pin) = stored_body(file.body);
        let version = Arc::new(Version {
            size: file.size,
            etag: file.etag,
            content_type: file.content_type,
            modified_ms: file.modified_ms,
            digest: file.digest,
            body,
            is_whole: true,
        });
        self.put(file.key, Slot::Present { version, pin }, |usage| {
            usage.with(replaced, file.size)
        });
        self.undo.clear();
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Decided, IndexError> {
        // Buckets that were only looked at are as they were.
        let mut unchanged = Vec::new();
        for (address, part) in self.layer.buckets() {
            if !part.has_files() && part.state == self.view.bucket(address)? {
                unchanged.push(*address);
            }
        }
        self.layer.retain(|address, _| !unchanged.contains(address));
        Ok(Decided {
            layer: self.layer,
            verdicts: self.verdicts,
        })
    }

    /// Applies all of the changes, or none if one of them is refused.
    fn take_all(&mut self, changes: Vec<Change>) {
        let count = changes.len();
        let states: Vec<_> = self
            .layer
            .buckets()
            .map(|(address, part)| (*address, part.state))
            .collect();
        let mut refused = None;
        for (at, change) in changes.into_iter().enumerate() {
            let verdict = self.apply(change);
            if !matches!(verdict, Ok(Verdict::Done)) {
                refused = Some((at, verdict));
                break;
            }
        }
        let Some((at, verdict)) = refused else {
            self.undo.clear();
            let done = std::iter::repeat_with(|| Ok(Verdict::Done));
            self.verdicts.extend(done.take(count));
            return;
        };
        for (key, before) in std::mem::take(&mut self.undo).into_iter().rev() {
            self.layer.set(&key.bucket, key.path, before);
        }
        // A bucket that came with this part has no state to go back to but that of the view,
        // which it is given when it is asked for again.
        self.layer
            .retain(|address, _| states.iter().any(|(known, _)| known == address));
        for (address, state) in states {
            self.layer.bucket_or(address, state).state = state;
        }
        let first = self.verdicts.len();
        let undone = std::iter::repeat_with(|| Ok(Verdict::Undone));
        self.verdicts.extend(undone.take(count));
        self.verdicts[first + at] = verdict;
    }

    fn apply(&mut self, change: Change) -> Result<Verdict, IndexError> {
        let state = self.bucket(change.bucket())?;
        if let Err(error) = change.grant().check_again(state.oldest_valid) {
            return Ok(Verdict::Unauthorized(error));
        }
        match change {
            Change::Store(change) => self.store(state, change),
            Change::Delete(change) => self.delete(change),
            Change::Revoke(change) => Ok(self.revoke(&change)),
        }
    }

    fn store(&mut self, state: BucketState, change: StoreChange) -> Result<Verdict, IndexError> {
        let current = self.current(&change.key)?;
        if let Some(refusal) = refusal(&change.condition, current.as_ref()) {
            return Ok(refusal);
        }
        let replaced = current.as_ref().filter(|_| change.archive_to.is_none());
        let replaced = replaced.map(|current| current.size);
        let after = state.usage.with(replaced, change.size);
        if let Some(over) = change.grant.quota().over(state.usage, after) {
            return Ok(Verdict::OverQuota(over));
        }
        if let Some(history) = change.archive_to.filter(|_| current.is_some()) {
            self.archive(&change.key, history)?;
        }
        let (body, pin) = stored_body(change.body);
        let version = Arc::new(Version {
            size: change.size,
            etag: change.etag,
            content_type: change.content_type,
            modified_ms: self.now_ms,
            digest: change.digest,
            body,
            is_whole: true,
        });
        self.put(change.key, Slot::Present { version, pin }, |usage| {
            usage.with(replaced, change.size)
        });
        Ok(Verdict::Done)
    }

    fn delete(&mut self, change: DeleteChange) -> Result<Verdict, IndexError> {
        let Some(current) = self.current(&change.key)? else {
            return Ok(Verdict::NoSuchFile);
        };
        if let Some(refusal) = refusal(&change.condition, Some(&current)) {
            return Ok(refusal);
        }
        let removed_ms = self.now_ms;
        let removed = Slot::Removed { removed_ms };
        if let Some(history) = change.archive_to {
            self.archive(&change.key, history)?;
            self.put(change.key, removed, |usage| usage);
        } else {
            self.put(change.key, removed, |usage| usage.without(current.size));
        }
        Ok(Verdict::Done)
    }

    fn revoke(&mut self, change: &RevokeChange) -> Verdict {
        self.raise(&change.bucket, change.oldest_valid);
        Verdict::Done
    }

    fn raise(&mut self, bucket: &Address, oldest_valid: u64) {
        self.set_state(bucket, |state| {
            state.oldest_valid = state.oldest_valid.max(oldest_valid);
        });
    }

    /// Puts the current version under another path. What is in its own place is said next.
    fn archive(&mut self, key: &FileKey, history: FilePath) -> Result<(), IndexError> {
        let Some(slot) = self.present(key)? else {
            return Ok(());
        };
        let history = FileKey {
            bucket: key.bucket,
            path: history,
        };
        self.put(history, slot, |usage| usage);
        Ok(())
    }

    /// Notes one change: its number, what it makes of the path, and of what the bucket holds.
    fn put(&mut self, key: FileKey, slot: Slot, usage: impl FnOnce(Usage) -> Usage) {
        let mut seq = 0;
        self.set_state(&key.bucket, |state| {
            state.seq += 1;
            state.usage = usage(state.usage);
            seq = state.seq;
        });
        if let Some(paths) = self.view.paths {
            paths.add(&key.bucket, &key.path);
        }
        let entry = Entry { seq, slot };
        let before = self.layer.set(&key.bucket, key.path.clone(), Some(entry));
        self.undo.push((key, before));
    }

    fn set_state(&mut self, address: &Address, change: impl FnOnce(&mut BucketState)) {
        let state = BucketState::default();
        change(&mut self.layer.bucket_or(*address, state).state);
    }

    fn bucket(&mut self, address: &Address) -> Result<BucketState, IndexError> {
        if let Some(part) = self.layer.bucket(address) {
            return Ok(part.state);
        }
        let state = self.view.bucket(address)?;
        Ok(self.layer.bucket_or(*address, state).state)
    }

    fn current(&self, key: &FileKey) -> Result<Option<Current>, IndexError> {
        if self.view.is_new(key) {
            return Ok(None);
        }
        let known = self.layer.file(&key.bucket, &key.path);
        let known = known.or_else(|| self.view.layers.file(&key.bucket, &key.path));
        match known.map(|entry| &entry.slot) {
            Some(Slot::Present { version, .. }) => Ok(Some(Current {
                etag: version.etag.clone(),
                size: version.size,
            })),
            Some(Slot::Removed { .. }) => Ok(None),
            None => self.view.stored(key),
        }
    }

    /// What is in a path's place, if that is a file.
    fn present(&self, key: &FileKey) -> Result<Option<Slot>, IndexError> {
        let known = self.layer.file(&key.bucket, &key.path);
        let known = known.or_else(|| self.view.layers.file(&key.bucket, &key.path));
        match known.map(|entry| entry.slot.clone()) {
            Some(slot @ Slot::Present { .. }) => Ok(Some(slot)),
            Some(Slot::Removed { .. }) => Ok(None),
            None => {
                let version = find_version(self.view.connection, key)?;
                let pin: Option<Arc<StagedBlob>> = None;
                Ok(version.map(|version| Slot::Present {
                    version: Arc::new(version),
                    pin,
                }))
            }
        }
    }
}

impl<'a> View<'a> {
    pub(super) fn new(
        layers: &'a Layers,
        connection: &'a Connection,
        paths: Option<&'a Paths>,
    ) -> Self {
        Self {
            layers,
            connection,
            paths,
            ids: RefCell::default(),
        }
    }

    /// The number of a bucket in the database, if it is there.
    fn id(&self, address: &Address) -> Result<Option<i64>, IndexError> {
        if let Some(id) = self.ids.borrow().get(address) {
            return Ok(*id);
        }
        let id = find_bucket_id(self.connection, address)?;
        self.ids.borrow_mut().insert(*address, id);
        Ok(id)
    }

    /// Whether a path is certain to be one that nothing was ever stored at.
    fn is_new(&self, key: &FileKey) -> bool {
        let paths = self.paths;
        paths.is_some_and(|paths| !paths.may_have(&key.bucket, &key.path))
    }

    fn bucket(&self, address: &Address) -> Result<BucketState, IndexError> {
        match self.layers.bucket(address) {
            Some(part) => Ok(part.state),
            None => load_bucket(self.connection, address),
        }
    }

    fn stored(&self, key: &FileKey) -> Result<Option<Current>, IndexError> {
        let Some(id) = self.id(&key.bucket)? else {
            return Ok(None);
        };
        let mut statement = self.connection.prepare_cached(FIND_CURRENT)?;
        let mut rows = statement.query((id, key.path.as_str()))?;
        let Some(row) = rows.next()? else {
            return Ok(None);
        };
        let etag = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        Ok(Some(Current {
            etag: stored_etag(etag)?,
            size: unsigned(row.get(1)?)?,
        }))
    }
}

/// Where the bytes of a version will be, and what keeps a blob until then.
fn stored_body(body: NewBody) -> (StoredBody, Option<Arc<StagedBlob>>) {
    match body {
        NewBody::Inline(bytes) => (StoredBody::Inline(bytes), None),
        NewBody::Blob(blob) => (StoredBody::Blob(blob.id()), Some(Arc::new(blob))),
    }
}

/// The number of a bucket in the database, if it is there.
pub(super) fn find_bucket_id(
    connection: &Connection,
    address: &Address,
) -> Result<Option<i64>, IndexError> {
    let mut find = connection.prepare_cached("SELECT id FROM buckets WHERE address = ?1")?;
    let found = find.query_row([address.as_str()], |row| row.get(0));
    Ok(found.optional()?)
}

/// What the database knows of a bucket, which is nothing of one that nobody has written to.
pub(super) fn load_bucket(
    connection: &Connection,
    address: &Address,
) -> Result<BucketState, IndexError> {
    let mut statement = connection.prepare_cached(LOAD_BUCKET)?;
    let row = statement
        .query_row([address.as_str()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
        })
        .optional()?;
    let Some((seq, oldest_valid, files, bytes)) = row else {
        return Ok(BucketState::default());
    };
    Ok(BucketState {
        seq,
        oldest_valid: unsigned(oldest_valid)?,
        usage: Usage {
            files: unsigned(files)?,
            bytes: unsigned(bytes)?,
        },
    })
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
