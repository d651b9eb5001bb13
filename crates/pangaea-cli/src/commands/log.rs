//! `pangaea log`: what happened, and which earlier versions are kept.

use pangaea::store::RowQuery;
use pangaea::store::Store;
use pangaea_core::commit::Action;
use pangaea_core::commit::Cause;
use pangaea_core::commit::HistoryRow;
use pangaea_core::commit::LogRow;
use serde_json::Value;
use serde_json::json;

use crate::cli::LogArgs;
use crate::error::CliError;
use crate::error::Exit;
use crate::open;
use crate::output::Output;
use crate::replica_dir::ReplicaDir;
use crate::view::View;
use crate::words;

pub(crate) async fn run(args: LogArgs, output: &Output) -> Result<Exit, CliError> {
    let dir = ReplicaDir::find(&args.dir)?;
    let path = args.path.as_deref().map(open::parse_path).transpose()?;
    let view = View::open(&dir).await?;
    let limit = (args.limit > 0).then_some(args.limit);
    let query = RowQuery {
        path: path.clone(),
        limit,
    };
    let rows = view.store.log(query.clone()).await?;
    let versions = match path {
        Some(_) => view.store.history(query).await?,
        None => Vec::new(),
    };
    let document = json!({
        "log": rows.iter().map(row_document).collect::<Vec<_>>(),
        "versions": versions.iter().map(version_document).collect::<Vec<_>>(),
    });
    output.result(&document, || {
        let mut lines: Vec<String> = rows.iter().map(row_words).collect();
        if lines.is_empty() {
            lines.push("Nothing happened yet.".to_owned());
        }
        if !versions.is_empty() {
            lines.push("\nEarlier versions that can be restored, newest first:".to_owned());
            lines.extend(versions.iter().map(version_words));
        }
        lines.join("\n")
    })?;
    Ok(Exit::Done)
}

fn row_words(row: &LogRow) -> String {
    let (time, path) = (words::local_time(row.at_ms), &row.path);
    let action = match row.action {
        Action::Edited => "changed here",
        Action::Deleted => "deleted here",
        Action::Pushed => "sent",
        Action::Removed => "deleted on the hub",
        Action::Pulled => "received",
        Action::PulledDelete => "deleted, as elsewhere",
        Action::Merged => "merged",
        Action::Conflict => "conflict",
        Action::EditKept => "edit kept, not deleted",
        Action::Parked => "waits for somebody",
    };
    let device = row.author().short();
    let detail = match row.detail.as_str() {
        "" => String::new(),
        detail => format!("  ({detail})"),
    };
    format!("{time}  {device}  {action:<22}  {path}{detail}")
}

fn version_words(row: &HistoryRow) -> String {
    let written = words::local_time(row.version.clock.ms());
    let size = words::bytes(row.size);
    format!(
        "{}  {size:>12}  written {written}, {}",
        row.version,
        cause_words(row.cause)
    )
}

fn cause_words(cause: Cause) -> &'static str {
    match cause {
        Cause::Edited => "replaced by an edit",
        Cause::Pulled => "replaced by another device",
        Cause::Merged => "went into a merge",
        Cause::Lost => "lost to a newer version",
        Cause::Deleted => "deleted",
    }
}

fn row_document(row: &LogRow) -> Value {
    let action = match row.action {
        Action::Edited => "edited",
        Action::Deleted => "deleted",
        Action::Pushed => "pushed",
        Action::Removed => "removed",
        Action::Pulled => "pulled",
        Action::PulledDelete => "pulled-delete",
        Action::Merged => "merged",
        Action::Conflict => "conflict",
        Action::EditKept => "edit-kept",
        Action::Parked => "parked",
    };
    json!({
        "at": words::iso_time(row.at_ms),
        "path": row.path.as_str(),
        "action": action,
        "version": row.version.to_string(),
        "device": row.author().to_string(),
        "detail": row.detail,
    })
}

fn version_document(row: &HistoryRow) -> Value {
    let cause = match row.cause {
        Cause::Edited => "edited",
        Cause::Pulled => "pulled",
        Cause::Merged => "merged",
        Cause::Lost => "lost",
        Cause::Deleted => "deleted",
    };
    json!({
        "path": row.path.as_str(),
        "version": row.version.to_string(),
        "size": row.size,
        "type": row.media_type.as_str(),
        "written": words::iso_time(row.version.clock.ms()),
        "replaced": words::iso_time(row.replaced_ms),
        "cause": cause,
        "sha256": row.content.to_hex(),
    })
}
