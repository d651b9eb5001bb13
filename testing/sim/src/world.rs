//! A world while it lasts: plays the steps of a schedule, one after the other, and watches what the
//! devices do. Everything that is left open is decided by the luck of the step.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use gaia::etag::ETag;
use gaia::path::FilePath;
use pangaea_core::check::check_invariants;
use pangaea_core::version::ContentHash;

use crate::content::Bytes;
use crate::device::Chance;
use crate::device::Contents;
use crate::device::Device;
use crate::device::Stored;
use crate::fault::Fault;
use crate::fault::Faults;
use crate::hub::Call;
use crate::hub::Hub;
use crate::mutant::Planted;
use crate::network::LateAnswer;
use crate::network::Packet;
use crate::oracle::Author;
use crate::oracle::Edit;
use crate::oracle::Excuse;
use crate::oracle::Lineage;
use crate::oracle::Oracle;
use crate::oracle::Sight;
use crate::oracle::Told;
use crate::oracle::Truth;
use crate::oracle::Who;
use crate::rng::Rng;
use crate::schedule::Act;
use crate::schedule::Ask;
use crate::schedule::Deed;
use crate::schedule::Schedule;
use crate::schedule::Step;
use crate::settings::Ending;
use crate::settings::Settings;
use crate::watch::Refusal;

/// What a run showed.
#[derive(Debug, Clone)]
pub struct Report {
    /// The promise that was broken, if one was.
    pub failure: Option<String>,
    /// Everything that happened, if asked for.
    pub trace: Vec<String>,
    /// A digest of everything that happened: the same for the same schedule.
    pub digest: u64,
    /// How often each fault struck.
    pub faults: BTreeMap<Fault, u64>,
    /// How often users did what.
    pub deeds: BTreeMap<Deed, u64>,
    /// How often the oracle needed which excuse.
    pub excuses: BTreeMap<Excuse, u64>,
    /// Acknowledged edits.
    pub edits: usize,
    /// Requests to the hub.
    pub requests: u64,
}

/// Whether to keep the trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trace {
    /// Keep every line.
    Keep,
    /// Only the digest.
    Digest,
}

pub(crate) struct World {
    pub(crate) rng: Rng,
    pub(crate) settings: Settings,
    pub(crate) paths: Vec<FilePath>,
    pub(crate) faults: Faults,
    pub(crate) planted: Planted,
    pub(crate) now_ms: u64,
    pub(crate) hub: Hub,
    pub(crate) devices: Vec<Device>,
    pub(crate) contents: Contents,
    pub(crate) packets: Vec<Packet>,
    pub(crate) late_calls: Vec<Call>,
    pub(crate) late_answers: Vec<LateAnswer>,
    pub(crate) refused: Vec<Refusal>,
    pub(crate) oracle: Oracle,
    pub(crate) truth: Truth,
    pub(crate) lineage: Lineage,
    /// How many commits of each device were judged.
    judged: Vec<u64>,
    /// What the stock program saw when it last looked.
    pub(crate) looked: BTreeMap<FilePath, Option<Bytes>>,
    /// What each user had at a path before the last edit.
    pub(crate) before: BTreeMap<(usize, FilePath), Option<Bytes>>,
    pub(crate) deeds: BTreeMap<Deed, u64>,
    /// Devices whose disk was ever restored from an image or thrown away.
    pub(crate) replaced: BTreeSet<usize>,
    /// Paths that a stock program ever deleted: of what comes there again nobody can say whence.
    pub(crate) untraced: BTreeSet<FilePath>,
    /// What devices read of files without a header while those were torn, and under which tag.
    pub(crate) torn_reads: BTreeMap<((usize, FilePath), ContentHash), ETag>,
    /// Devices that were ever set up anew: for their names.
    pub(crate) evictions: u8,
    pub(crate) requests: u64,
    pub(crate) is_healed: bool,
    trace: Vec<String>,
    tracing: Trace,
    digest: u64,
}

