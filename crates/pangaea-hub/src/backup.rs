//! Copying a data folder, also while a hub serves from it.
//!
//! The index is copied as of one moment, then the blobs that the copy names, each compared with
//! its digest on the way. Blobs never change, and a hub removes none while a backup is at work,
//! so what the index names can be copied after it. A first backup is made beside its place and
//! renamed when it is whole; a later one adds blobs, then replaces the index in one step, then
//! removes what only the old index named: at every moment the folder is a whole backup, the old
//! one or the new one.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::blobs::{BLOBS_FOLDER, BlobId, STAGING_FOLDER, blob_path, folder_of, sync_folder};
use crate::check::{FolderEvent, Problem, ProblemKind};
use crate::error::HubError;
use crate::folder::{BACKUP_FILE, SweepLock, lock};
use crate::index::{
    CopyError, INDEX_FILE, IndexCopy, IndexError, NamedBlob, companions, is_made,
    remove_with_companions,
};

/// How much of a blob is copied at a time.
const PIECE_BYTES: usize = 256 * 1024;

/// What a backup came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BackupReport {
    /// Files in the backup.
    pub files: u64,
    /// Blobs that were copied.
    pub copied_blobs: u64,
    /// Bytes in these blobs.
    pub copied_bytes: u64,
    /// Blobs that an earlier backup had there already.
    pub kept_blobs: u64,
    /// Blobs that the earlier backup had and this one does not need.
    pub removed_blobs: u64,
    /// What could not be copied; each was told as it was found.
    pub problems: u64,
}

/// Why there is no new backup. An earlier one is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// There is no index in the folder.
    #[error("{path} holds no hub: there is no {INDEX_FILE} in it")]
    NoHub {
        /// The folder.
        path: PathBuf,
    },
    /// The target holds something else.
    #[error(
        "{path} is there already and is no backup; name a new folder, or one that a backup was \
         made to and no hub has served from"
    )]
    NotABackup {
        /// The target.
        path: PathBuf,
    },
    /// The target lies inside the hub's folder.
    #[error("{path} is inside the hub's own folder; a backup belongs elsewhere, on another disk")]
    Inside {
        /// The target.
        path: PathBuf,
    },
    /// Another backup is being made there, or a hub uses it.
    #[error(transparent)]
    Target(#[from] HubError),
    /// An index cannot be read or written.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The disk failed.
    #[error("the backup failed at {path}: {source}")]
    Disk {
        /// Where.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Copies the hub's data folder to the folder `to`, or brings the backup that is there up to date.
/// Blocks; memory is bounded.
///
/// # Errors
/// [`BackupError`]; damage in the original comes as [`FolderEvent::Problem`] instead, and what is
/// not damaged is copied.
pub fn backup(
    folder: &Path,
    to: &Path,
    tell: &mut dyn FnMut(FolderEvent),
) -> Result<BackupReport, BackupError> {
    if !is_made(&folder.join(INDEX_FILE)) {
        return Err(BackupError::NoHub {
            path: folder.to_owned(),
        });
    }
    refuse_inside(folder, to)?;
    let place = Place::of(to)?;
    let work = place.work();
    at(work, fs::create_dir_all(work))?;
    let locked = lock(work)?;
    let mut backup = Backup {
        from: folder,
        work,
        report: BackupReport::default(),
        done: 0,
        tell,
    };
    backup.run()?;
    place.show()?;
    drop(locked);
    Ok(backup.report)
}

fn at<T>(path: &Path, outcome: io::Result<T>) -> Result<T, BackupError> {
    outcome.map_err(|source| BackupError::Disk {
        path: path.to_owned(),
        source,
    })
}

fn refuse_inside(folder: &Path, to: &Path) -> Result<(), BackupError> {
    let own = at(folder, folder.canonicalize())?;
    let absolute = at(to, std::path::absolute(to))?;
    let existing = absolute
        .ancestors()
        .find_map(|path| path.canonicalize().ok());
    if existing.is_some_and(|path| path.starts_with(&own)) {
        return Err(BackupError::Inside {
            path: to.to_owned(),
        });
    }
    Ok(())
}

/// Where a backup is made, and where it is to be.
enum Place {
    /// In the earlier backup.
    Update(PathBuf),
    /// Beside its place, until it is whole.
    New { partial: PathBuf, to: PathBuf },
}

impl Place {
    fn of(to: &Path) -> Result<Self, BackupError> {
        let not_ours = || BackupError::NotABackup {
            path: to.to_owned(),
        };
        let is_empty = match fs::read_dir(to) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => true,
            Err(error) => return at(to, Err(error)),
        };
        if !is_empty {
            let is_backup = to.join(BACKUP_FILE).is_file() && to.join(INDEX_FILE).is_file();
            // Changes that wait beside the index are somebody's who used it.
            let waits = |path: &PathBuf| fs::metadata(path).is_ok_and(|about| about.len() > 0);
            let changes = companions(&to.join(INDEX_FILE))
                .filter(|path| path.extension().is_none_or(|name| name != "sqlite3-shm"))
                .find(waits);
            return match changes {
                None if is_backup => Ok(Self::Update(to.to_owned())),
                _ => Err(not_ours()),
            };
        }
        let mut name = to.file_name().ok_or_else(not_ours)?.to_owned();
        name.push(".partial");
        Ok(Self::New {
            partial: to.with_file_name(name),
            to: to.to_owned(),
        })
    }

    fn work(&self) -> &Path {
        match self {
            Self::Update(folder) => folder,
            Self::New { partial, .. } => partial,
        }
    }

    /// Puts a whole backup into its place.
    fn show(&self) -> Result<(), BackupError> {
        let Self::New { partial, to } = self else {
            return Ok(());
        };
        at(to, fs::rename(partial, to))?;
        let absolute = at(to, std::path::absolute(to))?;
        match absolute.parent() {
            Some(parent) => at(parent, sync_folder(parent)),
            None => Ok(()),
        }
    }
}

struct Backup<'a> {
    from: &'a Path,
    work: &'a Path,
    report: BackupReport,
    done: u64,
    tell: &'a mut dyn FnMut(FolderEvent),
}

