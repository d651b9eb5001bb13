//! The simulator's own tests: clean seeds stay clean, every fault strikes, a seed tells the same
//! story twice, and every planted bug is found.

use std::collections::BTreeMap;

use pangaea_sim::Fault;
use pangaea_sim::Mutant;
use pangaea_sim::Trace;
use pangaea_sim::run;

/// Enough to be 95 % sure that fewer than one seed in a thousand fails.
const CLEAN_SEEDS: u64 = 3_000;
/// How many seeds a planted bug may survive.
const MUTANT_SEEDS: u64 = 2_000;

#[test]
fn clean_seeds_break_no_promise_and_every_fault_strikes() {
    let mut struck: BTreeMap<Fault, u64> = BTreeMap::new();
    for seed in 0..CLEAN_SEEDS {
        let report = run(seed, None, Trace::Digest);
        if let Some(failure) = report.failure {
            panic!(
                "{failure}\nsettings: {:?}\nreplay: cargo run -p pangaea-sim -- --seed {seed} --trace",
                report.settings
            );
        }
        for (fault, count) in report.faults {
            *struck.entry(fault).or_default() += u64::from(count);
        }
    }
    for (fault, _) in Fault::ALL {
        let count = struck.get(&fault).copied().unwrap_or(0);
        assert!(
            count > CLEAN_SEEDS / 10,
            "{fault:?} struck {count} times only"
        );
    }
}

#[test]
fn a_seed_tells_the_same_story_twice() {
    for seed in 0..50 {
        let (first, second) = (run(seed, None, Trace::Keep), run(seed, None, Trace::Digest));
        assert_eq!(first.digest, second.digest, "seed {seed}");
        assert!(!first.trace.is_empty());
    }
}

#[test]
fn every_planted_bug_is_found() {
    for mutant in Mutant::ALL {
        let is_found =
            (0..MUTANT_SEEDS).any(|seed| run(seed, Some(mutant), Trace::Digest).failure.is_some());
        assert!(is_found, "{mutant:?} survived {MUTANT_SEEDS} seeds");
    }
}
