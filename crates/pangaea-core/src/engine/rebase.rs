//! What becomes the base without any transfer: the hub has, or had, what the device's state already
//! includes.

use gaia::path::FilePath;

use super::Engine;
use super::local::log_row;
use super::step::base_of;
use super::step::file_of;
use crate::commit::Action;
use crate::io::Event;
use crate::plan::Rebase;
use crate::state::Ancestors;
use crate::state::Base;
use crate::state::Entry;
use crate::state::Local;
use crate::state::Remote;
use crate::state::RemoteBody;
use crate::state::RemoteFile;
use crate::version::VersionId;

impl Engine {
    pub(super) fn rebase(&mut self, path: &FilePath, rebase: Rebase, now_ms: u64) {
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
            entry.base = base_of(remote, &entry.base, now_ms);
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

    pub(super) fn rebase_behind(&mut self, path: &FilePath, remote: &RemoteFile, now_ms: u64) {
        self.succeed(path, remote.version, &remote.ancestors, now_ms);
        if matches!(remote.body, RemoteBody::Tombstone)
            && let Some(version) = self
                .entries
                .get(path)
                .and_then(|entry| entry.local.version())
        {
            self.log(log_row(path, Action::EditKept, version, now_ms));
        }
        self.update(path, |entry| {
            entry.base = base_of(remote, &entry.base, now_ms);
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
                (Some(remote), base) => *base = base_of(remote, base, now_ms),
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
            self.succeed(path, version, &ancestors, now_ms);
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

    /// Makes the local state a successor of `earlier` and of all that this came from. That is a new
    /// version, unless it is one already: what the old name stands for may be known elsewhere, and never
    /// changes. Nor does a name that says so need to be a greater one: where a clock is wrong it could not
    /// be, and what was sent already would come as something new to who has deleted it since (I-2).
    fn succeed(&mut self, path: &FilePath, earlier: VersionId, before: &Ancestors, now_ms: u64) {
        self.observe(earlier.clock, now_ms);
        let Some(entry) = self.entries.get(path) else {
            return;
        };
        let own = entry.local.version();
        let ancestors = entry.local.ancestors();
        if ancestors.contains(&earlier) {
            return;
        }
        let newest = std::iter::once(earlier).chain(own);
        let inherited = before.as_slice().iter().chain(ancestors.as_slice());
        let ancestors = Ancestors::descend(newest, inherited.copied());
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
}
