//! `pangaea rm`: deletes a file, whether or not the hub can be reached.

use serde_json::json;

use crate::cli::FileArgs;
use crate::error::CliError;
use crate::error::Exit;
use crate::open;
use crate::output::Output;
use crate::outside::Workshop;
use crate::replica_dir::ReplicaDir;
use crate::view::View;

pub(crate) async fn run(args: FileArgs, output: &Output) -> Result<Exit, CliError> {
    let dir = ReplicaDir::find(&args.dir)?;
    let path = open::parse_path(&args.path)?;
    let version = match open::open_if_free(&dir, output).await? {
        Some(mut opened) => {
            // The folder may have a file here that was not taken in yet.
            opened.replica.scan_paths(vec![path.clone()]).await?;
            Some(opened.replica.delete(&path).await?.to_string())
        }
        None => {
            let view = View::open(&dir).await?;
            if !Workshop::open(&dir)?.place(&view.mirror, &path, None)? {
                return Err(CliError::failed(format!("there is no {path} here"))
                    .hint("`pangaea ls DIR` lists the files"));
            }
            None
        }
    };
    let document = json!({ "path": path.as_str(), "version": version });
    output.result(&document, || match version {
        Some(_) => format!("{path} is deleted; the next sync tells the hub."),
        None => format!("{path} is deleted from the folder; the pangaea at work there goes on."),
    })?;
    Ok(Exit::Done)
}
