//! Answers to requests: what they change in the trees, and what is to be planned anew.

use gaia::etag::ETag;
use gaia::path::FilePath;

use super::Engine;
use super::InFlight;
use super::apply::reach;
use super::apply::taken;
use super::local::log_row;
use super::step::AfterApply;
use super::step::Next;
use super::step::base_of;
use super::step::file_of;
use crate::commit::Action;
use crate::commit::Cause;
use crate::io::Event;
use crate::io::Failure;
use crate::io::Merged;
use crate::io::Request;
use crate::io::RequestId;
use crate::io::Response;
use crate::mutant::Bug;
use crate::mutant::planted;
use crate::state::Ancestors;
use crate::state::Base;
use crate::state::BaseFile;
use crate::state::Entry;
use crate::state::Format;
use crate::state::Local;
use crate::state::LocalFile;
use crate::state::Remote;
use crate::state::RemoteFile;
use crate::state::Target;
use crate::version::VersionId;

/// After this many conditions that failed in a row, a path waits before it tries again.
const CONDITION_FAILURES_MAX: u32 = 4;

impl Engine {
    /// A request was answered. An answer that nobody waits for changes nothing (I-4).
    pub fn handle_response(&mut self, id: RequestId, response: Response, now_ms: u64) {
        self.wake(now_ms);
        let Some(in_flight) = self.in_flight.remove(&id) else {
            return;
        };
        if let Some(path) = &in_flight.path {
            self.busy.remove(path);
            self.ready.insert(path.clone());
            self.listing.touch(path);
        } else {
            self.listing.end();
        }
        if !is_local(&in_flight.request) && !matches!(response, Response::Failed(_)) {
            self.note_hub_answered(now_ms);
        }
        let concerned = in_flight.concerned().cloned();
        if !self.take_answer(in_flight, response, concerned.as_ref(), now_ms) {
            // It says nothing. To plan anew only after a wait keeps a shell that answers so from
            // making a busy loop.
            match concerned {
                Some(path) => {
                    let reason = "the file on this device changed just then";
                    self.wait_for(&path, reason, now_ms);
                }
                None => self.listing.want(),
            }
        }
    }

    /// False: the answer does not lead on.
    fn take_answer(
        &mut self,
        in_flight: InFlight,
        response: Response,
        concerned: Option<&FilePath>,
        now_ms: u64,
    ) -> bool {
        match (in_flight.request, response) {
            // What was refused is not what the device has any more: that is sent next (I-12).
            (request, Response::Failed(Failure::Problem { .. })) if self.is_outdated(&request) => {}
            (_, Response::Failed(failure)) => self.note_failure(concerned, failure, now_ms),
            (_, Response::ContentMissing) => self.note_content_missing(concerned),
            (Request::List, Response::Listed(files)) => self.handle_listing(files, now_ms),
            (Request::Fetch { path }, Response::Fetched(remote)) => {
                self.note_fetched(&path, remote, now_ms);
            }
            (Request::Fetch { path }, Response::Absent) => self.note_absent(&path, now_ms),
            (
                Request::Push {
                    path, file, format, ..
                },
                Response::Stored(tag),
            ) => {
                self.note_pushed(&path, &file, format, tag, now_ms);
            }
            (
                Request::Remove {
                    path,
                    version,
                    ancestors,
                    ..
                },
                answer @ (Response::Stored(_) | Response::Absent),
            ) => {
                let tombstone = match answer {
                    Response::Stored(tag) => Some(tag),
                    _ => None,
                };
                self.note_removed(&path, version, ancestors, tombstone, now_ms);
            }
            (Request::Sweep { path, .. }, Response::Absent) => self.note_swept(&path),
            (
                Request::Push { path, .. }
                | Request::Remove { path, .. }
                | Request::Sweep { path, .. },
                Response::ConditionFailed(tag),
            ) => self.note_condition_failed(&path, tag, now_ms),
            (Request::Merge { path, ours, .. }, Response::Merged(merged)) => {
                self.note_merged(&path, ours.version, merged, now_ms);
            }
            (Request::Apply { path, to, .. }, Response::Applied) => {
                let after = in_flight.after_apply;
                // An edit through the application that came in between is newer, even if it has the bytes
                // of before.
                if self.local_version(&path) == in_flight.local {
                    self.note_applied(&path, to, after, now_ms);
                } else if let Some(AfterApply::Copy { main, .. }) = after {
                    self.ready.insert(main);
                }
            }
            // After `LocalDiffers` the user was faster: the shell reports the edit, the planner
            // sees both sides. Anything else is no answer to that request.
            _ => return false,
        }
        true
    }

