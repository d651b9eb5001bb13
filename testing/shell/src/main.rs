//! Runs seeds of real replicas and a real hub over a network that makes trouble:
//! `pangaea-shell --seed N --seeds COUNT`, or for a time: `--seconds N`.
//!
//! A world mostly waits, so several at a time (`--threads N`) take hardly longer than one.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;

use pangaea_shell::Fault;
use pangaea_shell::Report;
use pangaea_shell::run;

const USAGE: &str = "usage: pangaea-shell [--seed FIRST] [--seeds COUNT | --seconds N] [--threads N]\n\
    without --seed the first is taken from the clock";

/// Which seeds are to be run.
struct Wanted {
    first: u64,
    most: u64,
    time: Duration,
    threads: u64,
}

/// What came of them.
#[derive(Default)]
struct Tally {
    done: u64,
    failures: u64,
    edits: usize,
    requests: usize,
    struck: BTreeMap<Fault, u64>,
}

#[allow(clippy::print_stdout, reason = "a command-line tool for developers")]
fn main() -> ExitCode {
    let Some(wanted) = wanted() else {
        println!("{USAGE}");
        return ExitCode::from(2);
    };
    println!("first seed: {}", wanted.first);
    let (begun, next) = (Instant::now(), AtomicU64::new(0));
    let (tell, reports) = mpsc::channel();
    let mut tally = Tally::default();
    std::thread::scope(|scope| {
        for _ in 0..wanted.threads {
            let tell = tell.clone();
            let (wanted, next) = (&wanted, &next);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= wanted.most || begun.elapsed() >= wanted.time {
                        break;
                    }
                    let seed = wanted.first.wrapping_add(number);
                    let report = run(seed, None, Path::new(pangaea_shell::folder()));
                    drop(tell.send((seed, report)));
                }
            });
        }
        drop(tell);
        for (seed, report) in reports {
            tally.add(seed, &report);
        }
    });
    let took = begun.elapsed().as_secs_f32();
    let Tally {
        done,
        failures,
        edits,
        requests,
        struck,
    } = tally;
    println!("{done} seeds in {took:.1} s: {edits} edits, {requests} requests, {struck:?}");
    println!("{failures} failed");
    ExitCode::from(u8::from(failures > 0))
}

/// What the command line asks for, if it can be understood.
fn wanted() -> Option<Wanted> {
    let (mut first, mut seeds, mut seconds, mut threads) = (None, None, None, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number: u64 = arguments.next()?.parse().ok()?;
        match argument.as_str() {
            "--seed" => first = Some(number),
            "--seeds" => seeds = Some(number),
            "--seconds" => seconds = Some(number),
            "--threads" => threads = number.max(1),
            _ => return None,
        }
    }
    Some(Wanted {
        first: first.unwrap_or_else(pangaea_shell::fresh_seed),
        most: seeds.unwrap_or(if seconds.is_some() { u64::MAX } else { 1 }),
        time: seconds.map_or(Duration::MAX, Duration::from_secs),
        threads,
    })
}

impl Tally {
    #[allow(clippy::print_stdout, reason = "a command-line tool for developers")]
    fn add(&mut self, seed: u64, report: &Report) {
        self.done += 1;
        self.edits += report.edits;
        self.requests += report.requests;
        for (fault, count) in &report.struck {
            *self.struck.entry(*fault).or_default() += count;
        }
        if let Some(failure) = &report.failure {
            self.failures += 1;
            println!("seed {seed}: {failure}\n{:#?}", report.settings);
            report.timeline.iter().for_each(|line| println!("{line}"));
            println!("again: cargo run -p pangaea-shell -- --seed {seed} --seeds 20");
        }
    }
}
