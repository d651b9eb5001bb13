//! A device: the real engine, the disk that a crash leaves, and what is under way.

use std::collections::BTreeMap;
use std::hash::Hash;
use std::hash::Hasher;

use gaia::path::FilePath;
use pangaea_core::check::check_invariants;
use pangaea_core::commit::Counters;
use pangaea_core::engine::Engine;
use pangaea_core::engine::Options;
use pangaea_core::io::Keep;
use pangaea_core::io::Merged;
use pangaea_core::io::NewContent;
use pangaea_core::io::Request;
use pangaea_core::io::RequestId;
use pangaea_core::io::Response;
use pangaea_core::media::MediaType;
use pangaea_core::merge;
use pangaea_core::state::Entry;
use pangaea_core::state::Local;
use pangaea_core::state::Remote;
use pangaea_core::version::ContentHash;
use pangaea_core::version::DeviceId;

use crate::bounds::Bounds;
use crate::bounds::Bug;
use crate::hub::Hub;
use crate::judge::Contents;

/// When the world begins.
const START_MS: u64 = 1_700_000_000_000;

/// A request and how far it came.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    pub(crate) id: RequestId,
    pub(crate) request: Request,
    /// The answer, on its way back.
    pub(crate) answer: Option<Response>,
}

#[derive(Debug, Clone)]
pub(crate) struct Device {
    pub(crate) engine: Engine,
    entries: BTreeMap<FilePath, Entry>,
    counters: Option<Counters>,
    pub(crate) packets: Vec<Packet>,
    pub(crate) now_ms: u64,
    pub(crate) looks: u8,
    pub(crate) waits: u8,
    options: Options,
    bug: Option<Bug>,
}

impl Hash for Device {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.engine.fingerprint(hasher);
        self.entries.hash(hasher);
        self.counters.hash(hasher);
        for packet in &self.packets {
            packet.request.hash(hasher);
            packet.answer.hash(hasher);
        }
        self.packets.len().hash(hasher);
        self.now_ms.hash(hasher);
        self.looks.hash(hasher);
        self.waits.hash(hasher);
    }
}

impl Device {
    pub(crate) fn new(number: u8, bounds: &Bounds) -> Self {
        let id = DeviceId::from_bytes([number + 1; 8]);
        let mut options = Options::new(id, u64::from(number));
        options.in_flight_max = bounds.in_flight;
        Self {
            engine: Engine::load(options.clone(), [], None),
            entries: BTreeMap::new(),
            counters: None,
            packets: Vec::new(),
            now_ms: START_MS,
            looks: 0,
            waits: 0,
            options,
            bug: bounds.bug,
        }
    }

    pub(crate) fn read(&self, path: &FilePath) -> Option<ContentHash> {
        let file = self.engine.entry(path)?.local.file()?;
        Some(file.content)
    }

    /// All files.
    pub(crate) fn files(&self) -> BTreeMap<FilePath, ContentHash> {
        let entries = self.engine.entries().iter();
        entries
            .filter_map(|(path, entry)| Some((path.clone(), entry.local.file()?.content)))
            .collect()
    }

    /// The user writes, or deletes for none. Acknowledged when this returns.
    pub(crate) fn edit(
        &mut self,
        path: &FilePath,
        bytes: Option<&[u8]>,
        hub: &Hub,
    ) -> Result<(), String> {
        match bytes {
            Some(bytes) => {
                let new = NewContent {
                    content: ContentHash::of(bytes),
                    size: bytes.len() as u64,
                    media_type: MediaType::of(path.as_str(), b""),
                    format: None,
                };
                self.engine.handle_local_write(path, new, self.now_ms);
            }
            None => {
                self.engine.handle_local_delete(path, self.now_ms);
            }
        }
        if self.read(path) != bytes.map(ContentHash::of) {
            return Err(format!("I-6: {path} does not read as it was written"));
        }
        if self.bug == Some(Bug::AckWithoutCommit) {
            self.engine.take_commit();
        }
        self.work(hub)
    }

