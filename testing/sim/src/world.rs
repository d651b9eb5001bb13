//! Lets things happen to a world in an order drawn from the seed: a phase of chaos with faults,
//! then a phase of healing without, then the verdict.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use gaia::path::FilePath;
use pangaea_core::check::check_invariants;
use pangaea_core::io::Request;
use pangaea_core::version::ContentHash;

use crate::device::Chance;
use crate::device::Contents;
use crate::device::Device;
use crate::fault::Fault;
use crate::hub::Hub;
use crate::mutant::Mutant;
use crate::network::Packet;
use crate::oracle::Oracle;
use crate::oracle::Sight;
use crate::oracle::Token;
use crate::rng::Rng;
use crate::settings::Settings;
use crate::settings::Style;

/// What a run showed.
#[derive(Debug, Clone)]
pub struct Report {
    /// The promise that was broken, if one was.
    pub failure: Option<String>,
    /// What the seed expanded into.
    pub settings: Settings,
    /// Everything that happened, if asked for.
    pub trace: Vec<String>,
    /// A digest of everything that happened: the same for the same seed.
    pub digest: u64,
    /// How often each fault struck.
    pub faults: BTreeMap<Fault, u32>,
    /// Acknowledged edits.
    pub edits: usize,
}

/// Whether to keep the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    /// Keep every line.
    Keep,
    /// Only the digest.
    Digest,
}

/// How many turns a device has to come to rest in a healed world.
const STEPS_TO_REST: u32 = 500;
/// Rounds in which everybody lists, settles and lists again; changes may need several.
const HEALING_ROUNDS: u32 = 12;

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) settings: Settings,
    pub(crate) now_ms: u64,
    pub(crate) hub: Hub,
    pub(crate) devices: Vec<Device>,
    pub(crate) contents: Contents,
    pub(crate) packets: Vec<Packet>,
    pub(crate) late: Vec<Request>,
    pub(crate) oracle: Oracle,
    /// Paths that the last listing kept from a device: what a planted bug builds on.
    pub(crate) unlisted: BTreeSet<(usize, FilePath)>,
    /// What the stock program saw when it last looked.
    looked: BTreeMap<FilePath, Option<ContentHash>>,
    trace: Vec<String>,
    tracing: Trace,
    digest: u64,
}

/// Runs one seed.
pub fn run(seed: u64, mutant: Option<Mutant>, tracing: Trace) -> Report {
    let mut rng = Rng::new(seed);
    let settings = Settings::draw(&mut rng, mutant);
    let devices = (0..settings.devices)
        .map(|number| Device::new(number, &settings, &mut rng))
        .collect();
    let mut world = World {
        hub: Hub::new(settings.deletes, mutant),
        rng,
        settings: settings.clone(),
        now_ms: 1_700_000_000_000,
        devices,
        contents: Contents::new(),
        packets: Vec::new(),
        late: Vec::new(),
        oracle: Oracle::default(),
        unlisted: BTreeSet::new(),
        looked: BTreeMap::new(),
        trace: Vec::new(),
        tracing,
        digest: seed,
    };
    let failure = world.live().err();
    Report {
        failure,
        settings,
        digest: world.digest,
        trace: world.trace,
        faults: world.settings.faults.struck().clone(),
        edits: world.oracle.count(),
    }
}

impl World {
    fn live(&mut self) -> Result<(), String> {
        for _ in 0..self.settings.turns {
            self.turn()?;
        }
        self.settings.faults.heal();
        for request in std::mem::take(&mut self.late) {
            self.arrive_late(&request);
        }
        self.settle()?;
        for number in 0..self.devices.len() {
            // Whoever was told of a full disk or a refusal deals with it and tries again.
            if self.devices[number].engine.status().parked > 0 {
                self.devices[number].restart(&mut self.rng);
            }
        }
        for _ in 0..HEALING_ROUNDS {
            self.settle()?;
        }
        self.check_end()
    }

