//! The data folder as a whole: who may use it, whether its parts are all there, and the pause of
//! the sweeper that a backup asks for. What is in the parts is the business of `blobs` and `index`.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::blobs::BLOBS_FOLDER;
use crate::error::HubError;
use crate::index::{INDEX_FILE, begin_new_history, is_made};

/// Held by the one process that may change the folder.
const LOCK_FILE: &str = "hub.lock";

/// Held alone while blobs are swept, and by many while they copy blobs.
const SWEEP_FILE: &str = "sweep.lock";

/// Marks a folder that is a backup and that no hub has served from.
pub(crate) const BACKUP_FILE: &str = "backup.json";

/// Takes the folder for this process, until the file is closed.
pub(crate) fn lock(folder: &Path) -> Result<File, HubError> {
    let path = folder.to_owned();
    let file = match lock_file(&folder.join(LOCK_FILE)) {
        Ok(file) => file,
        Err(source) => return Err(HubError::DataDir { path, source }),
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(HubError::InUse { path }),
        Err(TryLockError::Error(source)) => Err(HubError::DataDir { path, source }),
    }
}

/// Refuses a folder of which a part is gone: a hub that made an empty one in its place would
/// take all files for deleted, and would remove their bytes as well.
pub(crate) fn refuse_half(folder: &Path) -> Result<(), HubError> {
    let half = |missing| {
        Err(HubError::Incomplete {
            path: folder.to_owned(),
            missing,
        })
    };
    let failed = |source| HubError::DataDir {
        path: folder.to_owned(),
        source,
    };
    let has_index = is_made(&folder.join(INDEX_FILE));
    let blobs = folder.join(BLOBS_FOLDER);
    if has_index {
        return if blobs.is_dir() {
            Ok(())
        } else {
            half(BLOBS_FOLDER)
        };
    }
    if blobs.is_dir() && has_files(&blobs).map_err(failed)? {
        return half(INDEX_FILE);
    }
    Ok(())
}

/// Whether there is any file among the blobs.
pub(crate) fn has_files(blobs: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(blobs)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() && fs::read_dir(entry.path())?.next().is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Says that this folder is a hub's own from now on, and no backup that a later one may replace.
/// Those who followed the original are told to begin anew: this hub goes on otherwise.
pub(crate) fn adopt_backup(folder: &Path) -> Result<(), HubError> {
    let mark = folder.join(BACKUP_FILE);
    let failed = |source| HubError::DataDir {
        path: folder.to_owned(),
        source,
    };
    if !mark.try_exists().map_err(failed)? {
        return Ok(());
    }
    begin_new_history(&folder.join(INDEX_FILE))?;
    fs::remove_file(mark).map_err(failed)?;
    tracing::info!("this folder was a backup; it is the hub's own from now on");
    Ok(())
}

/// Keeps sweeping and copying of blobs apart, across processes.
#[derive(Debug)]
pub(crate) struct SweepLock {
    path: PathBuf,
    file: File,
}

/// Leave to sweep, or not to be swept, until dropped.
#[derive(Debug)]
pub(crate) struct SweepGuard<'a>(&'a File);

impl SweepLock {
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(SWEEP_FILE);
        let file = lock_file(&path)?;
        Ok(Self { path, file })
    }

    /// Leave to remove blobs, unless somebody is copying them.
    pub(crate) fn try_sweep(&self) -> io::Result<Option<SweepGuard<'_>>> {
        match self.file.try_lock() {
            Ok(()) => Ok(Some(SweepGuard(&self.file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Keeps every blob that is there now or comes, whether or not it is used.
    pub(crate) fn pause(&self) -> io::Result<SweepGuard<'_>> {
        tracing::debug!(path = %self.path.display(), "sweeping pauses");
        self.file.lock_shared()?;
        Ok(SweepGuard(&self.file))
    }
}

impl Drop for SweepGuard<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "could not unlock the blobs");
        }
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
}
