//! Heals a world and judges what everybody has in the end.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use gaia::path::FilePath;
use pangaea::replica::RoundEnd;
use pangaea::store::memory::MemoryStore;
use pangaea_core::conflict::is_copy;
use pangaea_core::engine::HubState;
use pangaea_core::io::Question;

use crate::device::Device;
use crate::device::Disk;
use crate::oracle::tokens;
use crate::world::World;

/// So many rounds of every device are enough to come to rest.
const ROUNDS_MAX: usize = 15;
/// So many requests a round of a device makes at most that has nothing to do.
const IDLE_REQUESTS_MAX: usize = 12;

type Tree = BTreeMap<FilePath, Vec<u8>>;

impl World {
    pub fn heal_and_judge(&mut self) -> Result<(), String> {
        self.faults.lock().unwrap().heal();
        self.timeline.note("no more faults");
        self.come_to_rest()?;
        let tree = self.agreed_tree()?;
        self.timeline
            .note(&format!("in the end: {:?}", seen(&tree)));
        for (number, device) in self.devices.iter().enumerate() {
            for line in device.log() {
                self.timeline
                    .note(&format!("log of device {number}: {line}"));
            }
        }
        let oracle = self.oracle.lock().unwrap();
        let lines = |tree: &mut dyn Iterator<Item = (&FilePath, &Vec<u8>)>| -> BTreeSet<_> {
            tree.flat_map(|(_, content)| tokens(content)).collect()
        };
        oracle.check_nothing_lost(&lines(&mut tree.iter()))?;
        // A conflict copy may keep what its writer replaces elsewhere: I-2 is about the files.
        let mut files = tree.iter().filter(|(path, _)| !is_copy(path));
        oracle.check_nothing_resurrected(&lines(&mut files))?;
        if tree.len() > self.settings.paths.len() + oracle.count() {
            let (files, edits) = (tree.len(), oracle.count());
            return Err(format!("I-14: {files} files after {edits} edits"));
        }
        drop(oracle);
        self.hub.stop_and_check()
    }

    /// Everybody syncs until nobody has anything left and all have the same.
    fn come_to_rest(&mut self) -> Result<(), String> {
        let mut why = String::new();
        for round in 0..ROUNDS_MAX {
            self.count_requests(usize::MAX)?;
            why.clear();
            for (number, device) in self.devices.iter_mut().enumerate() {
                // A wait of five minutes after failures is over then.
                self.clock.advance_ms(6 * 60 * 1000);
                let end = device
                    .round()
                    .map_err(|error| format!("I-16: device {number} failed: {error}"))?;
                if let RoundEnd::Left(status) = end {
                    let problems: Vec<_> = device.replica().problems().collect();
                    why = format!("device {number}: {status:?} {problems:?}");
                    self.timeline.note(&format!("round {round}: {why}"));
                    if let HubState::Halted(question @ Question::MassDelete { .. }) = status.hub {
                        device.replica().accept(question);
                    }
                }
            }
            let first = self.devices[0].tree();
            if why.is_empty() && self.devices.iter().all(|device| device.tree() == first) {
                return self.stay_quiet();
            }
        }
        if why.is_empty() {
            let trees: Vec<_> = self
                .devices
                .iter()
                .map(|device| seen(&device.tree()))
                .collect();
            return Err(format!("I-3: devices differ: {trees:#?}"));
        }
        Err(format!(
            "L-1, L-2: not at rest after {ROUNDS_MAX} rounds: {why}"
        ))
    }

    /// One more round of everybody changes nothing and asks little.
    fn stay_quiet(&mut self) -> Result<(), String> {
        self.count_requests(usize::MAX)?;
        let before = self.devices[0].tree();
        for device in &mut self.devices {
            device.round().map_err(|error| error.to_string())?;
            if device.tree() != before {
                return Err("L-4: a round changes what was at rest".to_owned());
            }
        }
        self.count_requests(IDLE_REQUESTS_MAX)
    }

    /// What a device finds that comes to the hub for the first time, without a proxy, and that
    /// all others have too.
    fn agreed_tree(&mut self) -> Result<Tree, String> {
        let url = format!("http://{}", self.hub.address());
        let disk = Disk::Ram(MemoryStore::new());
        let (first, clock) = (&self.devices[0], std::sync::Arc::clone(&self.clock));
        let mut witness = Device::new(disk, url, first.features, clock, first.rng.clone());
        let end = witness.round().map_err(|error| error.to_string())?;
        if end != RoundEnd::Complete {
            return Err(format!("L-1: a new device is not done: {end:?}"));
        }
        let tree = witness.tree();
        for (number, device) in self.devices.iter().enumerate() {
            if device.tree() != tree {
                let (has, hub) = (seen(&device.tree()), seen(&tree));
                return Err(format!(
                    "I-3: device {number} has {has:#?}, the hub {hub:#?}"
                ));
            }
        }
        Ok(tree)
    }
}

/// A tree for people.
fn seen(tree: &Tree) -> BTreeMap<String, (usize, BTreeSet<u32>)> {
    let of = |(path, content): (&FilePath, &Vec<u8>)| {
        (path.to_string(), (content.len(), tokens(content)))
    };
    tree.iter().map(of).collect()
}
