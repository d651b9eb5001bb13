//! Makes a failing schedule small: takes out whole devices, then steps, then faults, as long as the
//! same promise is still broken.

use std::collections::BTreeSet;

use crate::fault::Fault;
use crate::mutant::Planted;
use crate::schedule::Schedule;
use crate::world::Trace;
use crate::world::play;

/// So often a schedule is played at most to make it small.
const PLAYS_MAX: u32 = 4_000;

struct Shrinker {
    best: Schedule,
    promise: String,
    planted: Planted,
    plays: u32,
}

/// The smallest schedule found that breaks the same promise as `schedule`; itself if it breaks none.
pub fn shrink(schedule: &Schedule, planted: Planted) -> Schedule {
    let Some(failure) = play(schedule, planted, Trace::Digest).failure else {
        return schedule.clone();
    };
    let mut shrinker = Shrinker {
        best: schedule.clone(),
        promise: promise(&failure).to_owned(),
        planted,
        plays: 0,
    };
    loop {
        let before = shrinker.size();
        shrinker.drop_devices();
        shrinker.drop_steps();
        shrinker.drop_faults();
        shrinker.drop_paths();
        if shrinker.size() == before || shrinker.plays >= PLAYS_MAX {
            return shrinker.best;
        }
    }
}

/// The promise that a failure names.
pub fn promise(failure: &str) -> &str {
    failure.split(':').next().unwrap_or(failure)
}

impl Shrinker {
    fn size(&self) -> (usize, usize, usize) {
        let settings = &self.best.settings;
        let present = settings.devices.iter().filter(|device| !device.absent);
        (
            present.count(),
            self.best.steps.len(),
            settings.rates.len() + settings.paths.len(),
        )
    }

    fn accept(&mut self, smaller: Schedule) -> Accepted {
        if self.plays >= PLAYS_MAX {
            return Accepted::No;
        }
        self.plays += 1;
        let failure = play(&smaller, self.planted, Trace::Digest).failure;
        if failure.is_some_and(|failure| promise(&failure) == self.promise) {
            self.best = smaller;
            Accepted::Yes
        } else {
            Accepted::No
        }
    }

    fn drop_devices(&mut self) {
        for number in 0..self.best.settings.devices.len() {
            let mut smaller = self.best.clone();
            if !std::mem::replace(&mut smaller.settings.devices[number].absent, true) {
                self.accept(smaller);
            }
        }
    }

    /// Halves, quarters, and so on down to single steps.
    fn drop_steps(&mut self) {
        let mut chunk = self.best.steps.len().div_ceil(2);
        while chunk > 0 {
            let mut start = 0;
            while start < self.best.steps.len() {
                let mut smaller = self.best.clone();
                let end = (start + chunk).min(smaller.steps.len());
                smaller.steps.drain(start..end);
                if self.accept(smaller) == Accepted::No {
                    start += chunk;
                }
            }
            chunk /= 2;
        }
    }

    fn drop_faults(&mut self) {
        let faults: BTreeSet<Fault> = self.best.settings.rates.keys().copied().collect();
        for fault in faults {
            let mut smaller = self.best.clone();
            smaller.settings.rates.remove(&fault);
            self.accept(smaller);
        }
    }

    fn drop_paths(&mut self) {
        for number in (1..self.best.settings.paths.len()).rev() {
            let mut smaller = self.best.clone();
            smaller.settings.paths.remove(number);
            self.accept(smaller);
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accepted {
    Yes,
    No,
}
