//! The embedded index: connections, and looking up one path.
//!
//! One connection writes (it belongs to the thread that merges), a few read. WAL lets them go on
//! at the same time, and `synchronous=FULL` makes a returned commit a durable one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use gaia::address::Address;
use gaia::etag::ETag;
use rusqlite::{Connection, ErrorCode, OpenFlags, Row};
use tokio::sync::Semaphore;

use super::cache::{Cache, Looked};
use super::log::{self, Frames, Log};
use super::merge::{Merger, catch_up};
use super::paths::Paths;
use super::pending::Pending;
use super::schema::{Epoch, load_epoch, load_merged, migrate, refuse_newer};
use super::writer::Writer;
use super::{FileKey, IndexError, StoredBody, Version};
use crate::blobs::BlobId;

const FIND_FILE: &str = "
SELECT f.size, f.etag, f.content_type, f.modified_ms, f.digest, b.data
FROM buckets k
JOIN files f ON f.bucket = k.id
LEFT JOIN bodies b ON b.id = f.body
WHERE k.address = ?1 AND f.path = ?2";

const FIND_TAG: &str = "
SELECT f.etag FROM files f
WHERE f.bucket = (SELECT id FROM buckets WHERE address = ?1) AND f.path = ?2";

/// The time before which each bucket's tokens are refused. Kept in memory as well, because every
/// request asks; the commit thread adds to it after the value is durable and before it answers.
#[derive(Debug, Default)]
pub(crate) struct Revocations(RwLock<BTreeMap<Address, u64>>);

impl Revocations {
    /// The oldest issue time that the bucket still accepts; zero when nothing was revoked.
    pub(crate) fn oldest_valid(&self, bucket: &Address) -> u64 {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        known.get(bucket).copied().unwrap_or(0)
    }

    pub(crate) fn raise(&self, bucket: &Address, oldest_valid: u64) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let entry = known.entry(*bucket).or_insert(0);
        *entry = oldest_valid.max(*entry);
    }
}

/// The reading half of the index; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Index(Arc<Readers>);

#[derive(Debug)]
struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
    permits_max: u32,
    revocations: Arc<Revocations>,
    epoch: Epoch,
    cache: Arc<Cache>,
    pending: Arc<Pending>,
}

/// An index that was opened, and what may change it.
pub(crate) struct Opened {
    pub(crate) index: Index,
    /// Decides.
    pub(crate) writer: Writer,
    /// Brings into the database what was decided.
    pub(crate) merger: Merger,
}

impl Index {
    /// Opens the index at `path`, creating it if need be, and brings the database to the end of
    /// the log. What was removed is remembered for `keep_removals`.
    pub(crate) fn open(
        path: &Path,
        readers: usize,
        keep_removals: Duration,
    ) -> Result<Opened, IndexError> {
        let mut connection = Connection::open(path)?;
        configure_writer(&connection)?;
        migrate(path, &mut connection)?;
        let epoch = load_epoch(&connection)?;
        let folder = log::folder_of(path);
        let unmerged = Frames::read(&folder, epoch)?.since(&folder, load_merged(&connection)?)?;
        catch_up(&mut connection, &unmerged)?;
        let merged = load_merged(&connection)?;
        let log = Log::begin(&folder, epoch, merged)?;
        let index = Self(Arc::new(Readers {
            path: path.to_owned(),
            idle: Mutex::new(Vec::new()),
            permits: Arc::new(Semaphore::new(readers)),
            permits_max: u32::try_from(readers).unwrap_or(u32::MAX),
            revocations: Arc::new(load_revocations(&connection)?),
            epoch,
            cache: Arc::new(Cache::new()),
            pending: Arc::new(Pending::after(merged)),
        }));
        let mut merger = Merger::new(&index, connection, log.closed(), keep_removals);
        merger.forget_old()?;
        let writer = Writer::new(&index, open_reader(path)?, Paths::start(path)?, log);
        Ok(Opened {
            index,
            writer,
            merger,
        })
    }

    /// What is not in the database yet.
    pub(super) fn pending(&self) -> &Arc<Pending> {
        &self.0.pending
    }

    /// Has the database brought to where it has everything up to a frame.
    pub(crate) async fn merge_until(&self, frame: u64) -> Result<(), IndexError> {
        self.pending().merge_until(frame).await
    }

    pub(crate) fn revocations(&self) -> &Arc<Revocations> {
        &self.0.revocations
    }

