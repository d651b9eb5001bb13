//! Lets things happen: turns of chaos in which all devices edit and sync at the same time, then a
//! time without faults in which everything must come to rest.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use std::time::Instant;

use gaia::path::FilePath;
use pangaea::store::memory::MemoryStore;
use pangaea_kit::proxy::Proxy;
use tokio::runtime::Runtime;

use crate::device::Clock;
use crate::device::Device;
use crate::device::Disk;
use crate::fault::Fault;
use crate::fault::Faults;
use crate::hub::HubBox;
use crate::network::make_trouble;
use crate::oracle::Oracle;
use crate::oracle::tokens;
use crate::settings::Memory;
use crate::settings::Planted;
use crate::settings::Settings;
use pangaea_kit::random::Random;

/// So many requests a round may make at most, whatever goes wrong: a storm would make more.
const ROUND_REQUESTS_MAX: usize = 400;

/// What happened, for people.
#[derive(Clone)]
pub(crate) struct Timeline {
    begun: Instant,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Timeline {
    fn begin() -> Self {
        let (begun, lines) = (Instant::now(), Arc::default());
        Self { begun, lines }
    }

    pub fn note(&self, what: &str) {
        let ms = self.begun.elapsed().as_millis();
        self.lines
            .lock()
            .unwrap()
            .push(format!("{ms:>6} ms  {what}"));
    }
}

/// How a seed went.
#[derive(Debug)]
pub struct Report {
    /// What it expanded into.
    pub settings: Settings,
    /// How often each fault struck.
    pub struck: BTreeMap<Fault, u64>,
    /// Edits that were acknowledged.
    pub edits: usize,
    /// Requests that devices made.
    pub requests: usize,
    /// What happened.
    pub timeline: Vec<String>,
    /// The promise that was broken.
    pub failure: Option<String>,
}

pub(crate) struct World {
    pub settings: Settings,
    pub faults: Arc<Mutex<Faults>>,
    pub oracle: Mutex<Oracle>,
    pub timeline: Timeline,
    pub hub: HubBox,
    pub devices: Vec<Device>,
    pub proxies: Vec<Proxy>,
    pub requests: usize,
    pub clock: Arc<Clock>,
    rng: Random,
    network: Runtime,
    /// An old copy of the first device's store, where a rollback is planted.
    backup: Option<MemoryStore>,
}

/// Runs one seed. Folders are made in `parent`, which may be one in memory.
///
/// # Panics
/// If something fails outside the product, or inside it in a way that nothing may fail.
pub fn run(seed: u64, planted: Option<Planted>, parent: &Path) -> Report {
    let folder = tempfile::tempdir_in(parent).unwrap();
    let mut world = World::make(seed, planted, folder.path());
    let result = world.chaos().and_then(|()| world.heal_and_judge());
    if let Err(failure) = &result {
        world.timeline.note(failure);
    }
    let struck = world.faults.lock().unwrap().struck().clone();
    let edits = world.oracle.lock().unwrap().count();
    let timeline = world.timeline.lines.lock().unwrap().clone();
    Report {
        settings: world.settings.clone(),
        struck,
        edits,
        requests: world.requests,
        timeline,
        failure: result.err(),
    }
}

impl World {
    fn make(seed: u64, planted: Option<Planted>, folder: &Path) -> Self {
        let mut rng = Random::new(seed);
        let settings = Settings::draw(&mut rng, planted);
        let faults = Arc::new(Mutex::new(settings.faults.clone()));
        let timeline = Timeline::begin();
        let clock = Arc::new(Clock::default());
        let network = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let hub = HubBox::start(&folder.join("hub"));
        let (mut devices, mut proxies) = (Vec::new(), Vec::new());
        for (number, memory) in settings.devices.iter().enumerate() {
            let proxy = network.block_on(Proxy::listen());
            proxy.forward_to(hub.address());
            let rules = (Arc::clone(&faults), planted);
            make_trouble(&proxy, number, rules, rng.fork(), timeline.clone());
            let disk = match memory {
                Memory::Sqlite => Disk::Sqlite(folder.join(format!("device{number}"))),
                Memory::Ram => Disk::Ram(MemoryStore::new()),
            };
            let (url, features) = (proxy.url.clone(), settings.features);
            devices.push(Device::new(
                disk,
                url,
                features,
                Arc::clone(&clock),
                rng.fork(),
            ));
            proxies.push(proxy);
        }
        Self {
            settings,
            faults,
            oracle: Mutex::default(),
            timeline,
            hub,
            devices,
            proxies,
            requests: 0,
            clock,
            rng,
            network,
            backup: None,
        }
    }

