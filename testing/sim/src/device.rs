//! A model device: a real engine, a model disk that a crash leaves as it is, and, on some devices,
//! a folder that the user edits behind the engine's back.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use gaia::path::FilePath;
use pangaea_core::commit::Commit;
use pangaea_core::commit::Counters;
use pangaea_core::engine::Engine;
use pangaea_core::engine::LocalFiles;
use pangaea_core::engine::Options;
use pangaea_core::io::NewContent;
use pangaea_core::io::RequestId;
use pangaea_core::io::Response;
use pangaea_core::media::MediaType;
use pangaea_core::policy::Policy;
use pangaea_core::state::Entry;
use pangaea_core::state::Remote;
use pangaea_core::version::ContentHash;
use pangaea_core::version::DeviceId;

use crate::fault::Fault;
use crate::fault::Faults;
use crate::mutant::Mutant;
use crate::oracle::Sight;
use crate::rng::Rng;
use crate::settings::Settings;

/// Where a device's bad luck comes from.
pub struct Chance<'a> {
    /// Draws.
    pub rng: &'a mut Rng,
    /// What can go wrong.
    pub faults: &'a mut Faults,
}

/// The folder holds what was pulled, and a crash took the memory of it: to the replica it looks
/// like an edit of its user's. If the hub still has the same, that heals by adopting it.
#[derive(Debug)]
pub struct Phantom {
    /// Where.
    pub path: FilePath,
    /// What the replica remembers.
    pub known: Option<ContentHash>,
    /// What the folder has.
    pub shown: Option<ContentHash>,
}

/// What survives a crash.
#[derive(Debug, Default, Clone)]
pub(crate) struct Disk {
    entries: BTreeMap<FilePath, Entry>,
    counters: Option<Counters>,
    history: Vec<(FilePath, ContentHash)>,
    /// The mirrored folder; none for an application that works on the replica itself.
    pub(crate) folder: Option<BTreeMap<FilePath, ContentHash>>,
}

/// Content by name. Shared by all devices of a world: the wire carries names only.
pub type Contents = BTreeMap<ContentHash, Vec<u8>>;

/// One device.
#[derive(Debug)]
pub struct Device {
    id: DeviceId,
    seed: u64,
    pub(crate) disk: Disk,
    /// The engine in memory.
    pub engine: Engine,
    /// Counts restarts, so that answers to an earlier life are recognised.
    pub life: u32,
    /// How far this device's clock is off, in milliseconds.
    pub skew_ms: i64,
    /// Results of local requests that are done but not handed in yet.
    pub local_results: Vec<(RequestId, Response)>,
    /// Paths of the folder that are being written: a scan leaves them alone.
    pub(crate) applying: BTreeSet<FilePath>,
    /// Paths whose folder shows what was applied there and is not stored as known yet.
    pub(crate) unrecorded: BTreeSet<FilePath>,
    /// Those of them that a crash left so, until replica and hub agree on the path again.
    doubted: BTreeSet<FilePath>,
    /// What a crash made of them: path, content that is remembered, content in the folder.
    phantoms: Vec<Phantom>,
    /// Writes to the folder that are reported but not durable: a planted bug.
    pub(crate) unflushed: Vec<(FilePath, Option<ContentHash>)>,
    /// The hub asked not to be asked before this, in the world's milliseconds.
    pub not_before_ms: u64,
    tombstone_ms: u64,
    pub(crate) mutant: Option<Mutant>,
}

/// The policies of every world: one path of each kind.
fn policy() -> Policy {
    let rules = br#"{"rules":[{"glob":"*.dat","strategy":"latest"}]}"#;
    Policy::from_json(rules).expect("the simulator's own policy is valid")
}

fn options(id: DeviceId, seed: u64, tombstone_ms: u64, local_files: LocalFiles) -> Options {
    let mut options = Options::new(id, seed);
    options.local_files = local_files;
    options.in_flight_max = 4;
    options.tombstone_ms = tombstone_ms;
    options.mass_delete_floor = 1_000;
    options
}

fn local_files<T>(folder: Option<&T>) -> LocalFiles {
    match folder {
        Some(_) => LocalFiles::InFolder,
        None => LocalFiles::InStore,
    }
}

