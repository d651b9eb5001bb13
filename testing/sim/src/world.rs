//! Lets things happen to a world in an order drawn from the seed: a phase of chaos with faults,
//! then a phase of healing without, then the verdict.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use gaia::path::FilePath;
use pangaea_core::check::check_invariants;
use pangaea_core::io::Failure;
use pangaea_core::io::Request;
use pangaea_core::io::RequestId;
use pangaea_core::io::Response;
use pangaea_core::state::RemoteBody;
use pangaea_core::version::ContentHash;

use crate::device::Contents;
use crate::device::Device;
use crate::hub::Deletes;
use crate::hub::Hub;
use crate::mutant::Mutant;
use crate::oracle::Oracle;
use crate::oracle::Token;
use crate::oracle::tokens;
use crate::rng::Rng;

/// What a seed expands into. Some faults are off in many seeds, so that others get through.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many devices.
    pub devices: u8,
    /// Which paths users touch.
    pub paths: Vec<&'static str>,
    /// How many turns of chaos.
    pub turns: u32,
    /// Percent of turns in which a user edits.
    pub edits: u64,
    /// Percent of requests that never arrive.
    pub lost_requests: u64,
    /// Percent of answers that never arrive, after the hub did what was asked.
    pub lost_answers: u64,
    /// Percent of requests that arrive a second time, much later.
    pub duplicates: u64,
    /// Percent of requests that the hub refuses for now.
    pub unwell: u64,
    /// Percent of listings that lack something.
    pub partial_listings: u64,
    /// Percent of turns in which a device loses power.
    pub crashes: u64,
    /// Percent of commits that a crash prevents.
    pub crashed_commits: u64,
    /// How the hub deletes.
    pub deletes: Deletes,
    /// A planted bug.
    pub mutant: Option<Mutant>,
}

impl Settings {
    /// Draws settings.
    pub fn draw(rng: &mut Rng, mutant: Option<Mutant>) -> Self {
        let mut rate = |most: u64| if rng.chance(40) { 0 } else { rng.below(most) + 1 };
        let (lost_requests, lost_answers, duplicates) = (rate(20), rate(20), rate(15));
        let (unwell, partial_listings) = (rate(15), rate(40));
        let (crashes, crashed_commits) = (rate(4), rate(5));
        let all = ["a.txt", "b.bin", "c.dat", "d/e.txt", "d"];
        let paths = all.iter().take(1 + rng.index(all.len())).copied().collect();
        let deletes =
            if rng.chance(50) { Deletes::Conditional } else { Deletes::Tombstones };
        Self {
            devices: 2 + u8::try_from(rng.below(2)).unwrap_or(0),
            paths,
            turns: 60 + u32::try_from(rng.below(200)).unwrap_or(0),
            edits: 2 + rng.below(20),
            lost_requests,
            lost_answers,
            duplicates,
            unwell,
            partial_listings,
            crashes,
            crashed_commits,
            deletes,
            mutant,
        }
    }

    fn heal(&mut self) {
        self.lost_requests = 0;
        self.lost_answers = 0;
        self.duplicates = 0;
        self.unwell = 0;
        self.partial_listings = 0;
        self.crashes = 0;
        self.crashed_commits = 0;
        self.edits = 0;
    }
}

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
    pub faults: BTreeMap<&'static str, u32>,
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

struct Packet {
    device: usize,
    life: u32,
    id: RequestId,
    request: Request,
    /// None on the way to the hub; the answer on the way back.
    answer: Option<Response>,
}

struct World {
    rng: Rng,
    settings: Settings,
    now_ms: u64,
    hub: Hub,
    devices: Vec<Device>,
    contents: Contents,
    packets: Vec<Packet>,
    late: Vec<Request>,
    oracle: Oracle,
    trace: Vec<String>,
    tracing: Trace,
    digest: u64,
    faults: BTreeMap<&'static str, u32>,
}

/// Runs the world of a seed to its end.
pub fn run(seed: u64, mutant: Option<Mutant>, tracing: Trace) -> Report {
    let mut rng = Rng::new(seed);
    let settings = Settings::draw(&mut rng, mutant);
    let devices = (0..settings.devices)
        .map(|number| {
            let folder = rng.chance(50);
            let mut device = Device::new(number, rng.next(), folder, mutant);
            device.skew_ms = i64::try_from(rng.below(120_000)).unwrap_or(0) - 60_000;
            device
        })
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
        trace: Vec::new(),
        tracing,
        digest: seed,
        faults: BTreeMap::new(),
    };
    let failure = world.live().err();
    Report {
        failure,
        settings,
        digest: world.digest,
        trace: world.trace,
        faults: world.faults,
        edits: world.oracle.count(),
    }
}