/// Plays a schedule.
pub fn play(schedule: &Schedule, planted: Planted, tracing: Trace) -> Report {
    planted.begin();
    let mut world = World::new(schedule, planted, tracing);
    let failure = world.live(&schedule.steps).err();
    let mut excuses = world.oracle.used().clone();
    if world.truth.recurred() > 0 {
        *excuses.entry(Excuse::Recurred).or_default() += world.truth.recurred();
    }
    Report {
        failure,
        digest: world.digest,
        trace: world.trace,
        faults: world.faults.struck(),
        deeds: world.deeds,
        excuses,
        edits: world.oracle.count(),
        requests: world.requests,
    }
}

impl World {
    fn new(schedule: &Schedule, planted: Planted, tracing: Trace) -> Self {
        let settings = schedule.settings.clone();
        let numbered = settings.devices.iter().enumerate();
        let devices: Vec<Device> = numbered
            .map(|(number, drawn)| Device::new(number, drawn, &settings, planted))
            .collect();
        let paths = settings.paths.iter();
        Self {
            rng: Rng::new(schedule.seed),
            paths: paths
                .filter_map(|path| FilePath::parse(path).ok())
                .collect(),
            faults: Faults::new(&settings.rates),
            planted,
            now_ms: 1_700_000_000_000,
            hub: Hub::new(settings.hub.clone()),
            judged: vec![0; devices.len()],
            devices,
            contents: Contents::default(),
            packets: Vec::new(),
            late_calls: Vec::new(),
            late_answers: Vec::new(),
            refused: Vec::new(),
            oracle: Oracle::default(),
            truth: Truth::default(),
            lineage: Lineage::default(),
            looked: BTreeMap::new(),
            before: BTreeMap::new(),
            deeds: BTreeMap::new(),
            replaced: BTreeSet::new(),
            untraced: BTreeSet::new(),
            torn_reads: BTreeMap::new(),
            evictions: 0,
            requests: 0,
            is_healed: false,
            trace: Vec::new(),
            tracing,
            digest: schedule.seed,
            settings,
        }
    }

    fn live(&mut self, steps: &[Step]) -> Result<(), String> {
        self.begin()?;
        for step in steps {
            self.rng = Rng::new(step.luck);
            self.now_ms += step.wait_ms;
            self.take_step(&step.act)?;
            self.note_phantoms();
        }
        self.heal()?;
        self.check_end()
    }

    /// Whether a device takes part at all.
    pub(crate) fn is_present(&self, device: usize) -> bool {
        self.settings
            .devices
            .get(device)
            .is_some_and(|device| !device.absent)
    }

    /// The device that stays cut off for ever.
    pub(crate) fn broken(&self) -> Option<usize> {
        let last = self.devices.len().checked_sub(1)?;
        (self.settings.ending == Ending::OneBroken).then_some(last)
    }

    fn take_step(&mut self, act: &Act) -> Result<(), String> {
        match *act {
            Act::Turn { device, .. }
            | Act::Edit { device, .. }
            | Act::Fault { device, .. }
            | Act::Image { device }
                if !self.is_present(device) =>
            {
                Ok(())
            }
            Act::Turn {
                device,
                deliver,
                look,
                resume,
                scan,
            } => self.turn(device, deliver, look, resume, scan),
            Act::Edit { device, path, deed } => {
                self.user_does(device, path, deed);
                Ok(())
            }
            Act::ForeignLook { path } => {
                self.foreign_look(path);
                Ok(())
            }
            Act::Foreign { path, deed } => {
                self.foreign_edit(path, deed);
                Ok(())
            }
            Act::Fault { fault, device } => {
                self.befall(fault, device);
                Ok(())
            }
            Act::Image { device } => {
                self.devices[device].take_image();
                self.oracle.take_image(device);
                self.truth.take_image(device);
                Ok(())
            }
            Act::Backup => {
                self.hub.back_up();
                Ok(())
            }
        }
    }

    fn turn(
        &mut self,
        device: usize,
        deliver: u8,
        look: Ask,
        resume: Ask,
        scan: Ask,
    ) -> Result<(), String> {
        if look == Ask::Yes {
            self.devices[device].engine.handle_round_start();
        }
        if resume == Ask::Yes {
            self.devices[device].engine.resume();
        }
        if scan == Ask::Yes {
            self.scan(device);
        }
        self.step_device(device)?;
        for _ in 0..deliver {
            self.deliver_some()?;
        }
        Ok(())
    }

