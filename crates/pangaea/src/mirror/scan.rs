//! Scans: what the user changed in the folder since folder and replica last agreed. A scan first
//! walks (names and times only), then reads what may have changed, then compares.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use gaia::path::FilePath;
use pangaea_core::media::MediaType;
use pangaea_core::version::ContentHash;

use super::Held;
use super::Mirror;
use super::MirrorError;
use super::Refused;
use super::State;
use super::disk;
use super::disk::Kind;
use super::names;
use super::names::Spelling;
use super::read;
use super::read::Content;
use super::read::Keep;
use super::read::Reading;
use super::root::Blocked;
use super::root::Root;
use super::rules::RULES_FILE;
use super::stamp::Stamp;
use super::walk;
use super::walk::Candidate;
use super::walk::Walk;
use super::walk::Walked;
use super::walk::Wanted;

/// Files up to this size come along with a scan's answer.
pub const INLINE_BYTES_MAX: u64 = 1024 * 1024;
/// So many bytes of files come along with one scan's answer at most; the others are to be had
/// from [`Mirror::content`].
pub const INLINE_BYTES_TOTAL_MAX: u64 = 16 * 1024 * 1024;

/// Which part of the folder to look at.
#[derive(Debug, Clone, Copy)]
pub enum Scope<'a> {
    /// All of it.
    All,
    /// These files, and all that is in these folders, whether they exist or not.
    Paths(&'a [FilePath]),
}

/// A difference between the folder and what was known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A file is new or has new content.
    Written {
        /// Which.
        path: FilePath,
        /// Names the content.
        content: ContentHash,
        /// Length in bytes.
        size: u64,
        /// Type, by name and beginning.
        media_type: MediaType,
        /// To be stored with what the replica makes of it.
        stamp: Stamp,
        /// The content itself, unless it is large or there is much of it.
        bytes: Option<Bytes>,
    },
    /// A file is not there any more.
    Deleted {
        /// Which.
        path: FilePath,
    },
    /// Only the stamp is new; the content is what it was.
    Touched {
        /// Which.
        path: FilePath,
        /// To be stored.
        stamp: Stamp,
    },
}

impl Change {
    /// The file concerned.
    #[must_use]
    pub fn path(&self) -> &FilePath {
        match self {
            Self::Written { path, .. } | Self::Deleted { path } | Self::Touched { path, .. } => {
                path
            }
        }
    }
}

/// What a scan found. Everything is sorted by path or name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scan {
    /// The differences. The mirror takes them for known from now on; if they cannot be stored,
    /// [`Mirror::forget`] makes it look again.
    pub changes: Vec<Change>,
    /// What cannot be synced until somebody acts. Not a delete.
    pub refused: Vec<Refused>,
    /// What is left out on purpose: links that lead elsewhere, pipes, rules that make no sense.
    pub notes: Vec<Refused>,
    /// Files that changed while they were looked at: scan these again in a moment.
    pub unsettled: Vec<FilePath>,
    /// Ignore rules are other than at the last scan, or were read for the first time: what was
    /// [`Ignored`](super::Applied::Ignored) before may be welcome now.
    pub rules_changed: bool,
}

impl Mirror {
    /// Compares the folder with what is known of it.
    ///
    /// # Errors
    /// The folder as a whole cannot be read, or is not there: [`MirrorError`]. Nothing counts as
    /// deleted then.
    pub fn scan(&self, scope: Scope<'_>) -> Result<Scan, MirrorError> {
        let root = self.root()?;
        let mut scan = Scan::default();
        let (candidates, placed) = {
            let mut state = self.lock();
            let wanted = state.wanted(scope);
            state.scan = state.scan.wrapping_add(1);
            let walk = Walk {
                root: &root,
                state: &state,
                spelling: self.spelling,
                wanted: &wanted,
                now_ns: read::now_ns(),
            };
            let walked = walk.run().map_err(|error| self.cannot_read(error))?;
            self.check_same(&root)?;
            state.take_deleted(&root, self.spelling, &wanted, &walked, &mut scan);
            state.links = match wanted {
                Wanted::All => walked.links,
                Wanted::Below(_) => state.links.union(&walked.links).cloned().collect(),
            };
            scan.rules_changed = state.rules().take_changed();
            scan.refused = walked.refused;
            scan.notes = walked.notes;
            (walked.candidates, state.placed)
        };
        let candidates = share_out(candidates);
        let readings = read::read_all(&root, &candidates);
        let mut state = self.lock();
        let moved_on = state.placed != placed;
        for ((candidate, _), reading) in candidates.into_iter().zip(readings) {
            match reading {
                // An apply may have come between reading and now.
                Reading::Whole(content) if moved_on && !is_still(&root, &candidate, &content) => {
                    scan.unsettled.push(candidate.path);
                }
                Reading::Whole(content) => {
                    scan.changes.extend(state.take_content(candidate, *content));
                }
                Reading::Restless => scan.unsettled.push(candidate.path),
                Reading::Failed(error) => scan.refused.push(Refused::new(
                    candidate.disk(),
                    format!("it cannot be read ({error}); see to its permissions or its disk"),
                )),
            }
        }
        drop(state);
        scan.changes.sort_unstable_by(|a, b| a.path().cmp(b.path()));
        scan.refused.sort_unstable();
        scan.notes.sort_unstable();
        scan.unsettled.sort_unstable();
        Ok(scan)
    }
}