/// What copying one blob came to.
enum Copied {
    Whole,
    Unusable(ProblemKind, String),
}

impl Backup<'_> {
    fn run(&mut self) -> Result<(), BackupError> {
        let sweeps = at(self.from, SweepLock::open(self.from))?;
        let paused = at(self.from, sweeps.pause())?;
        let fresh = self.work.join("index.new");
        let copy = match IndexCopy::make(&self.from.join(INDEX_FILE), &fresh) {
            Ok(copy) => copy,
            Err(CopyError::Index(error)) => return Err(error.into()),
            Err(CopyError::Disk(source)) => return at(&fresh, Err(source)),
        };
        self.blobs(&copy)?;
        drop(paused);
        self.install(&fresh)?;
        self.remove_unnamed(&copy)
    }

    /// Brings the blobs that the copy names.
    fn blobs(&mut self, copy: &IndexCopy) -> Result<(), BackupError> {
        let extent = copy.extent()?;
        self.report.files = extent.files;
        let staging = self.work.join(STAGING_FOLDER);
        if staging.exists() {
            at(&staging, fs::remove_dir_all(&staging))?;
        }
        at(&staging, fs::create_dir_all(&staging))?;
        let blobs = self.work.join(BLOBS_FOLDER);
        for first in 0..=u8::MAX {
            let folder = folder_of(&blobs, first);
            at(&folder, fs::create_dir_all(&folder))?;
        }
        copy.for_each_blob(|blob| self.blob(copy, blob, extent.blob_bytes))?;
        for first in 0..=u8::MAX {
            let folder = folder_of(&blobs, first);
            at(&folder, sync_folder(&folder))?;
        }
        at(&blobs, sync_folder(&blobs))
    }

    fn blob(&mut self, copy: &IndexCopy, blob: NamedBlob, total: u64) -> Result<(), BackupError> {
        let target = blob_path(&self.work.join(BLOBS_FOLDER), blob.id);
        if fs::metadata(&target).is_ok_and(|about| about.len() == blob.size) {
            self.report.kept_blobs += 1;
        } else if let Copied::Unusable(kind, message) = self.copy_blob(blob, &target)? {
            let user = copy.user_of(blob.id)?;
            let (bucket, path) = user.unzip();
            self.report.problems += 1;
            (self.tell)(FolderEvent::Problem(Problem {
                kind,
                bucket,
                path,
                message,
            }));
        } else {
            self.report.copied_blobs += 1;
            self.report.copied_bytes += blob.size;
        }
        self.done += blob.size;
        let done = self.done;
        (self.tell)(FolderEvent::Progress { done, total });
        Ok(())
    }

    fn copy_blob(&mut self, blob: NamedBlob, target: &Path) -> Result<Copied, BackupError> {
        let source = blob_path(&self.from.join(BLOBS_FOLDER), blob.id);
        let unreadable = |error: &io::Error| {
            let message = format!("its bytes cannot be read (blob {}): {error}", blob.id);
            Ok(Copied::Unusable(ProblemKind::Unreadable, message))
        };
        let mut original = match File::open(&source) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let message = format!("its bytes are gone: there is no blob {}", blob.id);
                return Ok(Copied::Unusable(ProblemKind::Missing, message));
            }
            Err(error) => return unreadable(&error),
        };
        let staged = self.work.join(STAGING_FOLDER).join("0");
        let mut file = at(&staged, File::create(&staged))?;
        let mut sha256 = Sha256::new();
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let read = match original.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return unreadable(&error),
            };
            sha256.update(&piece[..read]);
            at(&staged, file.write_all(&piece[..read]))?;
        }
        if BlobId::new(sha256.finalize().into()) != blob.id {
            let message = "its bytes are not those that were stored: the digest differs".into();
            return Ok(Copied::Unusable(ProblemKind::Damaged, message));
        }
        at(&staged, file.sync_all())?;
        at(target, fs::rename(&staged, target))?;
        Ok(Copied::Whole)
    }

    /// Makes the copied index the backup's: from here on it is the new backup.
    fn install(&self, fresh: &Path) -> Result<(), BackupError> {
        let index = self.work.join(INDEX_FILE);
        for companion in companions(&index) {
            at(&companion, remove_with_companions(&companion))?;
        }
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mark = serde_json::json!({ "backup": 1, "made_seconds": since.as_secs() });
        let marked = self.work.join(BACKUP_FILE);
        let new_mark = self.work.join("backup.new");
        at(&new_mark, write_durably(&new_mark, &mark.to_string()))?;
        at(&marked, fs::rename(&new_mark, &marked))?;
        at(&index, fs::rename(fresh, &index))?;
        at(self.work, sync_folder(self.work))
    }

    /// Removes the blobs that only the earlier backup named.
    fn remove_unnamed(&mut self, copy: &IndexCopy) -> Result<(), BackupError> {
        let blobs = self.work.join(BLOBS_FOLDER);
        for first in 0..=u8::MAX {
            let folder = folder_of(&blobs, first);
            for entry in at(&folder, fs::read_dir(&folder))? {
                let entry = at(&folder, entry)?;
                let Some(id) = entry.file_name().to_str().and_then(BlobId::parse) else {
                    continue;
                };
                if !copy.names(id)? {
                    at(&entry.path(), fs::remove_file(entry.path()))?;
                    self.report.removed_blobs += 1;
                }
            }
        }
        let staging = self.work.join(STAGING_FOLDER);
        at(&staging, fs::remove_dir_all(&staging))
    }
}

fn write_durably(path: &Path, text: &str) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
