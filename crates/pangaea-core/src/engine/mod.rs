//! The engine: a value that remembers every path's three trees, takes what happened through
//! `handle_*`, and says through `take_commit`, `poll_request`, `poll_event` and `poll_timeout`
//! what to store, what to do, what to tell and when to come back. It has no I/O, clock or
//! randomness of its own.
//!
//! The order that a shell keeps: hand in what happened, store [`Engine::take_commit`], and only
//! then carry out requests and answer callers (persist, then act). If a commit cannot be stored,
//! the engine in memory is ahead of the store and must be thrown away and loaded again.
//!
//! Split by what happens: `local` (edits), `listing`, `response` (answers to requests), `step`
//! (carries out what [`crate::plan`] decided), `rebase` and `merge` (its larger steps), `apply`
//! (changes of a folder), `schedule` (what may run when), `status` (what to show),
//! `fingerprint` (telling two engines apart).

mod apply;
mod fingerprint;
mod listing;
mod local;
mod merge;
mod rebase;
mod response;
mod schedule;
mod status;
mod step;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::collections::VecDeque;

use gaia::path::FilePath;

use crate::backoff::Jitter;
use crate::clock::Clock;
use crate::commit::Commit;
use crate::commit::Counters;
use crate::commit::HistoryRow;
use crate::commit::LogRow;
use crate::io::Choice;
use crate::io::Event;
use crate::io::NewContent;
use crate::io::Question;
use crate::io::Request;
use crate::io::RequestId;
use crate::mutant::Bug;
use crate::mutant::planted;
use crate::plan::Own;
use crate::policy::Policy;
use crate::state::Entry;
use crate::state::Pending;
use crate::state::Sent;
use crate::version::DeviceId;
use crate::version::Hlc;
use crate::version::VersionId;

pub use self::schedule::Delay;
pub use self::schedule::HubState;
pub use self::status::Status;
use self::step::AfterApply;
use self::step::Sending;

/// The time stamps that one life of a replica passes over at its beginning, if its clock is behind.
const LIFE_TICKS_MAX: u64 = 0xFF_FFFF;

/// The time stamps that one life passes over after each that it observes.
const OBSERVED_TICKS_MAX: u64 = 0xFFFF;

/// Where the local files lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalFiles {
    /// In the store, which changes them in the same transaction as the entries.
    InStore,
    /// In a folder: what is put there is announced in the store before.
    InFolder,
}

/// What an engine is told once.
#[derive(Debug, Clone)]
pub struct Options {
    /// This device.
    pub device: DeviceId,
    /// Whether local files lie in a folder that their user changes behind the engine's back.
    pub local_files: LocalFiles,
    /// Requests under way at a time.
    pub in_flight_max: usize,
    /// How long a tombstone stays on a hub without conditional deletes, in milliseconds.
    pub tombstone_ms: u64,
    /// Absences in one listing up to this many are never a reason to ask.
    pub mass_delete_floor: usize,
    /// More absences in one listing than this are always a reason to ask.
    pub mass_delete_ceiling: usize,
    /// Seed of the jitter.
    pub seed: u64,
    /// What this replica writes as the bucket's identity if the bucket has none. None: it does not
    /// take part in that (a reader without write access, a test).
    pub identity: Option<NewContent>,
}

impl Options {
    /// The usual settings for `device`.
    pub fn new(device: DeviceId, seed: u64) -> Self {
        Self {
            device,
            local_files: LocalFiles::InStore,
            in_flight_max: 128,
            tombstone_ms: 30 * 24 * 60 * 60 * 1_000,
            mass_delete_floor: 20,
            mass_delete_ceiling: 10_000,
            seed,
            identity: None,
        }
    }
}

/// The replica's brain.
#[derive(Debug, Clone)]
pub struct Engine {
    options: Options,
    clock: Clock,
    /// What this replica knows of its own writing.
    own: Own,
    sequence: u64,
    policy: Policy,
    entries: BTreeMap<FilePath, Entry>,
    /// Pending paths in the order in which their operations were acknowledged.
    journal: BTreeMap<u64, FilePath>,
    /// Paths whose next step is to be decided.
    ready: BTreeSet<FilePath>,
    /// Those of them whose next step needs the hub, while it cannot be asked: so that they are not gone through each time.
    held: BTreeSet<FilePath>,
    /// Those of them whose last change is not stored yet: their turn comes after the next commit.
    unstored: BTreeSet<FilePath>,
    /// Paths that are left alone for a while.
    waiting: BTreeMap<FilePath, Delay>,
    /// Paths whose folder may show what was announced before a restart: nothing is planned for them
    /// before the folder was looked at.
    unscanned: BTreeSet<FilePath>,
    /// Edits that were not sent in this process, so that nobody else can have seen them.
    unseen: BTreeMap<FilePath, VersionId>,
    /// How often in a row a path had to wait or was refused, in this process.
    setbacks: BTreeMap<FilePath, u32>,
    in_flight: BTreeMap<RequestId, InFlight>,
    /// Which request a path waits for.
    busy: BTreeMap<FilePath, RequestId>,
    next_request: u64,
    /// Requests that an answer led to and that go out next.
    follow_up: VecDeque<Sending>,
    listing: listing::Listing,
    /// The bucket was listed in this life. Decides nothing.
    has_listed: bool,
    hub: HubState,
    /// The hub asked not to be asked before this, in milliseconds since 1970.
    hub_asked_ms: u64,
    /// A mass delete was confirmed by a person: the next listing may do it.
    mass_delete_allowed: bool,
    decisions: BTreeMap<FilePath, Choice>,
    jitter: Jitter,
    commit: PendingCommit,
    events: VecDeque<Event>,
}

