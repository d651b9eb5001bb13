//! `kill -9` of either device or of the hub at random moments, a hundred times: nothing is lost,
//! nothing is done twice.
//!
//! `PANGAEA_E2E_SEED=N` runs the same edits and the same kills again, as far as the machine plays
//! along; `PANGAEA_E2E_KILLS=N` kills so often instead.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use pangaea_e2e::EMPTY_TAG;
use pangaea_e2e::device::Device;
use pangaea_e2e::program::Process;
use pangaea_e2e::stock;
use pangaea_e2e::tree;
use pangaea_e2e::uses_plain_calls;
use pangaea_e2e::world::World;
use pangaea_kit::random::Random;
use serde_json::json;

const KILLS: u64 = 100;
const FILES: u64 = 30;
/// Kills come between these moments after a start.
const KILL_MS: std::ops::Range<u64> = 5..300;
/// A sync that nobody disturbs is done by then.
const SYNC_LIMIT: Duration = Duration::from_secs(60);
/// So many syncs of both devices make everything quiet.
const QUIET_ROUNDS_MAX: usize = 10;

struct Crashes {
    world: World,
    devices: [Device; 2],
    random: Random,
    /// What the files hold, by what was done to them: each is edited on one device alone.
    expected: BTreeMap<String, Vec<u8>>,
    /// Files of a `put` that was killed: whole or not there.
    uncertain: BTreeMap<String, Vec<u8>>,
    tokens: u64,
    kills: u64,
}

#[test]
fn a_hundred_kills_lose_nothing_and_repeat_nothing() {
    let asked = |name| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let seed = asked("PANGAEA_E2E_SEED")
        .unwrap_or_else(|| u64::from(SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos()));
    let kills = asked("PANGAEA_E2E_KILLS").unwrap_or(KILLS);
    eprintln!("PANGAEA_E2E_SEED={seed} PANGAEA_E2E_KILLS={kills}");
    let mut crashes = Crashes::new(seed);
    while crashes.kills < kills {
        crashes.turn();
    }
    crashes.check();
}

impl Crashes {
    fn new(seed: u64) -> Self {
        let world = World::new();
        let devices = [world.device("a"), world.device("b")];
        let random = Random::new(seed);
        let (expected, uncertain) = (BTreeMap::new(), BTreeMap::new());
        let mut new = Self {
            world,
            devices,
            random,
            expected,
            uncertain,
            tokens: 0,
            kills: 0,
        };
        for _ in 0..FILES {
            new.edit();
        }
        new.devices[0].sync();
        new
    }

    /// Edits and syncs on both devices, and a kill in the middle.
    fn turn(&mut self) {
        for _ in 0..=self.random.below(4) {
            self.edit();
        }
        match self.random.below(6) {
            0 => self.killed_put(),
            1 | 2 => self.killed_hub(),
            _ => self.killed_sync(),
        }
    }

    /// One edit by hand. The file's number says whose it is, its ending how it merges.
    fn edit(&mut self) {
        let number = self.random.below(FILES);
        let ending = ["txt", "bin", "json"][usize::try_from(number % 3).unwrap()];
        let path = format!("d{}/{number}.{ending}", number % 4);
        let device = usize::try_from(number % 2).unwrap();
        self.tokens += 1;
        let token = format!("token-{}", self.tokens);
        let (choice, old) = (self.random.below(10), self.expected.get(&path));
        if choice == 0 && old.is_some() {
            self.devices[device].remove(&path);
            self.expected.remove(&path);
            return;
        }
        let new = match old {
            Some(old) if choice < 4 && ending == "txt" => {
                [old.as_slice(), format!("{token}\n").as_bytes()].concat()
            }
            Some(_) | None => self.content(ending, &token),
        };
        if choice < 7 && self.expected.contains_key(&path) {
            self.devices[device].replace(&path, &new);
        } else {
            self.devices[device].write(&path, &new);
        }
        self.expected.insert(path, new);
    }

    fn content(&mut self, ending: &str, token: &str) -> Vec<u8> {
        match ending {
            "json" => format!("{{\"token\": \"{token}\"}}\n").into_bytes(),
            "txt" => format!("{token}\nand more\n").into_bytes(),
            _ => {
                let mut content = token.as_bytes().to_vec();
                // Up to beyond what is kept in one piece by stores and hubs.
                let size = usize::try_from(self.random.below(200_000)).unwrap();
                content.push(0);
                content.extend(self.random.bytes(size));
                content
            }
        }
    }

    fn kill_moment(&mut self) -> Duration {
        let span = KILL_MS.end - KILL_MS.start;
        Duration::from_millis(KILL_MS.start + self.random.below(span))
    }

    /// A sync is killed, while the other device may be syncing too.
    fn killed_sync(&mut self) {
        let victim = usize::try_from(self.random.below(2)).unwrap();
        let other =
            (self.random.below(2) == 0).then(|| self.devices[1 - victim].start("sync", &[]));
        let mut sync = self.devices[victim].start("sync", &[]);
        let moment = self.kill_moment();
        self.edit_until(moment);
        if sync.kill() {
            self.kills += 1;
        } else {
            finish(sync);
        }
        if let Some(other) = other {
            finish(other);
        }
    }

