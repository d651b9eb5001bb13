//! Files in the making: content is written where nobody looks, verified, and only then swapped
//! into the folder.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use gaia::path::FilePath;
use pangaea_core::version::ContentHash;
use pangaea_core::version::ContentHasher;

use super::MirrorError;
use super::disk;
use super::disk::Meta;
use super::disk::Spot;
use super::disk::TEMP_PREFIX;
use super::io_error;
use super::read;
use crate::body::Body;

/// Permission bits that are carried over to a file's successor.
const MODE_BITS: u32 = 0o777;

/// A folder in which files are made.
#[derive(Debug)]
pub(super) struct Bench {
    fd: OwnedFd,
    /// None: a folder of the user's, where our files have telling names and do not stay.
    path: Option<PathBuf>,
}

impl Bench {
    /// The staging folder.
    pub(super) fn staging(path: &Path) -> Result<Arc<Self>, MirrorError> {
        let opened =
            std::fs::canonicalize(path).and_then(|path| Ok((disk::open_folder_path(&path)?, path)));
        match opened {
            Ok((fd, path)) => Ok(Arc::new(Self {
                fd,
                path: Some(path),
            })),
            Err(source) => Err(io_error("open", path, source)),
        }
    }

    /// A folder of the user's, if the staging folder is on another disk.
    pub(super) fn beside(folder: &OwnedFd) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            fd: folder.try_clone()?,
            path: None,
        }))
    }

    /// Makes a file that was not there before.
    fn create(&self, made: &AtomicU64, kind: &str) -> io::Result<(File, OsString)> {
        loop {
            let name = self.fresh_name(made, kind);
            match disk::create_at(self.fd.as_fd(), &name) {
                Ok(file) => return Ok((file, name)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A name that was not given out before.
    pub(super) fn fresh_name(&self, made: &AtomicU64, kind: &str) -> OsString {
        let number = made.fetch_add(1, Ordering::Relaxed);
        let prefix = if self.path.is_some() {
            "mirror-"
        } else {
            TEMP_PREFIX
        };
        format!("{prefix}{kind}-{number}").into()
    }

    /// Makes all that was written to its disk survive a power cut.
    pub(super) fn sync(&self) -> io::Result<()> {
        disk::sync_disk_of(self.fd.as_fd())
    }
}

/// A file on a bench, removed with this value unless it was let go.
#[derive(Debug)]
pub(super) struct Made {
    bench: Arc<Bench>,
    name: OsString,
    kept: bool,
}

impl Made {
    pub(super) fn new(bench: Arc<Bench>, name: OsString) -> Self {
        Self {
            bench,
            name,
            kept: false,
        }
    }

    pub(super) fn spot(&self) -> Spot<'_> {
        Spot {
            folder: self.bench.fd.as_fd(),
            name: &self.name,
        }
    }

    pub(super) fn meta(&self) -> io::Result<Meta> {
        disk::meta_at(self.bench.fd.as_fd(), &self.name)
    }

    pub(super) fn open(&self) -> io::Result<File> {
        disk::open_file_at(self.bench.fd.as_fd(), &self.name)
    }

    /// Leaves what has this name where it is.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }

    /// Hands the file over to stay in the staging folder.
    pub(super) fn bring_home(self, home: &Arc<Bench>, made: &AtomicU64) -> io::Result<PathBuf> {
        if self.bench.path.is_some() {
            let place = self
                .bench
                .path
                .as_deref()
                .unwrap_or(Path::new(""))
                .join(&self.name);
            self.keep();
            return Ok(place);
        }
        let mut from = self.open()?;
        let (mut file, name) = home.create(made, "old")?;
        let copy = Self::new(home.clone(), name);
        io::copy(&mut from, &mut file)?;
        copy.bring_home(home, made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Err(error) = disk::remove_at(self.bench.fd.as_fd(), &self.name)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "a temporary file of the synced folder stays behind");
        }
    }
}

/// When content has to survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Durable {
    /// As soon as it is staged.
    Now,
    /// The caller sees to it for many files at once.
    Later,
}

/// Verified content, ready to be swapped in.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) file: Made,
    pub(super) placing: Placing,
}

/// What is known of a file that is put in place.
#[derive(Debug)]
pub(super) struct Placing {
    pub(super) meta: Meta,
    pub(super) hash: ContentHash,
    /// The caller's own file that this one is a second name of.
    source: Option<PathBuf>,
}

