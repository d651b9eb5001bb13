//! Enumerates a world of the size that is asked for.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use pangaea_model::Bounds;
use pangaea_model::Bug;
use pangaea_model::bounds::Deletes;
use pangaea_model::bounds::EditKind;
use pangaea_model::explore;

/// Visits every state of a small world of replicas and a hub.
#[derive(Parser)]
struct Arguments {
    /// Devices.
    #[arg(long, default_value_t = 2)]
    devices: usize,
    /// Files, from one to three.
    #[arg(long, default_value_t = 1)]
    paths: usize,
    /// Edits in all.
    #[arg(long, default_value_t = 3)]
    edits: u8,
    /// Faults in all.
    #[arg(long, default_value_t = 1)]
    faults: u8,
    /// Requests that a device has under way at a time.
    #[arg(long, default_value_t = 1)]
    in_flight: usize,
    /// Looks at the hub by each device.
    #[arg(long, default_value_t = 2)]
    looks: u8,
    /// Waits that a device sits out.
    #[arg(long, default_value_t = 1)]
    waits: u8,
    /// Whether users also replace all of a file.
    #[arg(long)]
    replace: bool,
    /// Whether the hub takes conditional deletes, instead of tombstones.
    #[arg(long)]
    conditional_deletes: bool,
    /// Whether the file is binary: conflicts keep both.
    #[arg(long)]
    binary: bool,
    /// A bug to plant.
    #[arg(long)]
    bug: Option<String>,
    /// Stop after so many states.
    #[arg(long, default_value_t = 50_000_000)]
    states: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let deletes = if arguments.conditional_deletes {
        Deletes::Conditional
    } else {
        Deletes::Tombstones
    };
    let mut bounds = Bounds::small(deletes);
    bounds.devices = arguments.devices;
    let names: [&str; 3] = if arguments.binary {
        ["a.bin", "b.bin", "c.bin"]
    } else {
        ["a.txt", "b.txt", "c.txt"]
    };
    bounds.paths = names.into_iter().take(arguments.paths).collect();
    bounds.edits = arguments.edits;
    bounds.faults = arguments.faults;
    bounds.waits = arguments.waits;
    bounds.in_flight = arguments.in_flight;
    bounds.looks = arguments.looks;
    if arguments.replace {
        bounds.kinds.push(EditKind::Replace);
    }
    if let Some(name) = &arguments.bug {
        let Some((_, bug)) = Bug::ALL.iter().find(|(known, _)| known == name) else {
            let known: Vec<&str> = Bug::ALL.iter().map(|(name, _)| *name).collect();
            eprintln!("no bug {name}; there are {}", known.join(", "));
            return ExitCode::FAILURE;
        };
        bounds.bug = Some(*bug);
    }
    let began = Instant::now();
    let found = explore(&bounds, arguments.states);
    let (seconds, cut) = (
        began.elapsed().as_secs(),
        if found.is_cut { ", cut off" } else { "" },
    );
    eprintln!(
        "{} states, {} transitions, depth {}, {seconds} s{cut}; faults {:?}",
        found.states, found.transitions, found.depth, found.struck
    );
    match found.broken {
        None => ExitCode::SUCCESS,
        Some((broken, way)) => {
            for step in way {
                eprintln!("  {step:?}");
            }
            eprintln!("{broken}");
            ExitCode::FAILURE
        }
    }
}