    fn strikes(&mut self, fault: Fault) -> bool {
        self.faults.lock().unwrap().strikes(fault, &mut self.rng)
    }

    fn chaos(&mut self) -> Result<(), String> {
        for turn in 0..self.settings.turns {
            self.clock.advance_ms(self.rng.below(120_000));
            let kills_hub = self.strikes(Fault::HubKilled);
            let kill_after = Duration::from_millis(self.rng.below(60));
            let shared = Shared {
                paths: &self.settings.paths,
                oracle: &self.oracle,
                faults: &self.faults,
                timeline: &self.timeline,
            };
            let (hub, devices) = (&mut self.hub, &mut self.devices);
            let proxies = &self.proxies;
            let results: Vec<Result<(), String>> = std::thread::scope(|scope| {
                let running: Vec<_> = devices
                    .iter_mut()
                    .enumerate()
                    .map(|(number, device)| scope.spawn(move || shared.work(number, device)))
                    .collect();
                if kills_hub {
                    std::thread::sleep(kill_after);
                    shared.timeline.note("the hub is killed");
                    hub.kill();
                    for proxy in proxies {
                        proxy.forward_to(hub.address());
                    }
                    shared.timeline.note("the hub is there again");
                }
                running
                    .into_iter()
                    .map(|thread| thread.join().unwrap())
                    .collect()
            });
            results.into_iter().collect::<Result<(), String>>()?;
            self.count_requests(ROUND_REQUESTS_MAX)?;
            if self.strikes(Fault::ForeignWrite) {
                self.write_without_versions();
            }
            if self.settings.planted == Some(Planted::StoreRolledBack) {
                self.roll_back(turn);
            }
        }
        Ok(())
    }

    /// Adds up what came by; nobody may have asked more often than `most`.
    pub fn count_requests(&mut self, most: usize) -> Result<(), String> {
        for (number, proxy) in self.proxies.iter().enumerate() {
            let requests = proxy.seen().len();
            self.requests += requests;
            if requests > most {
                return Err(format!(
                    "L-3: {requests} requests by device {number} in one turn"
                ));
            }
        }
        Ok(())
    }

    /// A program that knows nothing of versions adds its line to a plain file, or makes one.
    fn write_without_versions(&mut self) {
        let path = self.settings.paths[self.rng.index(self.settings.paths.len())];
        let token = self.oracle.lock().unwrap().new_token();
        let address = self.hub.address();
        let written = self
            .network
            .block_on(crate::network::write_plainly(address, path, token));
        let Some((before, after)) = written else {
            return;
        };
        self.timeline
            .note(&format!("a plain program writes line {token} to {path}"));
        let mut oracle = self.oracle.lock().unwrap();
        oracle.acknowledge(None, path, token, &before, &after);
    }

    /// Every third turn the store goes back to what it was.
    fn roll_back(&mut self, turn: u64) {
        let device = &mut self.devices[0];
        let Disk::Ram(store) = &device.disk else {
            return;
        };
        match self.backup.take() {
            Some(backup) if turn % 3 == 2 => {
                self.timeline.note("device 0: its store is rolled back");
                device.close();
                device.disk = Disk::Ram(backup);
                device.open();
            }
            Some(backup) => self.backup = Some(backup),
            None => self.backup = Some(store.snapshot()),
        }
    }
}

/// What all devices may touch while they work at the same time.
#[derive(Clone, Copy)]
struct Shared<'a> {
    paths: &'a [&'static str],
    oracle: &'a Mutex<Oracle>,
    faults: &'a Mutex<Faults>,
    timeline: &'a Timeline,
}

