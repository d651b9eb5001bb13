//! Runs seeds of the simulator; see `pangaea-sim --help`.

use std::process::ExitCode;
use std::time::Duration;
use std::time::Instant;

use pangaea_sim::Planted;
use pangaea_sim::Schedule;
use pangaea_sim::Trace;
use pangaea_sim::campaign::Tally;
use pangaea_sim::play;
use pangaea_sim::shrink::shrink;

const USAGE: &str = "\
usage: pangaea-sim [--seed FIRST] [--seeds COUNT | --seconds N] [--threads N] [--mutant NAME]
       pangaea-sim --seed N --trace          the story of one seed
       pangaea-sim --seed N --shrink         the smallest schedule that fails alike, as JSON
       pangaea-sim --replay FILE [--trace]   plays a schedule from a file
       pangaea-sim --mutants --seeds COUNT   the table of planted bugs; more with `--features mutants`;
                                             with --first, only the first seed that finds each
       pangaea-sim --seed N --digest         a number for all that happens
--show N: so many failures are shown; --list: all failing seeds and the promise of each, a line each.
With --seconds and without --seed, the seeds are fresh ones; the first is printed.";

/// So many failures are shown in full.
const SHOWN_MAX: usize = 3;

#[derive(Default)]
struct Arguments {
    seed: Option<u64>,
    seeds: Option<u64>,
    seconds: Option<u64>,
    threads: Option<u64>,
    planted: Planted,
    replay: Option<String>,
    show: Option<usize>,
    listing: Listing,
    table: Table,
    what: What,
}

/// How failures are told.
#[derive(Default, Clone, Copy, PartialEq)]
enum Listing {
    /// The first few, with how to play them again.
    #[default]
    Some,
    /// All of them, a line each.
    All,
}

/// How much of the table of planted bugs is wanted.
#[derive(Default, Clone, Copy, PartialEq)]
enum Table {
    /// How many seeds find each.
    #[default]
    Counts,
    /// Which seed finds each first.
    First,
}

#[derive(Default, PartialEq)]
enum What {
    #[default]
    Run,
    Trace,
    Shrink,
    Digest,
    Mutants,
}

#[allow(clippy::print_stdout, reason = "a command-line tool for developers")]
fn main() -> ExitCode {
    let Some(arguments) = read_arguments() else {
        let names: Vec<String> = Planted::all().into_iter().map(|(name, _)| name).collect();
        println!("{USAGE}\nbugs that can be planted: {}", names.join(", "));
        return ExitCode::from(2);
    };
    let planted = arguments.planted;
    if let Some(file) = &arguments.replay {
        return match read_schedule(file) {
            Ok(schedule) => show(&schedule, planted, &arguments.what),
            Err(error) => {
                println!("{file}: {error}");
                ExitCode::from(2)
            }
        };
    }
    let first = arguments.seed.unwrap_or_else(|| match arguments.seconds {
        Some(_) => fresh_seed(),
        None => 0,
    });
    if arguments.what == What::Mutants {
        return mutants(first, arguments.seeds.unwrap_or(2_000), arguments.table);
    }
    if arguments.what != What::Run {
        return show(&Schedule::draw(first), planted, &arguments.what);
    }
    println!("first seed: {first}");
    let start = Instant::now();
    let tally = run(first, &arguments);
    let minutes = start.elapsed().as_secs_f64() / 60.0;
    let shown = match arguments.listing {
        Listing::Some => arguments.show.unwrap_or(SHOWN_MAX),
        Listing::All => usize::MAX,
    };
    for (seed, failure) in tally.failures.iter().take(shown) {
        println!("seed {seed}: {failure}");
        if arguments.listing == Listing::Some {
            println!("  replay: cargo run --profile sim -p pangaea-sim -- --seed {seed} --trace");
            println!("  shrunk: cargo run --profile sim -p pangaea-sim -- --seed {seed} --shrink");
        }
    }
    print!("{tally}");
    #[allow(clippy::cast_precision_loss, reason = "for show")]
    let per_minute = tally.seeds as f64 / minutes;
    println!("{per_minute:.0} seeds a minute");
    ExitCode::from(u8::from(!tally.failures.is_empty()))
}

