//! From paths in the bucket to names on disk: how a path is spelled there, and whether the ignore
//! rules leave it out.

use std::borrow::Cow;
use std::io;
use std::os::fd::AsFd;
use std::os::fd::OwnedFd;

use gaia::path::FilePath;

use super::State;
use super::disk;
use super::disk::Kind;
use super::names;
use super::names::Spelling;
use super::read;
use super::root::Root;
use super::rules::RuleStack;

/// Where a path of the bucket belongs in the folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Located {
    /// Here on disk, from the root.
    At(String),
    /// Nowhere: the rules leave it out.
    Ignored,
    /// Nowhere, for this reason.
    Refused(String),
}

/// Finds where a path belongs.
pub(super) fn locate(
    root: &Root,
    state: &State,
    spelling: Spelling,
    path: &FilePath,
) -> io::Result<Located> {
    if path.segments().any(|name| names::is_own(name, spelling)) {
        return Ok(Located::Ignored);
    }
    let disk = match disk_path(root, state, spelling, path)? {
        Ok(disk) => disk,
        Err(reason) => return Ok(Located::Refused(reason)),
    };
    match is_ignored(root, state, path, &disk)? {
        Ok(true) => Ok(Located::Ignored),
        Ok(false) => Ok(Located::At(disk)),
        Err(reason) => Ok(Located::Refused(reason)),
    }
}

/// How a path is spelled on disk, or why it cannot be there.
fn disk_path(
    root: &Root,
    state: &State,
    spelling: Spelling,
    path: &FilePath,
) -> io::Result<Result<String, String>> {
    if let Some(held) = state.stamps.get(path) {
        return Ok(Ok(held
            .stamp
            .disk
            .as_deref()
            .unwrap_or(path.as_str())
            .to_owned()));
    }
    if spelling == Spelling::Exact && path.as_str().is_ascii() {
        return Ok(Ok(path.as_str().to_owned()));
    }
    let mut disk = String::with_capacity(path.as_str().len());
    let mut above = String::new();
    for segment in path.segments() {
        let name = match root.open_folder(&disk) {
            Ok((folder, _)) => match spell(&folder, state, spelling, &above, segment)? {
                Ok(name) => name,
                Err(reason) => return Ok(Err(reason)),
            },
            Err(_) => Cow::Borrowed(segment),
        };
        if !disk.is_empty() {
            disk.push('/');
        }
        disk.push_str(&name);
        above.push_str(segment);
        above.push('/');
    }
    Ok(Ok(disk))
}

/// How one name of a path is spelled in a folder. `above` is the path of the folder in the bucket,
/// with a slash at its end, or nothing.
fn spell<'a>(
    folder: &OwnedFd,
    state: &State,
    spelling: Spelling,
    above: &str,
    name: &'a str,
) -> io::Result<Result<Cow<'a, str>, String>> {
    let same_text = |other: &str| names::nfc(other) == names::nfc(name);
    match spelling {
        Spelling::Exact => {
            if names::nfc(name) != name
                || name.is_ascii()
                || disk::meta_at(folder.as_fd(), disk::os(name)).is_ok()
            {
                return Ok(Ok(Cow::Borrowed(name)));
            }
            let twin = disk::names_in(folder.as_fd())?.into_iter().find(|other| {
                same_text(other) && !names::is_known(&state.stamps, &format!("{above}{other}"))
            });
            Ok(Ok(twin.map_or(Cow::Borrowed(name), Cow::Owned)))
        }
        Spelling::Folding => {
            let folded = names::fold(name);
            let mut found = Cow::Borrowed(name);
            for other in disk::names_in(folder.as_fd())? {
                if other == name {
                    return Ok(Ok(Cow::Borrowed(name)));
                }
                if names::fold(&other) != folded {
                    continue;
                }
                if !same_text(&other) || names::is_known(&state.stamps, &format!("{above}{other}"))
                {
                    return Ok(Err(format!(
                        "this disk takes it for the same as {above}{other}, which is there \
                         already; rename one of the two on another device"
                    )));
                }
                found = Cow::Owned(other);
            }
            Ok(Ok(found))
        }
    }
}

/// Whether rules leave a path out, or why they cannot be told.
fn is_ignored(
    root: &Root,
    state: &State,
    path: &FilePath,
    disk: &str,
) -> io::Result<Result<bool, String>> {
    let now_ns = read::now_ns();
    let mut stack = RuleStack::default();
    let ends = |text: &str| -> Vec<usize> {
        let slashes = text.match_indices('/').map(|(at, _)| at);
        slashes.chain([text.len()]).collect()
    };
    let mut folder = Some(root.folder()?);
    let mut above = ("", "");
    for (path_end, disk_end) in ends(path.as_str()).into_iter().zip(ends(disk)) {
        if let Some(folder) = &folder {
            match state.rules().load(folder.as_fd(), above.1, now_ns) {
                Ok(Some(rules)) => {
                    let len = if above.0.is_empty() {
                        0
                    } else {
                        above.0.len() + 1
                    };
                    stack.push(len, rules);
                }
                Ok(None) => {}
                Err(reason) => {
                    let name = if above.1.is_empty() {
                        "the folder"
                    } else {
                        above.1
                    };
                    return Ok(Err(format!("{name} is not synced now: {reason}")));
                }
            }
        }
        let is_last = path_end == path.as_str().len();
        let here = path.as_str().get(..path_end).unwrap_or_default();
        let kind = if is_last { Kind::File } else { Kind::Folder };
        if stack.ignores(here, kind) {
            return Ok(Ok(true));
        }
        above = (here, disk.get(..disk_end).unwrap_or_default());
        if !is_last {
            folder = match folder {
                Some(_) => root.open_folder(above.1).ok().map(|(folder, _)| folder),
                None => None,
            };
        }
    }
    Ok(Ok(false))
}
