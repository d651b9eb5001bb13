//! Two versions that become one, or are kept side by side.

use gaia::path::FilePath;
use gaia::path::PathError;

use super::Engine;
use super::local::history_row;
use super::local::log_row;
use super::step::AfterApply;
use super::step::Next;
use super::step::Sending;
use super::step::base_of;
use super::step::file_of;
use crate::commit::Action;
use crate::commit::Cause;
use crate::io::Choice;
use crate::io::Keep;
use crate::io::Merged;
use crate::io::Request;
use crate::io::Side;
use crate::media::MediaType;
use crate::plan::Origins;
use crate::policy::Strategy;
use crate::state::Ancestors;
use crate::state::Base;
use crate::state::Entry;
use crate::state::IDENTITY_PATH;
use crate::state::Local;
use crate::state::LocalFile;
use crate::state::Problem;
use crate::state::ProblemKind;
use crate::state::Remote;
use crate::state::Target;
use crate::version::VersionId;

/// Whether a conflict copy is in place.
enum CopyState {
    There,
    Impossible,
    ToMake(Box<Sending>),
}

impl Engine {
    pub(super) fn merge(&mut self, path: &FilePath, origins: Origins, now_ms: u64) -> Next {
        let Some(entry) = self.entries.get(path) else {
            return Next::Done;
        };
        let (Local::File(ours), Remote::File(remote)) = (&entry.local, &entry.remote) else {
            return Next::Done;
        };
        let Some(theirs) = file_of(remote) else {
            return Next::Done;
        };
        let ours = ours.clone();
        let base = match origins {
            Origins::Base => entry.base.file().map(|base| base.content),
            Origins::Unknown => None,
        };
        // The first identity that reached the hub is the bucket's.
        if path.as_str() == IDENTITY_PATH {
            return self.take_merged(path, keep_side(Side::Theirs), now_ms);
        }
        let strategy = match self.decisions.remove(path) {
            Some(Choice::Side(side)) => return self.take_merged(path, keep_side(side), now_ms),
            Some(Choice::Both) => Strategy::KeepBoth,
            None => self
                .policy
                .strategy_for(path.as_str(), &common_type(&ours, &theirs)),
        };
        if strategy == Strategy::Ask {
            let tag = Some(remote.tag.clone());
            let message = "changed here and elsewhere; choose with `pangaea resolve`".to_owned();
            self.park(
                path,
                Problem {
                    kind: ProblemKind::Undecided,
                    message,
                    tag,
                },
                now_ms,
            );
            return Next::Done;
        }
        Next::send(Request::Merge {
            path: path.clone(),
            strategy,
            base,
            ours,
            theirs,
        })
    }

    /// Carries out a merge's result. The local state must be the one that was merged. Where a copy is to be
    /// kept, it waits for those that are there: one may be what would be made, or be about to go.
    pub(super) fn take_merged(&mut self, path: &FilePath, merged: Merged, now_ms: u64) -> Next {
        let Some(entry) = self.entries.get(path) else {
            return Next::Done;
        };
        let (Local::File(ours), Remote::File(remote)) = (&entry.local, &entry.remote) else {
            return Next::Again;
        };
        let (ours, remote) = (ours.clone(), remote.clone());
        let Some(theirs) = file_of(&remote) else {
            return Next::Again;
        };
        if merged.copy.is_some() && self.has_unread_copies(path) {
            return Next::Done;
        }
        let merged = self.without_double(path, merged, &ours, &theirs);
        if let Some(side) = merged.copy {
            let loser = if side == Side::Ours { &ours } else { &theirs };
            match self.conflict_copy(path, loser, now_ms) {
                CopyState::There => {}
                CopyState::Impossible => return Next::Done,
                CopyState::ToMake(sending) => return Next::Send(sending),
            }
        }
        let expected = Some(ours.content);
        match merged.keep {
            Keep::Side(Side::Theirs) => {
                self.take(path, Some(theirs), Some(remote), Cause::Lost, now_ms)
            }
            Keep::Side(Side::Ours) => {
                let row = history_row(path, &theirs, Cause::Lost, now_ms);
                self.commit.history.push(row);
                self.log(log_row(path, Action::Merged, ours.version, now_ms));
                self.rebase_behind(path, &remote, now_ms);
                Next::Again
            }
            Keep::New { content, size } => {
                let announced = self.announced_merge(path, content, theirs.version);
                let file = announced.unwrap_or_else(|| {
                    self.observe(theirs.version.clock, now_ms);
                    let version = self.next_version(now_ms);
                    let parents = [theirs.version, ours.version].into_iter();
                    let sides = [&theirs.ancestors, &ours.ancestors].into_iter();
                    let inherited = sides.flat_map(Ancestors::as_slice).copied();
                    LocalFile {
                        content,
                        size,
                        version,
                        ancestors: Ancestors::descend(parents, inherited),
                        media_type: ours.media_type,
                        format: None,
                    }
                });
                let before = self.entries.get(path).map(|entry| &entry.base);
                let target = Target {
                    local: Local::File(file.clone()),
                    base: base_of(&remote, before.unwrap_or(&Base::Unknown), now_ms),
                };
                if !self.announce(path, target) {
                    return Next::Again;
                }
                let to = Some(file.clone());
                let apply = Request::Apply {
                    path: path.clone(),
                    expected,
                    to,
                };
                Next::Send(Box::new((apply, Some(AfterApply::Merge { file, remote }))))
            }
        }
    }

