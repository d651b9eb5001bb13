//! Changes of files in a folder, which no transaction covers: announced in the store before they
//! are made, and recognised afterwards, also after a crash in between.

use gaia::path::FilePath;

use super::Engine;
use super::LocalFiles;
use super::local::log_row;
use super::step::base_of;
use crate::commit::Action;
use crate::commit::Cause;
use crate::io::Event;
use crate::mutant::Bug;
use crate::mutant::planted;
use crate::state::Base;
use crate::state::Entry;
use crate::state::Local;
use crate::state::LocalFile;
use crate::state::Remote;
use crate::state::RemoteFile;
use crate::state::Target;
use crate::version::ContentHash;
use crate::version::DeviceId;
use crate::version::Hlc;
use crate::version::VersionId;

impl Engine {
    /// Announces what is about to be put into the folder. True: it is announced, go ahead; false:
    /// the announcement must be stored first.
    pub(super) fn announce(&mut self, path: &FilePath, target: Target) -> bool {
        if self.options.local_files == LocalFiles::InStore || planted(Bug::NoAnnouncement) {
            return true;
        }
        let announced = self
            .entries
            .get(path)
            .and_then(|entry| entry.applying.as_deref());
        if announced.is_some_and(|announced| {
            announced.local == target.local && announced.base.version() == target.base.version()
        }) {
            return true;
        }
        self.update(path, |entry| entry.applying = Some(Box::new(target)));
        false
    }

    /// The file of a merge that was announced before with this content, so that a merge which is
    /// made again gets no other version.
    pub(super) fn announced_merge(
        &self,
        path: &FilePath,
        content: ContentHash,
        base: VersionId,
    ) -> Option<LocalFile> {
        let target = self.entries.get(path)?.applying.as_deref()?;
        let file = target.local.file()?;
        (file.content == content && target.base.version() == Some(base)).then(|| file.clone())
    }

    /// The folder turned out to have what was announced: the change was made, and the crash came
    /// before that was stored. None: it has something else.
    pub(super) fn complete_apply(
        &mut self,
        path: &FilePath,
        found: Option<ContentHash>,
        now_ms: u64,
    ) -> Option<VersionId> {
        let target = self.entries.get(path)?.applying.as_deref()?;
        if target.local.file().map(|file| file.content) != found {
            return None;
        }
        let (target, version) = (target.clone(), target.local.version()?);
        // An edit that gave way goes to history, as it would have without the crash. Its content was
        // kept when the merge was made.
        if !self.entries.get(path).is_some_and(Entry::is_clean) {
            self.keep_replaced(path, Cause::Lost, now_ms);
        }
        self.clear_pending(path);
        self.update(path, |entry| reach(entry, target));
        if !self.entries.get(path).is_some_and(Entry::is_clean) {
            self.ensure_pending(path, now_ms);
        }
        let action = match found {
            Some(_) => Action::Pulled,
            None => Action::PulledDelete,
        };
        self.log(log_row(path, action, version, now_ms));
        self.events.push_back(Event::Changed { path: path.clone() });
        self.ready.insert(path.clone());
        Some(version)
    }
}

/// What an entry becomes by taking over a remote state; none: the hub holds nothing.
pub(super) fn taken(
    entry: &Entry,
    to: Option<LocalFile>,
    remote: Option<&RemoteFile>,
    device: DeviceId,
    now_ms: u64,
) -> Target {
    let never = VersionId::new(Hlc::ZERO, device);
    let vanished = entry
        .base
        .version()
        .or(entry.local.version())
        .unwrap_or(never);
    let ancestors = entry.local.ancestors();
    let base = match remote {
        Some(remote) => base_of(remote, &entry.base, now_ms),
        None => Base::Gone {
            version: vanished,
            ancestors: ancestors.clone(),
            tombstone: None,
            since_ms: now_ms,
        },
    };
    let local = match to {
        Some(file) => Local::File(file),
        None => Local::Deleted {
            version: remote.map_or(vanished, |remote| remote.version),
            ancestors: remote.map_or(ancestors, |remote| remote.ancestors.clone()),
        },
    };
    Target { local, base }
}

/// The entry is now what was intended.
pub(super) fn reach(entry: &mut Entry, target: Target) {
    if !planted(Bug::BaseWithoutLocal) || entry.local == Local::Never {
        entry.local = target.local;
    }
    entry.base = target.base;
    entry.remote = Remote::AsBase;
    entry.suspect = None;
    entry.applying = None;
}
