//! The commands, one file each.

mod cat;
mod conflicts;
mod hub;
mod init;
mod join;
mod key;
mod log;
mod ls;
mod put;
mod resolve;
mod restore;
mod rm;
mod status;
mod sync;
mod up;

use crate::cli::Command;
use crate::error::CliError;
use crate::error::Exit;
use crate::open;
use crate::output::Output;

/// Does what was asked for.
pub(crate) fn run(command: Command, output: &Output) -> Result<Exit, CliError> {
    match command {
        Command::Key(command) => key::run(command, output),
        Command::Up(args) => open::run(up::run(args, output)),
        Command::Join(args) => open::run(join::run(args, output)),
        Command::Hub(args) => hub::run(args, output),
        Command::Init(args) => open::run(init::run(args, output)),
        Command::Sync(args) => open::run(sync::run(args, output)),
        Command::Status(args) => open::run(status::run(args, output)),
        Command::Ls(args) => open::run(ls::run(args, output)),
        Command::Cat(args) => open::run(cat::run(args)),
        Command::Put(args) => open::run(put::run(args, output)),
        Command::Rm(args) => open::run(rm::run(args, output)),
        Command::Log(args) => open::run(log::run(args, output)),
        Command::Restore(args) => open::run(restore::run(args, output)),
        Command::Conflicts(args) => open::run(conflicts::run(args, output)),
        Command::Resolve(args) => open::run(resolve::run(args, output)),
    }
}