    /// Whether a request was about a version that the device has replaced since.
    fn is_outdated(&self, request: &Request) -> bool {
        let (path, sent) = match request {
            Request::Push { path, file, .. } => (path, file.version),
            Request::Remove { path, version, .. } => (path, *version),
            Request::List
            | Request::Fetch { .. }
            | Request::Sweep { .. }
            | Request::Merge { .. }
            | Request::Apply { .. } => return false,
        };
        self.local_version(path).is_some_and(|now| now != sent)
    }

    /// The version that the device has at a path.
    pub(super) fn local_version(&self, path: &FilePath) -> Option<VersionId> {
        self.entries.get(path)?.local.version()
    }

    /// What was fetched is not in the content store any more.
    fn note_content_missing(&mut self, path: Option<&FilePath>) {
        if let Some(path) = path
            && let Some(entry) = self.entries.get_mut(path)
        {
            entry.remote = Remote::Seen(None);
            self.ready.insert(path.clone());
        }
    }

    fn note_swept(&mut self, path: &FilePath) {
        self.update(path, |entry| {
            if let Base::Gone { tombstone, .. } = &mut entry.base {
                *tombstone = None;
            }
        });
    }

    fn note_fetched(&mut self, path: &FilePath, remote: Box<RemoteFile>, now_ms: u64) {
        self.observe(remote.version.clock, now_ms);
        self.note_readable(path);
        if let Some(entry) = self.entries.get_mut(path) {
            match &entry.remote {
                // The hub told of just this: two of its answers agree.
                Remote::Seen(Some(told)) if *told == remote.tag => {
                    entry.suspect = Some(remote.tag.clone());
                }
                // The hub told of something else: this is a cache's answer, or the hub moved on.
                Remote::Seen(Some(_)) | Remote::Missing => entry.suspect = None,
                // The hub did not tell: an earlier read may have said the same.
                Remote::Seen(None) | Remote::AsBase | Remote::Absent | Remote::File(_) => {}
            }
            entry.remote = Remote::File(remote);
        }
    }

    /// A read found nothing. That is believed if a listing says so too; a read alone may have been
    /// answered by a cache, or raced with others (I-9).
    fn note_absent(&mut self, path: &FilePath, now_ms: u64) {
        let Some(entry) = self.entries.get_mut(path) else {
            return;
        };
        if entry.remote == Remote::Missing || planted(Bug::ReadAloneIsAbsence) {
            entry.remote = Remote::Absent;
        } else {
            entry.remote = Remote::AsBase;
            self.listing.want();
            let reason = "the hub says now that it has the file, now that it has not";
            self.wait_for(path, reason, now_ms);
        }
    }

    fn note_pushed(
        &mut self,
        path: &FilePath,
        sent: &LocalFile,
        format: Format,
        tag: ETag,
        now_ms: u64,
    ) {
        if !self.follows(path, sent.version) {
            self.look_again(path, Some(tag));
            return;
        }
        self.update(path, |entry| {
            entry.base = Base::File(BaseFile {
                tag,
                version: sent.version,
                ancestors: sent.ancestors.clone(),
                content: sent.content,
                format,
            });
            entry.remote = Remote::AsBase;
            entry.suspect = None;
        });
        self.setbacks.remove(path);
        // An edit that was made in the meantime stays pending (I-12).
        if planted(Bug::ClearNewerEdit) || self.entries.get(path).is_some_and(Entry::is_clean) {
            self.clear_pending(path);
        }
        self.log(log_row(path, Action::Pushed, sent.version, now_ms));
        self.events.push_back(Event::Stored {
            path: path.clone(),
            version: sent.version,
        });
    }

    fn note_removed(
        &mut self,
        path: &FilePath,
        version: VersionId,
        ancestors: Ancestors,
        tombstone: Option<ETag>,
        now_ms: u64,
    ) {
        if !self.follows(path, version) {
            self.look_again(path, tombstone);
            return;
        }
        self.update(path, |entry| {
            entry.base = Base::Gone {
                version,
                ancestors,
                tombstone,
                since_ms: now_ms,
            };
            if planted(Bug::ForgetDelete) {
                entry.base = Base::Unknown;
            }
            entry.remote = Remote::AsBase;
            entry.suspect = None;
        });
        if self.entries.get(path).is_some_and(Entry::is_clean) {
            self.clear_pending(path);
        }
        self.log(log_row(path, Action::Removed, version, now_ms));
        self.events.push_back(Event::Stored {
            path: path.clone(),
            version,
        });
    }

    /// Whether what the device has now is what was sent, or was made from it. It is not if a scan
    /// found, after a restart, that a pull had gone before.
    fn follows(&self, path: &FilePath, sent: VersionId) -> bool {
        self.entries.get(path).is_some_and(|entry| {
            entry.local.version() == Some(sent) || entry.local.ancestors().contains(&sent)
        })
    }

