//! `pangaea put`: writes a file, whether or not the hub can be reached.

use std::fs::File;
use std::io;
use std::path::Path;

use pangaea::body::Body;
use serde_json::json;

use crate::cli::PutArgs;
use crate::error::CliError;
use crate::error::Exit;
use crate::open;
use crate::output::Output;
use crate::outside::Workshop;
use crate::replica_dir::ReplicaDir;
use crate::view::View;

pub(crate) async fn run(args: PutArgs, output: &Output) -> Result<Exit, CliError> {
    let dir = ReplicaDir::find(&args.dir)?;
    let path = open::parse_path(&args.path)?;
    let workshop = Workshop::open(&dir)?;
    let (hash, body) = match args.source.as_deref() {
        Some(source) if source != Path::new("-") => {
            let mut file =
                File::open(source).map_err(|error| CliError::of_file("read", source, &error))?;
            workshop.receive(&mut file, &source.display().to_string())?
        }
        Some(_) | None => workshop.receive(&mut io::stdin().lock(), "standard input")?,
    };
    let size = body.size();
    let version = match (open::open_if_free(&dir, output).await?, body) {
        (Some(mut opened), Body::Bytes(bytes)) => {
            Some(opened.replica.write(&path, bytes, None).await?)
        }
        (Some(mut opened), body @ Body::File { .. }) => {
            workshop.place(&opened.mirror, &path, Some((hash, body)))?;
            // What was placed is news to the replica.
            opened.mirror.forget([&path]);
            opened.replica.scan_paths(vec![path.clone()]).await?;
            let file = opened
                .replica
                .engine()
                .entry(&path)
                .and_then(|entry| entry.local.file());
            file.map(|file| file.version)
        }
        (None, body) => {
            workshop.place(&View::open(&dir).await?.mirror, &path, Some((hash, body)))?;
            None
        }
    };
    let version = version.map(|version| version.to_string());
    let document = json!({ "path": path.as_str(), "size": size, "version": version });
    output.result(&document, || match version {
        Some(_) => format!("{path} is saved; the next sync sends it."),
        None => format!("{path} is in the folder; the pangaea at work there sends it."),
    })?;
    Ok(Exit::Done)
}
