//! `pangaea hub`: the hub alone, and what is done with its data folder.

mod serve;

use crate::cli::HubArgs;
use crate::error::CliError;
use crate::error::Exit;
use crate::output::Output;

pub(crate) fn run(args: HubArgs, output: &Output) -> Result<Exit, CliError> {
    serve::run(args.serve, output)
}
