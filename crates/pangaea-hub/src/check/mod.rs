//! Checking a data folder: every digest, every reference, and what the index promises of itself.
//!
//! It only reads, in pages, so it may run beside a hub that serves: whatever looks wrong is looked
//! up again before it is called wrong, because the hub may have replaced it in the meantime. `rows`
//! reads the index, this module looks at the folder. Nothing is repaired here.

mod rows;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use gaia::etag::ETagHasher;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::blobs::{BLOBS_FOLDER, BlobId, STAGING_FOLDER, blob_path, folder_of};
use crate::folder::has_files;
use crate::index::{INDEX_FILE, IndexError, StoredBody, Waiting, is_made};
use rows::{Found, Reader, Row};

/// How much of a blob is read at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// Rows read in one go. Between two, a hub that serves can truncate its log.
const PAGE_ROWS: usize = 256;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// What it is about.
    pub kind: ProblemKind,
    /// The bucket, if it concerns one.
    pub bucket: Option<String>,
    /// The path in the bucket, if it concerns a file.
    pub path: Option<String>,
    /// What is wrong, in words.
    pub message: String,
}

/// Kinds of [`Problem`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// The database file itself is damaged.
    Database,
    /// Rows contradict each other or what a hub writes.
    Index,
    /// A file's bytes are gone.
    Missing,
    /// A file's bytes are not those that were stored.
    Damaged,
    /// A file's bytes cannot be read.
    Unreadable,
}

/// What a check or a backup tells while it goes on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FolderEvent {
    /// So many bytes of so many are done.
    Progress {
        /// Bytes of files checked, or of blobs that are in the backup.
        done: u64,
        /// Bytes that there are to do.
        total: u64,
    },
    /// Something is wrong.
    Problem(Problem),
}

/// What a check came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CheckReport {
    /// Buckets that the index knows.
    pub buckets: u64,
    /// Files whose bytes were compared with their digests.
    pub files: u64,
    /// Bytes in these files.
    pub bytes: u64,
    /// What is wrong; each was told as it was found.
    pub problems: u64,
    /// Blobs that no file names. A hub collects them when it starts.
    pub unreferenced_blobs: u64,
    /// Bytes in these blobs.
    pub unreferenced_bytes: u64,
    /// Uploads under way, or left by a crash. A hub removes those when it starts.
    pub staged: u64,
    /// Files among the blobs that no hub has put there. They are left alone.
    pub foreign: u64,
}

/// Why a folder could not be checked at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// There is no index in the folder.
    #[error("{path} holds no hub: there is no {INDEX_FILE} in it")]
    NoHub {
        /// The folder.
        path: PathBuf,
    },
    /// The folder cannot be read.
    #[error("cannot read {path}: {source}")]
    Folder {
        /// What could not be read.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The index cannot be opened.
    #[error(transparent)]
    Index(#[from] IndexError),
}

/// Checks a data folder, with or without a hub that serves from it. Blocks; memory is bounded.
///
/// # Errors
/// [`CheckError`] when nothing could be checked; what is wrong with the data comes as
/// [`FolderEvent::Problem`].
pub fn check(folder: &Path, tell: &mut dyn FnMut(FolderEvent)) -> Result<CheckReport, CheckError> {
    let index = folder.join(INDEX_FILE);
    if !index.is_file() {
        return Err(CheckError::NoHub {
            path: folder.to_owned(),
        });
    }
    let mut check = Check {
        folder,
        report: CheckReport::default(),
        total: 0,
        tell,
    };
    if !is_made(&index) {
        let blobs = folder.join(BLOBS_FOLDER);
        if blobs.is_dir() && has_files(&blobs).unwrap_or(true) {
            check.database("the index is empty, and cannot be: there are blobs".into());
        }
        return Ok(check.report);
    }
    match Reader::open(&index) {
        Ok(reader) => check.run(&reader)?,
        Err(error @ IndexError::Corrupt(_)) => check.database(error.to_string()),
        Err(error) => return Err(error.into()),
    }
    Ok(check.report)
}

struct Check<'a> {
    folder: &'a Path,
    report: CheckReport,
    total: u64,
    tell: &'a mut dyn FnMut(FolderEvent),
}