    /// Power off, power on: what is stored is left.
    pub(crate) fn restart(&mut self, hub: &Hub) -> Result<(), String> {
        self.packets.clear();
        let entries = self.entries.clone();
        self.engine = Engine::load(self.options.clone(), entries, self.counters);
        self.engine.handle_round_start();
        self.work(hub)
    }

    /// The packet at `at` is answered.
    pub(crate) fn take_answer(
        &mut self,
        at: usize,
        response: Response,
        hub: &Hub,
    ) -> Result<(), String> {
        let packet = self.packets.remove(at);
        self.engine
            .handle_response(packet.id, response, self.now_ms);
        self.work(hub)
    }

    /// Carries out what needs no hub.
    pub(crate) fn do_locally(request: &Request, contents: &Contents) -> Option<Response> {
        match request {
            Request::Apply { .. } => Some(Response::Applied),
            Request::Merge {
                strategy,
                base,
                ours,
                theirs,
                ..
            } => {
                let bytes = |hash: &ContentHash| contents.bytes(hash);
                let (a, b) = (bytes(&ours.content), bytes(&theirs.content));
                let base = base.as_ref().map(bytes);
                let ours = merge::Input {
                    bytes: &a,
                    version: ours.version,
                };
                let theirs = merge::Input {
                    bytes: &b,
                    version: theirs.version,
                };
                let outcome = merge::merge(strategy, base.as_deref(), ours, theirs);
                let keep = match &outcome.content {
                    merge::Content::Side(side) => Keep::Side(*side),
                    merge::Content::New(bytes) => Keep::New {
                        content: contents.keep(bytes),
                        size: bytes.len() as u64,
                    },
                };
                Some(Response::Merged(Merged {
                    keep,
                    copy: outcome.copy(),
                }))
            }
            _ => None,
        }
    }

    /// Stores and sends until neither is left, and looks at what may never be.
    pub(crate) fn work(&mut self, hub: &Hub) -> Result<(), String> {
        loop {
            self.store(hub)?;
            let Some((id, request)) = self.engine.poll_request(self.now_ms) else {
                if self.store(hub)? {
                    continue;
                }
                break;
            };
            let answer = match (&request, self.bug) {
                (Request::Fetch { path }, Some(Bug::ListingIsTruth))
                    if self.engine.entry(path).map(|entry| &entry.remote)
                        == Some(&Remote::Missing) =>
                {
                    Some(Response::Absent)
                }
                _ => None,
            };
            self.packets.push(Packet {
                id,
                request,
                answer,
            });
        }
        while self.engine.poll_event().is_some() {}
        check_invariants(&self.engine)
    }

    /// True if there was something to store.
    fn store(&mut self, hub: &Hub) -> Result<bool, String> {
        let commit = self.engine.take_commit();
        let something = !commit.is_empty();
        for (path, mut entry) in commit.entries {
            if let (Local::File(file), None, false) =
                (&entry.local, &entry.pending, entry.problem.is_some())
                && !hub.ever_had(&path, file.version)
            {
                return Err(format!(
                    "journal: {path} {} left it and was never on the hub",
                    file.version
                ));
            }
            if entry.is_blank() {
                self.entries.remove(&path);
                continue;
            }
            // Like a real store: what was seen of the hub is not kept.
            entry.remote = Remote::AsBase;
            entry.suspect = None;
            if self.bug == Some(Bug::ForgetJournal) {
                entry.pending = None;
            }
            // Only if the hub itself went back, by a late duplicate.
            if let (Some(old), Some(new)) = (
                self.entries.get(&path).map(|old| &old.base),
                entry.base.version(),
            ) && let Some(version) = old.version()
                && version != new
                && old.includes(&new)
                && hub.written(&path, new) < hub.written(&path, version)
            {
                return Err(format!("I-5: the base of {path} went back to {new}"));
            }
            self.entries.insert(path, entry);
        }
        if self.bug != Some(Bug::ForgetCounters) {
            self.counters = commit.counters.or(self.counters);
        }
        Ok(something)
    }
}
