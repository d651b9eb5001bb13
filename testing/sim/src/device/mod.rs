//! A model device: a real engine, a model disk that a crash leaves as it is, on some devices a
//! folder that the user edits behind the engine's back, and a model of the shell around it all.

mod folder;
mod shell;
mod store;

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
use pangaea_core::version::ContentHash;
use pangaea_core::version::DeviceId;

use crate::content::Bytes;
use crate::fault::Fault;
use crate::fault::Faults;
use crate::mutant::Mutant;
use crate::mutant::Planted;
use crate::oracle::Birth;
use crate::rng::Rng;
use crate::settings::DeviceSettings;
use crate::settings::Settings;

pub use self::shell::Job;
pub use self::shell::Next;
pub use self::store::Stored;

/// Where a device's bad luck comes from.
pub struct Chance<'a> {
    /// Draws.
    pub rng: &'a mut Rng,
    /// What can go wrong.
    pub faults: &'a mut Faults,
}

impl Chance<'_> {
    /// Whether the fault strikes now.
    pub fn strikes(&mut self, fault: Fault) -> bool {
        self.faults.strikes(fault, self.rng)
    }
}

/// Content by name. Shared by all devices of a world: engines know names only.
#[derive(Debug, Default)]
pub struct Contents(BTreeMap<ContentHash, Bytes>);

impl Contents {
    /// Keeps content and names it.
    pub fn keep(&mut self, bytes: &Bytes) -> (ContentHash, u64) {
        let hash = ContentHash::of(bytes);
        self.0.entry(hash).or_insert_with(|| bytes.clone());
        (hash, bytes.len() as u64)
    }

    /// The content of a name.
    pub fn get(&self, hash: &ContentHash) -> Option<&Bytes> {
        self.0.get(hash)
    }
}

/// The folder holds what was put there, and a crash took the memory of it: to the replica it looks
/// like an edit of its user's.
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
pub struct Disk {
    pub(crate) entries: BTreeMap<FilePath, Entry>,
    pub(crate) counters: Option<Counters>,
    pub(crate) history: Vec<(FilePath, ContentHash)>,
    pub(crate) logged: usize,
    /// The mirrored folder; none for an application that works on the replica itself.
    pub(crate) folder: Option<BTreeMap<FilePath, ContentHash>>,
}

/// One device.
#[derive(Debug)]
pub struct Device {
    id: DeviceId,
    seed: u64,
    tombstone_ms: u64,
    in_flight: usize,
    planted: Planted,
    pub(crate) disk: Disk,
    image: Option<Disk>,
    /// The engine in memory.
    pub engine: Engine,
    /// Counts restarts, so that answers to an earlier life are recognised.
    pub life: u32,
    /// How far this device's clock is off, in milliseconds.
    pub skew_ms: i64,
    /// By how much that was set forward in all.
    pub set_forward_ms: u64,
    /// And by how much back.
    pub set_back_ms: u64,
    /// Its requests are lost until then.
    pub cut_off_until_ms: u64,
    /// Its answers are lost until then.
    pub deaf_until_ms: u64,
    /// Results of local requests that are done but not handed in yet.
    pub local_results: Vec<(RequestId, Response)>,
    /// What the store did not take yet.
    unsaved: Option<Commit>,
    /// Paths of the folder that are being written: a scan leaves them alone.
    applying: BTreeSet<FilePath>,
    /// What was at paths of the folder before they were written and not flushed.
    unflushed: Vec<(FilePath, Option<ContentHash>)>,
    /// Writes to the folder that are reported and not made: a planted bug.
    unwritten: Vec<(FilePath, Option<ContentHash>)>,
    /// Paths whose folder shows what was applied there and is not stored as known yet.
    unrecorded: BTreeSet<FilePath>,
    /// Those of them that a crash left so, until replica and hub agree on the path again.
    doubted: BTreeSet<FilePath>,
    phantoms: Vec<Phantom>,
    /// What the device itself put into the folder, where its user changed nothing since.
    own_doing: BTreeMap<FilePath, Option<ContentHash>>,
    /// Versions that it stored for the first time since somebody asked.
    births: Vec<Birth>,
    /// What it broke that only the folder shows.
    broken: Option<String>,
    /// What the shell remembers of the hub's listing.
    kept: Option<shell::Kept>,
    /// The hub asked not to be asked before this, in the world's milliseconds.
    pub not_before_ms: u64,
    /// Commits that were stored.
    pub commits: u64,
    /// The life in which the last one was.
    pub stored_in_life: u32,
}

