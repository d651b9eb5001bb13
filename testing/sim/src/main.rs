//! Runs seeds of the simulator: `pangaea-sim --seed N --trace` for one, `pangaea-sim --seeds N`
//! for many, `--mutant NAME` with a planted bug.

use std::process::ExitCode;

use pangaea_sim::Mutant;
use pangaea_sim::Trace;
use pangaea_sim::run;

const USAGE: &str = "usage: pangaea-sim [--seed FIRST] [--seeds COUNT] [--mutant NAME] [--trace]";

#[allow(clippy::print_stdout, reason = "a command-line tool for developers")]
fn main() -> ExitCode {
    let (mut first, mut count, mut mutant, mut tracing) = (0, 1, None, Trace::Digest);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let is_known = match argument.as_str() {
            "--trace" => {
                tracing = Trace::Keep;
                true
            }
            "--seed" => set(&mut first, arguments.next()),
            "--seeds" => set(&mut count, arguments.next()),
            "--mutant" => {
                let name = arguments.next().unwrap_or_default();
                mutant = Mutant::ALL
                    .into_iter()
                    .find(|mutant| format!("{mutant:?}") == name);
                mutant.is_some()
            }
            _ => false,
        };
        if !is_known {
            println!("{USAGE}\nplanted bugs: {:?}", Mutant::ALL);
            return ExitCode::from(2);
        }
    }
    let mut failures = 0;
    for seed in first..first + count {
        let report = run(seed, mutant, tracing);
        for line in &report.trace {
            println!("{line}");
        }
        if let Some(failure) = report.failure {
            failures += 1;
            println!("seed {seed}: {failure}\n  {:?}", report.settings);
        }
    }
    println!("{count} seeds, {failures} failed");
    ExitCode::from(u8::from(failures > 0))
}

fn set(number: &mut u64, text: Option<String>) -> bool {
    let parsed = text.and_then(|text| text.parse().ok());
    if let Some(parsed) = parsed {
        *number = parsed;
    }
    parsed.is_some()
}
