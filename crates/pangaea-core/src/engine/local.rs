//! Edits made on this device: by the application, or found in the mirrored folder.

use gaia::path::FilePath;

use super::Engine;
use super::step::AfterApply;
use crate::commit::Action;
use crate::commit::Cause;
use crate::commit::HistoryRow;
use crate::commit::LogRow;
use crate::conflict::is_copy;
use crate::io::Choice;
use crate::io::NewContent;
use crate::mutant::Bug;
use crate::mutant::planted;
use crate::state::Ancestors;
use crate::state::Base;
use crate::state::Entry;
use crate::state::Format;
use crate::state::Local;
use crate::state::LocalFile;
use crate::state::ProblemKind;
use crate::state::Sent;
use crate::version::VersionId;

/// So many versions that were perhaps sent since the base are named whatever else there is to name.
const SENT_NAMED_MAX: usize = 4;

impl Engine {
    /// The device now has this content at `path`. Returns the version that it became; the caller
    /// may be told "saved" as soon as the next commit is stored.
    pub fn handle_local_write(
        &mut self,
        path: &FilePath,
        new: NewContent,
        now_ms: u64,
    ) -> VersionId {
        if let Some(file) = self.entries.get(path).and_then(|entry| entry.local.file())
            && file.content == new.content
            && self.is_held_so(path, file, &new)
        {
            return file.version;
        }
        self.drop_follow_up(path);
        if let Some(version) = self.complete_apply(path, Some(new.content), now_ms) {
            return version;
        }
        if let Some(version) = self.undo_unsent_edit(path, &new) {
            return version;
        }
        self.keep_replaced(path, Cause::Edited, now_ms);
        let format = self.wished_format(path, &new);
        let ancestors = self.ancestors_of_next(path);
        let version = self.next_version(now_ms);
        let is_of_either = self.unscanned.contains(path);
        self.update(path, |entry| {
            entry.local = Local::File(LocalFile {
                content: new.content,
                size: new.size,
                version,
                ancestors,
                media_type: new.media_type,
                format,
            });
        });
        self.record_edit(path, Action::Edited, version, now_ms);
        let entry = self.entries.get_mut(path).filter(|_| is_of_either);
        if let Some(pending) = entry.and_then(|entry| entry.pending.as_mut()) {
            // Made to what the device remembers, or to what was announced before the power went.
            pending.sent = Sent::Unnamed;
        }
        version
    }

    /// The device no longer has `path`. Returns the version of the delete; none if there was
    /// nothing to delete.
    pub fn handle_local_delete(&mut self, path: &FilePath, now_ms: u64) -> Option<VersionId> {
        let entry = self.entries.get(path)?;
        entry.local.file()?;
        self.drop_follow_up(path);
        if let Some(version) = self.complete_apply(path, None, now_ms) {
            return Some(version);
        }
        let entry = self.entries.get(path)?;
        // What it replaced may be on the hub, also if a listing did not show it yet.
        let replaces_nothing = entry.local.ancestors() == Ancestors::default();
        let never_shared = entry.base == Base::Unknown && self.is_unsent(path) && replaces_nothing;
        self.keep_replaced(path, Cause::Deleted, now_ms);
        let ancestors = self.ancestors_of_next(path);
        let version = self.next_version(now_ms);
        if never_shared {
            self.clear_pending(path);
            self.update(path, |entry| {
                entry.local = Local::Never;
                entry.problem = None;
            });
            self.log(log_row(path, Action::Deleted, version, now_ms));
            self.ready.insert(path.clone());
            return Some(version);
        }
        self.update(path, |entry| {
            entry.local = Local::Deleted { version, ancestors }
        });
        self.record_edit(path, Action::Deleted, version, now_ms);
        Some(version)
    }

    /// The whole folder was looked at, and every difference handed in: what was announced before a
    /// restart and not found there was never made.
    pub fn handle_folder_scanned(&mut self) {
        let paths = std::mem::take(&mut self.unscanned);
        self.ready.extend(paths);
    }

    /// A person chose between the versions of a path that was held for a decision.
    pub fn handle_decision(&mut self, path: &FilePath, choice: Choice) {
        self.decisions.insert(path.clone(), choice);
        self.update(path, |entry| {
            if entry
                .problem
                .as_ref()
                .is_some_and(|problem| problem.kind == ProblemKind::Undecided)
            {
                entry.problem = None;
            }
        });
        self.listing.want();
        self.ready.insert(path.clone());
    }

    /// The folder's rules changed: what they kept out is looked at again.
    pub fn handle_rules_changed(&mut self) {
        let ignored = |entry: &Entry| {
            entry
                .problem
                .as_ref()
                .is_some_and(|problem| problem.kind == ProblemKind::Ignored)
        };
        let paths: Vec<FilePath> = self
            .entries
            .iter()
            .filter(|(_, entry)| ignored(entry))
            .map(|(path, _)| path.clone())
            .collect();
        for path in paths {
            self.update(&path, |entry| entry.problem = None);
            self.listing.want();
            self.ready.insert(path);
        }
    }

    /// What was to be done to the device's copy is not any more: it was decided for, and announced
    /// beside, a state that an edit has just replaced.
    fn drop_follow_up(&mut self, path: &FilePath) {
        let mut anew = Vec::new();
        self.follow_up.retain(|(request, after)| {
            let is_about = request.path() == Some(path);
            if is_about {
                anew.push(match after {
                    Some(AfterApply::Copy { main, .. }) => main.clone(),
                    Some(AfterApply::Take { .. } | AfterApply::Merge { .. }) | None => path.clone(),
                });
            }
            !is_about
        });
        self.ready.extend(anew);
    }

