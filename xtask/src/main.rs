//! Developer tasks: `cargo xtask setup|test|web|bench`.
//!
//! What lives here is what people who work on Pangaea need: installing what the tests use, running every check that
//! continuous integration runs, checking that the browser crates build, and measuring. Nothing that a
//! user of the product needs lives here.

#![expect(
    clippy::print_stdout,
    reason = "a command line program talks on standard output"
)]

mod bench;
mod cargo;
mod deny;
mod setup;
mod step;
mod test;
mod web;

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer tasks of Pangaea")]
enum Task {
    /// Install what the tests need on Debian 12; skips what is there already.
    Setup,
    /// Run setup and every check: formatting, lints, docs, dependencies, browser build, tests.
    Test,
    /// Check the crates meant for the browser, and build and check the npm package.
    Web,
    /// Measure Pangaea against rclone on a tree of small files, the hub alone, or the npm package.
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Setup => setup::run(),
        Task::Test => test::run(),
        Task::Web => web::run(),
        Task::Bench(bench) => bench::run(&bench),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
