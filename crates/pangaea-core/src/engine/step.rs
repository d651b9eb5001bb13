//! Carries out what the planner decided for one path: changes that need no I/O are made at once,
//! for all others the request to send is returned.

use gaia::path::FilePath;

use super::Engine;
use super::local::log_row;
use crate::commit::Action;
use crate::commit::Cause;
use crate::io::Choice;
use crate::io::Event;
use crate::io::Keep;
use crate::io::Merged;
use crate::io::Request;
use crate::io::Side;
use crate::media::MediaType;
use crate::plan::Condition;
use crate::plan::Origins;
use crate::plan::Own;
use crate::plan::Reason;
use crate::plan::Rebase;
use crate::plan::Step;
use crate::plan::plan;
use crate::policy::Strategy;
use crate::state::Ancestors;
use crate::state::Base;
use crate::state::BaseFile;
use crate::state::ContentKind;
use crate::state::Entry;
use crate::state::Format;
use crate::state::IDENTITY_PATH;
use crate::state::Local;
use crate::state::LocalFile;
use crate::state::Problem;
use crate::state::ProblemKind;
use crate::state::Remote;
use crate::state::RemoteBody;
use crate::state::RemoteFile;
use crate::state::Signing;
use crate::version::VersionId;

/// What to record once the device's copy is as asked.
#[derive(Debug, Clone)]
pub(super) enum AfterApply {
    /// The remote state was taken over; none: the hub holds nothing.
    Take {
        remote: Option<Box<RemoteFile>>,
        cause: Cause,
    },
    /// A merge's own content was put in place.
    Merge {
        file: LocalFile,
        remote: Box<RemoteFile>,
    },
    /// A conflict copy was made; `main` is the file that it is a copy of.
    Copy { file: LocalFile, main: FilePath },
}

/// A request, and what follows it if it is an [`Request::Apply`].
pub(super) type Sending = (Request, Option<AfterApply>);

impl Engine {
    /// Plans for `path` and does it. None: nothing to send; the path left the ready set unless its
    /// turn comes later.
    pub(super) fn advance(&mut self, path: &FilePath, now_ms: u64) -> Option<Sending> {
        // Every round either sends something, ends, or makes a transition that cannot repeat.
        for _ in 0..8 {
            let Some(entry) = self.entries.get(path) else {
                self.ready.remove(path);
                return None;
            };
            if self.busy.contains_key(path) || entry.problem.is_some() {
                self.ready.remove(path);
                return None;
            }
            let own = Own {
                device: self.options.device,
                last: self.own_last,
            };
            let step = plan(entry, own);
            if needs_hub(&step) && !self.hub_is_usable(now_ms) {
                return None;
            }
            match self.carry_out(path, step, now_ms) {
                Next::Send(sending) => return Some(*sending),
                // What changed is stored before the next step builds on it.
                Next::Again if self.commit.entries.contains(path) => return None,
                Next::Again => {}
                Next::Done => {
                    self.ready.remove(path);
                    return None;
                }
            }
        }
        self.wait_for(path, now_ms);
        None
    }

    fn carry_out(&mut self, path: &FilePath, step: Step, now_ms: u64) -> Next {
        match step {
            Step::Nothing => self.settle(path, now_ms),
            Step::Fetch => Next::send(Request::Fetch { path: path.clone() }),
            Step::Push(condition) => self.push(path, condition),
            Step::Remove(tag) => self.remove(path, tag),
            Step::Pull(reason) => self.pull(path, reason),
            Step::Rebase(rebase) => {
                self.rebase(path, rebase, now_ms);
                Next::Again
            }
            Step::Merge(origins) => self.merge(path, origins, now_ms),
            Step::Recheck => {
                if let Some(entry) = self.entries.get_mut(path)
                    && let Remote::File(remote) =
                        std::mem::replace(&mut entry.remote, Remote::AsBase)
                {
                    entry.suspect = Some(remote.tag);
                }
                self.listing.want();
                self.wait_for(path, now_ms);
                Next::Done
            }
        }
    }