/// Sorts the candidates and decides whose bytes come along.
fn share_out(mut candidates: Vec<Candidate>) -> Vec<(Candidate, Keep)> {
    candidates.sort_unstable_by(|a, b| a.path.cmp(&b.path));
    let mut left = INLINE_BYTES_TOTAL_MAX;
    candidates
        .into_iter()
        .map(|candidate| {
            let size = candidate.meta.size;
            if size > INLINE_BYTES_MAX || size > left {
                return (candidate, Keep::Nothing);
            }
            left -= size;
            (candidate, Keep::Bytes)
        })
        .collect()
}

/// Whether a file is still the one that was read.
fn is_still(root: &Root, candidate: &Candidate, content: &Content) -> bool {
    root.open_file(candidate.disk())
        .and_then(|(file, _)| disk::meta_of(&file))
        .is_ok_and(|meta| meta.is_untouched_since(&content.meta))
}

impl State {
    fn wanted(&self, scope: Scope<'_>) -> Wanted {
        let Scope::Paths(paths) = scope else {
            return Wanted::All;
        };
        let mut wanted = self.links.clone();
        for path in paths {
            if path.file_name() != RULES_FILE {
                wanted.insert(names::nfc(path.as_str()).into_owned());
                continue;
            }
            // Rules concern everything in their folder.
            match path.parent() {
                Some(folder) => wanted.insert(names::nfc(folder.as_str()).into_owned()),
                None => return Wanted::All,
            };
        }
        Wanted::Below(wanted)
    }

    /// Finds the files that are not there any more, and forgets them.
    fn take_deleted(
        &mut self,
        root: &Root,
        spelling: Spelling,
        wanted: &Wanted,
        walked: &Walked,
        scan: &mut Scan,
    ) {
        let current = self.scan;
        let unseen = self.stamps.iter().filter(|(path, held)| {
            held.seen.load(Ordering::Relaxed) != current
                && wanted.covers(path.as_str())
                && !walk::has_self_or_above(&walked.kept, path.as_str())
        });
        for (path, held) in unseen {
            let disk = held.stamp.disk.as_deref().unwrap_or(path.as_str());
            // A listing may miss a name that is being renamed; on folding disks a look at the
            // name would find its other spelling.
            if spelling == Spelling::Folding || is_absent(root, disk) {
                scan.changes.push(Change::Deleted { path: path.clone() });
            } else {
                scan.unsettled.push(path.clone());
            }
        }
        for change in &scan.changes {
            self.stamps.remove(change.path());
        }
    }

    /// Compares a file's content with what is known, and takes it for known.
    fn take_content(&mut self, candidate: Candidate, content: Content) -> Option<Change> {
        let Candidate { path, disk, .. } = candidate;
        let stamp = Stamp::read(&content.meta, content.hash, disk, content.read_at_ns);
        let seen = self.scan;
        let before = self
            .stamps
            .insert(path.clone(), Held::new(stamp.clone(), seen));
        match before {
            Some(before) if before.stamp == stamp => None,
            Some(before) if before.stamp.content == stamp.content => {
                Some(Change::Touched { path, stamp })
            }
            Some(_) | None => Some(Change::Written {
                content: content.hash,
                size: content.meta.size,
                media_type: read::media_type(path.as_str(), &content),
                stamp,
                bytes: content.bytes,
                path,
            }),
        }
    }
}

/// Whether no file is at this place on disk.
fn is_absent(root: &Root, disk: &str) -> bool {
    let (folder, name) = disk::split(disk);
    match root.open_folder(folder) {
        Err(Blocked::Missing | Blocked::NotAFolder(_)) => true,
        Err(Blocked::Link(_) | Blocked::Io(_)) => false,
        Ok((folder, _)) => {
            use std::os::fd::AsFd;
            match disk::meta_at(folder.as_fd(), disk::os(name)) {
                Ok(meta) => meta.kind == Kind::Folder,
                Err(error) => error.kind() == std::io::ErrorKind::NotFound,
            }
        }
    }
}
