//! A model device: a real engine, a model disk that a crash leaves as it is, and, on some devices,
//! a folder that the user edits behind the engine's back.

use std::collections::BTreeMap;

use gaia::path::FilePath;
use pangaea_core::commit::Commit;
use pangaea_core::commit::Counters;
use pangaea_core::engine::Engine;
use pangaea_core::engine::Options;
use pangaea_core::io::Keep;
use pangaea_core::io::Merged;
use pangaea_core::io::NewContent;
use pangaea_core::io::Request;
use pangaea_core::io::Response;
use pangaea_core::media::MediaType;
use pangaea_core::merge;
use pangaea_core::policy::Policy;
use pangaea_core::state::Entry;
use pangaea_core::version::ContentHash;
use pangaea_core::version::DeviceId;

use crate::mutant::Mutant;
use crate::rng::Rng;

/// What survives a crash.
#[derive(Debug, Default, Clone)]
struct Disk {
    entries: BTreeMap<FilePath, Entry>,
    counters: Option<Counters>,
    history: Vec<ContentHash>,
    /// The mirrored folder; none for an application that works on the replica itself.
    folder: Option<BTreeMap<FilePath, ContentHash>>,
}

/// Content by name. Shared by all devices of a world: the wire carries names only.
pub type Contents = BTreeMap<ContentHash, Vec<u8>>;

/// One device.
#[derive(Debug)]
pub struct Device {
    id: DeviceId,
    seed: u64,
    disk: Disk,
    /// The engine in memory.
    pub engine: Engine,
    /// Counts restarts, so that answers to an earlier life are recognised.
    pub life: u32,
    /// How far this device's clock is off, in milliseconds.
    pub skew_ms: i64,
    /// Results of local requests that are done but not handed in yet.
    pub local_results: Vec<(pangaea_core::io::RequestId, Response)>,
    mutant: Option<Mutant>,
}

/// The policies of every world: one path of each kind.
fn policy() -> Policy {
    let rules = br#"{"rules":[{"glob":"*.dat","strategy":"latest"}]}"#;
    Policy::from_json(rules).expect("the simulator's own policy is valid")
}

fn options(id: DeviceId, seed: u64) -> Options {
    let mut options = Options::new(id, seed);
    options.in_flight_max = 4;
    options.mass_delete_floor = 1_000;
    options
}

impl Device {
    /// A new device.
    pub fn new(number: u8, seed: u64, with_folder: bool, mutant: Option<Mutant>) -> Self {
        let id = DeviceId::from_bytes([number + 1; 8]);
        let folder = with_folder.then(BTreeMap::new);
        let disk = Disk { folder, ..Disk::default() };
        let mut engine = Engine::load(options(id, seed), [], None);
        engine.set_policy(policy());
        Self { id, seed, disk, engine, life: 0, skew_ms: 0, local_results: Vec::new(), mutant }
    }

    /// This device's clock.
    pub fn now_ms(&self, world_ms: u64) -> u64 {
        world_ms.saturating_add_signed(self.skew_ms)
    }