    /// Nothing is left to do: the journal record goes, and an old tombstone is swept.
    fn settle(&mut self, path: &FilePath, now_ms: u64) -> Next {
        self.clear_pending(path);
        if let Some(entry) = self.entries.get_mut(path) {
            if !matches!(entry.remote, Remote::AsBase) {
                entry.remote = Remote::AsBase;
            }
            if entry.is_blank() {
                self.commit.entries.insert(path.clone());
            }
        }
        match self.sweepable(path, now_ms) {
            Some(tag) if self.hub_is_usable(now_ms) => Next::send(Request::Sweep {
                path: path.clone(),
                tag,
            }),
            Some(_) | None => Next::Done,
        }
    }

    fn push(&mut self, path: &FilePath, condition: Condition) -> Next {
        let format = self.format_for(path);
        let Some(entry) = self.entries.get_mut(path) else {
            return Next::Done;
        };
        let Local::File(file) = &entry.local else {
            return Next::Done;
        };
        let file = file.clone();
        if let Some(pending) = &mut entry.pending {
            pending.attempts = pending.attempts.saturating_add(1);
        }
        Next::send(Request::Push {
            path: path.clone(),
            file,
            format,
            condition,
        })
    }

    fn remove(&mut self, path: &FilePath, tag: gaia::etag::ETag) -> Next {
        let Some(entry) = self.entries.get_mut(path) else {
            return Next::Done;
        };
        let Local::Deleted { version, ancestors } = &entry.local else {
            return Next::Done;
        };
        let (version, ancestors) = (*version, ancestors.clone());
        if let Some(pending) = &mut entry.pending {
            pending.attempts = pending.attempts.saturating_add(1);
        }
        Next::send(Request::Remove {
            path: path.clone(),
            version,
            ancestors,
            tag,
        })
    }

    fn pull(&mut self, path: &FilePath, reason: Reason) -> Next {
        let Some(entry) = self.entries.get(path) else {
            return Next::Done;
        };
        let remote = match &entry.remote {
            Remote::File(remote) => Some(remote.clone()),
            Remote::Absent | Remote::AsBase | Remote::Seen(_) | Remote::Missing => None,
        };
        let to = remote.as_deref().and_then(file_of);
        let cause = match (&to, reason) {
            (None, _) => Cause::Deleted,
            (Some(_), Reason::Changed | Reason::Succeeds | Reason::EditBeatsDelete) => {
                Cause::Pulled
            }
        };
        let expected = entry.local.file().map(|file| file.content);
        let apply = Request::Apply {
            path: path.clone(),
            expected,
            to,
        };
        Next::Send(Box::new((apply, Some(AfterApply::Take { remote, cause }))))
    }

    fn rebase(&mut self, path: &FilePath, rebase: Rebase, now_ms: u64) {
        self.listing.touch(path);
        let Some(entry) = self.entries.get(path) else {
            return;
        };
        let remote = match &entry.remote {
            Remote::File(remote) => Some(remote.clone()),
            Remote::Absent | Remote::AsBase | Remote::Seen(_) | Remote::Missing => None,
        };
        match (rebase, remote) {
            (Rebase::Same, Some(remote)) => self.rebase_same(path, &remote, now_ms),
            (Rebase::Behind, Some(remote)) => self.rebase_behind(path, &remote, now_ms),
            (Rebase::BothGone, remote) => self.rebase_gone(path, remote.as_deref(), now_ms),
            (Rebase::GoneButEdited, _) | (Rebase::Same | Rebase::Behind, None) => {
                self.rebase_gone_but_edited(path, now_ms);
            }
        }
    }

    fn rebase_same(&mut self, path: &FilePath, remote: &RemoteFile, now_ms: u64) {
        let was_pending = self
            .entries
            .get(path)
            .is_some_and(|entry| entry.pending.is_some());
        self.clear_pending(path);
        let file = file_of(remote);
        self.update(path, |entry| {
            if let Some(file) = file {
                entry.local = Local::File(file);
            }
            entry.base = base_of(remote, now_ms);
            entry.remote = Remote::AsBase;
            entry.suspect = None;
        });
        if was_pending && remote.version.device == self.options.device {
            self.log(log_row(path, Action::Pushed, remote.version, now_ms));
            self.events.push_back(Event::Stored {
                path: path.clone(),
                version: remote.version,
            });
        }
    }

