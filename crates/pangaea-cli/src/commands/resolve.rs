//! `pangaea resolve`: settles a conflict.

use gaia::path::FilePath;
use pangaea::body::Body;
use pangaea::replica::Conflict;
use pangaea_core::io::Choice;
use pangaea_core::io::Side;
use pangaea_core::version::ContentHash;
use serde_json::json;

use crate::cli::KeepArg;
use crate::cli::ResolveArgs;
use crate::error::CliError;
use crate::error::Exit;
use crate::open;
use crate::open::Opened;
use crate::output::Output;
use crate::outside::Workshop;
use crate::replica_dir::ReplicaDir;
use crate::view::View;

/// So many names are tried for a copy that becomes a file of its own.
const NAMES_MAX: u32 = 10_000;

pub(crate) async fn run(args: ResolveArgs, output: &Output) -> Result<Exit, CliError> {
    let dir = ReplicaDir::find(&args.dir)?;
    let path = open::parse_path(&args.path)?;
    let view = View::open(&dir).await?;
    let conflict = find(view.conflicts(), &path)?;
    let opened = open::open_if_free(&dir, output).await?;
    let kept_as = match (conflict, opened) {
        (Conflict::Copy { path, copy }, opened) if args.keep == KeepArg::Both => {
            let own = free_name(&view, &path)?;
            make_own(&dir, &view, opened, &copy, &own).await?;
            Some(own)
        }
        (Conflict::Copy { copy, .. }, Some(mut opened)) => {
            opened
                .replica
                .scan_paths(vec![path.clone(), copy.clone()])
                .await?;
            opened.replica.resolve(&copy, choice(args.keep)).await?;
            None
        }
        (Conflict::Copy { path, copy }, None) => {
            resolve_outside(&dir, &view, &path, &copy, args.keep).await?;
            None
        }
        (Conflict::Undecided { path }, Some(mut opened)) => {
            opened.replica.resolve(&path, choice(args.keep)).await?;
            None
        }
        (Conflict::Undecided { .. }, None) => {
            return Err(
                CliError::failed("another pangaea is at work on this folder")
                    .hint("stop that one, then choose"),
            );
        }
    };
    let own = kept_as.as_ref().map(FilePath::as_str);
    let document = json!({ "path": path.as_str(), "settled": true, "kept_as": own });
    output.result(&document, || match own {
        Some(own) => format!("Settled: the other version is {own} now."),
        None => "Settled.".to_owned(),
    })?;
    Ok(Exit::Done)
}

fn choice(keep: KeepArg) -> Choice {
    match keep {
        KeepArg::Ours => Choice::Side(Side::Ours),
        KeepArg::Theirs => Choice::Side(Side::Theirs),
        KeepArg::Both => Choice::Both,
    }
}

/// The conflict that is meant, by the file or by its copy.
fn find(conflicts: Vec<Conflict>, wanted: &FilePath) -> Result<Conflict, CliError> {
    let is_meant = |conflict: &Conflict| match conflict {
        Conflict::Copy { path, copy } => path == wanted || copy == wanted,
        Conflict::Undecided { path } => path == wanted,
    };
    let mut meant: Vec<Conflict> = conflicts.into_iter().filter(is_meant).collect();
    match (meant.pop(), meant.len()) {
        (Some(conflict), 0) => Ok(conflict),
        (None, _) => Err(
            CliError::failed(format!("{wanted} has no conflict to settle"))
                .hint("`pangaea conflicts DIR` lists the conflicts"),
        ),
        (Some(_), more) => {
            let message = format!("{wanted} has {} conflict copies", more + 1);
            Err(CliError::usage(message)
                .hint("name the copy that you mean; `pangaea conflicts DIR` lists them"))
        }
    }
}

/// A name for the copy of `path` that tells nothing of a conflict: `notes 2.txt`.
fn free_name(view: &View, path: &FilePath) -> Result<FilePath, CliError> {
    let stem = path.file_stem();
    let extension = path
        .extension()
        .map(|text| format!(".{text}"))
        .unwrap_or_default();
    let taken =
        |path: &FilePath| view.file(path).is_some() || view.place(path).symlink_metadata().is_ok();
    (2..NAMES_MAX)
        .filter_map(|number| {
            path.with_file_name(&format!("{stem} {number}{extension}"))
                .ok()
        })
        .find(|name| !taken(name))
        .ok_or_else(|| CliError::failed(format!("no free name was found beside {path}")))
}

/// Gives the copy a name of its own.
async fn make_own(
    dir: &ReplicaDir,
    view: &View,
    opened: Option<Opened>,
    copy: &FilePath,
    own: &FilePath,
) -> Result<(), CliError> {
    let workshop = Workshop::open(dir)?;
    let content = content_of(view, &workshop, copy).await?;
    workshop.place(&view.mirror, own, Some(content))?;
    workshop.place(&view.mirror, copy, None)?;
    if let Some(mut opened) = opened {
        opened
            .replica
            .scan_paths(vec![own.clone(), copy.clone()])
            .await?;
    }
    Ok(())
}

async fn resolve_outside(
    dir: &ReplicaDir,
    view: &View,
    path: &FilePath,
    copy: &FilePath,
    keep: KeepArg,
) -> Result<(), CliError> {
    let workshop = Workshop::open(dir)?;
    if keep == KeepArg::Theirs {
        let content = content_of(view, &workshop, copy).await?;
        workshop.place(&view.mirror, path, Some(content))?;
    }
    workshop.place(&view.mirror, copy, None)?;
    Ok(())
}

/// What is in a file now, out of reach of whoever may write to it.
async fn content_of(
    view: &View,
    workshop: &Workshop,
    path: &FilePath,
) -> Result<(ContentHash, Body), CliError> {
    let name = path.to_string();
    match view.content(path).await? {
        Some(Body::Bytes(bytes)) => Ok((ContentHash::of(&bytes), Body::Bytes(bytes))),
        Some(Body::File { path, .. }) => {
            let mut file = std::fs::File::open(&path)
                .map_err(|error| CliError::of_file("read", &path, &error))?;
            workshop.receive(&mut file, &name)
        }
        None => Err(CliError::failed(format!("there is no {name} here"))),
    }
}
