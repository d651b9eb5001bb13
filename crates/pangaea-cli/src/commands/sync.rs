//! `pangaea sync`: one round, or staying in sync.

use crate::cli::SyncArgs;
use crate::error::CliError;
use crate::error::Exit;
use crate::follow;
use crate::follow::FollowOptions;
use crate::open;
use crate::output::Output;
use crate::replica_dir::ReplicaDir;
use crate::round;
use crate::signals::Stop;

pub(crate) async fn run(args: SyncArgs, output: &Output) -> Result<Exit, CliError> {
    let dir = ReplicaDir::find(&args.dir)?;
    let mut opened = open::open(&dir, output).await?;
    if args.offline {
        return round::take_in(&dir, &mut opened, output).await;
    }
    if !args.watch {
        return round::sync_once(&dir, &mut opened, args.answers, output).await;
    }
    let mut stop = Stop::listen()?;
    output.words(&format!(
        "Keeping {} in sync with {} (Ctrl-C stops it).",
        args.dir.display(),
        dir.config.hub
    ))?;
    let options = FollowOptions {
        poll_interval: args.options.poll_interval(),
        answers: args.answers,
    };
    follow::follow(&dir, &mut opened, options, &mut stop, output).await?;
    Ok(Exit::Done)
}
