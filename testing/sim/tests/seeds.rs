//! The simulator's own tests: clean seeds stay clean, a seed tells the same story twice, every
//! fault strikes, and every planted bug is found.

use std::collections::BTreeMap;

use pangaea_sim::Mutant;
use pangaea_sim::Trace;
use pangaea_sim::run;

/// Enough to be 95 % sure that fewer than one seed in a thousand fails.
const CLEAN_SEEDS: u64 = 3_000;
/// How many seeds a planted bug may survive.
const MUTANT_SEEDS: u64 = 2_000;

#[test]
fn clean_seeds_break_no_promise_and_every_fault_strikes() {
    let mut faults = BTreeMap::new();
    for seed in 0..CLEAN_SEEDS {
        let report = run(seed, None, Trace::Digest);
        if let Some(failure) = report.failure {
            panic!(
                "{failure}\nsettings: {:?}\nreplay: cargo run -p pangaea-sim -- --seed {seed} --trace",
                report.settings
            );
        }
        for (fault, count) in report.faults {
            *faults.entry(fault).or_insert(0) += count;
        }
    }
    let names: Vec<&str> = faults.keys().copied().collect();
    let expected = [
        "crash",
        "crash before commit",
        "hub unwell",
        "late duplicate",
        "lost answer",
        "lost request",
        "partial listing",
    ];
    assert_eq!(names, expected);
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
        let found = (0..MUTANT_SEEDS)
            .find(|seed| run(*seed, Some(mutant), Trace::Digest).failure.is_some());
        assert!(found.is_some(), "{mutant:?} survived {MUTANT_SEEDS} seeds");
    }
}