/// Plants every bug and says how many of the seeds find it. A survivor is a hole in the checks.
#[allow(clippy::print_stdout, reason = "a command-line tool for developers")]
fn mutants(first: u64, seeds: u64, table: Table) -> ExitCode {
    println!(
        "{:<22} {:>10} {:>8}  of {seeds} seeds",
        "planted bug", "first", "failing"
    );
    let mut survivors = 0;
    for (name, planted) in Planted::all() {
        let mut tally = Tally::default();
        for seed in first..first + seeds {
            tally.play(seed, planted);
            if table == Table::First && !tally.failures.is_empty() {
                break;
            }
        }
        let found = tally.failures.first();
        let place = found.map_or("-".to_owned(), |(seed, _)| seed.to_string());
        let failure = found.map_or("SURVIVED", |(_, failure)| failure);
        let failure: String = failure.chars().take(70).collect();
        println!(
            "{name:<22} {place:>10} {:>8}  {failure}",
            tally.failures.len()
        );
        survivors += u32::from(found.is_none());
    }
    ExitCode::from(u8::from(survivors > 0))
}

fn read_arguments() -> Option<Arguments> {
    let mut arguments = Arguments::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--mutants" => arguments.what = What::Mutants,
            "--first" => arguments.table = Table::First,
            "--list" => arguments.listing = Listing::All,
            "--trace" => arguments.what = What::Trace,
            "--shrink" => arguments.what = What::Shrink,
            "--digest" => arguments.what = What::Digest,
            "--seed" => arguments.seed = Some(words.next()?.parse().ok()?),
            "--seeds" => arguments.seeds = Some(words.next()?.parse().ok()?),
            "--seconds" => arguments.seconds = Some(words.next()?.parse().ok()?),
            "--threads" => arguments.threads = Some(words.next()?.parse().ok()?),
            "--show" => arguments.show = Some(words.next()?.parse().ok()?),
            "--replay" => arguments.replay = Some(words.next()?),
            "--mutant" => {
                let wanted = words.next()?;
                let mut all = Planted::all().into_iter();
                arguments.planted = all.find(|(name, _)| *name == wanted)?.1;
            }
            _ => return None,
        }
    }
    Some(arguments)
}

fn read_schedule(file: &str) -> Result<Schedule, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

/// A seed that nobody chose.
fn fresh_seed() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = since.map_or(0, |since| since.as_nanos());
    // Small enough to type.
    u64::try_from(nanos % 1_000_000_007).unwrap_or(0) * 1_000
}

#[allow(clippy::print_stdout, reason = "a command-line tool for developers")]
fn show(schedule: &Schedule, planted: Planted, what: &What) -> ExitCode {
    let mut schedule = schedule.clone();
    if *what == What::Shrink {
        schedule = shrink(&schedule, planted);
        let text = serde_json::to_string_pretty(&schedule);
        println!("{}", text.unwrap_or_else(|error| error.to_string()));
    }
    let tracing = match what {
        What::Run | What::Digest | What::Mutants => Trace::Digest,
        What::Trace | What::Shrink => Trace::Keep,
    };
    let report = play(&schedule, planted, tracing);
    for line in &report.trace {
        println!("{line}");
    }
    if *what == What::Digest {
        println!("{:016x}", report.digest);
    }
    match report.failure {
        Some(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}

fn run(first: u64, arguments: &Arguments) -> Tally {
    let threads = arguments.threads.unwrap_or(1).max(1);
    let planted = arguments.planted;
    let end = arguments
        .seconds
        .map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let count = match end {
        Some(_) => u64::MAX,
        None => arguments.seeds.unwrap_or(1),
    };
    let work = move |thread: u64| {
        let mut tally = Tally::default();
        let mut number = thread;
        while number < count && end.is_none_or(|end| Instant::now() < end) {
            tally.play(first.wrapping_add(number), planted);
            number += threads;
        }
        tally
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || work(thread)))
            .collect();
        let mut all = Tally::default();
        for thread in running {
            // A panic of a world is a finding like any other: it ends the program with its message.
            all.add(
                thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            );
        }
        all.failures.sort();
        all
    })
}