    /// What the user sees at `path`.
    pub fn read(&self, path: &FilePath) -> Option<ContentHash> {
        match &self.disk.folder {
            Some(folder) => folder.get(path).copied(),
            None => self.engine.entry(path)?.local.file().map(|file| file.content),
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
        let Some(folder) = &self.disk.folder else { return true };
        let known = self
            .engine
            .entries()
            .iter()
            .filter_map(|(path, entry)| Some((path.clone(), entry.local.file()?.content)))
            .collect::<BTreeMap<_, _>>();
        *folder == known
    }

    /// The contents that history keeps.
    pub fn history(&self) -> &[ContentHash] {
        &self.disk.history
    }

    /// The user writes, or deletes for none. False: the device crashed before it was safe, nobody
    /// was told that it is.
    pub fn user_edit(
        &mut self,
        path: &FilePath,
        content: Option<(ContentHash, u64)>,
        world_ms: u64,
        rng: &mut Rng,
        crash_percent: u64,
    ) -> bool {
        if let Some(folder) = &mut self.disk.folder {
            match content {
                Some((hash, _)) => folder.insert(path.clone(), hash),
                None => folder.remove(path),
            };
            return true;
        }
        self.hand_in_edit(path, content, world_ms);
        let stored = self.store(rng, crash_percent);
        stored || self.mutant == Some(Mutant::AckBeforeCommit)
    }

    /// Looks for what the user did in the folder, unless something is being applied there.
    pub fn scan(&mut self, contents: &Contents, world_ms: u64, rng: &mut Rng, crash_percent: u64) {
        let Some(folder) = self.disk.folder.clone() else { return };
        if !self.local_results.is_empty() {
            return;
        }
        let gone: Vec<FilePath> = self
            .engine
            .entries()
            .iter()
            .filter(|(path, entry)| entry.local.file().is_some() && !folder.contains_key(*path))
            .map(|(path, _)| path.clone())
            .collect();
        for path in gone {
            self.hand_in_edit(&path, None, world_ms);
        }
        for (path, hash) in folder {
            let known = self.engine.entry(&path).and_then(|entry| entry.local.file());
            if known.is_none_or(|file| file.content != hash) {
                let size = contents.get(&hash).map_or(0, |content| content.len() as u64);
                self.hand_in_edit(&path, Some((hash, size)), world_ms);
            }
        }
        self.store(rng, crash_percent);
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
                let new = NewContent { content, size, media_type };
                self.engine.handle_local_write(path, new, now_ms);
            }
            None => {
                self.engine.handle_local_delete(path, now_ms);
            }
        }
    }

    /// Stores what the engine wants stored. False: it crashed before that.
    pub fn store(&mut self, rng: &mut Rng, crash_percent: u64) -> bool {
        let commit = self.engine.take_commit();
        if commit.is_empty() {
            return true;
        }
        if rng.chance(crash_percent) {
            if self.mutant == Some(Mutant::TornCommit) {
                let half = commit.entries.len().div_ceil(2);
                let entries = commit.entries.into_iter().take(half).collect();
                self.apply_commit(Commit { entries, ..Commit::default() });
            }
            self.restart();
            return false;
        }
        self.apply_commit(commit);
        true
    }

    fn apply_commit(&mut self, commit: Commit) {
        for (path, mut entry) in commit.entries {
            if entry.is_blank() {
                self.disk.entries.remove(&path);
                continue;
            }
            // Like a real store: what was seen of the hub is not kept.
            entry.remote = pangaea_core::state::Remote::AsBase;
            entry.suspect = None;
            self.disk.entries.insert(path, entry);
        }
        self.disk.history.extend(commit.history.into_iter().map(|row| row.content));
        if let Some(counters) = commit.counters {
            self.disk.counters = Some(counters);
        }
    }

    /// Power off, power on.
    pub fn restart(&mut self) {
        self.life += 1;
        self.local_results.clear();
        self.seed = self.seed.wrapping_add(1);
        let entries = self.disk.entries.clone();
        self.engine = Engine::load(options(self.id, self.seed), entries, self.disk.counters);
        self.engine.set_policy(policy());
        self.engine.handle_round_start();
    }

    /// Carries out a request that needs no hub.
    pub fn do_locally(&mut self, request: &Request, contents: &mut Contents) -> Option<Response> {
        match request {
            Request::Merge { path: _, strategy, base, ours, theirs } => {
                let bytes = |hash: &ContentHash| contents.get(hash).cloned().unwrap_or_default();
                let base = base.as_ref().map(bytes);
                let (a, b) = (bytes(&ours.content), bytes(&theirs.content));
                let outcome = merge::merge(
                    strategy,
                    base.as_deref(),
                    merge::Input { bytes: &a, version: ours.version },
                    merge::Input { bytes: &b, version: theirs.version },
                );
                let mut merged = to_merged(&outcome, contents);
                if self.mutant == Some(Mutant::DropLoser) {
                    merged.copy = None;
                }
                Some(Response::Merged(merged))
            }
            Request::Apply { path, expected, to } => {
                let blind = self.mutant == Some(Mutant::BlindApply);
                if let Some(folder) = &mut self.disk.folder {
                    let wanted = to.as_ref().map(|file| file.content);
                    let there = folder.get(path).copied();
                    if there != *expected && there != wanted && !blind {
                        return Some(Response::LocalDiffers);
                    }
                    match wanted {
                        Some(hash) => folder.insert(path.clone(), hash),
                        None => folder.remove(path),
                    };
                }
                Some(Response::Applied)
            }
            _ => None,
        }
    }
}

fn to_merged(outcome: &merge::Outcome, contents: &mut Contents) -> Merged {
    let keep = match &outcome.content {
        merge::Content::Side(side) => Keep::Side(*side),
        merge::Content::New(bytes) => {
            let content = ContentHash::of(bytes);
            contents.insert(content, bytes.clone());
            Keep::New { content, size: bytes.len() as u64 }
        }
    };
    Merged { keep, copy: outcome.copy() }
}