/// A request that has no answer yet.
#[derive(Debug, Clone)]
struct InFlight {
    /// None for a listing.
    path: Option<FilePath>,
    /// The version that the device had there when it was sent.
    local: Option<VersionId>,
    request: Request,
    after_apply: Option<AfterApply>,
}

impl InFlight {
    /// The path that an answer concerns: a conflict copy is the matter of the file it is made for.
    fn concerned(&self) -> Option<&FilePath> {
        match &self.after_apply {
            Some(AfterApply::Copy { main, .. }) => Some(main),
            Some(AfterApply::Take { .. } | AfterApply::Merge { .. }) | None => self.path.as_ref(),
        }
    }
}

/// What the next commit will hold.
#[derive(Debug, Clone, Default)]
struct PendingCommit {
    entries: BTreeSet<FilePath>,
    history: Vec<HistoryRow>,
    log: Vec<LogRow>,
    /// The counters as of the last commit.
    counters: Option<Counters>,
}

impl Engine {
    /// An engine that goes on from what a store holds; nothing for a new replica.
    pub fn load(
        options: Options,
        entries: impl IntoIterator<Item = (FilePath, Entry)>,
        counters: Option<Counters>,
    ) -> Self {
        let known = counters.filter(|_| !planted(Bug::ClockWithoutMemory));
        let last = known.map(|counters| counters.clock).unwrap_or_default();
        // A device that is restored from an image, with its clock behind what the image remembers,
        // would give the names of its forgotten versions to other content. Each life begins somewhere
        // else within the next quarter of a second, unless time has gone on.
        let mut clock = Clock::new(options.device, last);
        if !planted(Bug::RepeatNames) {
            clock.leap(options.seed & LIFE_TICKS_MAX);
        }
        let mut engine = Self {
            clock,
            own: Own {
                device: options.device,
                stored: last,
                given: None,
            },
            sequence: counters.map_or(0, |counters| counters.sequence),
            policy: Policy::default(),
            entries: entries.into_iter().collect(),
            journal: BTreeMap::new(),
            ready: BTreeSet::new(),
            held: BTreeSet::new(),
            unstored: BTreeSet::new(),
            waiting: BTreeMap::new(),
            unscanned: BTreeSet::new(),
            unseen: BTreeMap::new(),
            setbacks: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            busy: BTreeMap::new(),
            next_request: 0,
            follow_up: VecDeque::new(),
            listing: listing::Listing::default(),
            has_listed: false,
            hub: HubState::Ready,
            hub_asked_ms: 0,
            mass_delete_allowed: false,
            decisions: BTreeMap::new(),
            jitter: Jitter::new(options.seed),
            commit: PendingCommit {
                counters,
                ..PendingCommit::default()
            },
            events: VecDeque::new(),
            options,
        };
        for (path, entry) in &mut engine.entries {
            if let Some(pending) = &mut entry.pending {
                // Whether it was sent before the restart is not known: assume that it was.
                pending.sent = pending.sent.max(step::sent_with(&entry.local));
                engine.journal.insert(pending.sequence, path.clone());
                engine.sequence = engine.sequence.max(pending.sequence);
            }
            // What was refused is tried once more: limits and permissions change.
            if entry
                .problem
                .as_ref()
                .is_some_and(|problem| problem.kind.is_retried_at_start())
            {
                entry.problem = None;
            }
            if !entry.is_clean() || entry.pending.is_some() {
                engine.ready.insert(path.clone());
            }
            let is_announced = entry.applying.is_some() && !planted(Bug::StaleAnnouncement);
            if is_announced && engine.options.local_files == LocalFiles::InFolder {
                engine.unscanned.insert(path.clone());
            }
        }
        engine
    }

    /// The policies to follow from now on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// The policies in force.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// This device.
    pub fn device(&self) -> DeviceId {
        self.options.device
    }

    /// All paths and what is known of them, in order.
    pub fn entries(&self) -> &BTreeMap<FilePath, Entry> {
        &self.entries
    }

    /// What is known of one path.
    pub fn entry(&self, path: &FilePath) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// The hybrid logical clock, for measuring its offset.
    pub fn clock_mut(&mut self) -> &mut Clock {
        &mut self.clock
    }

