//! `pangaea cat`: a file's bytes, as they are.

use std::fs::File;
use std::io;
use std::io::Write;

use pangaea::body::Body;

use crate::cli::FileArgs;
use crate::error::CliError;
use crate::error::Exit;
use crate::open;
use crate::replica_dir::ReplicaDir;
use crate::view::View;

pub(crate) async fn run(args: FileArgs) -> Result<Exit, CliError> {
    let dir = ReplicaDir::find(&args.dir)?;
    let path = open::parse_path(&args.path)?;
    let view = View::open(&dir).await?;
    let Some(body) = view.content(&path).await? else {
        let hint = "`pangaea ls DIR` lists the files";
        return Err(CliError::failed(format!("there is no {path} here")).hint(hint));
    };
    let mut out = io::stdout().lock();
    let written = match body {
        Body::Bytes(bytes) => out.write_all(&bytes),
        Body::File { path, .. } => {
            let mut file =
                File::open(&path).map_err(|error| CliError::of_file("read", &path, &error))?;
            io::copy(&mut file, &mut out).map(|_| ())
        }
    };
    written
        .and_then(|()| out.flush())
        .map_err(|error| CliError::of_output(&error))?;
    Ok(Exit::Done)
}
