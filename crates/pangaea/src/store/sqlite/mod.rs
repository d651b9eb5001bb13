//! The durable store of native programs: one SQLite database in WAL mode, and a folder of files
//! for content that is too large for it. One process at a time writes, held apart by a lock file;
//! others may look on.
//!
//! ```text
//! replica.db     rows and small content (beside it -wal and -shm while it is open)
//! content/ab/…   large content by digest
//! staging/       files that are being made; emptied when the store is opened
//! lock           locked by the process that writes
//! ```

mod files;
mod garbage;
mod rows;
mod schema;
mod worker;

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::fs::File;
use std::fs::TryLockError;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use pangaea_core::commit::HistoryRow;
use pangaea_core::commit::LogRow;
use pangaea_core::version::ContentHash;
use rusqlite::Connection;

use self::files::ContentFolder;
use self::worker::Worker;
use crate::body::Body;
use crate::store::HistoryLimit;
use crate::store::INLINE_BYTES_MAX;
use crate::store::Loaded;
use crate::store::RowQuery;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::Transaction;

/// A replica's data in a folder of its own.
///
/// Dropping it waits for work under way, closes the database and frees the lock.
pub struct SqliteStore {
    folder: PathBuf,
    reader: Worker<Connection>,
    /// None if the store was opened for reading only.
    writing: Option<Writing>,
}

/// The threads that write. The one with the lock comes last, since fields are dropped in order.
struct Writing {
    files: Worker<ContentFolder>,
    database: Worker<Writer>,
}

/// The connection that writes, and the lock that goes with it. Fields are dropped in order.
struct Writer {
    connection: Connection,
    _lock: File,
}

