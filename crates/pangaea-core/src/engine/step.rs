//! Carries out what the planner decided for one path: changes that need no I/O are made at once,
//! for all others the request to send is returned.

use gaia::path::FilePath;

use super::Engine;
use super::apply::taken;
use super::local::log_row;
use crate::commit::Action;
use crate::commit::Cause;
use crate::io::Event;
use crate::io::Request;
use crate::media::MediaType;
use crate::mutant::Bug;
use crate::mutant::planted;
use crate::plan::Condition;
use crate::plan::Reason;
use crate::plan::Step;
use crate::plan::plan;
use crate::policy::Encryption;
use crate::state::Base;
use crate::state::BaseFile;
use crate::state::Entry;
use crate::state::Format;
use crate::state::Local;
use crate::state::LocalFile;
use crate::state::Origin;
use crate::state::Problem;
use crate::state::ProblemKind;
use crate::state::Remote;
use crate::state::RemoteBody;
use crate::state::RemoteFile;
use crate::state::Sent;

/// What to record once the device's copy is as asked.
#[derive(Debug, Clone, Hash)]
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
                self.unready(path);
                return None;
            };
            let is_settled = !entry.is_set_aside() && !self.unscanned.contains(path);
            if self.busy.contains_key(path) || !is_settled {
                self.unready(path);
                return None;
            }
            let step = plan(entry, self.own);
            if needs_hub(&step) && !self.hub_is_usable(now_ms) {
                self.unready(path);
                self.held.insert(path.clone());
                return None;
            }
            if matches!(step, Step::Merge(_)) && self.has_unread_copies(path) {
                return None;
            }
            match self.carry_out(path, step, now_ms) {
                Next::Send(sending) => return Some(*sending),
                // What changed is stored before the next step builds on it.
                Next::Again if self.commit.entries.contains(path) => return None,
                Next::Again => {}
                Next::Done => {
                    self.unready(path);
                    return None;
                }
            }
        }
        self.wait_for(
            path,
            "its steps lead nowhere, which is a fault of Pangaea",
            now_ms,
        );
        None
    }

    fn carry_out(&mut self, path: &FilePath, step: Step, now_ms: u64) -> Next {
        match step {
            Step::Nothing => self.settle(path, now_ms),
            Step::Fetch => Next::send(Request::Fetch { path: path.clone() }),
            Step::Push(condition) => self.push(path, condition),
            Step::Remove(tag) => self.remove(path, tag),
            Step::Pull(reason) => self.pull(path, reason, now_ms),
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
                let reason = "the hub's answer may be an old one, so it is asked again";
                self.wait_for(path, reason, now_ms);
                Next::Done
            }
        }
    }

    /// Nothing is left to do: the journal record goes, and an old tombstone is swept.
    fn settle(&mut self, path: &FilePath, now_ms: u64) -> Next {
        if self.entries.get(path).is_some_and(is_unconfirmed_delete) {
            self.listing.want();
            return Next::Done;
        }
        self.clear_pending(path);
        self.setbacks.remove(path);
        if let Some(entry) = self.entries.get_mut(path) {
            if entry.applying.take().is_some() {
                self.commit.entries.insert(path.clone());
            }
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
        self.unseen.remove(path);
        // What was seen before it is sent says nothing of the hub after that.
        entry.remote = Remote::AsBase;
        if let Some(pending) = &mut entry.pending {
            pending.sent = pending.sent.max(Sent::Edits);
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
        self.unseen.remove(path);
        if let Some(pending) = &mut entry.pending {
            pending.sent = Sent::Unnamed;
        }
        Next::send(Request::Remove {
            path: path.clone(),
            version,
            ancestors,
            tag,
        })
    }

    fn pull(&mut self, path: &FilePath, reason: Reason, now_ms: u64) -> Next {
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
        self.take(path, to, remote, cause, now_ms)
    }

    /// Puts a remote state in place of the local one, once that is announced.
    pub(super) fn take(
        &mut self,
        path: &FilePath,
        to: Option<LocalFile>,
        remote: Option<Box<RemoteFile>>,
        cause: Cause,
        now_ms: u64,
    ) -> Next {
        let Some(entry) = self.entries.get(path) else {
            return Next::Done;
        };
        let expected = entry.local.file().map(|file| file.content);
        let device = self.options.device;
        let target = taken(entry, to.clone(), remote.as_deref(), device, now_ms);
        if !self.announce(path, target) {
            return Next::Again;
        }
        let apply = Request::Apply {
            path: path.clone(),
            expected,
            to,
        };
        Next::Send(Box::new((apply, Some(AfterApply::Take { remote, cause }))))
    }

    /// Sets a path aside until something about it changes.
    pub(super) fn park(&mut self, path: &FilePath, problem: Problem, now_ms: u64) {
        let message = problem.message.clone();
        let version = self
            .entries
            .get(path)
            .and_then(|entry| entry.local.version());
        if problem.kind == ProblemKind::Refused && planted(Bug::RefusalRetries) {
            self.ready.insert(path.clone());
            return;
        }
        self.update(path, |entry| entry.problem = Some(problem));
        if planted(Bug::OneStopsAll) {
            self.ready.clear();
            self.held.clear();
            self.unstored.clear();
        }
        if let Some(version) = version {
            let mut row = log_row(path, Action::Parked, version, now_ms);
            row.detail.clone_from(&message);
            self.log(row);
        }
        self.unready(path);
        self.events.push_back(Event::Parked {
            path: path.clone(),
            message,
        });
    }

    /// How a file is wrapped: as the application wants it, as it was, or by policy if it is new.
    pub fn format_for(&self, path: &FilePath) -> Format {
        let encryption = self.policy.encryption_for(path.as_str());
        match self.entries.get(path) {
            Some(entry) => entry.format(encryption),
            None => Entry::default().format(encryption),
        }
    }

    /// How content of a type is wrapped at a path if the application says nothing of it.
    pub(super) fn format_of(&self, path: &FilePath, media_type: &MediaType) -> Format {
        let base = self.entries.get(path).and_then(|entry| entry.base.file());
        let encryption = self.policy.encryption_for(path.as_str());
        Format::as_before(base.map(|base| base.format), Some(media_type), encryption)
    }
}

/// How the next version is wrapped. A program without versions that writes in the clear what was
/// encrypted, or a hub that pretends to be one, cannot make this device do so as well.
fn safe_format(format: Format, origin: Origin, before: &Base) -> Format {
    let was_encrypted = before
        .file()
        .is_some_and(|base| base.format.encryption == Encryption::Ecies);
    if origin == Origin::Foreign && was_encrypted {
        return Format {
            encryption: Encryption::Ecies,
            ..format
        };
    }
    format
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
    pub(super) fn send(request: Request) -> Self {
        Self::Send(Box::new((request, None)))
    }
}

/// Whether what was deleted was perhaps sent before, and no listing since then says what the hub has:
/// the delete is not done until one does.
fn is_unconfirmed_delete(entry: &Entry) -> bool {
    matches!(entry.local, Local::Deleted { .. })
        && entry.remote == Remote::AsBase
        && entry
            .pending
            .as_ref()
            .is_some_and(|pending| pending.sent > Sent::Nothing)
}

/// What the hub may have when this was sent.
pub(super) fn sent_with(local: &Local) -> Sent {
    match local {
        Local::Never | Local::Deleted { .. } => Sent::Unnamed,
        Local::File(_) => Sent::Edits,
    }
}

/// Which steps need the hub; all others go on without it.
fn needs_hub(step: &Step) -> bool {
    match step {
        Step::Fetch | Step::Push(_) | Step::Remove(_) => true,
        Step::Nothing | Step::Pull(_) | Step::Rebase(_) | Step::Merge(_) | Step::Recheck => false,
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
            format: None,
        }),
        RemoteBody::Tombstone => None,
    }
}

/// The base that a remote state makes, after another.
pub(super) fn base_of(remote: &RemoteFile, before: &Base, now_ms: u64) -> Base {
    match &remote.body {
        RemoteBody::File {
            content, format, ..
        } => Base::File(BaseFile {
            tag: remote.tag.clone(),
            version: remote.version,
            ancestors: remote.ancestors.clone(),
            content: *content,
            format: safe_format(*format, remote.origin, before),
        }),
        RemoteBody::Tombstone => Base::Gone {
            version: remote.version,
            ancestors: remote.ancestors.clone(),
            tombstone: Some(remote.tag.clone()),
            since_ms: now_ms,
        },
    }
}
