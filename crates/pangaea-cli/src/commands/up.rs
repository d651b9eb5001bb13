//! `pangaea up`: everything that one device needs, in one process: a hub on this machine, a
//! folder, and a link for the next device.

use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use gaia::key::SecretKey;
use pangaea_hub::Hub;
use pangaea_hub::HubConfig;
use pangaea_hub::RunningHub;
use serde_json::json;

use crate::cli::Answers;
use crate::cli::UpArgs;
use crate::error::CliError;
use crate::error::Exit;
use crate::follow;
use crate::follow::FollowOptions;
use crate::keys;
use crate::link::JoinLink;
use crate::open;
use crate::open::Opened;
use crate::output::Output;
use crate::replica_dir::Config;
use crate::replica_dir::OwnHub;
use crate::replica_dir::ReplicaDir;
use crate::signals::Stop;
use crate::web_app;

/// Where `up` and `join` put the key, inside `.pangaea`.
pub(crate) const KEY_FILE: &str = "key";
/// How long other devices may take to finish what they are sending.
const HUB_PATIENCE: Duration = Duration::from_secs(5);

/// All that runs.
struct Up {
    dir: ReplicaDir,
    opened: Opened,
    key: SecretKey,
    hub: RunningHub,
}

pub(crate) async fn run(args: UpArgs, output: &Output) -> Result<Exit, CliError> {
    let mut stop = Stop::listen()?;
    let up = match ReplicaDir::is_at(&args.dir) {
        true => start_again(&args, output).await?,
        false => start_new(&args, output).await?,
    };
    let Up {
        mut dir,
        mut opened,
        key,
        hub,
    } = up;
    let app = serve_app(&args, &mut dir).await?;
    tell(&args.dir, &dir, &hub, key, app, output)?;
    let options = FollowOptions {
        poll_interval: args.watch.poll_interval(),
        answers: Answers::default(),
    };
    let followed = follow::follow(&dir, &mut opened, options, &mut stop, output).await;
    // Its connections would keep the hub waiting.
    drop(opened);
    if let Ok(stopped) = tokio::time::timeout(HUB_PATIENCE, hub.shutdown()).await {
        stopped?;
    }
    followed.map(|()| Exit::Done)
}

async fn start_new(args: &UpArgs, output: &Output) -> Result<Up, CliError> {
    let folder = ReplicaDir::prepare(&args.dir)?;
    let state = folder.join(".pangaea");
    let place = state.join(KEY_FILE);
    // A start that was cut off may have left a key, which the hub may know already.
    let key = if place.exists() {
        keys::read_file(&place, output)?
    } else {
        let key = keys::generate()?;
        keys::write_new_file(&place, &key)?;
        key
    };
    let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut config = Config::new(String::new(), &key, Some(KEY_FILE.into()));
    let mut dir = ReplicaDir::unfinished(folder, config.clone());
    let hub = start_hub(&dir, args.listen.unwrap_or(anywhere)).await?;
    hub.url().clone_into(&mut config.hub);
    config.own_hub = Some(OwnHub {
        listen: hub.local_addr(),
        app_port: None,
    });
    dir.config = config;
    let opened = open::open_with(&dir, key.clone()).await?;
    dir.write_config()?;
    Ok(Up {
        dir,
        opened,
        key,
        hub,
    })
}

async fn start_again(args: &UpArgs, output: &Output) -> Result<Up, CliError> {
    let mut dir = ReplicaDir::find(&args.dir)?;
    let Some(own) = dir.config.own_hub else {
        let message = format!(
            "{} is synced with the hub {}",
            args.dir.display(),
            dir.config.hub
        );
        let hint = format!(
            "`pangaea sync {} --watch` keeps it in sync",
            args.dir.display()
        );
        return Err(CliError::failed(message).hint(hint));
    };
    let key = dir.key(output)?;
    let listen = args.listen.unwrap_or(own.listen);
    let hub = start_hub(&dir, listen).await?;
    let hub_url = hub.url().to_owned();
    if dir.config.hub != hub_url || own.listen != listen {
        output.warning("the hub's address is another one now: devices that joined need a new link");
        dir.config.hub = hub_url;
        dir.config.own_hub = Some(OwnHub {
            listen: hub.local_addr(),
            ..own
        });
        dir.write_config()?;
    }
    let opened = open::open_with(&dir, key.clone()).await?;
    Ok(Up {
        dir,
        opened,
        key,
        hub,
    })
}

async fn start_hub(dir: &ReplicaDir, listen: SocketAddr) -> Result<RunningHub, CliError> {
    let hub = Hub::start(HubConfig::new(dir.hub_data(), listen)).await;
    hub.map_err(|error| match error {
        pangaea_hub::HubError::InUse { .. } => {
            CliError::failed("`pangaea up` runs for this folder already")
        }
        other => other.into(),
    })
}

/// Serves the web application, if there is one, at the address that it had before.
async fn serve_app(args: &UpArgs, dir: &mut ReplicaDir) -> Result<Option<SocketAddr>, CliError> {
    let (Some(folder), Some(own)) = (&args.app, dir.config.own_hub) else {
        return Ok(None);
    };
    let address = web_app::serve(folder, own.app_port).await?;
    if own.app_port.is_none() {
        dir.config.own_hub = Some(OwnHub {
            app_port: Some(address.port()),
            ..own
        });
        dir.write_config()?;
    }
    Ok(Some(address))
}

fn tell(
    shown: &Path,
    dir: &ReplicaDir,
    hub: &RunningHub,
    key: SecretKey,
    app: Option<SocketAddr>,
    output: &Output,
) -> Result<(), CliError> {
    let join = JoinLink {
        hub_url: hub.url().to_owned(),
        key,
    };
    let link = join.to_text();
    let app = app.map(|address| join.to_web(&format!("http://{address}/")));
    let mut document = json!({
        "event": "ready",
        "folder": dir.folder().display().to_string(),
        "bucket": dir.config.bucket,
        "hub": hub.url(),
        "link": link.as_str(),
    });
    if let Some(app) = &app {
        document["app"] = app.as_str().into();
    }
    let in_browser = app.map_or_else(String::new, |app| {
        format!(
            "The application opens with this one, in a browser on this machine:\n\n  {}\n\n",
            app.as_str()
        )
    });
    let reach = match hub.local_addr().ip().is_loopback() {
        true => "only this machine can reach it",
        false => "other machines can reach it",
    };
    output.result(&document, || {
        format!(
            "{} is in sync with the bucket {}.\nThe hub is at {} ({reach}).\n\n\
             Another device joins with this link. Whoever has the link has the bucket: keep it \
             like a password.\n\n  pangaea join '{}' FOLDER\n\n{in_browser}Ctrl-C stops the hub and the sync.\n",
            shown.display(),
            dir.config.bucket,
            hub.url(),
            link.as_str()
        )
    })
}