    /// An edit that leads back to the base before anything was sent is no edit at all.
    fn undo_unsent_edit(&mut self, path: &FilePath, new: &NewContent) -> Option<VersionId> {
        let entry = self.entries.get(path)?;
        let base = entry.base.file()?.clone();
        if base.content != new.content || new.format.is_some() || !self.is_unsent(path) {
            return None;
        }
        self.clear_pending(path);
        self.update(path, |entry| {
            entry.local = Local::File(LocalFile {
                content: new.content,
                size: new.size,
                version: base.version,
                ancestors: base.ancestors.clone(),
                media_type: new.media_type.clone(),
                format: None,
            });
        });
        Some(base.version)
    }

    /// Whether a file is already as the application wants it held; if it says nothing, it is.
    fn is_held_so(&self, path: &FilePath, file: &LocalFile, new: &NewContent) -> bool {
        new.format.is_none_or(|wish| {
            let format = self.format_for(path);
            file.media_type == new.media_type && wish.over(format) == format
        })
    }

    /// The format that is kept with a version: what the application wants now, or wanted before.
    fn wished_format(&self, path: &FilePath, new: &NewContent) -> Option<Format> {
        let entry = self.entries.get(path);
        let before = entry.and_then(|entry| entry.local.file()?.format);
        match new.format {
            Some(wish) => Some(wish.over(self.format_of(path, &new.media_type))),
            None => before,
        }
    }

    /// Whether nobody else can have seen the pending operation.
    fn is_unsent(&self, path: &FilePath) -> bool {
        let pending = self.entries.get(path).and_then(|it| it.pending.as_ref());
        pending.is_some_and(|pending| pending.sent == Sent::Nothing)
            && !self.busy.contains_key(path)
    }

    /// What the next local version replaces. An unsent version that nobody can have seen is left out: it
    /// never existed for others, unless this is a conflict copy of it. The base is always among them,
    /// however many edits were made while the hub did not answer: what replaces it on the hub must
    /// name it.
    fn ancestors_of_next(&self, path: &FilePath) -> Ancestors {
        let Some(entry) = self.entries.get(path) else {
            return Ancestors::default();
        };
        let Some(version) = entry.local.version() else {
            // Of a file that was never here the hub may be known to have the tombstone.
            return match &entry.base {
                Base::Gone {
                    version, ancestors, ..
                } => Ancestors::descend([*version], ancestors.as_slice().iter().copied()),
                Base::Unknown | Base::File(_) => Ancestors::default(),
            };
        };
        let ancestors = entry.local.ancestors();
        let is_unseen = self.is_unsent(path) || self.unseen.get(path) == Some(&version);
        if (is_unseen && !is_copy(path)) || planted(Bug::UnsentAncestors) {
            return ancestors;
        }
        // What was perhaps sent since the base is known by nothing else when it shows up on the hub.
        let is_sent = |it: &&VersionId| it.device == version.device && !entry.base.includes(it);
        let sent = ancestors
            .as_slice()
            .iter()
            .filter(is_sent)
            .take(SENT_NAMED_MAX);
        let newest = std::iter::once(version).chain(entry.base.version());
        let newest = newest.chain(sent.copied());
        Ancestors::descend(newest, ancestors.as_slice().iter().copied())
    }

    /// Notes that the operation is to be sent, as a new journal record that takes the place of an
    /// unsent one for the same path (rule 8).
    fn record_edit(&mut self, path: &FilePath, action: Action, version: VersionId, now_ms: u64) {
        let earlier = self
            .entries
            .get(path)
            .and_then(|entry| entry.pending.clone());
        self.clear_pending(path);
        self.ensure_pending(path, now_ms);
        self.unseen.insert(path.clone(), version);
        self.setbacks.remove(path);
        self.update(path, |entry| {
            entry.applying = None;
            if let (Some(pending), Some(earlier)) = (&mut entry.pending, earlier) {
                pending.since_ms = earlier.since_ms;
                pending.sent = earlier.sent;
            }
            if entry
                .problem
                .as_ref()
                .is_some_and(|problem| problem.kind.is_retried_at_start())
            {
                entry.problem = None;
            }
        });
        self.log(log_row(path, action, version, now_ms));
        self.waiting.remove(path);
        self.ready.insert(path.clone());
    }

    /// Puts what is about to be replaced into history.
    pub(super) fn keep_replaced(&mut self, path: &FilePath, cause: Cause, now_ms: u64) {
        if !planted(Bug::NoHistory)
            && let Some(file) = self.entries.get(path).and_then(|entry| entry.local.file())
        {
            let row = history_row(path, file, cause, now_ms);
            self.commit.history.push(row);
        }
    }
}

/// A history row for `file`.
pub(super) fn history_row(
    path: &FilePath,
    file: &LocalFile,
    cause: Cause,
    now_ms: u64,
) -> HistoryRow {
    HistoryRow {
        path: path.clone(),
        version: file.version,
        content: file.content,
        size: file.size,
        media_type: file.media_type.clone(),
        replaced_ms: now_ms,
        cause,
    }
}

/// A log row without detail.
pub(super) fn log_row(path: &FilePath, action: Action, version: VersionId, at_ms: u64) -> LogRow {
    LogRow {
        at_ms,
        path: path.clone(),
        action,
        version,
        detail: String::new(),
    }
}
