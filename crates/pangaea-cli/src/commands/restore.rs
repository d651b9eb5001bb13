//! `pangaea restore`: makes an earlier version the current one, as a new edit.

use gaia::path::FilePath;
use pangaea::store::RowQuery;
use pangaea::store::Store;
use pangaea_core::commit::HistoryRow;
use serde_json::json;

use crate::cli::RestoreArgs;
use crate::error::CliError;
use crate::error::Exit;
use crate::open;
use crate::output::Output;
use crate::outside::Workshop;
use crate::replica_dir::ReplicaDir;
use crate::view::View;
use crate::words;

pub(crate) async fn run(args: RestoreArgs, output: &Output) -> Result<Exit, CliError> {
    let dir = ReplicaDir::find(&args.dir)?;
    let path = open::parse_path(&args.path)?;
    let view = View::open(&dir).await?;
    let query = RowQuery {
        path: Some(path.clone()),
        limit: None,
    };
    let row = choose(view.store.history(query).await?, &path, &args.wanted)?;
    let version = match open::open_if_free(&dir, output).await? {
        Some(mut opened) => {
            // What is in the folder now goes to history, not away.
            opened.replica.scan_paths(vec![path.clone()]).await?;
            Some(
                opened
                    .replica
                    .restore(&path, row.version)
                    .await?
                    .to_string(),
            )
        }
        None => {
            let Some(body) = view.store.content(row.content).await? else {
                return Err(not_kept(&path, &args.wanted));
            };
            Workshop::open(&dir)?.place(&view.mirror, &path, Some((row.content, body)))?;
            None
        }
    };
    let document = json!({
        "path": path.as_str(),
        "restored": row.version.to_string(),
        "version": version,
    });
    output.result(&document, || {
        let written = words::local_time(row.version.clock.ms());
        format!("{path} is again what it was on {written}.")
    })?;
    Ok(Exit::Done)
}

/// The version that is meant, by its beginning.
fn choose(rows: Vec<HistoryRow>, path: &FilePath, wanted: &str) -> Result<HistoryRow, CliError> {
    let wanted = wanted.trim().to_ascii_lowercase();
    let mut fitting: Vec<HistoryRow> = rows
        .into_iter()
        .filter(|row| !wanted.is_empty() && row.version.to_string().starts_with(&wanted))
        .collect();
    // One version can have been replaced more than once, for instance after it was restored.
    fitting.dedup_by_key(|row| row.version);
    match (fitting.pop(), fitting.len()) {
        (Some(row), 0) => Ok(row),
        (None, _) => Err(not_kept(path, &wanted)),
        (Some(_), _) => {
            let message = format!("more than one version of {path} begins with {wanted}");
            Err(CliError::usage(message).hint("give more of it"))
        }
    }
}

fn not_kept(path: &FilePath, wanted: &str) -> CliError {
    CliError::failed(format!(
        "version {wanted} of {path} is not kept on this device"
    ))
    .hint(format!(
        "`pangaea log DIR '{path}'` lists the versions that are kept"
    ))
}