impl World {
    fn live(&mut self) -> Result<(), String> {
        for _ in 0..self.settings.turns {
            self.turn()?;
        }
        self.settings.heal();
        let late = std::mem::take(&mut self.late);
        for request in late {
            self.note(|| format!("late {request:?}"));
            self.hub.handle(&request);
        }
        // Each round lets everybody list, settle and list again; changes may need several.
        for _ in 0..30 {
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
                if steps > 2_000 {
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
        if self.rng.chance(self.settings.crashes) {
            self.count("crash");
            self.note(|| format!("device {number} loses power"));
            self.devices[number].restart();
        }
        if self.rng.chance(10) {
            self.devices[number].engine.handle_round_start();
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
        Ok(())
    }

    fn user_edits(&mut self, number: usize) {
        let name = self.settings.paths[self.rng.index(self.settings.paths.len())];
        let Ok(path) = FilePath::parse(name) else { return };
        let before = self.devices[number]
            .read(&path)
            .and_then(|hash| self.contents.get(&hash).cloned())
            .unwrap_or_default();
        let token = self.oracle.new_token();
        let after = self.draw_content(&before, token);
        let content = after.as_ref().map(|bytes| {
            let hash = ContentHash::of(bytes);
            self.contents.insert(hash, bytes.clone());
            (hash, bytes.len() as u64)
        });
        let crash = self.settings.crashed_commits;
        let acknowledged = self.devices[number].user_edit(
            &path,
            content,
            self.now_ms,
            &mut self.rng,
            crash,
        );
        self.note(|| format!("device {number} edits {path} {token}: {acknowledged}"));
        if acknowledged {
            self.oracle.acknowledge(token, &before, after.as_deref().unwrap_or_default());
        } else {
            self.count("crash before commit");
        }
    }

    fn draw_content(&mut self, before: &[u8], token: Token) -> Option<Vec<u8>> {
        let line = format!("line {token}\n");
        let mut lines: Vec<String> =
            String::from_utf8_lossy(before).lines().map(|line| format!("{line}\n")).collect();
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
        let crash = self.settings.crashed_commits;
        self.devices[number].scan(&self.contents, self.now_ms, &mut self.rng, crash);
    }

    /// Hands in what is done, stores, and sends what is to be sent.
    fn step_device(&mut self, number: usize) -> Result<(), String> {
        let now_ms = self.devices[number].now_ms(self.now_ms);
        let results = std::mem::take(&mut self.devices[number].local_results);
        for (id, response) in results {
            self.note(|| format!("device {number} {id:?} {response:?}"));
            self.devices[number].engine.handle_response(id, response, now_ms);
        }
        let crash = self.settings.crashed_commits;
        for _ in 0..8 {
            if !self.devices[number].store(&mut self.rng, crash) {
                self.count("crash before commit");
                return Ok(());
            }
            while let Some((id, request)) = self.devices[number].engine.poll_request(now_ms) {
                self.note(|| format!("device {number} {id:?} {request:?}"));
                let local = self.devices[number].do_locally(&request, &mut self.contents);
                match local {
                    Some(response) => self.devices[number].local_results.push((id, response)),
                    None => self.send(number, id, request),
                }
            }
        }
        while let Some(event) = self.devices[number].engine.poll_event() {
            self.note(|| format!("device {number} {event:?}"));
        }
        let device = &self.devices[number];
        check_invariants(&device.engine).map_err(|broken| format!("device {number}: {broken}"))
    }

    fn send(&mut self, device: usize, id: RequestId, request: Request) {
        if self.rng.chance(self.settings.duplicates) {
            self.count("late duplicate");
            self.late.push(request.clone());
        }
        let life = self.devices[device].life;
        self.packets.push(Packet { device, life, id, request, answer: None });
    }

    fn deliver(&mut self, index: usize) -> Result<(), String> {
        if !self.late.is_empty() && self.rng.chance(20) {
            let at = self.rng.index(self.late.len());
            let request = self.late.swap_remove(at);
            self.note(|| format!("late {request:?}"));
            self.hub.handle(&request);
        }
        let packet = self.packets.swap_remove(index);
        match packet.answer {
            None => {
                let answer = self.ask_hub(&packet.request);
                self.packets.push(Packet { answer: Some(answer), ..packet });
                Ok(())
            }
            Some(answer) => {
                let device = &mut self.devices[packet.device];
                if device.life != packet.life {
                    return Ok(());
                }
                let now_ms = device.now_ms(self.now_ms);
                device.engine.handle_response(packet.id, answer.clone(), now_ms);
                let (number, id) = (packet.device, packet.id);
                self.note(|| format!("device {number} gets {id:?} {answer:?}"));
                self.step_device(packet.device)
            }
        }
    }

    fn ask_hub(&mut self, request: &Request) -> Response {
        let failed = |message: &str| {
            Response::Failed(Failure::Unreachable {
                message: message.to_owned(),
                retry_after_ms: None,
            })
        };
        if self.rng.chance(self.settings.lost_requests) {
            self.count("lost request");
            return failed("timeout");
        }
        if self.rng.chance(self.settings.unwell) {
            self.count("hub unwell");
            if self.rng.chance(50) {
                return Response::Failed(Failure::Busy { message: "busy".to_owned() });
            }
            return failed("503");
        }
        if let Request::Fetch { .. } = request
            && self.settings.mutant == Some(Mutant::ListingIsTruth)
            && self.rng.chance(self.settings.partial_listings)
        {
            return Response::Absent;
        }
        let Some(mut answer) = self.hub.handle(request) else { return failed("not for a hub") };
        if self.rng.chance(self.settings.lost_answers) {
            self.count("lost answer");
            return failed("reset");
        }
        if let Response::Listed(files) = &mut answer
            && !files.is_empty()
            && self.rng.chance(self.settings.partial_listings)
        {
            self.count("partial listing");
            let at = self.rng.index(files.len());
            files.swap_remove(at);
        }
        answer
    }

    fn check_end(&self) -> Result<(), String> {
        let mut trees = Vec::new();
        let mut found = BTreeSet::new();
        // A conflict copy may keep what its writer replaces elsewhere: I-2 is about the files.
        let (mut current, mut everywhere) = (BTreeSet::new(), BTreeSet::new());
        for (number, device) in self.devices.iter().enumerate() {
            let status = device.engine.status();
            if status.pending > 0 {
                return Err(format!("L-2: device {number} still has {} pending", status.pending));
            }
            if !device.folder_is_scanned() {
                return Err(format!("I-3: device {number}: folder and replica differ"));
            }
            let files = device.files();
            for (path, hash) in &files {
                let lines = self.contents.get(hash).map(|bytes| tokens(bytes)).unwrap_or_default();
                if !pangaea_core::conflict::is_copy(path) {
                    current.extend(lines.iter().copied());
                }
                everywhere.extend(lines);
            }
            for hash in device.history() {
                found.extend(self.contents.get(hash).map(|b| tokens(b)).unwrap_or_default());
            }
            trees.push(files);
        }
        let on_hub: BTreeMap<FilePath, ContentHash> = self
            .hub
            .files()
            .iter()
            .filter_map(|(path, file)| match &file.body {
                RemoteBody::File { content, .. } => Some((path.clone(), *content)),
                RemoteBody::Tombstone => None,
            })
            .collect();
        for (number, tree) in trees.iter().enumerate() {
            if *tree != on_hub {
                return Err(format!("I-3: device {number} has {tree:?}, the hub {on_hub:?}"));
            }
        }
        // History counts only where the policy says so: `latest` (*.dat) keeps no copies.
        let by_latest = self.latest_tokens(&found);
        let mut kept = everywhere;
        kept.extend(by_latest);
        self.oracle.check_nothing_lost(&kept)?;
        self.oracle.check_nothing_resurrected(&current)?;
        if on_hub.len() > self.settings.paths.len() + self.oracle.count() {
            return Err(format!("I-14: {} files after {} edits", on_hub.len(), self.oracle.count()));
        }
        Ok(())
    }

    fn latest_tokens(&self, history: &BTreeSet<Token>) -> BTreeSet<Token> {
        if self.settings.paths.contains(&"c.dat") { history.clone() } else { BTreeSet::new() }
    }

    fn count(&mut self, fault: &'static str) {
        *self.faults.entry(fault).or_default() += 1;
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        let line = line();
        for byte in line.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        if self.tracing == Trace::Keep {
            self.trace.push(line);
        }
    }
}