impl Device {
    /// A new device.
    pub fn new(number: u8, settings: &Settings, rng: &mut Rng) -> Self {
        let id = DeviceId::from_bytes([number + 1; 8]);
        let folder = rng.chance(50).then(BTreeMap::new);
        let seed = rng.draw();
        let tombstone_ms = settings.tombstone_ms;
        let mut engine = Engine::load(
            options(id, seed, tombstone_ms, local_files(folder.as_ref())),
            [],
            None,
        );
        engine.set_policy(policy());
        Self {
            id,
            seed,
            disk: Disk {
                folder,
                ..Disk::default()
            },
            engine,
            life: 0,
            skew_ms: draw_skew(rng),
            local_results: Vec::new(),
            applying: BTreeSet::new(),
            unrecorded: BTreeSet::new(),
            doubted: BTreeSet::new(),
            phantoms: Vec::new(),
            unflushed: Vec::new(),
            not_before_ms: 0,
            tombstone_ms,
            mutant: settings.mutant,
        }
    }

    /// This device's clock.
    pub fn now_ms(&self, world_ms: u64) -> u64 {
        world_ms.saturating_add_signed(self.skew_ms)
    }

    /// What the user sees at `path`.
    pub fn read(&self, path: &FilePath) -> Option<ContentHash> {
        match &self.disk.folder {
            Some(folder) => folder.get(path).copied(),
            None => self
                .engine
                .entry(path)?
                .local
                .file()
                .map(|file| file.content),
        }
    }

    /// All that the user sees.
    pub fn files(&self) -> BTreeMap<FilePath, ContentHash> {
        match &self.disk.folder {
            Some(folder) => folder.clone(),
            None => self
                .engine
                .entries()
                .iter()
                .filter_map(|(path, entry)| Some((path.clone(), entry.local.file()?.content)))
                .collect(),
        }
    }

    /// Whether folder and engine agree.
    pub fn folder_is_scanned(&self) -> bool {
        let Some(folder) = &self.disk.folder else {
            return true;
        };
        let known = self
            .engine
            .entries()
            .iter()
            .filter_map(|(path, entry)| Some((path.clone(), entry.local.file()?.content)))
            .collect::<BTreeMap<_, _>>();
        *folder == known
    }

    /// The contents that history keeps.
    pub fn history(&self) -> &[(FilePath, ContentHash)] {
        &self.disk.history
    }

    /// Whether something is to be sent for `path`, or was sent and not answered.
    pub fn has_pending(&self, path: &FilePath) -> bool {
        self.engine
            .entry(path)
            .is_some_and(|entry| entry.pending.is_some())
    }

    /// Whether the device has exactly `content` at `path`, in memory and folder, and nothing is to
    /// be sent or under way for it.
    pub fn is_settled(&self, path: &FilePath, content: Option<ContentHash>) -> bool {
        let entry = self.engine.entry(path);
        let local = entry
            .and_then(|entry| entry.local.file())
            .map(|file| file.content);
        local == content
            && self.read(path) == content
            && entry.is_none_or(|entry| entry.is_clean() && entry.pending.is_none())
            && !self.applying.contains(path)
    }

    /// The user writes, or deletes for none. False: the device crashed before it was safe, nobody
    /// was told that it is.
    pub fn user_edit(
        &mut self,
        path: &FilePath,
        content: Option<(ContentHash, u64)>,
        world_ms: u64,
        chance: &mut Chance<'_>,
    ) -> bool {
        if let Some(folder) = &mut self.disk.folder {
            match content {
                Some((hash, _)) => folder.insert(path.clone(), hash),
                None => folder.remove(path),
            };
            return true;
        }
        self.hand_in_edit(path, content, world_ms);
        let stored = self.store(chance);
        stored || self.mutant == Some(Mutant::AckBeforeCommit)
    }

    /// Looks for what the user did in the folder.
    pub fn scan(&mut self, contents: &Contents, world_ms: u64, chance: &mut Chance<'_>) {
        for (path, hash) in std::mem::take(&mut self.unflushed) {
            self.write_folder(&path, hash);
        }
        let Some(folder) = self.disk.folder.clone() else {
            return;
        };
        let gone: Vec<FilePath> = self
            .engine
            .entries()
            .iter()
            .filter(|(path, entry)| entry.local.file().is_some() && !folder.contains_key(*path))
            .map(|(path, _)| path.clone())
            .collect();
        for path in gone {
            if !self.applying.contains(&path) {
                self.hand_in_edit(&path, None, world_ms);
            }
        }
        for (path, hash) in folder {
            let known = self
                .engine
                .entry(&path)
                .and_then(|entry| entry.local.file());
            let differs = known.is_none_or(|file| file.content != hash);
            if differs && !self.applying.contains(&path) {
                let size = contents
                    .get(&hash)
                    .map_or(0, |content| content.len() as u64);
                self.hand_in_edit(&path, Some((hash, size)), world_ms);
            }
        }
        self.store(chance);
    }

    pub(crate) fn write_folder(&mut self, path: &FilePath, content: Option<ContentHash>) {
        let Some(folder) = &mut self.disk.folder else {
            return;
        };
        match content {
            Some(hash) => folder.insert(path.clone(), hash),
            None => folder.remove(path),
        };
    }

