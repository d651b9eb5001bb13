//! The root folder and the ways into it: folders and files inside are reached without ever leaving
//! the root through a symbolic link. What is done with them is decided elsewhere.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::AtFlags;
use rustix::fs::Mode;
use rustix::io::Errno;

use super::disk::FILE_FLAGS;
use super::disk::FOLDER_FLAGS;
use super::disk::Kind;
use super::disk::Meta;
use super::disk::STATE_FOLDER;
use super::disk::meta_at;
use super::disk::open_folder_at;
use super::disk::split;
use super::disk::sync_disk_of;

/// Whether symbolic links lie between the root and a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    Directly,
    ThroughLinks,
}

/// Why a folder inside the root cannot be had.
#[derive(Debug)]
pub(super) enum Blocked {
    /// It, or a folder above it, does not exist.
    Missing,
    /// This is no folder (its path from the root).
    NotAFolder(String),
    /// A symbolic link on the way leads where the mirror does not go.
    Link(LinkProblem),
    /// The file system says no.
    Io(io::Error),
}

impl From<Errno> for Blocked {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOENT => Self::Missing,
            other => Self::Io(other.into()),
        }
    }
}

/// Why a symbolic link is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkProblem {
    Dangling,
    Outside,
    State,
    Unreadable,
}

impl LinkProblem {
    /// For a person, after "the symbolic link".
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Dangling => "leads to nothing",
            Self::Outside => "leads out of the folder",
            Self::State => "leads into the folder's own state",
            Self::Unreadable => "cannot be followed",
        }
    }
}

/// The root folder, open.
#[derive(Debug)]
pub(super) struct Root {
    path: PathBuf,
    fd: OwnedFd,
}