    /// What must be stored before anything else happens; empty if nothing changed.
    pub fn take_commit(&mut self) -> Commit {
        let counters = Counters {
            clock: self.clock.last(),
            sequence: self.sequence,
        };
        let moved = self.commit.counters != Some(counters);
        self.ready.append(&mut self.unstored);
        let paths = std::mem::take(&mut self.commit.entries);
        let mut entries = Vec::with_capacity(paths.len());
        for path in paths {
            let entry = self.entries.get(&path).cloned().unwrap_or_default();
            if entry.is_blank() && !self.busy.contains_key(&path) {
                self.entries.remove(&path);
            }
            entries.push((path, entry));
        }
        let history = std::mem::take(&mut self.commit.history);
        let log = std::mem::take(&mut self.commit.log);
        let something = !entries.is_empty() || !history.is_empty() || !log.is_empty();
        let counters = (moved && something).then_some(counters);
        if let Some(counters) = counters {
            self.commit.counters = Some(counters);
        }
        Commit {
            entries,
            history,
            log,
            counters,
        }
    }

    /// The next thing that happened, for the application.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// A person answered: go on with what the question was about.
    pub fn accept(&mut self, question: Question) {
        match question {
            Question::MassDelete { .. } => self.mass_delete_allowed = true,
            Question::OtherBucket => self.forget_hub(),
        }
        self.hub = HubState::Ready;
        self.listing.want();
    }

    /// A new token is at hand, the network is back, or somebody does not want to wait: go on. Only
    /// what the hub itself asked for is waited for all the same (L-3).
    pub fn resume(&mut self) {
        match &mut self.hub {
            HubState::Paused { .. } => self.hub = HubState::Ready,
            HubState::Waiting { until_ms, .. } => *until_ms = 0,
            HubState::Ready | HubState::Halted(_) => {}
        }
    }

    /// Assumes nothing about the hub any more: everything is compared anew.
    fn forget_hub(&mut self) {
        let paths: Vec<FilePath> = self.entries.keys().cloned().collect();
        for path in paths {
            self.update(&path, |entry| {
                entry.base = crate::state::Base::Unknown;
                entry.remote = crate::state::Remote::AsBase;
            });
            let is_file = self
                .entries
                .get(&path)
                .is_some_and(|entry| entry.local.file().is_some());
            if is_file && path.as_str() != crate::state::IDENTITY_PATH {
                self.ensure_pending(&path, 0);
            } else {
                self.update(&path, |entry| {
                    entry.local = crate::state::Local::Never;
                    entry.pending = None;
                });
            }
            self.ready.insert(path);
        }
        self.journal.retain(|_, path| {
            self.entries
                .get(path)
                .is_some_and(|entry| entry.pending.is_some())
        });
    }

    /// Takes note of another device's time stamp.
    fn observe(&mut self, remote: Hlc, now_ms: u64) {
        let before = self.clock.last();
        self.clock.observe(remote, now_ms);
        if self.clock.last() != before && !planted(Bug::RepeatNames) {
            // A later life of a restored device may observe the same again.
            self.clock.skip(self.options.seed & OBSERVED_TICKS_MAX);
        }
    }

    /// Names a new version of this device's.
    fn next_version(&mut self, now_ms: u64) -> VersionId {
        let version = self.clock.tick_version(now_ms);
        let first = self.own.given.map_or(version.clock, |(first, _)| first);
        self.own.given = Some((first, version.clock));
        version
    }

    /// Changes an entry and notes that it must be stored.
    fn update(&mut self, path: &FilePath, change: impl FnOnce(&mut Entry)) {
        let entry = self.entries.entry(path.clone()).or_default();
        let announced_for = entry.applying.is_some().then(|| entry.standing());
        change(entry);
        // What was announced and not done is not what would be done now: a user who does just that later
        // means something else.
        if announced_for.is_some_and(|before| before != entry.standing()) {
            entry.applying = None;
        }
        self.commit.entries.insert(path.clone());
    }

    /// Sees to it that an unsent state has a journal record.
    fn ensure_pending(&mut self, path: &FilePath, now_ms: u64) {
        let Some(entry) = self.entries.get_mut(path) else {
            return;
        };
        if entry.pending.is_none() {
            self.sequence += 1;
            entry.pending = Some(Pending {
                sequence: self.sequence,
                since_ms: now_ms,
                sent: Sent::Nothing,
            });
            self.journal.insert(self.sequence, path.clone());
            self.commit.entries.insert(path.clone());
        }
    }

    /// Takes an operation out of the journal.
    fn clear_pending(&mut self, path: &FilePath) {
        self.unseen.remove(path);
        if let Some(entry) = self.entries.get_mut(path)
            && let Some(pending) = entry.pending.take()
        {
            self.journal.remove(&pending.sequence);
            self.commit.entries.insert(path.clone());
        }
    }

    fn log(&mut self, row: LogRow) {
        self.commit.log.push(row);
    }
}

#[cfg(test)]
mod tests;