impl Shared<'_> {
    /// A turn of one device: some edits, and mostly some kind of round.
    fn work(self, number: usize, device: &mut Device) -> Result<(), String> {
        // Edits come in clusters.
        for _ in 0..device.rng.below(4) {
            self.edit(number, device)?;
        }
        if device.rng.chance(250) {
            return Ok(());
        }
        let failed = |error| format!("I-16: device {number} failed: {error}");
        let ms = device.rng.below(80);
        if self.strikes(Fault::DeviceKilled, device) {
            let end = device.round_for_ms(ms).map_err(failed)?;
            self.timeline.note(&format!(
                "device {number}: killed after {ms} ms, round {}",
                words(end.is_some())
            ));
            device.close();
            device.open();
        } else if self.strikes(Fault::RoundDropped, device) {
            let end = device.round_for_ms(ms).map_err(failed)?;
            self.timeline.note(&format!(
                "device {number}: dropped after {ms} ms, round {}",
                words(end.is_some())
            ));
        } else if device.rng.chance(300) {
            device.replica().begin_round();
            for _ in 0..20 {
                if !device.turn().map_err(failed)? {
                    break;
                }
                if device.rng.chance(200) {
                    self.edit(number, device)?;
                }
            }
        } else {
            let end = device.round().map_err(failed)?;
            self.timeline
                .note(&format!("device {number}: round ends {end:?}"));
        }
        Ok(())
    }

    fn strikes(self, fault: Fault, device: &mut Device) -> bool {
        self.faults.lock().unwrap().strikes(fault, &mut device.rng)
    }

    fn edit(self, number: usize, device: &mut Device) -> Result<(), String> {
        let name = self.paths[device.rng.index(self.paths.len())];
        let path = FilePath::parse(name).unwrap();
        let token = self.oracle.lock().unwrap().new_token();
        let before = device.read(&path);
        let failed = |error| format!("I-16: device {number} cannot edit {name}: {error}");
        let after = if before.is_some() && device.rng.chance(150) {
            device.delete(&path).map_err(failed)?;
            Vec::new()
        } else {
            let after = new_content(
                name,
                before.as_deref().unwrap_or(&[]),
                token,
                &mut device.rng,
            );
            device.write(&path, after.clone()).map_err(failed)?;
            after
        };
        let before = before.unwrap_or_default();
        let (saw, has) = (tokens(&before), tokens(&after));
        self.timeline.note(&format!(
            "device {number}: edit {token} of {name}: {saw:?} -> {has:?}"
        ));
        self.oracle
            .lock()
            .unwrap()
            .acknowledge(Some(number), name, token, &before, &after);
        Ok(())
    }
}

fn words(is_complete: bool) -> &'static str {
    if is_complete { "had ended" } else { "cut off" }
}

/// What a user makes of a file: a line more, a line replaced, or something new.
fn new_content(name: &str, before: &[u8], token: u32, rng: &mut Random) -> Vec<u8> {
    let own = format!("line {token}");
    if name.ends_with(".bin") {
        // Beyond what lies in the store, and sometimes beyond what is held in memory.
        let filler = [0, 40, 100 * 1024, 1100 * 1024][rng.index(20).saturating_sub(16)];
        let mut content = vec![0, 159, 146, 150, b'\n'];
        content.extend_from_slice(own.as_bytes());
        content.push(b'\n');
        content.resize(content.len() + filler, token.to_le_bytes()[0] | 0x80);
        return content;
    }
    let text = String::from_utf8_lossy(before).into_owned();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    match rng.below(10) {
        0 => lines.clear(),
        1..4 if !lines.is_empty() => drop(lines.remove(rng.index(lines.len()))),
        _ => {}
    }
    lines.insert(rng.index(lines.len() + 1), own);
    lines
        .iter()
        .fold(String::new(), |mut text, line| {
            writeln!(text, "{line}").unwrap();
            text
        })
        .into_bytes()
}