    fn rebase_behind(&mut self, path: &FilePath, remote: &RemoteFile, now_ms: u64) {
        self.succeed(path, remote.version, now_ms);
        if matches!(remote.body, RemoteBody::Tombstone)
            && let Some(version) = self
                .entries
                .get(path)
                .and_then(|entry| entry.local.version())
        {
            self.log(log_row(path, Action::EditKept, version, now_ms));
        }
        self.update(path, |entry| {
            entry.base = base_of(remote, now_ms);
            entry.remote = Remote::AsBase;
            entry.suspect = None;
        });
        if !self.entries.get(path).is_some_and(Entry::is_clean) {
            self.ensure_pending(path, now_ms);
        }
    }

    /// The base says what the hub had, and nothing that only this device knows: what somebody
    /// creates anew later is compared with it.
    fn rebase_gone(&mut self, path: &FilePath, remote: Option<&RemoteFile>, now_ms: u64) {
        self.clear_pending(path);
        self.update(path, |entry| {
            entry.remote = Remote::AsBase;
            entry.suspect = None;
            match (remote, &mut entry.base) {
                (Some(remote), base) => *base = base_of(remote, now_ms),
                (None, Base::Unknown) => {}
                (None, Base::Gone { tombstone, .. }) => *tombstone = None,
                (None, Base::File(file)) => {
                    let (version, ancestors) = (file.version, file.ancestors.clone());
                    entry.base = Base::Gone {
                        version,
                        ancestors,
                        tombstone: None,
                        since_ms: now_ms,
                    };
                }
            }
        });
    }

    fn rebase_gone_but_edited(&mut self, path: &FilePath, now_ms: u64) {
        let Some(entry) = self.entries.get(path) else {
            return;
        };
        if let Some(version) = entry.base.version() {
            let ancestors = match &entry.base {
                Base::File(base) => base.ancestors.clone(),
                Base::Gone { ancestors, .. } => ancestors.clone(),
                Base::Unknown => Ancestors::default(),
            };
            self.succeed(path, version, now_ms);
            self.update(path, |entry| {
                entry.base = Base::Gone {
                    version,
                    ancestors,
                    tombstone: None,
                    since_ms: now_ms,
                };
            });
        }
        self.update(path, |entry| entry.remote = Remote::AsBase);
        self.ensure_pending(path, now_ms);
        if let Some(version) = self
            .entries
            .get(path)
            .and_then(|entry| entry.local.version())
        {
            self.log(log_row(path, Action::EditKept, version, now_ms));
        }
    }

    /// Makes the local state a successor of `earlier`, in name and in order. That is a new version:
    /// what the old name stands for may be known elsewhere, and never changes.
    fn succeed(&mut self, path: &FilePath, earlier: VersionId, now_ms: u64) {
        self.clock.observe(earlier.clock, now_ms);
        let Some(entry) = self.entries.get(path) else {
            return;
        };
        let own = entry.local.version();
        let ancestors = entry.local.ancestors();
        if own.is_some_and(|own| own > earlier) && ancestors.contains(&earlier) {
            return;
        }
        let newest = std::iter::once(earlier).chain(own);
        let ancestors = Ancestors::new(newest.chain(ancestors.as_slice().iter().copied()));
        let version = self.next_version(now_ms);
        self.update(path, |entry| match &mut entry.local {
            Local::File(file) => {
                file.version = version;
                file.ancestors = ancestors;
            }
            Local::Never | Local::Deleted { .. } => {
                entry.local = Local::Deleted { version, ancestors };
            }
        });
    }

