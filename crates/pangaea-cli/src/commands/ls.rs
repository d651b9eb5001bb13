//! `pangaea ls`: the files of the replica.

use gaia::path::FilePath;
use pangaea::replica::FileState;
use pangaea_core::state::Entry;
use pangaea_core::state::LocalFile;
use serde_json::Value;
use serde_json::json;

use crate::cli::LsArgs;
use crate::error::CliError;
use crate::error::Exit;
use crate::open;
use crate::output::Output;
use crate::replica_dir::ReplicaDir;
use crate::view::View;
use crate::words;

pub(crate) async fn run(args: LsArgs, output: &Output) -> Result<Exit, CliError> {
    let dir = ReplicaDir::find(&args.dir)?;
    let below = args.path.as_deref().map(|text| text.trim_end_matches('/'));
    let below = below
        .filter(|text| !matches!(*text, "" | "."))
        .map(open::parse_path)
        .transpose()?;
    let view = View::open(&dir).await?;
    let is_wanted = |path: &FilePath| {
        below
            .as_ref()
            .is_none_or(|below| path == below || path.is_below(below))
    };
    let files: Vec<_> = view
        .files()
        .filter(|(path, _, _)| is_wanted(path))
        .collect();
    if let (Some(below), true) = (&below, files.is_empty()) {
        return Err(CliError::failed(format!("there is no {below} here")));
    }
    let document = json!({
        "files": files.iter().map(|(path, entry, file)| document(path, entry, file))
            .collect::<Vec<_>>(),
    });
    let now_ms = words::now_ms();
    output.result(&document, || {
        let lines = files.iter().map(|(path, entry, file)| match args.long {
            true => long_line(path, entry, file, now_ms),
            false => format!("{path}\n"),
        });
        lines.collect()
    })?;
    Ok(Exit::Done)
}

fn long_line(path: &FilePath, entry: &Entry, file: &LocalFile, now_ms: u64) -> String {
    let state = match FileState::of(entry) {
        FileState::Stored => "stored",
        FileState::Queued => "queued",
        FileState::Parked => "parked",
    };
    let size = words::bytes(file.size);
    let age = words::ago(file.version.clock.ms(), now_ms);
    format!("{size:>12}  {age:>16}  {state}  {path}\n")
}

fn document(path: &FilePath, entry: &Entry, file: &LocalFile) -> Value {
    let state = match FileState::of(entry) {
        FileState::Stored => "stored",
        FileState::Queued => "queued",
        FileState::Parked => "parked",
    };
    json!({
        "path": path.as_str(),
        "size": file.size,
        "type": file.media_type.as_str(),
        "state": state,
        "version": file.version.to_string(),
        "changed": words::iso_time(file.version.clock.ms()),
        "device": file.version.device.to_string(),
        "sha256": file.content.to_hex(),
    })
}
