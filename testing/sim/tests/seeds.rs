//! The simulator's own tests: clean seeds stay clean, everything that can happen happens, a seed
//! tells the same story in every process, kept schedules pass, and planted bugs are found.

use std::process::Command;

use pangaea_sim::Mutant;
use pangaea_sim::Planted;
use pangaea_sim::Schedule;
use pangaea_sim::Trace;
use pangaea_sim::campaign::Tally;
use pangaea_sim::play;
use pangaea_sim::settings::Ending;
use pangaea_sim::shrink::promise;
use pangaea_sim::shrink::shrink;

/// Enough to be 95 % sure that fewer than one seed in a thousand fails.
const CLEAN_SEEDS: u64 = 3_000;
/// How many seeds a planted bug may survive.
const MUTANT_SEEDS: u64 = 3_000;

#[test]
fn clean_seeds_break_no_promise_and_everything_happens() {
    let mut tally = Tally::default();
    for seed in 0..CLEAN_SEEDS {
        tally.play(seed, Planted::default());
    }
    if let Some((seed, failure)) = tally.failures.first() {
        panic!("{failure}\nreplay: cargo run -p pangaea-sim -- --seed {seed} --shrink");
    }
    assert_eq!(tally.missing(), Vec::<String>::new(), "never came up");
}

#[test]
fn a_seed_tells_the_same_story_in_every_process() {
    for seed in [1, 77, 5_000] {
        let schedule = Schedule::draw(seed);
        let told = play(&schedule, Planted::default(), Trace::Keep);
        let again = play(&schedule, Planted::default(), Trace::Digest);
        assert_eq!(told.digest, again.digest, "seed {seed}");
        assert!(!told.trace.is_empty() && again.trace.is_empty());
        for _ in 0..2 {
            let program = env!("CARGO_BIN_EXE_pangaea-sim");
            let number = seed.to_string();
            let output = Command::new(program)
                .args(["--seed", &number, "--digest"])
                .output()
                .expect("the simulator starts");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert_eq!(said.trim(), format!("{:016x}", told.digest), "seed {seed}");
        }
    }
}

#[test]
fn kept_schedules_pass() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/schedules");
    let mut played = 0;
    for file in std::fs::read_dir(folder).expect("the schedules are there") {
        let path = file.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("a text");
        let schedule: Schedule = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let failure = play(&schedule, Planted::default(), Trace::Digest).failure;
        assert_eq!(failure, None, "{}", path.display());
        played += 1;
    }
    assert!(played > 0);
}

/// Those of the shell; with the feature `mutants` also those of the core.
#[test]
fn every_planted_bug_is_found() {
    let mut survivors = Vec::new();
    for (name, planted) in Planted::all() {
        let is_found = (0..MUTANT_SEEDS).any(|seed| {
            let schedule = Schedule::draw(seed);
            play(&schedule, planted, Trace::Digest).failure.is_some()
        });
        if !is_found {
            survivors.push(name);
        }
    }
    assert_eq!(
        survivors,
        Vec::<String>::new(),
        "survived {MUTANT_SEEDS} seeds"
    );
}

/// L-6: what a clean seed of these shows is that the others came to rest and agree without the dead.
#[test]
fn many_clean_seeds_have_a_device_that_dies_for_ever() {
    let worlds = (0..CLEAN_SEEDS).map(|seed| Schedule::draw(seed).settings.ending);
    let dead = worlds.filter(|ending| *ending == Ending::OneBroken).count();
    assert!(dead > 100, "{dead}");
}

#[test]
fn a_shrunk_schedule_breaks_the_same_promise_and_survives_its_file() {
    let planted = Planted::shell(Mutant::DropLoser);
    let failing = (0..MUTANT_SEEDS)
        .map(Schedule::draw)
        .find_map(|schedule| Some((play(&schedule, planted, Trace::Digest).failure?, schedule)));
    let (failure, schedule) = failing.expect("the bug is found");
    let small = shrink(&schedule, planted);
    assert!(small.steps.len() < schedule.steps.len() / 4);
    let text = serde_json::to_string(&small).expect("JSON");
    let read: Schedule = serde_json::from_str(&text).expect("a schedule");
    assert_eq!(read, small);
    let again = play(&read, planted, Trace::Digest).failure;
    assert_eq!(again.as_deref().map(promise), Some(promise(&failure)));
}