    fn hand_in_edit(
        &mut self,
        path: &FilePath,
        content: Option<(ContentHash, u64)>,
        world_ms: u64,
    ) {
        let now_ms = self.now_ms(world_ms);
        match content {
            Some((content, size)) => {
                let media_type = MediaType::of(path.as_str(), b"");
                let new = NewContent {
                    content,
                    size,
                    media_type,
                };
                self.engine.handle_local_write(path, new, now_ms);
            }
            None => {
                self.engine.handle_local_delete(path, now_ms);
            }
        }
    }

    /// Stores what the engine wants stored. False: it crashed before that.
    pub fn store(&mut self, chance: &mut Chance<'_>) -> bool {
        let commit = self.engine.take_commit();
        if commit.is_empty() {
            return true;
        }
        if chance.faults.strikes(Fault::CrashBeforeCommit, chance.rng) {
            if self.mutant == Some(Mutant::TornCommit) {
                let half = commit.entries.len().div_ceil(2);
                let entries = commit.entries.into_iter().take(half).collect();
                self.apply_commit(Commit {
                    entries,
                    ..Commit::default()
                });
            }
            self.restart(chance.rng);
            return false;
        }
        self.apply_commit(commit);
        let engine = &self.engine;
        self.doubted.retain(|path| {
            let entry = engine.entry(path);
            entry.is_some_and(|entry| !entry.is_clean() || entry.pending.is_some())
                || self.unrecorded.contains(path)
        });
        if let Some(folder) = &self.disk.folder {
            let entries = &self.disk.entries;
            self.unrecorded.retain(|path| {
                let known = entries.get(path).and_then(|entry| entry.local.file());
                known.map(|file| file.content) != folder.get(path).copied()
            });
        }
        true
    }

    /// Edits that nobody made: what crashes since the last call left in the folder unrecorded.
    pub fn take_phantoms(&mut self) -> Vec<Phantom> {
        std::mem::take(&mut self.phantoms)
    }

    /// How surely the engine knows what the user sees at `path`.
    pub fn sight(&self, path: &FilePath) -> Sight {
        if self.unrecorded.contains(path) || self.doubted.contains(path) {
            Sight::Unrecorded
        } else {
            Sight::Recorded
        }
    }

    fn apply_commit(&mut self, commit: Commit) {
        for (path, mut entry) in commit.entries {
            if entry.is_blank() {
                self.disk.entries.remove(&path);
                continue;
            }
            // Like a real store: what was seen of the hub is not kept.
            entry.remote = Remote::AsBase;
            entry.suspect = None;
            self.disk.entries.insert(path, entry);
        }
        self.disk.history.extend(
            commit
                .history
                .into_iter()
                .map(|row| (row.path, row.content)),
        );
        if let Some(counters) = commit.counters
            && self.mutant != Some(Mutant::ForgetCounters)
        {
            self.disk.counters = Some(counters);
        }
    }

    /// Power off, power on, with the wall clock set to another time.
    pub fn restart(&mut self, rng: &mut Rng) {
        self.life += 1;
        self.doubted.extend(self.unrecorded.iter().cloned());
        for path in &self.unrecorded {
            let entry = self.disk.entries.get(path);
            let known = entry
                .and_then(|entry| entry.local.file())
                .map(|file| file.content);
            let shown = self
                .disk
                .folder
                .as_ref()
                .and_then(|folder| folder.get(path))
                .copied();
            self.phantoms.push(Phantom {
                path: path.clone(),
                known,
                shown,
            });
        }
        self.skew_ms = draw_skew(rng);
        self.not_before_ms = 0;
        self.local_results.clear();
        self.applying.clear();
        self.unflushed.clear();
        self.seed = self.seed.wrapping_add(1);
        let entries = self.disk.entries.clone();
        let options = options(
            self.id,
            self.seed,
            self.tombstone_ms,
            local_files(self.disk.folder.as_ref()),
        );
        self.engine = Engine::load(options, entries, self.disk.counters);
        self.engine.set_policy(policy());
        self.engine.handle_round_start();
    }

    /// Hands in the results of local requests.
    pub fn hand_in_results(&mut self, world_ms: u64) {
        let now_ms = self.now_ms(world_ms);
        self.applying.clear();
        for (id, response) in std::mem::take(&mut self.local_results) {
            self.engine.handle_response(id, response, now_ms);
        }
    }
}

/// A wall clock is up to a minute off.
fn draw_skew(rng: &mut Rng) -> i64 {
    i64::try_from(rng.below(120_000)).unwrap_or(0) - 60_000
}