    /// Tells the oracle of edits that nobody made.
    fn note_phantoms(&mut self) {
        for number in 0..self.devices.len() {
            for phantom in self.devices[number].take_phantoms() {
                let before = phantom.known.and_then(|hash| self.contents.get(&hash));
                let before = before.cloned().unwrap_or_else(|| [].as_slice().into());
                let after = phantom.shown.and_then(|hash| self.contents.get(&hash));
                let edit = Edit {
                    path: phantom.path,
                    author: Author::Device(number),
                    token: self.oracle.new_token(),
                    sight: Sight::Unrecorded,
                    told: Told::Nothing,
                };
                let after = after.cloned();
                self.oracle.note_phantom(&edit, &before, after.as_deref());
            }
        }
    }

    pub(crate) fn scan(&mut self, number: usize) -> Stored {
        let mut chance = Chance {
            rng: &mut self.rng,
            faults: &mut self.faults,
        };
        self.devices[number].scan(&self.contents, self.now_ms, &mut chance)
    }

    /// Hands in what is done, stores, and sends what is to be sent.
    pub(crate) fn step_device(&mut self, number: usize) -> Result<(), String> {
        let now_ms = self.devices[number].now_ms(self.now_ms);
        self.devices[number].hand_in_results(self.now_ms);
        self.devices[number].engine.handle_timeout(now_ms);
        for _ in 0..4 {
            let mut chance = Chance {
                rng: &mut self.rng,
                faults: &mut self.faults,
            };
            match self.devices[number].store(&mut chance) {
                Stored::Done | Stored::Failed => {}
                Stored::Lost | Stored::Untold => {
                    self.note(|| format!("device {number} loses power at a commit"));
                    return self.judge(number);
                }
            }
            if !self.devices[number].may_send() {
                break;
            }
            let mut sent = false;
            while let Some((id, request)) = self.devices[number].engine.poll_request(now_ms) {
                sent = true;
                self.mark(&[2, number as u64, id.0]);
                self.note(|| format!("device {number} {id:?} {request:?}"));
                self.watch(number, &request)?;
                let mut chance = Chance {
                    rng: &mut self.rng,
                    faults: &mut self.faults,
                };
                let contents = &mut self.contents;
                if !self.devices[number].do_locally(id, &request, contents, &mut chance) {
                    self.send(number, id, request)?;
                }
            }
            if !sent {
                break;
            }
        }
        while let Some(event) = self.devices[number].engine.poll_event() {
            self.note(|| format!("device {number} {event:?}"));
        }
        self.judge(number)
    }

    /// What must hold at every moment.
    fn judge(&mut self, number: usize) -> Result<(), String> {
        let device = &self.devices[number];
        check_invariants(&device.engine).map_err(|broken| format!("device {number}: {broken}"))?;
        if let Some(broken) = device.broken() {
            return Err(format!("I-2: device {number}: {broken}"));
        }
        if device.commits == self.judged[number] {
            return Ok(());
        }
        self.judged[number] = device.commits;
        let entries = device.stored_entries();
        if device.engine.status().pending > device.engine.entries().len() {
            return Err(format!("device {number}: the journal grows without bound"));
        }
        // I-19: what is unsent is counted as such, also after a restart.
        let unsent = entries.iter().find(|(_, entry)| {
            !entry.is_clean() && entry.local.version().is_some() && entry.pending.is_none()
        });
        if let Some((path, _)) = unsent {
            return Err(format!(
                "I-19: device {number} would show {path} as sent after a restart"
            ));
        }
        let who = Who {
            device: number,
            id: device.id(),
            life: device.stored_in_life,
        };
        self.truth.check(who, entries, &self.hub)
    }

    /// Takes numbers into the digest.
    pub(crate) fn mark(&mut self, numbers: &[u64]) {
        for number in numbers {
            self.digest = (self.digest ^ number).wrapping_mul(0x0000_0100_0000_01B3);
            self.digest ^= self.digest >> 29;
        }
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if self.tracing == Trace::Keep {
            let seconds = (self.now_ms - 1_700_000_000_000) / 1_000;
            self.trace.push(format!("{seconds:>6} s  {}", line()));
        }
    }
}
