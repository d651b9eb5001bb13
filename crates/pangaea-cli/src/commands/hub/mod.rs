//! `pangaea hub`: the hub alone, and what is done with its data folder.

mod backup;
mod check;
mod serve;
mod task;

use crate::cli::HubArgs;
use crate::cli::HubCommand;
use crate::error::CliError;
use crate::error::Exit;
use crate::output::Output;

pub(crate) fn run(args: HubArgs, output: &Output) -> Result<Exit, CliError> {
    match (args.command, args.serve) {
        (Some(HubCommand::Backup(args)), _) => backup::run(&args, output),
        (Some(HubCommand::Check(args)), _) => check::run(&args, output),
        (None, Some(args)) => serve::run(args, output),
        (None, None) => Err(CliError::usage("a hub needs a folder: --data DIR")),
    }
}