impl SqliteStore {
    /// Opens the store in `folder`, making both if need be, and keeps all others from writing.
    ///
    /// # Errors
    /// [`StoreError::InUse`] if another program has it open, [`StoreError::Newer`],
    /// [`StoreError::Damaged`], or [`StoreError::Io`].
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let folder = folder.into();
        create_private(&folder).map_err(|error| StoreError::io("making the folder", error))?;
        let lock = lock(&folder)?;
        let is_new = !database_of(&folder).exists();
        let connection = schema::open_writer(&database_of(&folder))?;
        if is_new {
            files::sync_folder(&folder)
                .map_err(|error| StoreError::io("making the folder durable", error))?;
        }
        let content = ContentFolder::new(&folder);
        content
            .prepare()
            .map_err(|error| StoreError::io("emptying the staging folder", error))?;
        let reader = Worker::start("pangaea-read", schema::open_reader(&database_of(&folder))?)?;
        let writer = Writer {
            connection,
            _lock: lock,
        };
        let writing = Writing {
            files: Worker::start("pangaea-files", content)?,
            database: Worker::start("pangaea-write", writer)?,
        };
        Ok(Self {
            folder,
            reader,
            writing: Some(writing),
        })
    }

    /// Opens the store in `folder` for looking only, also while another program writes to it. Each
    /// call of the store then sees the newest state; those that would change it fail with
    /// [`StoreError::ReadOnly`].
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none, and the same as [`SqliteStore::open`] but for
    /// [`StoreError::InUse`].
    pub fn open_read_only(folder: impl Into<PathBuf>) -> Result<Self, StoreError> {
        let folder = folder.into();
        if !Self::is_at(&folder) {
            return Err(StoreError::Missing);
        }
        let reader = Worker::start("pangaea-read", schema::open_reader(&database_of(&folder))?)?;
        Ok(Self {
            folder,
            reader,
            writing: None,
        })
    }

    /// Whether `folder` holds a store.
    pub fn is_at(folder: &Path) -> bool {
        database_of(folder).is_file()
    }

    fn writing(&self) -> Result<&Writing, StoreError> {
        self.writing.as_ref().ok_or(StoreError::ReadOnly)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn load(&self) -> Result<Loaded, StoreError> {
        self.reader.run(rows::load).await
    }

    async fn commit(&self, mut transaction: Transaction) -> Result<(), StoreError> {
        let writing = self.writing()?;
        let is_large = |(_, bytes): &mut (ContentHash, Bytes)| bytes.len() > INLINE_BYTES_MAX;
        let large: Vec<_> = transaction.contents.extract_if(.., is_large).collect();
        for (hash, bytes) in large {
            self.adopt(hash, Body::Bytes(bytes)).await?;
        }
        writing
            .database
            .run(move |writer| rows::commit(&mut writer.connection, &transaction))
            .await
    }

    async fn content(&self, hash: ContentHash) -> Result<Option<Body>, StoreError> {
        let file = files::content_file(&self.folder, hash);
        self.reader
            .run(move |connection| {
                if let Some(bytes) = rows::content(connection, hash)? {
                    return Ok(Some(Body::Bytes(bytes)));
                }
                match fs::metadata(&file) {
                    Ok(metadata) => Ok(Some(Body::File {
                        path: file,
                        size: metadata.len(),
                    })),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(StoreError::io("reading content", error)),
                }
            })
            .await
    }

    async fn adopt(&self, hash: ContentHash, body: Body) -> Result<(), StoreError> {
        let writing = self.writing()?;
        let inline = body.size() <= INLINE_BYTES_MAX as u64;
        let bytes = writing
            .files
            .run(move |files| match body {
                Body::Bytes(bytes) => adopt_bytes(files, hash, bytes, inline),
                Body::File { path, .. } if inline => {
                    let bytes = fs::read(&path)
                        .map_err(|error| StoreError::io("reading new content", error))?;
                    let bytes = adopt_bytes(files, hash, bytes.into(), inline)?;
                    files.discard(&path);
                    Ok(bytes)
                }
                Body::File { path, .. } => {
                    files.adopt_file(hash, &path)?;
                    Ok(None)
                }
            })
            .await?;
        let Some(bytes) = bytes else { return Ok(()) };
        writing
            .database
            .run(move |writer| rows::insert_content(&writer.connection, hash, &bytes))
            .await
    }

    fn staging(&self) -> Option<PathBuf> {
        self.writing
            .is_some()
            .then(|| files::staging_of(&self.folder))
    }

    async fn history(&self, query: RowQuery) -> Result<Vec<HistoryRow>, StoreError> {
        self.reader
            .run(move |connection| rows::history(connection, &query))
            .await
    }

    async fn log(&self, query: RowQuery) -> Result<Vec<LogRow>, StoreError> {
        self.reader
            .run(move |connection| rows::log(connection, &query))
            .await
    }

    async fn prune_history(&self, limit: HistoryLimit) -> Result<(), StoreError> {
        self.writing()?
            .database
            .run(move |writer| garbage::prune(&mut writer.connection, limit))
            .await
    }

    async fn collect_garbage(&self, keep: &[ContentHash]) -> Result<(), StoreError> {
        let writing = self.writing()?;
        let keep = keep.to_vec();
        // Content adopted after the first step is not looked at, whatever the second one finds.
        let files = writing.files.run(ContentFolder::begin_collection).await?;
        let unnamed = writing
            .database
            .run(move |writer| garbage::collect(&mut writer.connection, &keep, &files))
            .await?;
        writing
            .files
            .run(move |files| files.end_collection(&unnamed))
            .await
    }
}

/// Checks bytes, and stores them in a file unless they are small enough for the database; then
/// they are given back.
fn adopt_bytes(
    files: &mut ContentFolder,
    hash: ContentHash,
    bytes: Bytes,
    inline: bool,
) -> Result<Option<Bytes>, StoreError> {
    if ContentHash::of(&bytes) != hash {
        return Err(StoreError::wrong_digest());
    }
    if inline {
        return Ok(Some(bytes));
    }
    files.adopt_bytes(hash, &bytes)?;
    Ok(None)
}

fn database_of(folder: &Path) -> PathBuf {
    folder.join("replica.db")
}

/// Makes the folder so that only its owner can look inside: it holds plain content.
fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn lock(folder: &Path) -> Result<File, StoreError> {
    const CONTEXT: &str = "locking the replica";
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(folder.join("lock"))
        .map_err(|error| StoreError::io(CONTEXT, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse),
        Err(TryLockError::Error(error)) => Err(StoreError::io(CONTEXT, error)),
    }
}
