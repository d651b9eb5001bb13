//! Two versions that become one, or are kept side by side.

use gaia::path::FilePath;

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
use crate::state::IDENTITY_PATH;
use crate::state::Local;
use crate::state::LocalFile;
use crate::state::Problem;
use crate::state::ProblemKind;
use crate::state::Remote;
use crate::state::Target;

/// Whether a conflict copy is in place.
enum CopyState {
    There,
    BeingMade,
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

    /// Carries out a merge's result. The local state must be the one that was merged.
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
        if let Some(side) = merged.copy {
            let loser = if side == Side::Ours { &ours } else { &theirs };
            match self.conflict_copy(path, loser, now_ms) {
                CopyState::There => {}
                CopyState::BeingMade => {
                    self.wait_for(path, "its conflict copy is still being made", now_ms);
                    return Next::Done;
                }
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
                    }
                });
                let target = Target {
                    local: Local::File(file.clone()),
                    base: base_of(&remote, now_ms),
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
        let names = crate::conflict::copy_path(path, &loser.version).and_then(|usual| {
            Ok([
                usual,
                crate::conflict::exact_copy_path(path, &loser.version)?,
            ])
        });
        let mut names: Vec<FilePath> = match names {
            Ok(names) => names.into(),
            Err(error) => {
                let message = format!("a conflict copy cannot be named: {error}");
                return self.copy_is_impossible(path, message, now_ms);
            }
        };
        // What has the usual name may itself be the file in conflict: it is no copy of itself.
        names.retain(|copy| copy != path);
        if names.iter().any(|copy| self.busy.contains_key(copy)) {
            return CopyState::BeingMade;
        }
        let holds = |copy: &FilePath| {
            let file = self.entries.get(copy).and_then(|entry| entry.local.file());
            file.is_some_and(|file| file.content == loser.content)
        };
        if names.iter().any(holds) {
            return CopyState::There;
        }
        // The usual name may hold what the same device lost in the same second.
        let local = |copy: &FilePath| self.entries.get(copy).map(|entry| &entry.local);
        let is_free = |copy: &&FilePath| matches!(local(copy), None | Some(Local::Never));
        let Some(copy) = names.iter().find(is_free).cloned() else {
            let is_deleted = |copy: &FilePath| matches!(local(copy), Some(Local::Deleted { .. }));
            if names.iter().any(is_deleted) {
                // Somebody is done with this conflict.
                return CopyState::There;
            }
            let message = "files of other content have the names that its conflict copy could \
                           have: rename them"
                .to_owned();
            return self.copy_is_impossible(path, message, now_ms);
        };
        let version = self.next_version(now_ms);
        let file = LocalFile {
            version,
            ancestors: Ancestors::default(),
            ..loser.clone()
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
