//! Runs seeds of real replicas and a real hub over a network that makes trouble:
//! `pangaea-shell --seed N --seeds COUNT`, or for a time: `--seconds N`.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use std::time::Instant;

use pangaea_shell::Fault;
use pangaea_shell::run;

const USAGE: &str = "usage: pangaea-shell [--seed FIRST] [--seeds COUNT | --seconds N]\n\
    without --seed the first is taken from the clock";

#[allow(clippy::print_stdout, reason = "a command-line tool for developers")]
fn main() -> ExitCode {
    let (mut first, mut seeds, mut seconds) = (None, None, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number = arguments.next().and_then(|text| text.parse::<u64>().ok());
        match argument.as_str() {
            "--seed" if number.is_some() => first = number,
            "--seeds" if number.is_some() => seeds = number,
            "--seconds" if number.is_some() => seconds = number,
            _ => {
                println!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let first = first.unwrap_or_else(pangaea_shell::fresh_seed);
    println!("first seed: {first}");
    let most = seeds.unwrap_or(if seconds.is_some() { u64::MAX } else { 1 });
    let time = seconds.map_or(Duration::MAX, Duration::from_secs);
    let begun = Instant::now();
    let (mut done, mut failures, mut edits, mut requests) = (0, 0, 0, 0);
    let mut struck: BTreeMap<Fault, u64> = BTreeMap::new();
    while done < most && begun.elapsed() < time {
        let seed = first.wrapping_add(done);
        let report = run(seed, None, Path::new(pangaea_shell::folder()));
        done += 1;
        edits += report.edits;
        requests += report.requests;
        for (fault, count) in &report.struck {
            *struck.entry(*fault).or_default() += count;
        }
        if let Some(failure) = &report.failure {
            failures += 1;
            println!("seed {seed}: {failure}\n{:#?}", report.settings);
            report.timeline.iter().for_each(|line| println!("{line}"));
            println!("again: cargo run -p pangaea-shell -- --seed {seed} --seeds 20");
        }
    }
    let took = begun.elapsed().as_secs_f32();
    println!("{done} seeds in {took:.1} s: {edits} edits, {requests} requests, {struck:?}");
    println!("{failures} failed");
    ExitCode::from(u8::from(failures > 0))
}