/// What reading a file's bytes came to.
enum Bytes {
    Good,
    Bad(ProblemKind, String),
}

impl Check<'_> {
    fn run(&mut self, reader: &Reader) -> Result<(), CheckError> {
        let database = self.integrity(reader);
        let log = database.and_then(|()| reader.waiting());
        let rows = log.and_then(|waiting| self.invariants(reader, &waiting).map(|()| waiting));
        let files = rows.and_then(|waiting| {
            self.waiting_files(reader, &waiting)?;
            self.files(reader, &waiting)
        });
        if let Err(error) = files {
            // Half a database is still worth a word on the rest of it.
            self.database(error.to_string());
        }
        // A log that cannot be read has been told of.
        let waiting = reader.waiting().unwrap_or_default();
        self.blobs(reader, &waiting)?;
        self.staging()
    }

    fn problem(&mut self, kind: ProblemKind, place: Option<&Row>, message: impl Into<String>) {
        self.report.problems += 1;
        (self.tell)(FolderEvent::Problem(Problem {
            kind,
            bucket: place.map(|row| row.bucket.clone()),
            path: place.map(|row| row.path.clone()),
            message: message.into(),
        }));
    }

    fn database(&mut self, message: String) {
        self.problem(ProblemKind::Database, None, message);
    }

    fn integrity(&mut self, reader: &Reader) -> Result<(), IndexError> {
        for message in reader.integrity()? {
            self.database(format!("the index is damaged: {message}"));
        }
        Ok(())
    }

    fn invariants(&mut self, reader: &Reader, waiting: &Waiting) -> Result<(), IndexError> {
        let totals = reader.totals()?;
        self.report.buckets = totals.buckets;
        for bucket in waiting.buckets() {
            self.report.buckets += u64::from(!reader.knows(bucket)?);
        }
        self.total = totals.bytes;
        for broken in reader.broken_invariants()? {
            self.report.problems += 1;
            (self.tell)(FolderEvent::Problem(Problem {
                kind: ProblemKind::Index,
                bucket: broken.bucket,
                path: None,
                message: broken.message,
            }));
        }
        Ok(())
    }

    /// The files that are in the log only.
    fn waiting_files(&mut self, reader: &Reader, waiting: &Waiting) -> Result<(), IndexError> {
        for (bucket, path, seq, version) in waiting.files() {
            let row = Row::waiting(bucket, path, seq, version);
            let bytes = match &version.body {
                StoredBody::Inline(bytes) => {
                    compare(&row, version.digest, &mut bytes.as_ref(), |_| {})
                }
                StoredBody::Blob(id) => self.blob(&row, *id),
            };
            self.checked(&row);
            if let Bytes::Bad(kind, message) = bytes
                // What is neither in the log nor in the database any more has been replaced.
                && (reader.names(version.digest)? || reader.waiting()?.names(version.digest))
            {
                self.problem(kind, Some(&row), message);
            }
        }
        Ok(())
    }

    fn checked(&mut self, row: &Row) {
        self.report.files += 1;
        self.report.bytes += u64::try_from(row.size).unwrap_or(0);
        (self.tell)(FolderEvent::Progress {
            done: self.report.bytes,
            total: self.total.max(self.report.bytes),
        });
    }

    /// The files in the database, but for those of which the log has another version.
    fn files(&mut self, reader: &Reader, waiting: &Waiting) -> Result<(), IndexError> {
        let mut after = None;
        loop {
            let page = reader.page(after.as_ref(), PAGE_ROWS)?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = Some((last.bucket_id, last.path.clone()));
            let rows = page.iter();
            for row in rows.filter(|row| !waiting.concerns(&row.bucket, &row.path)) {
                self.file(reader, row)?;
            }
        }
    }

    fn file(&mut self, reader: &Reader, row: &Row) -> Result<(), IndexError> {
        for message in row.faults() {
            self.problem(ProblemKind::Index, Some(row), message);
        }
        let bytes = match row.digest() {
            None => Bytes::Good,
            Some(id) if row.body.is_none() => self.blob(row, id),
            Some(id) => match reader.body(row)? {
                Found::Bytes(bytes) => compare(row, id, &mut bytes.as_slice(), |_| {}),
                Found::Nothing => Bytes::Bad(
                    ProblemKind::Missing,
                    "its bytes are not in the index".into(),
                ),
            },
        };
        self.checked(row);
        if let Bytes::Bad(kind, message) = bytes
            && reader.is_current(row)?
        {
            self.problem(kind, Some(row), message);
        }
        Ok(())
    }

    /// Compares a blob with the row that names it.
    fn blob(&mut self, row: &Row, id: BlobId) -> Bytes {
        let path = blob_path(&self.folder.join(BLOBS_FOLDER), id);
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Bytes::Bad(
                    ProblemKind::Missing,
                    format!("its bytes are gone: there is no blob {id}"),
                );
            }
            Err(error) => return unreadable(id, &error),
        };
        let (done, total) = (self.report.bytes, self.total);
        let tell = &mut self.tell;
        compare(row, id, &mut file, |read| {
            let done = done + read;
            let total = total.max(done);
            tell(FolderEvent::Progress { done, total });
        })
    }

    /// Counts the blobs that nothing names.
    fn blobs(&mut self, reader: &Reader, waiting: &Waiting) -> Result<(), CheckError> {
        let blobs = self.folder.join(BLOBS_FOLDER);
        if !blobs.is_dir() {
            self.problem(ProblemKind::Missing, None, "the folder of blobs is gone");
            return Ok(());
        }
        for first in 0..=u8::MAX {
            let folder = folder_of(&blobs, first);
            for entry in list(&folder)? {
                let name = entry.file_name();
                let Some(id) = name.to_str().and_then(BlobId::parse) else {
                    self.report.foreign += 1;
                    continue;
                };
                // Of a damaged index nothing can be said.
                if waiting.names(id) || reader.names(id).unwrap_or(true) {
                    continue;
                }
                // Gone by now: a hub at work has collected it.
                if let Ok(about) = entry.metadata() {
                    self.report.unreferenced_blobs += 1;
                    self.report.unreferenced_bytes += about.len();
                }
            }
        }
        Ok(())
    }

    fn staging(&mut self) -> Result<(), CheckError> {
        for _ in list(&self.folder.join(STAGING_FOLDER))? {
            self.report.staged += 1;
        }
        Ok(())
    }
}

