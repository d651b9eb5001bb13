//! The mirrored folder: keeps a folder of the user's equal to the replica's local tree.
//!
//! [`Mirror::scan`] tells what the user changed, [`Mirror::apply`] makes changes that came from
//! elsewhere, and never over something that the user changed meanwhile. [`Mirror::watch`] tells
//! when a scan is worth while. Nothing here knows of hubs, versions or merges, and nothing is
//! decided: what a difference means is the engine's matter. The folder's own `.pangaea` is never
//! looked into.
//!
//! All calls block; they may be made from any thread. Nothing in this module is ever written to
//! in place: files are made elsewhere and swapped in, so other programs see the old or the new.

mod apply;
mod disk;
mod locate;
mod names;
mod read;
mod root;
mod rules;
mod scan;
mod stage;
mod stamp;
mod swap;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;
mod visit;
mod walk;
mod watch;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;

use gaia::path::FilePath;
use pangaea_core::version::ContentHash;

pub use self::apply::Applied;
pub use self::apply::ApplyTask;
pub use self::rules::RULES_FILE;
pub use self::scan::Change;
pub use self::scan::INLINE_BYTES_MAX;
pub use self::scan::INLINE_BYTES_TOTAL_MAX;
pub use self::scan::Scan;
pub use self::scan::Scope;
pub use self::stamp::Stamp;
pub use self::stamp::StampError;
pub use self::swap::Displaced;
pub use self::watch::FolderEvent;
pub use self::watch::Watch;
pub use self::watch::WatchOptions;

use self::names::Spelling;
use self::read::Keep;
use self::root::Root;
use self::rules::RuleCache;
use self::swap::SwapMode;
use crate::body::Body;
use crate::body::IN_MEMORY_BYTES_MAX;

/// How a mirror behaves; the default asks the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MirrorOptions {
    /// How the disk tells names apart.
    pub names: NameRules,
}

/// How a disk tells names apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NameRules {
    /// Find out when the folder is opened.
    #[default]
    Probe,
    /// `A` and `a` are two names.
    CaseSensitive,
    /// `A` and `a` are one name.
    CaseInsensitive,
}

/// Something in the folder that is not synced, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refused {
    /// Its name on disk, from the root, as far as it can be written.
    pub name: String,
    /// What keeps it and what to do, to follow the name and a colon.
    pub reason: String,
}

impl Refused {
    fn new(name: &str, reason: String) -> Self {
        Self {
            name: name.to_owned(),
            reason,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.reason)
    }
}

/// Why the folder as a whole cannot be used, or a call could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// The folder, or the state inside it, is not there.
    #[error(
        "{folder} is not the synced folder that it was (its .pangaea is missing); if it lies on a \
         disk of its own, connect that disk; nothing was taken for deleted"
    )]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// Content is not what its digest says.
    #[error(
        "the content for {path} is damaged: it should be {expected:?} and is {found:?}; it was not \
         written to the folder"
    )]
    WrongContent {
        /// For which file.
        path: FilePath,
        /// What was asked for.
        expected: ContentHash,
        /// What came.
        found: ContentHash,
    },
    /// A stored stamp cannot be read.
    #[error("what is stored about {path} cannot be used: {source}")]
    Stamp {
        /// Which file.
        path: FilePath,
        /// Why.
        source: StampError,
    },
    /// The disk is full, read-only, failing or not ours.
    #[error("cannot {action} {place}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// With what.
        place: String,
        /// The cause.
        source: io::Error,
    },
}

/// What is known of one file.
#[derive(Debug)]
struct Held {
    stamp: Stamp,
    /// The scan that saw it last.
    seen: AtomicU32,
}

impl Held {
    fn new(stamp: Stamp, seen: u32) -> Self {
        Self {
            stamp,
            seen: AtomicU32::new(seen),
        }
    }
}

#[derive(Debug, Default)]
struct State {
    stamps: BTreeMap<FilePath, Held>,
    /// Number of the scan under way or done last.
    scan: u32,
    /// How many files were put in place or taken away.
    placed: u64,
    rules: Mutex<RuleCache>,
    /// Symbolic links that are followed: what changes behind them shows elsewhere.
    links: BTreeSet<String>,
    /// Folders that cannot be opened, for tests that run as root.
    #[cfg(test)]
    unreadable: BTreeSet<String>,
}

impl State {
    fn rules(&self) -> MutexGuard<'_, RuleCache> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A mirrored folder.
#[derive(Debug)]
pub struct Mirror {
    root: PathBuf,
    spelling: Spelling,
    swap: SwapMode,
    state: Mutex<State>,
    /// For names of files that are being made.
    made: AtomicU64,
}

impl Mirror {
    /// Opens a folder, whose `.pangaea` must be there already.
    ///
    /// # Errors
    /// [`MirrorError::Missing`] if it is not, [`MirrorError::Io`] if it cannot be read.
    pub fn open(root: &Path, options: MirrorOptions) -> Result<Self, MirrorError> {
        let canonical = match std::fs::canonicalize(root) {
            Ok(canonical) => canonical,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(MirrorError::Missing {
                    folder: root.to_owned(),
                });
            }
            Err(source) => return Err(io_error("open", root, source)),
        };
        let mut mirror = Self {
            root: canonical,
            spelling: Spelling::Exact,
            swap: SwapMode::default(),
            state: Mutex::default(),
            made: AtomicU64::new(0),
        };
        let opened = mirror.root()?;
        mirror.spelling = match options.names {
            NameRules::Probe if opened.is_folding() => Spelling::Folding,
            NameRules::Probe | NameRules::CaseSensitive => Spelling::Exact,
            NameRules::CaseInsensitive => Spelling::Folding,
        };
        Ok(mirror)
    }

