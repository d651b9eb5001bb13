//! `cargo xtask bench hub`: the hub under load, side by side with what is possible on the same machine.
//!
//! Stores are measured against a server that only takes bodies, reads against nginx serving the same files. All servers
//! run with 64 connections and files of 1 KiB, in turns within each round, so that what else the machine does falls on
//! all of them. The load comes from `wrk`, single requests from `curl`; the hub runs as its users run it.

mod client;
mod load;
mod report;
mod servers;
mod solo;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use self::client::Client;
use self::load::{Kind, Load};
use self::report::{Measure, Report};
use self::servers::{Programs, Running, nginx};
use crate::cargo::{cargo, run as call, target_dir};

/// Connections that the load comes over.
const CONNECTIONS: u32 = 64;

/// Files that are read and overwritten.
const FILES: u32 = 10_000;

/// What can be chosen on the command line.
#[derive(clap::Args)]
pub struct Options {
    /// How many rounds of load there are; the medians are over these.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Small and short: tells whether it works, not how fast anything is. No floor is enforced.
    #[arg(long)]
    quick: bool,
    /// Only the rounds of load: no listings, no memory.
    #[arg(long)]
    only_load: bool,
}

/// How much is measured.
struct Size {
    rounds: u32,
    load: Duration,
    many_files: u32,
    large_bytes: u64,
    repeats: u32,
}

impl Options {
    fn size(&self) -> Size {
        match self.quick {
            true => Size {
                rounds: 1,
                load: Duration::from_secs(1),
                many_files: 12_000,
                large_bytes: 30_000_000,
                repeats: 2,
            },
            false => Size {
                rounds: self.runs,
                load: Duration::from_secs(5),
                many_files: 1_000_000,
                large_bytes: 1_000_000_000,
                repeats: 20,
            },
        }
    }
}

/// Builds the programs, measures, and reports; fails when a floor is missed.
pub fn run(options: &Options) -> Result<()> {
    let target = target_dir()?;
    let mut build = cargo();
    build.args([
        "build",
        "--release",
        "--package",
        "pangaea-cli",
        "--package",
        "pangaea-empty",
    ]);
    call(build)?;
    let release = target.join("release");
    let programs = Programs {
        pangaea: release.join("pangaea"),
        empty: release.join("pangaea-empty"),
    };
    let parent = target.join("bench");
    std::fs::create_dir_all(&parent)
        .with_context(|| format!("cannot make {}", parent.display()))?;
    let work = tempfile::Builder::new()
        .prefix("hub-")
        .tempdir_in(&parent)?;
    let size = options.size();
    let mut report = Report::default();
    for round in 0..size.rounds {
        println!("round {} of {}", round + 1, size.rounds);
        let place = work.path().join(format!("round-{round}"));
        measure_load(&programs, &place, round, &size, &mut report)
            .with_context(|| format!("in round {}", round + 1))?;
        std::fs::remove_dir_all(&place)?;
    }
    if !options.only_load {
        solo::measure(&programs, work.path(), &size, &mut report)?;
    }
    work.close()?;

    println!("\n{}", circumstances(&size)?);
    println!("{}", report.text());
    let missed = report.floors().filter(|floor| !floor.held()).count();
    if missed > 0 && !options.quick {
        bail!("{missed} floors were missed");
    }
    Ok(())
}

/// One round: each measure once, every second round in the opposite order.
fn measure_load(
    programs: &Programs,
    place: &Path,
    round: u32,
    size: &Size,
    report: &mut Report,
) -> Result<()> {
    std::fs::create_dir_all(place)?;
    let hub = programs.hub(place)?;
    let empty = programs.empty(place)?;
    let client = Client::new(&hub.url(), place, 0)?;
    client.fill("files", 0, FILES)?;
    let nginx = nginx(place, &client.bucket, FILES)?;
    let load = Load::new(place, CONNECTIONS, size.load)?;
    let mut order = Measure::ALL;
    if round % 2 == 1 {
        order.reverse();
    }
    for measure in order {
        let (kind, server, folder): (Kind, &Running, _) = match measure {
            Measure::EmptyPut => (Kind::New, &empty, "/store"),
            Measure::PutNew => (Kind::New, &hub, "/store"),
            Measure::PutAgain => (Kind::Again, &hub, "/store"),
            Measure::NginxGet => (Kind::Get, &nginx, "/read"),
            Measure::HubGet => (Kind::Get, &hub, "/read"),
        };
        let below = match kind {
            Kind::New => format!("new-{round}"),
            Kind::Get | Kind::Again => "files".to_owned(),
        };
        let prefix = format!("{folder}/{}/{below}/", client.bucket);
        rustix::fs::sync();
        let outcome = load
            .run(kind, server.address, &prefix, &client.authorization, FILES)
            .with_context(|| measure.name())?;
        println!("  {:<26} {:>9.0} a second", measure.name(), outcome.rate);
        report.add(measure, outcome);
    }
    Ok(())
}

fn circumstances(size: &Size) -> Result<String> {
    let system = rustix::system::uname();
    Ok(format!(
        "{} {}, {} cores; {} rounds of {} s each, {CONNECTIONS} connections, files of 1 KiB",
        system.sysname().to_string_lossy(),
        system.release().to_string_lossy(),
        std::thread::available_parallelism()?,
        size.rounds,
        size.load.as_secs(),
    ))
}