/// The policies of every world: each strategy has a kind of path.
fn policy() -> Policy {
    let rules = br#"{"rules":[{"glob":"*.dat","strategy":"latest"}]}"#;
    Policy::from_json(rules).expect("the simulator's own policy is valid")
}

impl Device {
    /// A new device.
    pub fn new(
        number: usize,
        drawn: &DeviceSettings,
        settings: &Settings,
        planted: Planted,
    ) -> Self {
        let number = u8::try_from(number).unwrap_or(u8::MAX);
        let id = DeviceId::from_bytes([number.saturating_add(1); 8]);
        let disk = Disk {
            folder: drawn.folder.then(BTreeMap::new),
            ..Disk::default()
        };
        let engine = Engine::load(Options::new(id, 0), [], None);
        let mut device = Self {
            id,
            seed: Rng::new(u64::from(number)).draw(),
            tombstone_ms: settings.tombstone_ms,
            in_flight: settings.in_flight,
            planted,
            disk,
            image: None,
            engine,
            life: 0,
            skew_ms: drawn.skew_ms,
            set_forward_ms: 0,
            set_back_ms: 0,
            cut_off_until_ms: 0,
            deaf_until_ms: 0,
            local_results: Vec::new(),
            unsaved: None,
            applying: BTreeSet::new(),
            unflushed: Vec::new(),
            unwritten: Vec::new(),
            unrecorded: BTreeSet::new(),
            doubted: BTreeSet::new(),
            phantoms: Vec::new(),
            own_doing: BTreeMap::new(),
            births: Vec::new(),
            broken: None,
            kept: None,
            not_before_ms: 0,
            commits: 0,
            stored_in_life: 0,
        };
        device.load();
        device
    }

    fn load(&mut self) {
        let mut options = Options::new(self.id, self.seed);
        options.local_files = match self.disk.folder {
            Some(_) => LocalFiles::InFolder,
            None => LocalFiles::InStore,
        };
        options.in_flight_max = self.in_flight;
        options.tombstone_ms = self.tombstone_ms;
        options.mass_delete_floor = 1_000;
        self.engine = Engine::load(options, self.disk.entries.clone(), self.disk.counters);
        self.engine.set_policy(policy());
    }

    /// Whether it mirrors a folder.
    pub fn has_folder(&self) -> bool {
        self.disk.folder.is_some()
    }

    /// Which device it is for the others.
    pub fn id(&self) -> DeviceId {
        self.id
    }

    /// This device's clock.
    pub fn now_ms(&self, world_ms: u64) -> u64 {
        world_ms.saturating_add_signed(self.skew_ms)
    }

    /// What the user sees at `path`.
    pub fn read(&self, path: &FilePath) -> Option<ContentHash> {
        match &self.disk.folder {
            Some(folder) => folder.get(path).copied(),
            None => local_content(self.engine.entry(path)),
        }
    }

    /// All that the user sees.
    pub fn files(&self) -> BTreeMap<FilePath, ContentHash> {
        match &self.disk.folder {
            Some(folder) => folder.clone(),
            None => self.known(),
        }
    }

    /// All that the engine takes for the local files.
    pub fn known(&self) -> BTreeMap<FilePath, ContentHash> {
        let entries = self.engine.entries().iter();
        entries
            .filter_map(|(path, entry)| Some((path.clone(), local_content(Some(entry))?)))
            .collect()
    }

