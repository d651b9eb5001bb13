//! `pangaea init`: makes a folder the mirror of a bucket. Works without the hub.

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use gaia::key::SecretKey;
use gaia::path::FilePath;
use pangaea::hub::Hub;
use pangaea::hub::http::HttpHub;
use pangaea_core::media::MediaType;
use pangaea_core::policy::Encryption;
use pangaea_core::policy::POLICY_PATH;
use pangaea_core::policy::Policy;
use pangaea_core::policy::Rule;
use serde_json::json;

use crate::cli::InitArgs;
use crate::error::CliError;
use crate::error::Exit;
use crate::keys;
use crate::open;
use crate::open::Opened;
use crate::output::Output;
use crate::replica_dir::Config;
use crate::replica_dir::ReplicaDir;

/// The hub is asked for policies; it may not be there.
const HUB_PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: InitArgs, output: &Output) -> Result<Exit, CliError> {
    let hub_url = args.hub.trim().trim_end_matches('/').to_owned();
    let (key, key_file) = find_key(args.key_file, output)?;
    // Before anything is made: a mistyped address is the most likely mistake.
    HttpHub::new(open::hub_config(&hub_url, &key))?;
    if let Some(file) = &key_file {
        check_key_is_outside(file, &args.dir)?;
    }
    let folder = ReplicaDir::prepare(&args.dir)?;
    let config = Config::new(hub_url, &key, key_file);
    let dir = ReplicaDir::unfinished(folder, config);
    let mut opened = open::open_with(&dir, key).await?;
    if args.plain {
        write_plain_policy(&mut opened, output).await?;
    }
    dir.write_config()?;
    let document = json!({
        "folder": dir.folder().display().to_string(),
        "hub": dir.config.hub,
        "bucket": dir.config.bucket,
        "device": opened.replica.device().to_string(),
    });
    output.result(&document, || {
        let shown = args.dir.display();
        format!(
            "{shown} is now the mirror of bucket {}.\nBring both together: pangaea sync {shown}",
            dir.config.bucket
        )
    })?;
    Ok(Exit::Done)
}

fn find_key(
    named: Option<PathBuf>,
    output: &Output,
) -> Result<(SecretKey, Option<PathBuf>), CliError> {
    let file = match named {
        Some(file) => file,
        None => match keys::from_environment()? {
            Some(key) => return Ok((key, None)),
            None => keys::default_file()?,
        },
    };
    let key = keys::read_file(&file, output)?;
    let file = fs::canonicalize(&file)
        .map_err(|error| CliError::of_file("find the key file", &file, &error))?;
    Ok((key, Some(file)))
}

fn check_key_is_outside(file: &Path, dir: &Path) -> Result<(), CliError> {
    let Ok(folder) = fs::canonicalize(dir) else {
        return Ok(());
    };
    match file.strip_prefix(&folder) {
        Ok(inside) if !inside.starts_with(".pangaea") => Err(CliError::failed(
            "the key file lies in the folder and would be synced along with it",
        )
        .hint("move it elsewhere")),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Makes the bucket one of plain files, unless it has policies of its own.
async fn write_plain_policy(opened: &mut Opened, output: &Output) -> Result<(), CliError> {
    let unexpected = |error: String| CliError::failed(format!("cannot make the policy: {error}"));
    let path = FilePath::parse(POLICY_PATH).map_err(|error| unexpected(error.to_string()))?;
    match tokio::time::timeout(HUB_PATIENCE, opened.hub.read(&path)).await {
        Ok(Ok(Some(_))) => {
            output.warning("the bucket has policies of its own already, which stay in force");
            return Ok(());
        }
        Ok(Ok(None)) => {}
        Ok(Err(_)) | Err(_) => output.warning(
            "the hub could not be asked whether the bucket has policies already; if it has, this \
             one takes their place, and they are kept beside it",
        ),
    }
    let rule = Rule::new("**").map_err(|error| unexpected(error.to_string()))?;
    let policy = Policy::new(vec![rule.encryption(Encryption::Plain)])
        .map_err(|error| unexpected(error.to_string()))?;
    let content = Bytes::from(policy.to_json());
    opened
        .replica
        .write(&path, content, Some(MediaType::json()))
        .await?;
    Ok(())
}
