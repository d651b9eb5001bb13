//! `pangaea hub`: the hub alone, and what is done with its data folder.

mod backup;
mod check;
mod import;
mod serve;
mod task;

use crate::cli::HubArgs;
use crate::cli::HubCommand;
use crate::error::CliError;
use crate::error::Exit;
use crate::output::Output;

pub(crate) fn run(args: HubArgs, output: &Output) -> Result<Exit, CliError> {
    match args.command {
        Some(HubCommand::Backup(args)) => backup::run(&args, output),
        Some(HubCommand::Import(args)) => import::run(&args, output),
        Some(HubCommand::Check(args)) => check::run(&args, output),
        None => serve::run(args.serve, output),
    }
}
