//! Runs seeds of the simulator: `pangaea-sim --seed N --trace` for one, `pangaea-sim --seeds N`
//! for many.

use std::process::ExitCode;

use pangaea_sim::run;
use pangaea_sim::world::Trace;

#[allow(clippy::print_stdout, reason = "a command-line tool for developers")]
fn main() -> ExitCode {
    let mut first = 0;
    let mut count = 1;
    let mut tracing = Trace::Digest;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || arguments.next().and_then(|text| text.parse().ok());
        match (argument.as_str(), tracing) {
            ("--trace", _) => tracing = Trace::Keep,
            ("--seed", _) => first = number().unwrap_or(0),
            ("--seeds", _) => count = number().unwrap_or(1),
            _ => {
                println!("usage: pangaea-sim [--seed FIRST] [--seeds COUNT] [--trace]");
                return ExitCode::from(2);
            }
        }
    }
    let mut failures = 0;
    for seed in first..first + count {
        let report = run(seed, None, tracing);
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