/// Reads bytes to their end and compares them with what the row says of them.
fn compare(row: &Row, id: BlobId, bytes: &mut dyn io::Read, mut tell: impl FnMut(u64)) -> Bytes {
    let (mut sha256, mut md5, mut size) = (Sha256::new(), ETagHasher::new(), 0_u64);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = match bytes.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return unreadable(id, &error),
        };
        sha256.update(&piece[..read]);
        md5.update(&piece[..read]);
        size += read as u64;
        tell(size);
    }
    let damaged = |message: String| Bytes::Bad(ProblemKind::Damaged, message);
    if i64::try_from(size) != Ok(row.size) {
        return damaged(format!("it has {size} bytes instead of {}", row.size));
    }
    if BlobId::new(sha256.finalize().into()) != id {
        return damaged("its bytes are not those that were stored: the digest differs".into());
    }
    let etag = md5.finish();
    if etag.as_str() != row.etag {
        return damaged(format!("its tag is {}, and should be {etag}", row.etag));
    }
    Bytes::Good
}

fn unreadable(id: BlobId, error: &io::Error) -> Bytes {
    Bytes::Bad(
        ProblemKind::Unreadable,
        format!("its bytes cannot be read (blob {id}): {error}"),
    )
}

/// The entries of a folder, of which there are none if it is not there.
fn list(folder: &Path) -> Result<Vec<fs::DirEntry>, CheckError> {
    let failed = |source| CheckError::Folder {
        path: folder.to_owned(),
        source,
    };
    match fs::read_dir(folder) {
        Ok(entries) => entries.collect::<Result<_, _>>().map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}
