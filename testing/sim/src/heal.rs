//! The beginning of a world, and its end: calm at first, and after the last fault everybody comes to
//! rest in bounded time, and stays there.

use crate::content::render;
use crate::device::Stored;
use crate::schedule::Deed;
use crate::settings::Start;
use crate::settings::Style;
use crate::world::World;

/// How many turns a device has to come to rest in a healed world.
const STEPS_TO_REST: u32 = 500;
/// Rounds in which everybody lists, settles and lists again; changes may need several.
const ROUNDS_TO_REST: u32 = 12;
/// Rounds at rest, hours apart, in which nothing may happen any more.
const IDLE_ROUNDS: u64 = 3;

impl World {
    /// What there is at first. Nothing goes wrong yet.
    pub(crate) fn begin(&mut self) -> Result<(), String> {
        match self.settings.start {
            Start::Empty => return Ok(()),
            Start::Shared => {
                for path in self.paths.clone() {
                    let lines = [self.oracle.new_token(), self.oracle.new_token()];
                    let bytes = render(path.as_str(), &lines);
                    if let Some(first) = self.present().first() {
                        self.write_as(*first, &path, Some(bytes), lines[0]);
                    }
                }
            }
            Start::Twins => {
                for path in self.paths.clone() {
                    let lines = [self.oracle.new_token(), self.oracle.new_token()];
                    for device in self.present() {
                        let bytes = render(path.as_str(), &lines);
                        let token = self.oracle.new_token();
                        self.write_as(device, &path, Some(bytes), token);
                    }
                }
                // One tree, perturbed on each side.
                for device in self.present() {
                    let path = self.rng.index(self.paths.len());
                    let deed = [Deed::Append, Deed::Change, Deed::Delete][self.rng.index(3)];
                    self.user_does(device, path, deed);
                }
                return Ok(());
            }
        }
        let faults = self.faults.clone();
        self.faults.heal();
        self.is_healed = true;
        for _ in 0..2 {
            self.settle()?;
        }
        self.is_healed = false;
        self.faults = faults;
        Ok(())
    }

    fn present(&self) -> Vec<usize> {
        let all = 0..self.devices.len();
        all.filter(|number| self.is_present(*number)).collect()
    }

    /// Those who take part to the end.
    pub(crate) fn sound(&self) -> Vec<usize> {
        let broken = self.broken();
        let mut sound = self.present();
        sound.retain(|number| Some(*number) != broken);
        sound
    }

    /// All faults stop. Everybody must come to rest and stay so.
    pub(crate) fn heal(&mut self) -> Result<(), String> {
        self.note(|| "all is well from now on".to_owned());
        self.faults.heal();
        self.is_healed = true;
        for call in std::mem::take(&mut self.late_calls) {
            self.arrive_late(&call);
        }
        for answer in std::mem::take(&mut self.late_answers) {
            self.answer_late(answer)?;
        }
        for number in self.sound() {
            let device = &mut self.devices[number];
            device.cut_off_until_ms = 0;
            device.deaf_until_ms = 0;
        }
        if let Some(broken) = self.broken() {
            self.devices[broken].cut_off_until_ms = u64::MAX;
            // L-6: whatever it had begun ends there.
            self.cut_uploads_of(broken);
        }
        self.settle()?;
        for number in self.sound() {
            // Whoever was told of a full disk or a refusal deals with it and tries again.
            if self.devices[number].engine.status().parked > 0 {
                self.devices[number].reload();
            }
        }
        self.rest()?;
        // Then stand-ins for deleted files go, by clocks that may have been set back since.
        let set_back_ms = self.devices.iter().map(|device| device.set_back_ms).max();
        let wait_ms = self.settings.tombstone_ms + set_back_ms.unwrap_or(0);
        self.now_ms += wait_ms + 60 * 60 * 1_000;
        self.rest()?;
        self.idle()
    }

    /// Until a whole round changes nothing.
    fn rest(&mut self) -> Result<(), String> {
        for _ in 0..ROUNDS_TO_REST {
            let before = self.activity();
            self.settle()?;
            if self.activity() == before {
                return Ok(());
            }
        }
        Err(format!(
            "L-4: still not at rest after {ROUNDS_TO_REST} rounds of everybody"
        ))
    }

    /// What grows while something happens.
    fn activity(&self) -> (u64, Vec<(u64, usize)>) {
        let sound = self.sound().into_iter();
        let devices = sound.map(|number| {
            let device = &self.devices[number];
            (device.commits, device.kept_rows())
        });
        (self.hub.changes(), devices.collect())
    }

    /// At rest, a look at the hub is one request and changes nothing.
    fn idle(&mut self) -> Result<(), String> {
        let before = (self.activity(), self.requests);
        for _ in 0..IDLE_ROUNDS {
            self.now_ms += 60 * 60 * 1_000;
            self.settle()?;
        }
        if self.activity() != before.0 {
            return Err("L-4: something is stored although nothing happens".to_owned());
        }
        // A hub that tells no tags in listings has every file read at every look.
        let reads = if self.settings.hub.tags {
            0
        } else {
            self.hub.objects().len() as u64
        };
        let allowed = IDLE_ROUNDS * self.sound().len() as u64 * (1 + reads);
        let made = self.requests - before.1;
        if made > allowed {
            return Err(format!(
                "L-1: {made} requests while nothing happens, {allowed} looks"
            ));
        }
        Ok(())
    }

    /// One round of a healed world: everybody looks at the hub and works until quiet.
    fn settle(&mut self) -> Result<(), String> {
        for number in self.sound() {
            self.devices[number].engine.resume();
            self.devices[number].engine.handle_round_start();
            let mut steps = 0;
            loop {
                self.now_ms += 1_000;
                if self.scan(number) != Stored::Done {
                    return Err("the store of a healed device fails".to_owned());
                }
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
                    let waits: Vec<_> = self.devices[number].engine.delays().collect();
                    return Err(format!(
                        "L-1: device {number} does not come to rest, and waits for {waits:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Whether edits never crossed, so that the end is known exactly.
    pub(crate) fn is_exact(&self) -> bool {
        self.settings.style == Style::Relay && self.oracle.is_exact()
    }
}