impl Root {
    /// Opens the folder; `path` must be canonical.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let fd = rustix::fs::open(path, FOLDER_FLAGS, Mode::empty())?;
        Ok(Self {
            path: path.to_owned(),
            fd,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the replica's state is there: if not, this is not the folder that it was.
    pub(super) fn has_state(&self) -> bool {
        rustix::fs::statat(&self.fd, STATE_FOLDER, AtFlags::empty())
            .is_ok_and(|stat| Meta::of(&stat).kind == Kind::Folder)
    }

    pub(super) fn meta(&self) -> io::Result<Meta> {
        Ok(Meta::of(&rustix::fs::fstat(&self.fd)?))
    }

    /// Whether the disk takes upper and lower case for the same.
    pub(super) fn is_folding(&self) -> bool {
        let upper = STATE_FOLDER.to_ascii_uppercase();
        let stat = |name: &str| rustix::fs::statat(&self.fd, name, AtFlags::empty());
        match (stat(STATE_FOLDER), stat(&upper)) {
            (Ok(lower), Ok(upper)) => lower.st_ino == upper.st_ino,
            (Ok(_) | Err(_), _) => false,
        }
    }

    /// Another handle of the root itself.
    pub(super) fn folder(&self) -> io::Result<OwnedFd> {
        // Not a duplicate: that would share the position in the listing.
        Ok(rustix::fs::openat(
            &self.fd,
            ".",
            FOLDER_FLAGS,
            Mode::empty(),
        )?)
    }

    /// Opens a folder without following any link.
    fn open_plain(&self, disk: &Path) -> Result<OwnedFd, Errno> {
        let mut folder: Option<OwnedFd> = None;
        for component in disk.components() {
            let Component::Normal(name) = component else {
                return Err(Errno::INVAL);
            };
            let above = folder.as_ref().map_or(self.fd.as_fd(), AsFd::as_fd);
            folder = Some(rustix::fs::openat(
                above,
                name,
                FOLDER_FLAGS,
                Mode::empty(),
            )?);
        }
        match folder {
            Some(folder) => Ok(folder),
            None => rustix::fs::openat(&self.fd, ".", FOLDER_FLAGS, Mode::empty()),
        }
    }

    /// Opens a folder inside the root; links on the way are followed as long as they stay inside.
    pub(super) fn open_folder(&self, disk: &str) -> Result<(OwnedFd, Reached), Blocked> {
        match self.open_plain(Path::new(disk)) {
            Ok(folder) => Ok((folder, Reached::Directly)),
            // Linux says NOTDIR for a link where a folder was asked for, others say LOOP.
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let target = match self.resolve(disk) {
                    Ok(target) => target,
                    Err(LinkProblem::Unreadable) => return Err(Blocked::NotAFolder(disk.into())),
                    Err(problem) => return Err(Blocked::Link(problem)),
                };
                match self.open_plain(&target) {
                    Ok(folder) => Ok((folder, Reached::ThroughLinks)),
                    Err(Errno::NOTDIR) => Err(Blocked::NotAFolder(disk.into())),
                    Err(errno) => Err(errno.into()),
                }
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Opens a folder and makes what is missing of it.
    pub(super) fn make_folder(&self, disk: &str) -> Result<(OwnedFd, Reached), Blocked> {
        match self.open_folder(disk) {
            Err(Blocked::Missing) => {}
            other => return other,
        }
        let (above, name) = split(disk);
        let (folder, reached) = self.make_folder(above)?;
        match rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o777)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Blocked::Io(errno.into())),
        }
        match rustix::fs::openat(&folder, name, FOLDER_FLAGS, Mode::empty()) {
            Ok(made) => Ok((made, reached)),
            Err(Errno::NOTDIR | Errno::LOOP) => Err(Blocked::NotAFolder(disk.into())),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Removes an empty folder; anything that stands against it is fine.
    pub(super) fn remove_empty_folder(&self, disk: &str) -> bool {
        let (above, name) = split(disk);
        self.open_plain(Path::new(above))
            .and_then(|folder| rustix::fs::unlinkat(&folder, name, AtFlags::REMOVEDIR))
            .is_ok()
    }

    /// Where a link leads, from the root.
    pub(super) fn resolve(&self, disk: &str) -> Result<PathBuf, LinkProblem> {
        let target = match std::fs::canonicalize(self.path.join(disk)) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(LinkProblem::Dangling);
            }
            Err(_) => return Err(LinkProblem::Unreadable),
        };
        let Ok(inside) = target.strip_prefix(&self.path) else {
            return Err(LinkProblem::Outside);
        };
        if inside
            .components()
            .any(|part| part.as_os_str() == STATE_FOLDER)
        {
            return Err(LinkProblem::State);
        }
        Ok(inside.to_owned())
    }

    /// What a followed link leads to, and the handle if that is a folder.
    pub(super) fn follow(&self, target: &Path) -> io::Result<(Meta, Option<OwnedFd>)> {
        let (Some(parent), Some(name)) = (target.parent(), target.file_name()) else {
            return Ok((self.meta()?, Some(self.folder()?)));
        };
        let parent = self.open_plain(parent)?;
        let found = meta_at(parent.as_fd(), name)?;
        let folder = match found.kind {
            Kind::Folder => Some(open_folder_at(parent.as_fd(), name)?),
            Kind::File | Kind::Link | Kind::Other => None,
        };
        Ok((found, folder))
    }

    /// Opens a file for reading, through links that stay inside. Also tells where it really is.
    pub(super) fn open_file(&self, disk: &str) -> io::Result<(File, PathBuf)> {
        let plain = Path::new(disk);
        let parent = plain.parent().unwrap_or(Path::new(""));
        let name = plain.file_name().unwrap_or_default();
        let opened = self
            .open_plain(parent)
            .and_then(|folder| rustix::fs::openat(&folder, name, FILE_FLAGS, Mode::empty()));
        match opened {
            Ok(file) => Ok((File::from(file), plain.to_owned())),
            Err(Errno::LOOP | Errno::NOTDIR | Errno::MLINK) => {
                let target = self.resolve(disk).map_err(|problem| match problem {
                    LinkProblem::Dangling => io::Error::from(io::ErrorKind::NotFound),
                    other => io::Error::other(other.words()),
                })?;
                let folder = self.open_plain(target.parent().unwrap_or(Path::new("")))?;
                let name = target.file_name().unwrap_or_default();
                let file = rustix::fs::openat(&folder, name, FILE_FLAGS, Mode::empty())?;
                Ok((File::from(file), target))
            }
            Err(errno) => Err(errno.into()),
        }
    }

    /// Makes everything written to this file system so far survive a power cut.
    pub(super) fn sync(&self) -> io::Result<()> {
        sync_disk_of(self.fd.as_fd())
    }
}