    /// The hub holds something that was not expected there: it is read before anything else.
    fn look_again(&mut self, path: &FilePath, tag: Option<ETag>) {
        if let Some(entry) = self.entries.get_mut(path) {
            entry.remote = Remote::Seen(tag);
        }
        self.listing.want();
    }

    fn note_condition_failed(&mut self, path: &FilePath, tag: Option<ETag>, now_ms: u64) {
        let Some(entry) = self.entries.get_mut(path) else {
            return;
        };
        let same = tag.is_some() && tag.as_ref() == entry.base.tag();
        if tag.is_none() && !planted(Bug::TwoReadsAreProof) {
            // What was read before is borne out by nothing in this: two reads may come from one cache.
            entry.suspect = None;
        }
        entry.remote = Remote::Seen(if same { None } else { tag });
        let setbacks = self.setbacks.entry(path.clone()).or_default();
        *setbacks = setbacks.saturating_add(1);
        if *setbacks > CONDITION_FAILURES_MAX {
            let reason = "others keep changing it, or the hub's answers are old ones";
            self.wait_for(path, reason, now_ms);
        }
    }

    fn note_merged(&mut self, path: &FilePath, ours: VersionId, merged: Merged, now_ms: u64) {
        let unchanged = self
            .entries
            .get(path)
            .is_some_and(|entry| entry.local.version() == Some(ours));
        if !unchanged {
            return;
        }
        if let Next::Send(sending) = self.take_merged(path, merged, now_ms) {
            // Its next turn comes when this is answered.
            self.unready(path);
            self.follow_up.push_back(*sending);
        }
    }

    fn note_applied(
        &mut self,
        path: &FilePath,
        to: Option<LocalFile>,
        after: Option<AfterApply>,
        now_ms: u64,
    ) {
        match after {
            None => {}
            Some(AfterApply::Take { remote, cause }) => {
                self.note_taken(path, to, remote.as_deref(), cause, now_ms);
            }
            Some(AfterApply::Merge { file, remote }) => {
                self.note_merge_applied(path, file, &remote, now_ms);
            }
            Some(AfterApply::Copy { file, main }) => {
                let version = file.version;
                self.update(path, |entry| entry.local = Local::File(file));
                self.ensure_pending(path, now_ms);
                let mut row = log_row(&main, Action::Conflict, version, now_ms);
                path.as_str().clone_into(&mut row.detail);
                self.log(row);
                self.ready.insert(main.clone());
                self.events.push_back(Event::Conflict {
                    path: main,
                    copy: path.clone(),
                });
            }
        }
    }

    fn note_taken(
        &mut self,
        path: &FilePath,
        to: Option<LocalFile>,
        remote: Option<&RemoteFile>,
        cause: Cause,
        now_ms: u64,
    ) {
        let edit_kept = to.is_some()
            && self.entries.get(path).is_some_and(|entry| {
                matches!(entry.local, Local::Deleted { .. }) && !entry.is_clean()
            });
        self.keep_replaced(path, cause, now_ms);
        self.clear_pending(path);
        let is_file = to.is_some();
        let device = self.options.device;
        self.update(path, |entry| {
            let target = taken(entry, to, remote, device, now_ms);
            reach(entry, target);
        });
        if let Some(version) = self
            .entries
            .get(path)
            .and_then(|entry| entry.local.version())
        {
            let action = match (edit_kept, is_file) {
                (true, _) => Action::EditKept,
                (false, true) => Action::Pulled,
                (false, false) => Action::PulledDelete,
            };
            self.log(log_row(path, action, version, now_ms));
        }
        self.events.push_back(Event::Changed { path: path.clone() });
    }

    fn note_merge_applied(
        &mut self,
        path: &FilePath,
        file: LocalFile,
        remote: &RemoteFile,
        now_ms: u64,
    ) {
        self.keep_replaced(path, Cause::Merged, now_ms);
        if let Some(theirs) = file_of(remote) {
            let row = super::local::history_row(path, &theirs, Cause::Merged, now_ms);
            self.commit.history.push(row);
        }
        let version = file.version;
        let local = Local::File(file);
        self.update(path, |entry| {
            let base = base_of(remote, &entry.base, now_ms);
            reach(entry, Target { local, base });
        });
        self.ensure_pending(path, now_ms);
        if planted(Bug::MergeClearsJournal) {
            self.clear_pending(path);
        }
        self.log(log_row(path, Action::Merged, version, now_ms));
        self.events.push_back(Event::Changed { path: path.clone() });
    }
}

/// Whether a request is answered without the hub.
fn is_local(request: &Request) -> bool {
    matches!(request, Request::Merge { .. } | Request::Apply { .. })
}