    /// One round of a healed world: everybody looks at the hub and works until quiet.
    fn settle(&mut self) -> Result<(), String> {
        for number in 0..self.devices.len() {
            self.devices[number].engine.resume();
            self.devices[number].engine.handle_round_start();
            let mut steps = 0;
            loop {
                self.now_ms += 1_000;
                self.scan(number);
                self.step_device(number)?;
                if self.packets.is_empty() && self.devices[number].local_results.is_empty() {
                    let now_ms = self.devices[number].now_ms(self.now_ms);
                    let waits = self.devices[number].engine.poll_timeout().is_some();
                    if self.devices[number].engine.is_quiet(now_ms) && !waits {
                        break;
                    }
                    self.now_ms += 60_000;
                }
                while !self.packets.is_empty() {
                    self.deliver(0)?;
                }
                steps += 1;
                if steps > STEPS_TO_REST {
                    return Err(format!("L-1: device {number} does not come to rest"));
                }
            }
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<(), String> {
        self.now_ms += self.rng.below(3_000);
        let number = self.rng.index(self.devices.len());
        if self.rng.chance(self.settings.edits) {
            self.user_edits(number);
        }
        if self
            .settings
            .faults
            .strikes(Fault::ForeignWrite, &mut self.rng)
        {
            self.stock_program_edits();
        }
        if self.settings.faults.strikes(Fault::Crash, &mut self.rng) {
            self.note(|| format!("device {number} loses power"));
            self.devices[number].restart(&mut self.rng);
        }
        if self.rng.chance(10) {
            self.devices[number].engine.handle_round_start();
        }
        if self.rng.chance(10) {
            self.devices[number].engine.resume();
        }
        if self.rng.chance(30) {
            self.scan(number);
        }
        self.step_device(number)?;
        for _ in 0..self.rng.below(4) {
            if !self.packets.is_empty() {
                let index = self.rng.index(self.packets.len());
                self.deliver(index)?;
            }
        }
        self.note_phantoms();
        Ok(())
    }

    /// Tells the oracle of edits that nobody made. They keep lines, but drop none.
    fn note_phantoms(&mut self) {
        for number in 0..self.devices.len() {
            for phantom in self.devices[number].take_phantoms() {
                let (before, after) = (self.bytes(phantom.known), self.bytes(phantom.shown));
                let token = self.oracle.new_token();
                let before = (before.as_slice(), Sight::Unrecorded);
                self.oracle
                    .note_phantom(number, &phantom.path, token, before, &after);
            }
        }
    }

    fn draw_path(&mut self) -> Option<FilePath> {
        let name = self.settings.paths[self.rng.index(self.settings.paths.len())];
        FilePath::parse(name).ok()
    }

    fn bytes(&self, content: Option<ContentHash>) -> Vec<u8> {
        content
            .and_then(|hash| self.contents.get(&hash).cloned())
            .unwrap_or_default()
    }

    /// In a relay, whether everybody has the newest version of `path` and nothing is under way.
    fn may_edit(&self, path: &FilePath) -> bool {
        let newest = self.oracle.newest(path);
        let newest = (!newest.is_empty()).then(|| ContentHash::of(newest));
        self.settings.style == Style::Free
            || (self.hub.content(path) == newest
                && self
                    .devices
                    .iter()
                    .all(|device| device.is_settled(path, newest)))
    }

    fn user_edits(&mut self, number: usize) {
        let Some(path) = self.draw_path() else { return };
        if !self.may_edit(&path) {
            return;
        }
        let before = self.bytes(self.devices[number].read(&path));
        let sight = self.devices[number].sight(&path);
        let token = self.oracle.new_token();
        let after = self.draw_content(&before, token);
        let content = after.as_ref().map(|bytes| {
            let hash = ContentHash::of(bytes);
            self.contents.insert(hash, bytes.clone());
            (hash, bytes.len() as u64)
        });
        let mut chance = Chance {
            rng: &mut self.rng,
            faults: &mut self.settings.faults,
        };
        let device = &mut self.devices[number];
        let acknowledged = device.user_edit(&path, content, self.now_ms, &mut chance);
        self.note(|| format!("device {number} edits {path} {token}: {acknowledged}"));
        if acknowledged {
            let after = after.unwrap_or_default();
            self.oracle
                .acknowledge(Some(number), &path, token, (&before, sight), &after);
        }
    }

    /// A program that knows nothing of versions looks at a file, and some time later writes it or
    /// deletes it. In a relay it does both in one moment, like everybody there.
    fn stock_program_edits(&mut self) {
        let Some(path) = self.draw_path() else { return };
        let there = self.hub.content(&path);
        if self.settings.style == Style::Free && self.rng.chance(50) {
            self.looked.insert(path, there);
            return;
        }
        if !self.may_edit(&path) {
            return;
        }
        let seen = match self.settings.style {
            Style::Free => self.looked.get(&path).copied().flatten(),
            Style::Relay => there,
        };
        let is_unanswered = self.devices.iter().any(|device| device.has_pending(&path));
        // By a clock that is fast, what is overwritten is newer than what the program writes.
        let hub_ms = self.now_ms / 1_000 * 1_000;
        let there_ms = self
            .hub
            .files()
            .get(&path)
            .map_or(0, |file| file.version.clock.ms());
        let sight = if is_unanswered || there_ms >= hub_ms {
            Sight::Unrecorded
        } else {
            Sight::Recorded
        };
        let (before, on_hub) = (self.bytes(seen), self.bytes(there));
        let token = self.oracle.new_token();
        // A program that deletes leaves no trace: a late duplicate cannot be told from a new file. A
        // relay has no room for such doubt.
        let after = match (self.draw_content(&before, token), self.settings.style) {
            (None, Style::Relay) => return,
            (after, _) => after,
        };
        let kept = after.clone().unwrap_or_default();
        self.note(|| format!("a stock program edits {path} {token}"));
        self.oracle
            .acknowledge(None, &path, token, (&before, sight), &kept);
        self.oracle.excuse(&on_hub, &kept);
        match after {
            Some(bytes) => {
                self.hub.overwrite(&path, &bytes, self.now_ms);
                self.contents.insert(ContentHash::of(&bytes), bytes);
            }
            None => self.hub.wipe(&path),
        }
        self.looked.insert(path.clone(), self.hub.content(&path));
    }

    fn draw_content(&mut self, before: &[u8], token: Token) -> Option<Vec<u8>> {
        let line = format!("line {token}\n");
        let mut lines: Vec<String> = String::from_utf8_lossy(before)
            .lines()
            .map(|line| format!("{line}\n"))
            .collect();
        match self.rng.below(10) {
            0 | 1 if !before.is_empty() => return None,
            2 | 3 => lines = vec![line],
            4 if !lines.is_empty() => {
                let at = self.rng.index(lines.len());
                lines[at] = line;
            }
            5 | 6 => lines.insert(0, line),
            _ => lines.push(line),
        }
        Some(lines.concat().into_bytes())
    }

    fn scan(&mut self, number: usize) {
        let mut chance = Chance {
            rng: &mut self.rng,
            faults: &mut self.settings.faults,
        };
        self.devices[number].scan(&self.contents, self.now_ms, &mut chance);
    }

    /// Hands in what is done, stores, and sends what is to be sent.
    pub(crate) fn step_device(&mut self, number: usize) -> Result<(), String> {
        let now_ms = self.devices[number].now_ms(self.now_ms);
        for (id, response) in self.devices[number].local_results.clone() {
            self.note(|| format!("device {number} {id:?} {response:?}"));
        }
        self.devices[number].hand_in_results(self.now_ms);
        for _ in 0..8 {
            let mut chance = Chance {
                rng: &mut self.rng,
                faults: &mut self.settings.faults,
            };
            if !self.devices[number].store(&mut chance) {
                self.note(|| format!("device {number} loses power before a commit"));
                return Ok(());
            }
            while let Some((id, request)) = self.devices[number].engine.poll_request(now_ms) {
                self.note(|| format!("device {number} {id:?} {request:?}"));
                let mut chance = Chance {
                    rng: &mut self.rng,
                    faults: &mut self.settings.faults,
                };
                let contents = &mut self.contents;
                if !self.devices[number].do_locally(id, &request, contents, &mut chance) {
                    self.send(number, id, request)?;
                }
            }
        }
        while let Some(event) = self.devices[number].engine.poll_event() {
            self.note(|| format!("device {number} {event:?}"));
        }
        let device = &self.devices[number];
        check_invariants(&device.engine).map_err(|broken| format!("device {number}: {broken}"))
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        let line = line();
        for byte in line.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        if self.tracing == Trace::Keep {
            self.trace.push(line);
        }
    }
}
