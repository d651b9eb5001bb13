//! The `pangaea` program: commands for people and scripts over the library.
//!
//! `cli` says what can be typed, `commands` does it (one file a command), `error` is the one place
//! where errors become words and exit codes, `output` the one where results become text or JSON.
//! How syncing works is not here but in the library.

mod cli;
mod commands;
mod error;
mod follow;
mod keys;
mod link;
mod live;
mod logging;
mod open;
mod output;
mod outside;
mod progress;
mod replica_dir;
mod report;
mod round;
mod signals;
mod view;
mod web_app;
mod words;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return error::of_usage(&error),
    };
    logging::start(cli.common.verbose);
    let output = output::Output::new(cli.common.json);
    match commands::run(cli.command, &output) {
        Ok(exit) => exit.into(),
        Err(error) => error.tell(&output).into(),
    }
}
