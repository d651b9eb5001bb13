//! `cargo xtask bench`: Pangaea against rclone, side by side, on a tree of small files. `cargo xtask bench hub` is in
//! `hub`, `cargo xtask bench browser` in `browser`.
//!
//! Every contender goes through the same scenarios with its own server on loopback and folders on one file system. The
//! contenders take turns within each run, so that what else the machine does falls on all of them, and the medians
//! over the runs are compared.

mod browser;
mod contender;
mod floors;
mod hub;
mod process;
mod report;
mod tree;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use self::contender::{Contender, Place, Programs};
use self::process::Sample;
use self::report::Report;
use self::tree::Shape;
use crate::cargo::{cargo, run as call, target_dir};

/// Which benchmark, and what can be chosen.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Bench {
    #[command(subcommand)]
    other: Option<Other>,
    #[command(flatten)]
    options: Options,
}

#[derive(clap::Subcommand)]
enum Other {
    /// Measure the hub under load, against an empty server and nginx; fails when a floor is missed.
    Hub(hub::Options),
    /// Measure the npm package beside its peers in Chromium; fails when a floor is missed.
    Browser(browser::Options),
}

/// Runs the benchmark that was chosen.
pub fn run(bench: &Bench) -> Result<()> {
    match &bench.other {
        Some(Other::Hub(options)) => hub::run(options),
        Some(Other::Browser(options)) => browser::run(options),
        None => against_rclone(&bench.options),
    }
}

/// What can be chosen of the comparison with rclone.
#[derive(clap::Args)]
struct Options {
    /// How many times everything is run; the medians are over these.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How many files the tree has.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(20..))]
    files: u32,
    /// Measure only the contenders whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Where the folders are made; by default in the target directory.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Where the JSON report is written; by default bench/report.json in the target directory.
    #[arg(long)]
    report: Option<PathBuf>,
    /// Fail when a floor is missed.
    #[arg(long)]
    check: bool,
}

/// What is timed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Scenario {
    /// The program starts, prints its version and ends.
    Start,
    /// A whole tree goes to an empty server.
    Up,
    /// A second device fetches the whole tree into an empty folder.
    Down,
    /// Nothing changed since the last sync.
    NoOp,
    /// One file grew by a line.
    OneChanged,
}

impl Scenario {
    /// All scenarios, in the order of the report.
    pub const ALL: [Self; 5] = [
        Self::Start,
        Self::Up,
        Self::Down,
        Self::NoOp,
        Self::OneChanged,
    ];

    /// The scenario's name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Start => "process start",
            Self::Up => "cold sync up",
            Self::Down => "cold sync down",
            Self::NoOp => "no-op sync",
            Self::OneChanged => "one changed file",
        }
    }

    /// How often it is measured within one run. Where it takes milliseconds it is repeated: that costs little, and
    /// single measurements would mean little.
    fn repeats(self, contender: Contender) -> u32 {
        match (self, contender.is_pangaea()) {
            (Self::Start, _) => 10,
            (Self::NoOp, true) => 5,
            (Self::OneChanged, true) => 3,
            (Self::Up | Self::Down | Self::NoOp | Self::OneChanged, _) => 1,
        }
    }
}

/// Builds the program, measures, and reports.
fn against_rclone(options: &Options) -> Result<()> {
    let target = target_dir()?;
    let contenders = choose(options.only.as_deref())?;
    let mut build = cargo();
    build.args(["build", "--release", "--package", "pangaea-cli"]);
    if contenders.iter().any(|contender| contender.is_pangaea()) {
        call(build)?;
    }
    let programs = Programs {
        pangaea: target.join("release").join("pangaea"),
        rclone: "rclone".into(),
    };
    let shape = Shape {
        files: options.files,
        bytes: 1024,
    };
    let parent = options.dir.clone().unwrap_or_else(|| target.join("bench"));
    std::fs::create_dir_all(&parent)
        .with_context(|| format!("cannot make {}", parent.display()))?;
    let work = tempfile::Builder::new()
        .prefix("work-")
        .tempdir_in(&parent)?;

    let mut report = Report::new(options.runs, shape, &contenders, &programs, work.path())?;
    for round in 0..options.runs {
        for turn in 0..contenders.len() {
            // Each run starts with another contender, so that none always goes first.
            let contender = contenders[(turn + round as usize) % contenders.len()];
            println!(
                "run {} of {}: {}",
                round + 1,
                options.runs,
                contender.name()
            );
            let place = work.path().join(format!("{round}-{turn}"));
            measure(contender, &programs, shape, &place, &mut report)
                .with_context(|| format!("measuring {}", contender.name()))?;
            std::fs::remove_dir_all(&place)?;
        }
    }

    let file = options
        .report
        .clone()
        .unwrap_or_else(|| target.join("bench").join("report.json"));
    report.write(&file)?;
    println!("\n{}", report.text());
    println!("The numbers are in {}", file.display());
    let missed = report.floors().iter().filter(|floor| !floor.held()).count();
    if options.check && missed > 0 {
        bail!("{missed} floors were missed");
    }
    Ok(())
}

fn choose(only: Option<&str>) -> Result<Vec<Contender>> {
    let chosen: Vec<Contender> = Contender::ALL
        .into_iter()
        .filter(|contender| only.is_none_or(|part| contender.name().contains(part)))
        .collect();
    if chosen.is_empty() {
        let names = Contender::ALL.map(Contender::name).join(", ");
        bail!("no contender has that name; there are: {names}");
    }
    Ok(chosen)
}

/// Takes one contender through all of its scenarios in a fresh place and checks that it did what it was timed for.
fn measure(
    contender: Contender,
    programs: &Programs,
    shape: Shape,
    place: &Path,
    report: &mut Report,
) -> Result<()> {
    let place = Place::new(place)?;
    tree::make(&place.first(), shape)?;
    let mut record = |scenario: Scenario, sample: Sample| report.add(contender, scenario, sample);
    let running = contender.prepare(programs, &place, shape)?;
    for _ in 0..Scenario::Start.repeats(contender) {
        record(Scenario::Start, running.start()?);
    }
    if contender.syncs_whole_trees() {
        settle();
        record(Scenario::Up, running.sync_first()?);
        settle();
        record(Scenario::Down, running.sync_second()?);
        tree::compare(&place.first(), &place.second()).context("after the cold syncs")?;
    }
    for _ in 0..Scenario::NoOp.repeats(contender) {
        settle();
        record(Scenario::NoOp, running.sync_first()?);
    }
    for turn in 0..Scenario::OneChanged.repeats(contender) {
        tree::change(&place.first(), shape, turn)?;
        settle();
        record(Scenario::OneChanged, running.sync_first()?);
    }
    if contender.syncs_whole_trees() {
        running.sync_second()?;
        tree::compare(&place.first(), &place.second()).context("after the changes")?;
    } else {
        tree::compare(&place.first(), &place.server()).context("after the changes")?;
    }
    Ok(())
}

/// Lets the disk take what was written so far, so that nobody pays for the one before.
fn settle() {
    rustix::fs::sync();
}