    /// Looks after a conflict copy: whoever made it once need not make it again (I-14).
    fn conflict_copy(&mut self, path: &FilePath, loser: &LocalFile, now_ms: u64) -> CopyState {
        if self.has_copy(path, loser) {
            return CopyState::There;
        }
        // It is the version that lost, under another name: everybody who makes it makes the same. A
        // stand-in for a version does not name one content for ever.
        let version = if loser.version.device.is_foreign() {
            self.next_version(now_ms)
        } else {
            loser.version
        };
        let file = LocalFile {
            version,
            ancestors: Ancestors::default(),
            ..loser.clone()
        };
        let copy = match self.name_of_copy(path, &loser.version, now_ms) {
            Ok(Some(copy)) => copy,
            Ok(None) => return CopyState::There,
            Err(error) => {
                let message = format!("a conflict copy cannot be named: {error}");
                return self.copy_is_impossible(path, message, now_ms);
            }
        };
        let apply = Request::Apply {
            path: copy,
            expected: None,
            to: Some(file.clone()),
        };
        let after = AfterApply::Copy {
            file,
            main: path.clone(),
        };
        CopyState::ToMake(Box::new((apply, Some(after))))
    }

    /// Where to make a copy of what lost at `path`. None: somebody deleted it there, and is done with
    /// the conflict.
    fn name_of_copy(
        &mut self,
        path: &FilePath,
        loser: &VersionId,
        now_ms: u64,
    ) -> Result<Option<FilePath>, PathError> {
        let copy = crate::conflict::copy_path(path, loser)?;
        match self.entries.get(&copy).map(|entry| &entry.local) {
            Some(Local::Deleted { .. }) => Ok(None),
            None | Some(Local::Never) => Ok(Some(copy)),
            // It is itself the file in conflict, or holds something else.
            Some(Local::File(_)) => {
                let other = self.next_version(now_ms);
                crate::conflict::copy_path(path, &other).map(Some)
            }
        }
    }

    /// Whether a copy of `path` keeps `loser`: it has those bytes, also if they lost before under
    /// another version's name, or it is what a user made of them.
    fn has_copy(&self, path: &FilePath, loser: &LocalFile) -> bool {
        self.copies_beside(path).any(|(_, entry)| {
            let file = entry.local.file();
            file.is_some_and(|file| file.content == loser.content)
                || entry.local.version() == Some(loser.version)
                || entry.local.ancestors().contains(&loser.version)
                || entry.base.includes(&loser.version)
        })
    }

    /// Where one of two versions is to take the path and the other a name beside it, and the first has a
    /// copy there already, the other takes the path: nothing is kept twice (I-14). If both have one, that
    /// would only put more names of the same into the world.
    fn without_double(
        &self,
        path: &FilePath,
        merged: Merged,
        ours: &LocalFile,
        theirs: &LocalFile,
    ) -> Merged {
        let (Keep::Side(winner), Some(loser)) = (merged.keep, merged.copy) else {
            return merged;
        };
        let (content, other) = match winner {
            Side::Ours => (ours.content, theirs),
            Side::Theirs => (theirs.content, ours),
        };
        if self.has_copy(path, other) {
            return merged;
        }
        let is_beside = self.copies_beside(path).any(|(_, entry)| {
            let file = entry.local.file();
            file.is_some_and(|file| file.content == content)
        });
        if is_beside { keep_side(loser) } else { merged }
    }

    /// Whether copies of `path` are on their way: one of them may be what would be made anew. Or on their
    /// way out: what is kept in those is not kept for long.
    pub(super) fn has_unread_copies(&self, path: &FilePath) -> bool {
        self.copies_beside(path).any(|(copy, entry)| {
            let is_unread = match &entry.remote {
                Remote::Seen(_) | Remote::Missing | Remote::Absent => entry.problem.is_none(),
                Remote::AsBase | Remote::File(_) => false,
            };
            is_unread || self.busy.contains_key(copy)
        })
    }

    fn copies_beside(&self, path: &FilePath) -> impl Iterator<Item = (&FilePath, &Entry)> {
        let copies = crate::conflict::copies(&self.entries, path);
        copies.filter(move |(copy, _)| *copy != path)
    }

    fn copy_is_impossible(&mut self, path: &FilePath, message: String, now_ms: u64) -> CopyState {
        let problem = Problem {
            kind: ProblemKind::Device,
            message,
            tag: None,
        };
        self.park(path, problem, now_ms);
        CopyState::Impossible
    }
}

fn keep_side(side: Side) -> Merged {
    Merged {
        keep: Keep::Side(side),
        copy: None,
    }
}

/// The type by which two versions are merged: theirs and ours agree, or it is just bytes.
fn common_type(ours: &LocalFile, theirs: &LocalFile) -> MediaType {
    if ours.media_type.essence() == theirs.media_type.essence() {
        // The greater version's parameters, so that both devices say the same.
        if ours.version > theirs.version {
            &ours.media_type
        } else {
            &theirs.media_type
        }
        .clone()
    } else if ours.media_type.is_text() && theirs.media_type.is_text() {
        MediaType::of("merge.txt", b"")
    } else {
        MediaType::octet_stream()
    }
}
