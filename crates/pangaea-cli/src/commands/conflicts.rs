//! `pangaea conflicts`: files that somebody may want to look at.

use pangaea::replica::Conflict;
use serde_json::Value;
use serde_json::json;

use crate::cli::FolderArgs;
use crate::error::CliError;
use crate::error::Exit;
use crate::output::Output;
use crate::replica_dir::ReplicaDir;
use crate::view::View;

pub(crate) async fn run(args: FolderArgs, output: &Output) -> Result<Exit, CliError> {
    let dir = ReplicaDir::find(&args.dir)?;
    let conflicts = View::open(&dir).await?.conflicts();
    let document = json!({ "conflicts": conflicts.iter().map(document).collect::<Vec<_>>() });
    output.result(&document, || {
        if conflicts.is_empty() {
            return "There are no conflicts.".to_owned();
        }
        let mut lines: Vec<String> = conflicts.iter().map(words).collect();
        lines.push("\nSettle one: pangaea resolve DIR PATH --keep ours|theirs|both".to_owned());
        lines.join("\n")
    })?;
    Ok(Exit::Done)
}

fn words(conflict: &Conflict) -> String {
    match conflict {
        Conflict::Copy { path, copy } => format!("{path}\n  the other version: {copy}"),
        Conflict::Undecided { path } => format!("{path}\n  both versions wait for your choice"),
    }
}

fn document(conflict: &Conflict) -> Value {
    match conflict {
        Conflict::Copy { path, copy } => {
            json!({ "kind": "copy", "path": path.as_str(), "copy": copy.as_str() })
        }
        Conflict::Undecided { path } => {
            json!({ "kind": "undecided", "path": path.as_str(), "copy": null })
        }
    }
}