    /// The folder, with all links in its own path resolved.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.root
    }

    /// Hands in what was known of the folder when the program last ran.
    ///
    /// # Errors
    /// [`MirrorError::Stamp`]; nothing was taken over then.
    pub fn load_stamps(&self, stamps: Vec<(FilePath, Vec<u8>)>) -> Result<(), MirrorError> {
        let mut loaded = BTreeMap::new();
        for (path, bytes) in stamps {
            match Stamp::decode(&bytes) {
                Ok(stamp) => loaded.insert(path, Held::new(stamp, 0)),
                Err(source) => return Err(MirrorError::Stamp { path, source }),
            };
        }
        self.lock().stamps = loaded;
        Ok(())
    }

    /// Forgets what is known of these files, so that the next scan reports them anew. For when
    /// the outcome of a scan or an apply could not be stored.
    pub fn forget<'a>(&self, paths: impl IntoIterator<Item = &'a FilePath>) {
        let mut state = self.lock();
        for path in paths {
            state.stamps.remove(path);
        }
    }

    /// The stamp of a file, if folder and replica agree on one.
    #[must_use]
    pub fn stamp(&self, path: &FilePath) -> Option<Stamp> {
        self.lock().stamps.get(path).map(|held| held.stamp.clone())
    }

    /// Makes everything that was applied survive a power cut. To be called before what was
    /// applied is stored as done.
    ///
    /// # Errors
    /// The disk is failing.
    pub fn sync_to_disk(&self) -> Result<(), MirrorError> {
        let root = self.root()?;
        root.sync()
            .map_err(|source| io_error("write to the disk of", root.path(), source))
    }

    /// The content of a file, if the folder still has just this content there. What is small is
    /// read and verified; what is large is handed out as it lies in the folder, where its user may
    /// change it at any time: the reader must verify it.
    ///
    /// # Errors
    /// The folder is not there, or the file cannot be read.
    pub fn content(&self, path: &FilePath, hash: ContentHash) -> Result<Option<Body>, MirrorError> {
        let root = self.root()?;
        let Some(stamp) = self.stamp(path).filter(|stamp| stamp.content == hash) else {
            return Ok(None);
        };
        let disk = stamp.disk.as_deref().unwrap_or(path.as_str());
        let found = read::real_path(&root, disk).and_then(|(file, place)| {
            let meta = disk::meta_of(&file)?;
            if meta.size > IN_MEMORY_BYTES_MAX && stamp.holds(&meta) {
                return Ok(Some(Body::File {
                    path: place,
                    size: meta.size,
                }));
            }
            if meta.size != stamp.size {
                return Ok(None);
            }
            let keep = if meta.size > IN_MEMORY_BYTES_MAX {
                Keep::Nothing
            } else {
                Keep::Bytes
            };
            let content = read::read_open(file, keep)?.filter(|content| content.hash == hash);
            Ok(content.map(|content| match content.bytes {
                Some(bytes) => Body::Bytes(bytes),
                None => Body::File {
                    path: place,
                    size: meta.size,
                },
            }))
        });
        match found {
            Ok(body) => Ok(body),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(MirrorError::Io {
                action: "read",
                place: disk.into(),
                source,
            }),
        }
    }

    /// Opens the root for one call. Not kept open, so that its disk can be taken away.
    fn root(&self) -> Result<Root, MirrorError> {
        let root = match Root::open(&self.root) {
            Ok(root) => root,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(self.missing()),
            Err(error) => return Err(self.cannot_read(error)),
        };
        if root.has_state() {
            Ok(root)
        } else {
            Err(self.missing())
        }
    }

    /// Makes sure that the folder was not exchanged while it was looked at.
    fn check_same(&self, root: &Root) -> Result<(), MirrorError> {
        let again = self
            .root()?
            .meta()
            .map_err(|error| self.cannot_read(error))?;
        let first = root.meta().map_err(|error| self.cannot_read(error))?;
        if (again.device, again.inode) == (first.device, first.inode) {
            Ok(())
        } else {
            Err(self.missing())
        }
    }

    fn missing(&self) -> MirrorError {
        MirrorError::Missing {
            folder: self.root.clone(),
        }
    }

    fn cannot_read(&self, source: io::Error) -> MirrorError {
        io_error("read", &self.root, source)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // What a panicking thread left behind are stamps that hold or files that are looked at
        // again; both are fine.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn io_error(action: &'static str, place: &Path, source: io::Error) -> MirrorError {
    MirrorError::Io {
        action,
        place: place.display().to_string(),
        source,
    }
}