    /// The identity of this index's history.
    pub(super) fn epoch(&self) -> &Epoch {
        &self.0.epoch
    }

    /// The versions that are kept in memory.
    pub(super) fn cache(&self) -> &Arc<Cache> {
        &self.0.cache
    }

    /// The current version of a path, with an inline body if it has one, as of one moment.
    pub(crate) async fn find(&self, key: &FileKey) -> Result<Option<Arc<Version>>, IndexError> {
        if let Some(entry) = self.pending().find(key) {
            return Ok(entry.into_version());
        }
        let ticket = match self.cache().look(key) {
            Looked::Found(version) => return Ok(Some(version)),
            Looked::Missing(ticket) => ticket,
        };
        let (cache, key) = (Arc::clone(self.cache()), key.clone());
        self.read(move |connection| {
            let Some(version) = find_version(connection, &key)? else {
                return Ok(None);
            };
            let version = Arc::new(version);
            if version.is_whole {
                cache.keep(&ticket, key, &version);
            }
            Ok(Some(version))
        })
        .await
    }

    /// The current versions of the first of these paths, in their order and as of one moment: at
    /// least one if there are any, and no more once inline bodies of `bytes_max` have been found.
    /// A key that is none has no version.
    pub(crate) async fn find_many(
        &self,
        keys: Vec<Option<FileKey>>,
        bytes_max: usize,
    ) -> Result<Vec<Option<Arc<Version>>>, IndexError> {
        let pending = Arc::clone(self.pending());
        self.read(move |connection| {
            let (moment, entries) = pending.beside(connection, |layers| {
                let known = keys.iter().flatten();
                let entries = known.map(|key| layers.file(&key.bucket, &key.path).cloned());
                entries.collect::<Vec<_>>()
            })?;
            let mut entries = entries.into_iter();
            let (mut found, mut bytes) = (Vec::new(), 0);
            for key in keys {
                if bytes >= bytes_max {
                    break;
                }
                let Some(key) = key else {
                    found.push(None);
                    continue;
                };
                let version = match entries.next().flatten() {
                    Some(entry) => entry.into_version(),
                    None => find_version(&moment, &key)?.map(Arc::new),
                };
                if let Some(StoredBody::Inline(body)) = version.as_ref().map(|one| &one.body) {
                    bytes += body.len();
                }
                found.push(version);
            }
            Ok(found)
        })
        .await
    }

    /// The tag of a path's current version.
    pub(crate) async fn find_tag(&self, key: FileKey) -> Result<Option<ETag>, IndexError> {
        if let Some(entry) = self.pending().find(&key) {
            return Ok(entry.into_version().map(|version| version.etag.clone()));
        }
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(FIND_TAG)?;
            let mut rows = statement.query((key.bucket.as_str(), key.path.as_str()))?;
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            stored_etag(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?).map(Some)
        })
        .await
    }

    /// Whether any version of any bucket has its bytes in this blob.
    pub(crate) fn is_referenced(connection: &Connection, blob: BlobId) -> Result<bool, IndexError> {
        let mut statement = connection
            .prepare_cached("SELECT 1 FROM files WHERE digest = ?1 AND body IS NULL LIMIT 1")?;
        Ok(statement.exists([blob.as_bytes().as_slice()])?)
    }

    /// Waits for queries under way and closes the reading connections; more are refused. Only
    /// when the writing connection is the last to go does it leave one tidy file behind.
    pub(crate) async fn close(&self) {
        let all = self.0.permits.acquire_many(self.0.permits_max).await;
        self.0.permits.close();
        drop(all);
        self.0
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Runs a query on a reading connection, off the async threads.
    pub(crate) async fn read<T, F>(&self, query: F) -> Result<T, IndexError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, IndexError> + Send + 'static,
    {
        let readers = Arc::clone(&self.0);
        // The permit bounds connections, and with them the blocking threads that queries take.
        // It goes with the query, which runs on even if nobody waits for it any more.
        let permits = Arc::clone(&self.0.permits);
        let permit = permits
            .acquire_owned()
            .await
            .map_err(|_| IndexError::Stopping)?;
        let answer = tokio::task::spawn_blocking(move || {
            let connection = readers.take()?;
            let answer = query(&connection);
            readers.give_back(connection);
            drop(permit);
            answer
        })
        .await;
        answer.unwrap_or(Err(IndexError::Stopping))
    }
}