/// Writes content to the bench and verifies it.
pub(super) fn stage(
    bench: &Arc<Bench>,
    made: &AtomicU64,
    path: &FilePath,
    hash: ContentHash,
    body: &Body,
    durable: Durable,
) -> Result<Staged, MirrorError> {
    let failed = |source| MirrorError::Io {
        action: "write the content of",
        place: path.as_str().to_owned(),
        source,
    };
    let (file, made_file, found, source) = match body {
        Body::Bytes(bytes) => {
            let found = ContentHash::of(bytes);
            let (mut file, name) = bench.create(made, "new").map_err(failed)?;
            let made_file = Made::new(bench.clone(), name);
            file.write_all(bytes).map_err(failed)?;
            (file, made_file, found, None)
        }
        Body::File { path: from, size } => match adopt(bench, made, from).map_err(failed)? {
            Some((mut file, made_file)) => {
                let limit = size.saturating_add(1);
                let (found, _, _) = read::hash_stream(&mut file, limit).map_err(failed)?;
                (file, made_file, found, Some(from.clone()))
            }
            None => {
                let (mut file, name) = bench.create(made, "new").map_err(failed)?;
                let made_file = Made::new(bench.clone(), name);
                let found = copy_hashed(from, *size, &mut file).map_err(failed)?;
                (file, made_file, found, None)
            }
        },
    };
    if found != hash {
        return Err(MirrorError::WrongContent {
            path: path.clone(),
            expected: hash,
            found,
        });
    }
    // See `Stamp::written`: this clock is finer than the one that marks other programs' writes.
    file.set_modified(SystemTime::now()).map_err(failed)?;
    if durable == Durable::Now {
        file.sync_data().map_err(failed)?;
    }
    let meta = disk::meta_of(&file).map_err(failed)?;
    Ok(Staged {
        file: made_file,
        placing: Placing { meta, hash, source },
    })
}

/// Gives a finished file of the caller's in the staging folder a second name, which costs nothing
/// however large it is. Only if the folder's file will be the only one in the end: whoever edits
/// it must not edit anything else.
fn adopt(bench: &Arc<Bench>, made: &AtomicU64, from: &Path) -> io::Result<Option<(File, Made)>> {
    let in_staging = from
        .parent()
        .and_then(|parent| std::fs::canonicalize(parent).ok());
    if in_staging.is_none() || in_staging != bench.path {
        return Ok(None);
    }
    let meta = std::fs::symlink_metadata(from)?;
    if !meta.is_file() || meta.nlink() != 1 {
        return Ok(None);
    }
    let Some(folder) = bench.path.as_deref() else {
        return Ok(None);
    };
    let name = bench.fresh_name(made, "new");
    if std::fs::hard_link(from, folder.join(&name)).is_err() {
        return Ok(None);
    }
    let made_file = Made::new(bench.clone(), name);
    // A file made by others may have any mode; it gets that of a file made here.
    let (probe, probe_name) = bench.create(made, "mode")?;
    let probe_file = Made::new(bench.clone(), probe_name);
    let file = made_file.open()?;
    file.set_permissions(probe.metadata()?.permissions())?;
    drop(probe_file);
    Ok(Some((file, made_file)))
}

fn copy_hashed(from: &Path, size: u64, to: &mut File) -> io::Result<ContentHash> {
    let mut from = File::open(from)?.take(size.saturating_add(1));
    let mut buffer = vec![0; read::buffer_bytes(size)];
    let mut hasher = ContentHasher::new();
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let piece = buffer.get(..read).unwrap_or_default();
        hasher.update(piece);
        to.write_all(piece)?;
    }
}

impl Staged {
    /// Gives the file the permissions of its predecessor.
    pub(super) fn take_mode(&mut self, mode: u32) -> io::Result<()> {
        let spot = self.file.spot();
        let meta = &mut self.placing.meta;
        if meta.mode & MODE_BITS != mode & MODE_BITS {
            disk::set_mode_at(spot.folder, spot.name, mode & MODE_BITS)?;
            meta.mode = (meta.mode & !MODE_BITS) | (mode & MODE_BITS);
        }
        Ok(())
    }

    /// Makes the file anew in a folder that the staging folder is too far away from.
    pub(super) fn move_beside(&mut self, folder: &OwnedFd, made: &AtomicU64) -> io::Result<()> {
        let mode = self.placing.meta.mode;
        let bench = Bench::beside(folder)?;
        let mut from = self.file.open()?;
        let (mut file, name) = bench.create(made, "new")?;
        let copy = Made::new(bench, name);
        io::copy(&mut from, &mut file)?;
        file.set_modified(SystemTime::now())?;
        file.sync_data()?;
        self.placing.meta = disk::meta_of(&file)?;
        self.file = copy;
        self.take_mode(mode)
    }
}

impl Placing {
    /// The file is in the folder now and must have no second name.
    pub(super) fn drop_source(&self) {
        if let Some(source) = &self.source
            && let Err(error) = std::fs::remove_file(source)
        {
            tracing::warn!(%error, "a staged file stays behind");
        }
    }
}

/// Copies an open file of the folder to the bench; nothing if its content is not what it was.
pub(super) fn copy_out(
    from: File,
    hash: ContentHash,
    bench: &Arc<Bench>,
    made: &AtomicU64,
) -> io::Result<Option<Made>> {
    let (mut file, name) = bench.create(made, "old")?;
    let copy = Made::new(bench.clone(), name);
    let mut from = from;
    io::copy(&mut from, &mut file)?;
    drop(file);
    let content = read::read_open(copy.open()?, read::Keep::Nothing)?;
    Ok(content
        .is_some_and(|content| content.hash == hash)
        .then_some(copy))
}