    /// The hub is killed under one or two syncs, and comes back during them or after.
    fn killed_hub(&mut self) {
        let count = 1 + usize::try_from(self.random.below(2)).unwrap();
        let syncs: Vec<Process> = self
            .devices
            .iter()
            .take(count)
            .map(|device| device.start("sync", &[]))
            .collect();
        let moment = self.kill_moment();
        self.edit_until(moment);
        assert!(self.world.hub.kill(), "the hub ended by itself");
        self.kills += 1;
        let comes_back_soon = self.random.below(2) == 0;
        if comes_back_soon {
            self.world.hub.start();
        }
        for sync in syncs {
            finish(sync);
        }
        if !comes_back_soon {
            self.world.hub.start();
        }
    }

    /// A `put` of a new file is killed.
    fn killed_put(&mut self) {
        self.tokens += 1;
        let path = format!("put/{}.txt", self.tokens);
        let content = format!("token-{}\n", self.tokens).into_bytes();
        let source = self.world.folder("sources").join("source.txt");
        fs::write(&source, &content).unwrap();
        let device = usize::try_from(self.random.below(2)).unwrap();
        let arguments = [path.as_str(), source.to_str().unwrap()];
        let mut put = self.devices[device].start("put", &arguments);
        // It is done much sooner than a sync.
        std::thread::sleep(self.kill_moment() / 4);
        if put.kill() {
            self.kills += 1;
            self.uncertain.insert(path, content);
        } else {
            put.wait(SYNC_LIMIT).expect(0);
            self.expected.insert(path, content);
        }
    }

    /// A few more edits, while the others are at work, up to a moment from now.
    fn edit_until(&mut self, moment: Duration) {
        let start = Instant::now();
        for _ in 0..self.random.below(3) {
            if start.elapsed() < moment {
                self.edit();
            }
        }
        std::thread::sleep(moment.saturating_sub(start.elapsed()));
    }

    fn check(mut self) {
        self.world.hub.kill();
        self.world.hub.start();
        let mut before = BTreeMap::new();
        for round in 0.. {
            assert!(round < QUIET_ROUNDS_MAX, "the devices do not come to rest");
            for device in &self.devices {
                device.sync();
            }
            let now = self.world.stats();
            if now == before {
                break;
            }
            before = now;
        }
        let (a, b) = (self.devices[0].tree(), self.devices[1].tree());
        for (path, content) in std::mem::take(&mut self.uncertain) {
            if a.contains_key(&path) {
                self.expected.insert(path, content);
            }
        }
        self.explain(&a);
        tree::assert_same(&a, &self.expected);
        tree::assert_same(&b, &self.expected);
        for device in &self.devices {
            let status = device.ask("status", &[]);
            assert_eq!(status["conflicts"], 0, "{status}");
            assert_eq!(status["pending"]["count"], 0, "{status}");
        }
        self.check_hub();
    }

    /// Shows what happened to the files that are not as expected.
    fn explain(&self, found: &BTreeMap<String, Vec<u8>>) {
        for path in self.expected.keys().chain(found.keys()) {
            if found.get(path) == self.expected.get(path) {
                continue;
            }
            let original = path
                .replace(" (conflict ", "\0.")
                .split('\0')
                .next()
                .unwrap()
                .to_owned();
            let ending = path.rsplit_once('.').unwrap().1;
            let original = match original == *path {
                true => original,
                false => format!("{original}.{ending}"),
            };
            for device in &self.devices {
                let log = device.pangaea(&["log", device.folder.to_str().unwrap(), &original]);
                eprintln!("{path:?} on {}:\n{}", device.folder.display(), log.text());
            }
        }
    }

    /// The hub has the same files and no others, and a client that knows nothing of us can read
    /// them.
    fn check_hub(&self) {
        let client = self.world.stock();
        let mut listed = client.list();
        listed.retain(|name| !name.starts_with(".pangaea/"));
        listed.sort();
        if uses_plain_calls() {
            let stats = self.world.stats();
            let is_deleted = |name: &String| {
                !self.expected.contains_key(name) && stats[name].0.contains(EMPTY_TAG)
            };
            listed.retain(|name| !is_deleted(name));
        }
        assert!(listed.iter().eq(self.expected.keys()), "{listed:?}");
        let gets: Vec<_> = listed
            .iter()
            .map(|path| json!({ "operation": "get", "path": path }))
            .collect();
        let answers = client.perform(&gets);
        let read = |(path, answer): (&String, _)| (path.clone(), stock::content(answer));
        let stored: BTreeMap<String, Vec<u8>> = listed.iter().zip(&answers).map(read).collect();
        tree::assert_same(&stored, &self.expected);
    }
}

/// Waits for a sync that was in the middle of it all: done, or with something left for the next.
#[track_caller]
fn finish(sync: Process) {
    let output = sync.wait(SYNC_LIMIT);
    assert!(matches!(output.code, Some(0 | 3)), "{output:?}");
}