impl Readers {
    fn take(&self) -> Result<Connection, IndexError> {
        let idle = self
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop();
        match idle {
            Some(connection) => Ok(connection),
            None => open_reader(&self.path),
        }
    }

    fn give_back(&self, connection: Connection) {
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(connection);
    }
}

/// Opens an index for reading that another process may be writing.
///
/// The files that SQLite keeps beside a database in use are made if need be; where that cannot
/// be, nobody can be writing either, and the database is read as it is.
pub(crate) fn open_beside(path: &Path) -> Result<Connection, IndexError> {
    let read = |connection: &Connection| {
        connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
    };
    let mut connection = open_reader(path)?;
    let found = match read(&connection) {
        Err(error)
            if error.sqlite_error_code() == Some(ErrorCode::CannotOpen) && !has_log(path) =>
        {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            let name = percent_encoding::percent_encode(
                path.as_os_str().as_encoded_bytes(),
                percent_encoding::NON_ALPHANUMERIC,
            );
            connection = Connection::open_with_flags(format!("file:{name}?immutable=1"), flags)?;
            read(&connection)?
        }
        found => found?,
    };
    refuse_newer(path, found)?;
    Ok(connection)
}

/// Whether there is an index with anything in it. A hub that is killed while it starts for the
/// first time leaves a database without tables. One that cannot be read is something.
pub(crate) fn is_made(path: &Path) -> bool {
    if !std::fs::metadata(path).is_ok_and(|about| about.len() > 0) {
        return false;
    }
    let format = open_beside(path).and_then(|connection| {
        let format = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
        Ok(format)
    });
    !matches!(format, Ok(0_i64))
}

/// Whether changes wait beside the database, which cannot be read without them.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).is_ok_and(|about| about.len() > 0)
}

pub(super) fn open_reader(path: &Path) -> Result<Connection, IndexError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "cache_size", -16 * 1024)?;
    Ok(connection)
}

fn configure_writer(connection: &Connection) -> Result<(), IndexError> {
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    // Checkpoints cost their own fsync: fewer and larger ones suit many small commits.
    connection.pragma_update(None, "wal_autocheckpoint", 16_000)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    connection.pragma_update(None, "cache_size", -32 * 1024)?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(())
}

fn load_revocations(connection: &Connection) -> Result<Revocations, IndexError> {
    let mut statement =
        connection.prepare("SELECT address, oldest_valid FROM buckets WHERE oldest_valid > 0")?;
    let mut rows = statement.query(())?;
    let revocations = Revocations::default();
    while let Some(row) = rows.next()? {
        let address = Address::parse(row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?)
            .map_err(|_| IndexError::Damaged("a bucket's name is not an address"))?;
        revocations.raise(&address, unsigned(row.get(1)?)?);
    }
    Ok(revocations)
}

/// The version of a path in the database.
pub(super) fn find_version(
    connection: &Connection,
    key: &FileKey,
) -> Result<Option<Version>, IndexError> {
    let mut statement = connection.prepare_cached(FIND_FILE)?;
    let mut rows = statement.query((key.bucket.as_str(), key.path.as_str()))?;
    rows.next()?.map(version_of).transpose()
}

fn version_of(row: &Row<'_>) -> Result<Version, IndexError> {
    let etag: String = row.get(1)?;
    let digest: [u8; 32] = row.get(4)?;
    let digest = BlobId::new(digest);
    let body = match row.get::<_, Option<Vec<u8>>>(5)? {
        Some(bytes) => StoredBody::Inline(Bytes::from(bytes)),
        None => StoredBody::Blob(digest),
    };
    Ok(Version {
        size: unsigned(row.get(0)?)?,
        etag: stored_etag(&etag)?,
        content_type: row.get(2)?,
        modified_ms: row.get(3)?,
        digest,
        is_whole: body.is_whole(digest),
        body,
    })
}

pub(super) fn stored_etag(text: &str) -> Result<ETag, IndexError> {
    ETag::parse(text).ok_or(IndexError::Damaged("a stored tag is not a tag"))
}

pub(super) fn unsigned(value: i64) -> Result<u64, IndexError> {
    u64::try_from(value).map_err(|_| IndexError::Damaged("a stored number is negative"))
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The index keeps numbers as SQLite does, signed; sizes and times beyond that do not occur.
pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
