//! `pangaea join`: one more device, from the link that `pangaea up` printed.

use std::path::Path;

use gaia::key::SecretKey;
use pangaea::hub::http::HttpHub;

use crate::cli::Answers;
use crate::cli::JoinArgs;
use crate::commands::up::KEY_FILE;
use crate::error::CliError;
use crate::error::Exit;
use crate::follow;
use crate::follow::FollowOptions;
use crate::keys;
use crate::link::JoinLink;
use crate::open;
use crate::output::Output;
use crate::replica_dir::Config;
use crate::replica_dir::ReplicaDir;
use crate::round;
use crate::signals::Stop;

pub(crate) async fn run(args: JoinArgs, output: &Output) -> Result<Exit, CliError> {
    let JoinLink { hub_url, key } = JoinLink::from_argument(&args.link)?;
    HttpHub::new(open::hub_config(&hub_url, &key))?;
    let folder = ReplicaDir::prepare(&args.dir)?;
    keep_key(&folder.join(".pangaea").join(KEY_FILE), &key, output)?;
    let config = Config::new(hub_url, &key, Some(KEY_FILE.into()));
    let dir = ReplicaDir::unfinished(folder, config);
    let mut opened = open::open_with(&dir, key).await?;
    dir.write_config()?;
    let shown = args.dir.display();
    output.words(&format!(
        "{shown} is now a mirror of the bucket {}.",
        dir.config.bucket
    ))?;
    if args.watch {
        let mut stop = Stop::listen()?;
        let options = FollowOptions {
            poll_interval: args.options.poll_interval(),
            answers: Answers::default(),
        };
        follow::follow(&dir, &mut opened, options, &mut stop, output).await?;
        return Ok(Exit::Done);
    }
    let exit = round::sync_once(&dir, &mut opened, Answers::default(), output).await?;
    output.words(&format!("Keep it in sync: pangaea sync {shown} --watch"))?;
    Ok(exit)
}

/// Stores the key, unless a join that was cut off has done so already.
fn keep_key(place: &Path, key: &SecretKey, output: &Output) -> Result<(), CliError> {
    if place.exists() && keys::read_file(place, output)?.address() == key.address() {
        return Ok(());
    }
    keys::write_new_file(place, key)
}
