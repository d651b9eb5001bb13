//! Many seeds in a row: what they found and what they went through.

use std::collections::BTreeMap;
use std::fmt;

use crate::fault::Fault;
use crate::mutant::Planted;
use crate::oracle::Excuse;
use crate::schedule::Deed;
use crate::schedule::Schedule;
use crate::world::Report;
use crate::world::Trace;
use crate::world::play;

/// Counters over many worlds.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Worlds.
    pub seeds: u64,
    /// Steps.
    pub steps: u64,
    /// Edits.
    pub edits: u64,
    /// Requests to the hub.
    pub requests: u64,
    /// How often each fault struck.
    pub faults: BTreeMap<Fault, u64>,
    /// How often users did what.
    pub deeds: BTreeMap<Deed, u64>,
    /// In how many worlds each excuse was needed.
    pub excuses: BTreeMap<Excuse, u64>,
    /// Seeds that broke a promise, and which.
    pub failures: Vec<(u64, String)>,
    /// A digest of all that happened, in whatever order the seeds were played.
    pub digest: u64,
}

impl Tally {
    /// Plays a seed and counts.
    pub fn play(&mut self, seed: u64, planted: Planted) {
        let schedule = Schedule::draw(seed);
        let report = play(&schedule, planted, Trace::Digest);
        self.steps += schedule.steps.len() as u64;
        self.count(seed, report);
    }

    fn count(&mut self, seed: u64, report: Report) {
        self.seeds += 1;
        self.digest ^= report.digest;
        self.edits += report.edits as u64;
        self.requests += report.requests;
        for (fault, count) in report.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        for (deed, count) in report.deeds {
            *self.deeds.entry(deed).or_default() += count;
        }
        for excuse in report.excuses.into_keys() {
            *self.excuses.entry(excuse).or_default() += 1;
        }
        if let Some(failure) = report.failure {
            self.failures.push((seed, failure));
        }
    }

    /// Adds another tally.
    pub fn add(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.digest ^= other.digest;
        self.steps += other.steps;
        self.edits += other.edits;
        self.requests += other.requests;
        for (fault, count) in other.faults {
            *self.faults.entry(fault).or_default() += count;
        }
        for (deed, count) in other.deeds {
            *self.deeds.entry(deed).or_default() += count;
        }
        for (excuse, count) in other.excuses {
            *self.excuses.entry(excuse).or_default() += count;
        }
        self.failures.extend(other.failures);
    }

    /// Faults and deeds that never came up: a campaign without them says little.
    pub fn missing(&self) -> Vec<String> {
        let faults = Fault::ALL.iter().map(|(fault, _)| fault);
        let faults = faults.filter(|fault| !self.faults.contains_key(fault));
        let deeds = Deed::ALL
            .iter()
            .filter(|deed| !self.deeds.contains_key(deed));
        faults
            .map(|fault| format!("{fault:?}"))
            .chain(deeds.map(|deed| format!("{deed:?}")))
            .collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} seeds, {} steps, {} edits, {} requests, {} failed",
            self.seeds,
            self.steps,
            self.edits,
            self.requests,
            self.failures.len()
        )?;
        writeln!(f, "digest: {:016x}", self.digest)?;
        let mut promises: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, failure) in &self.failures {
            *promises.entry(crate::shrink::promise(failure)).or_default() += 1;
        }
        for (promise, count) in promises {
            writeln!(f, "broken: {promise} in {count} seeds")?;
        }
        write!(f, "faults: ")?;
        for (fault, count) in &self.faults {
            write!(f, "{fault:?} {count}, ")?;
        }
        write!(f, "\nusers: ")?;
        for (deed, count) in &self.deeds {
            write!(f, "{deed:?} {count}, ")?;
        }
        write!(f, "\nworlds that needed an excuse: ")?;
        for (excuse, count) in &self.excuses {
            write!(f, "{excuse:?} {count}, ")?;
        }
        writeln!(f)
    }
}