    /// All content that its disk holds as a file or as an unsent edit, and where.
    pub fn on_disk(&self) -> impl Iterator<Item = (&FilePath, ContentHash)> + '_ {
        let entries = self.disk.entries.iter();
        let known = entries.filter_map(|(path, entry)| Some((path, local_content(Some(entry))?)));
        let folder = self.disk.folder.iter().flatten();
        known.chain(folder.map(|(path, content)| (path, *content)))
    }

    /// The contents that history keeps.
    pub fn history(&self) -> &[(FilePath, ContentHash)] {
        &self.disk.history
    }

    /// How much history and log hold: what must not grow while nothing happens.
    pub fn kept_rows(&self) -> usize {
        self.disk.history.len() + self.disk.logged
    }

    /// Whether something is to be sent for `path`, or was sent and not answered, as far as the device
    /// knows for sure.
    pub fn has_pending(&self, path: &FilePath) -> bool {
        let (in_memory, stored) = (self.engine.entry(path), self.disk.entries.get(path));
        let mut entries = in_memory.into_iter().chain(stored);
        entries.any(|entry| entry.pending.is_some())
    }

    /// Whether the device has exactly `content` at `path`, in memory and folder, and nothing is to
    /// be sent or under way for it.
    pub fn is_settled(&self, path: &FilePath, content: Option<ContentHash>) -> bool {
        let entry = self.engine.entry(path);
        local_content(entry) == content
            && self.read(path) == content
            && entry.is_none_or(|entry| entry.is_clean() && entry.pending.is_none())
            && !self.applying.contains(path)
            && self.unsaved.is_none()
    }

    /// The user writes, or deletes for none. The folder takes it at once.
    pub fn user_edit(
        &mut self,
        path: &FilePath,
        content: Option<(ContentHash, u64)>,
        world_ms: u64,
        chance: &mut Chance<'_>,
    ) -> Stored {
        if let Some(folder) = &mut self.disk.folder {
            match content {
                Some((hash, _)) => folder.insert(path.clone(), hash),
                None => folder.remove(path),
            };
            self.unflushed.retain(|(written, _)| written != path);
            self.own_doing.remove(path);
            return Stored::Done;
        }
        self.hand_in_edit(path, content, world_ms);
        match self.store(chance) {
            Stored::Done => Stored::Done,
            _ if self.planted.is(Mutant::AckBeforeCommit) => Stored::Done,
            stored => stored,
        }
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
                    format: None,
                };
                self.engine.handle_local_write(path, new, now_ms);
            }
            None => {
                self.engine.handle_local_delete(path, now_ms);
            }
        }
    }

    /// Hands in the results of local requests.
    pub fn hand_in_results(&mut self, world_ms: u64) {
        let now_ms = self.now_ms(world_ms);
        self.applying.clear();
        for (id, response) in std::mem::take(&mut self.local_results) {
            self.engine.handle_response(id, response, now_ms);
        }
    }

    /// Versions of its own that it stored since the last call.
    pub fn take_births(&mut self) -> Vec<Birth> {
        std::mem::take(&mut self.births)
    }

    /// What it broke that only its folder shows, if anything.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// The wall clock is set.
    pub fn set_clock(&mut self, skew_ms: i64) {
        let forward = skew_ms.saturating_sub(self.skew_ms);
        self.set_forward_ms += u64::try_from(forward).unwrap_or(0);
        self.set_back_ms += u64::try_from(forward.saturating_neg()).unwrap_or(0);
        self.skew_ms = skew_ms;
    }

    /// Whether requests may go out: not before everything is stored that they build on.
    pub fn may_send(&self) -> bool {
        self.unsaved.is_none() || self.planted.is(Mutant::ActBeforeCommit)
    }
}

/// What an engine takes for the local file.
fn local_content(entry: Option<&Entry>) -> Option<ContentHash> {
    entry?.local.file().map(|file| file.content)
}
