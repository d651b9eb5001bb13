//! A model device's storage: commits that are stored whole or not at all, and everything that can
//! happen to a disk.

use std::collections::BTreeMap;

use pangaea_core::commit::Commit;
use pangaea_core::state::Remote;
use pangaea_core::version::DeviceId;
use pangaea_core::version::Hlc;

use super::Chance;
use super::Device;
use super::Disk;
use super::Phantom;
use super::local_content;
use crate::fault::Fault;
use crate::mutant::Mutant;
use crate::oracle::Birth;
use crate::rng::Rng;

/// What came of storing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// It is durable.
    Done,
    /// The store does not take it for now.
    Failed,
    /// The power went before it was durable.
    Lost,
    /// The power went after it was durable, and nobody was told.
    Untold,
}

impl Device {
    /// Stores what the engine wants stored, after the folder.
    pub fn store(&mut self, chance: &mut Chance<'_>) -> Stored {
        if let Some(unsaved) = self.unsaved.take() {
            if chance.strikes(Fault::StoreFails) {
                self.unsaved = Some(unsaved);
                return Stored::Failed;
            }
            self.apply_commit(unsaved);
        }
        let commit = self.engine.take_commit();
        if commit.is_empty() {
            return Stored::Done;
        }
        if chance.strikes(Fault::StoreFails) {
            self.unsaved = Some(commit);
            return Stored::Failed;
        }
        if chance.strikes(Fault::CrashBeforeCommit) {
            if self.planted.is(Mutant::TornCommit) {
                let half = commit.entries.len().div_ceil(2);
                let entries = commit.entries.into_iter().take(half).collect();
                self.apply_commit(Commit {
                    entries,
                    ..Commit::default()
                });
            }
            self.lose_power(chance);
            return Stored::Lost;
        }
        self.apply_commit(commit);
        if chance.strikes(Fault::CrashAfterCommit) {
            self.lose_power(chance);
            return Stored::Untold;
        }
        Stored::Done
    }

    fn apply_commit(&mut self, commit: Commit) {
        // The folder is made durable before what is said of it.
        self.unflushed.clear();
        self.commits += 1;
        self.stored_in_life = self.life;
        self.disk.logged += commit.log.len();
        for (path, mut entry) in commit.entries {
            let before = self.disk.entries.get(&path);
            self.births
                .extend(Birth::of(self.id, &path, before, &entry));
            if entry.is_blank() {
                self.disk.entries.remove(&path);
                continue;
            }
            // Like a real store: what was seen of the hub is not kept.
            entry.remote = Remote::AsBase;
            entry.suspect = None;
            if self.planted.is(Mutant::ForgetJournal) {
                entry.pending = None;
            }
            self.disk.entries.insert(path, entry);
        }
        let history = commit.history.into_iter();
        self.disk
            .history
            .extend(history.map(|row| (row.path, row.content)));
        if let Some(counters) = commit.counters
            && !self.planted.is(Mutant::ForgetCounters)
        {
            self.disk.counters = Some(counters);
        }
        self.forget_doubts();
    }

    /// Paths on which store, folder and hub agree again are in no doubt any more.
    fn forget_doubts(&mut self) {
        let engine = &self.engine;
        self.doubted.retain(|path| {
            let entry = engine.entry(path);
            entry.is_some_and(|entry| !entry.is_clean() || entry.pending.is_some())
                || self.unrecorded.contains(path)
        });
        if let Some(folder) = &self.disk.folder {
            let entries = &self.disk.entries;
            self.unrecorded
                .retain(|path| local_content(entries.get(path)) != folder.get(path).copied());
        }
    }

    /// Power off, power on, with the wall clock set to about another time.
    pub fn lose_power(&mut self, chance: &mut Chance<'_>) {
        for (path, before) in std::mem::take(&mut self.unflushed).into_iter().rev() {
            if chance.strikes(Fault::FolderTailLost) {
                self.set_in_folder(&path, before);
                self.unrecorded.remove(&path);
                self.own_doing.remove(&path);
            }
        }
        self.note_phantoms();
        self.set_clock(near(self.skew_ms, chance.rng));
        self.reload();
    }

    /// What the folder shows and the store knows nothing of. What was announced there before is
    /// recognised, so that is none.
    fn note_phantoms(&mut self) {
        self.doubted.extend(self.unrecorded.iter().cloned());
        for path in &self.unrecorded {
            let entry = self.disk.entries.get(path);
            let known = local_content(entry);
            let folder = self.disk.folder.as_ref();
            let shown = folder.and_then(|folder| folder.get(path)).copied();
            let announced = entry.and_then(|entry| entry.applying.as_deref());
            let announced = announced.map(|target| target.local.file().map(|file| file.content));
            if announced != Some(shown) && known != shown {
                self.phantoms.push(Phantom {
                    path: path.clone(),
                    known,
                    shown,
                });
            }
        }
    }

    /// The engine is loaded anew from the disk; nothing that was in memory is left.
    pub fn reload(&mut self) {
        self.life += 1;
        self.not_before_ms = 0;
        self.unsaved = None;
        self.local_results.clear();
        self.applying.clear();
        self.unflushed.clear();
        self.unwritten.clear();
        self.kept = None;
        self.seed = Rng::new(self.seed).draw();
        self.load();
        self.engine.handle_round_start();
    }

    /// Keeps an image of the disk as it is now.
    pub fn take_image(&mut self) {
        self.image = Some(self.disk.clone());
    }

    /// The disk becomes what it was when the image was taken. False: there is none.
    pub fn restore(&mut self) -> bool {
        let Some(image) = self.image.clone() else {
            return false;
        };
        self.replace_disk(image);
        // What its user had edited and no scan had found yet is found now, under another name.
        let edited = self
            .disk
            .folder
            .iter()
            .flatten()
            .filter_map(|(path, shown)| {
                let known = local_content(self.disk.entries.get(path));
                (known != Some(*shown)).then(|| Phantom {
                    path: path.clone(),
                    known,
                    shown: Some(*shown),
                })
            });
        self.phantoms = edited.collect();
        true
    }

    /// The store is gone and the folder, if there is one, stays: a new replica begins there.
    pub fn evict(&mut self, id: DeviceId) {
        self.id = id;
        self.image = None;
        let folder = self.disk.folder.take();
        self.replace_disk(Disk {
            folder,
            ..Disk::default()
        });
        let folder = self.disk.folder.iter().flatten();
        let phantoms = folder.map(|(path, content)| Phantom {
            path: path.clone(),
            known: None,
            shown: Some(*content),
        });
        self.phantoms = phantoms.collect();
    }

    fn replace_disk(&mut self, disk: Disk) {
        self.disk = disk;
        self.unrecorded.clear();
        self.doubted.clear();
        self.phantoms.clear();
        self.own_doing.clear();
        self.reload();
    }

    /// Edits that nobody made: what crashes since the last call left in the folder unrecorded.
    pub fn take_phantoms(&mut self) -> Vec<Phantom> {
        std::mem::take(&mut self.phantoms)
    }

    /// The clock that the store remembers.
    pub fn stored_clock(&self) -> Option<Hlc> {
        self.disk.counters.map(|counters| counters.clock)
    }

    /// All entries of the store.
    pub fn stored_entries(&self) -> &BTreeMap<gaia::path::FilePath, pangaea_core::state::Entry> {
        &self.disk.entries
    }
}

/// A clock that was set by a minute at most.
fn near(skew_ms: i64, rng: &mut Rng) -> i64 {
    let step = i64::try_from(rng.below(120_000)).unwrap_or(0) - 60_000;
    skew_ms.saturating_add(step)
}
