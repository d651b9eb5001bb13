//! Fresh seeds break no promise, every fault strikes, and what is planted is found.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use std::time::Instant;

use pangaea_shell::Fault;
use pangaea_shell::Planted;
use pangaea_shell::folder;
use pangaea_shell::fresh_seed;
use pangaea_shell::run;

/// Enough for every fault to strike, with room.
const SEEDS_MIN: u64 = 25;
/// Fresh seeds run for about so long.
const TIME: Duration = Duration::from_secs(10);
/// How many seeds a planted lie may survive.
const PLANTED_SEEDS: u64 = 20;

#[test]
fn fresh_seeds_break_no_promise_and_every_fault_strikes() {
    let (first, begun) = (fresh_seed(), Instant::now());
    println!("first seed: {first}");
    let mut struck: BTreeMap<Fault, u64> = BTreeMap::new();
    let mut seed = first;
    while seed < first + SEEDS_MIN || begun.elapsed() < TIME {
        let report = run(seed, None, Path::new(folder()));
        if let Some(failure) = report.failure {
            let (settings, timeline) = (report.settings, report.timeline.join("\n"));
            panic!(
                "{failure}\nsettings: {settings:#?}\n{timeline}\n\
                 again: cargo run -p pangaea-shell -- --seed {seed} --seeds 20"
            );
        }
        for (fault, count) in report.struck {
            *struck.entry(fault).or_default() += count;
        }
        seed += 1;
    }
    println!("{} seeds: {struck:?}", seed - first);
    for (fault, _) in Fault::ALL {
        assert!(struck.contains_key(&fault), "{fault:?} never struck");
    }
}

#[test]
fn what_is_planted_is_found() {
    for planted in Planted::ALL {
        let found = (0..PLANTED_SEEDS)
            .find_map(|seed| run(seed, Some(planted), Path::new(folder())).failure);
        let found = found.unwrap_or_else(|| panic!("{planted:?} survived {PLANTED_SEEDS} seeds"));
        println!("{planted:?}: {found}");
    }
}