    fn merge(&mut self, path: &FilePath, origins: Origins, now_ms: u64) -> Next {
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
                    self.wait_for(path, now_ms);
                    return Next::Done;
                }
                CopyState::Impossible => return Next::Done,
                CopyState::ToMake(sending) => return Next::Send(sending),
            }
        }
        let expected = Some(ours.content);
        match merged.keep {
            Keep::Side(Side::Theirs) => {
                let to = Some(theirs);
                let apply = Request::Apply {
                    path: path.clone(),
                    expected,
                    to,
                };
                let after = AfterApply::Take {
                    remote: Some(remote),
                    cause: Cause::Lost,
                };
                Next::Send(Box::new((apply, Some(after))))
            }
            Keep::Side(Side::Ours) => {
                let row = super::local::history_row(path, &theirs, Cause::Lost, now_ms);
                self.commit.history.push(row);
                self.log(log_row(path, Action::Merged, ours.version, now_ms));
                self.rebase_behind(path, &remote, now_ms);
                Next::Again
            }
            Keep::New { content, size } => {
                self.clock.observe(theirs.version.clock, now_ms);
                let version = self.next_version(now_ms);
                let parents = [theirs.version, ours.version].into_iter();
                let kept = theirs.ancestors.as_slice().iter().copied();
                let file = LocalFile {
                    content,
                    size,
                    version,
                    ancestors: Ancestors::new(parents.chain(kept)),
                    media_type: ours.media_type,
                };
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
        let names = match names {
            Ok(names) => names,
            Err(error) => {
                let message = format!("a conflict copy cannot be named: {error}");
                self.park(
                    path,
                    Problem {
                        kind: ProblemKind::Device,
                        message,
                        tag: None,
                    },
                    now_ms,
                );
                return CopyState::Impossible;
            }
        };
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
        let is_free = |copy: &FilePath| {
            self.entries
                .get(copy)
                .is_none_or(|entry| entry.local == Local::Never)
        };
        let Some(copy) = names.into_iter().find(is_free) else {
            return CopyState::There;
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

    /// Sets a path aside until something about it changes.
    pub(super) fn park(&mut self, path: &FilePath, problem: Problem, now_ms: u64) {
        let message = problem.message.clone();
        let version = self
            .entries
            .get(path)
            .and_then(|entry| entry.local.version());
        self.update(path, |entry| entry.problem = Some(problem));
        if let Some(version) = version {
            let mut row = log_row(path, Action::Parked, version, now_ms);
            row.detail.clone_from(&message);
            self.log(row);
        }
        self.ready.remove(path);
        self.events.push_back(Event::Parked {
            path: path.clone(),
            message,
        });
    }

    /// How a file is wrapped: as it was, or by policy if it is new.
    fn format_for(&self, path: &FilePath) -> Format {
        let entry = self.entries.get(path);
        let file = entry.and_then(|entry| entry.local.file());
        let is_text =
            file.is_some_and(|file| file.media_type.is_text() || file.media_type.is_json());
        let kind = if is_text {
            ContentKind::Text
        } else {
            ContentKind::Bytes
        };
        match entry.and_then(|entry| entry.base.file()) {
            Some(base) => {
                let kept = base.format;
                let kind = if kept.kind == ContentKind::Text {
                    kind
                } else {
                    kept.kind
                };
                Format { kind, ..kept }
            }
            None => Format {
                encryption: self.policy.encryption_for(path.as_str()),
                signing: Signing::Unsigned,
                kind,
            },
        }
    }
}

/// Whether a conflict copy is in place.
enum CopyState {
    There,
    BeingMade,
    Impossible,
    ToMake(Box<Sending>),
}

/// What follows a step.
pub(super) enum Next {
    /// Something is to be sent.
    Send(Box<Sending>),
    /// The state changed: plan again.
    Again,
    /// Nothing more now.
    Done,
}

impl Next {
    fn send(request: Request) -> Self {
        Self::Send(Box::new((request, None)))
    }
}

fn keep_side(side: Side) -> Merged {
    Merged {
        keep: Keep::Side(side),
        copy: None,
    }
}

/// Which steps need the hub; all others go on without it.
fn needs_hub(step: &Step) -> bool {
    match step {
        Step::Fetch | Step::Push(_) | Step::Remove(_) => true,
        Step::Nothing | Step::Pull(_) | Step::Rebase(_) | Step::Merge(_) | Step::Recheck => false,
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

/// The local form of a remote file; none for a tombstone.
pub(super) fn file_of(remote: &RemoteFile) -> Option<LocalFile> {
    match &remote.body {
        RemoteBody::File {
            content,
            size,
            media_type,
            ..
        } => Some(LocalFile {
            content: *content,
            size: *size,
            version: remote.version,
            ancestors: remote.ancestors.clone(),
            media_type: media_type.clone(),
        }),
        RemoteBody::Tombstone => None,
    }
}

/// The base that a remote state makes.
pub(super) fn base_of(remote: &RemoteFile, now_ms: u64) -> Base {
    match &remote.body {
        RemoteBody::File {
            content, format, ..
        } => Base::File(BaseFile {
            tag: remote.tag.clone(),
            version: remote.version,
            ancestors: remote.ancestors.clone(),
            content: *content,
            format: *format,
        }),
        RemoteBody::Tombstone => Base::Gone {
            version: remote.version,
            ancestors: remote.ancestors.clone(),
            tombstone: Some(remote.tag.clone()),
            since_ms: now_ms,
        },
    }
}
