//! The folder of a stock hub: which files it holds, and what the hub noted about each.
//!
//! `{root}/{address}/{path}` is content, `{root}/.gaia-metadata/{address}/{path}` says type and tag,
//! `{root}/{address}-auth/authTimestamp` since when tokens are good. Links are not followed.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use gaia::address::Address;
use gaia::limits::CONTENT_TYPE_BYTES_MAX;
use gaia::path::FilePath;
use serde::Deserialize;

use super::{Finding, FindingKind};
use crate::index::FileKey;

const METADATA_FOLDER: &str = ".gaia-metadata";
const AUTH_SUFFIX: &str = "-auth";
const AUTH_FILE: &str = "authTimestamp";

/// Metadata and revocation files are a line; more is none.
const NOTE_BYTES_MAX: u64 = 16 * 1024;

pub(super) const DEFAULT_TYPE: &str = "application/octet-stream";

/// Something in the folder.
pub(super) enum Found {
    File(SourceFile),
    Revocation(SourceRevocation),
    Left(Finding),
}

/// A file of a bucket.
pub(super) struct SourceFile {
    pub(super) key: FileKey,
    pub(super) content: PathBuf,
    pub(super) metadata: PathBuf,
    pub(super) size: u64,
    pub(super) modified_ms: i64,
}

/// A bucket's revocation.
pub(super) struct SourceRevocation {
    pub(super) bucket: Address,
    pub(super) file: PathBuf,
}

/// What a stock hub noted about a file.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Note {
    #[serde(rename = "content-type")]
    pub(super) content_type: Option<String>,
    pub(super) etag: Option<String>,
}

/// A stock hub's folder, and the new hub's own, which may lie in it.
pub(super) struct Source {
    pub(super) root: PathBuf,
    pub(super) hub: PathBuf,
}

/// A time before which tokens are refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    Never,
    Seconds(u64),
    /// It lies beyond 2038, which a stock hub cannot store, and is known again all the same.
    Wrapped(u64),
}

impl Source {
    /// Shows `each` what is there, in the order of names.
    pub(super) fn walk<E>(&self, each: &mut dyn FnMut(Found) -> Result<(), E>) -> Result<(), E> {
        let names = match names_in(&self.root) {
            Ok(names) => names,
            Err(error) => return each(self.left(FindingKind::Unreadable, &self.root, &error)),
        };
        for name in names {
            let path = self.root.join(&name);
            let Some(text) = name.to_str() else {
                each(self.left(FindingKind::NoBucket, &path, &"it is no bucket"))?;
                continue;
            };
            if path == self.hub || text == METADATA_FOLDER || self.is_hubs_own(text) {
                continue;
            }
            if let Ok(bucket) = Address::parse(text) {
                self.bucket(&bucket, path, each)?;
            } else if let Some(Ok(bucket)) = text.strip_suffix(AUTH_SUFFIX).map(Address::parse) {
                self.revocation(bucket, &path, each)?;
            } else {
                each(self.left(FindingKind::NoBucket, &path, &"it is no bucket"))?;
            }
        }
        Ok(())
    }

    /// Whether this is a part of the new hub in the stock hub's folder itself.
    fn is_hubs_own(&self, name: &str) -> bool {
        const OWN: [&str; 4] = ["blobs", "staging", "hub.lock", "sweep.lock"];
        self.root == self.hub && (OWN.contains(&name) || name.starts_with("index.sqlite3"))
    }

    fn bucket<E>(
        &self,
        bucket: &Address,
        folder: PathBuf,
        each: &mut dyn FnMut(Found) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut waiting = vec![folder];
        while let Some(path) = waiting.pop() {
            if path == self.hub {
                continue;
            }
            let about = match fs::symlink_metadata(&path) {
                Ok(about) => about,
                Err(error) => {
                    each(self.left(FindingKind::Unreadable, &path, &error))?;
                    continue;
                }
            };
            if about.is_dir() {
                match names_in(&path) {
                    // The last is taken first.
                    Ok(names) => waiting.extend(names.iter().rev().map(|name| path.join(name))),
                    Err(error) => each(self.left(FindingKind::Unreadable, &path, &error))?,
                }
                continue;
            }
            each(self.file(bucket, path, &about))?;
        }
        Ok(())
    }

    fn file(&self, bucket: &Address, path: PathBuf, about: &Metadata) -> Found {
        if about.is_symlink() {
            return self.left(
                FindingKind::Link,
                &path,
                &"it is a link, which is not followed",
            );
        }
        if !about.is_file() {
            return self.left(FindingKind::Special, &path, &"it is no ordinary file");
        }
        let folder = self.root.join(bucket.as_str());
        let name = path.strip_prefix(&folder).ok().and_then(Path::to_str);
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return self.left(FindingKind::Name, &path, &"its name is not UTF-8");
        };
        let metadata = self.root.join(METADATA_FOLDER).join(bucket.as_str());
        match FilePath::parse(name) {
            Ok(file) => Found::File(SourceFile {
                metadata: metadata.join(name),
                key: FileKey {
                    bucket: *bucket,
                    path: file,
                },
                content: path,
                size: about.len(),
                modified_ms: modified_ms(about),
            }),
            Err(error) => self.left(FindingKind::Name, &path, &error),
        }
    }

    fn revocation<E>(
        &self,
        bucket: Address,
        folder: &Path,
        each: &mut dyn FnMut(Found) -> Result<(), E>,
    ) -> Result<(), E> {
        let names = match names_in(folder) {
            Ok(names) => names,
            Err(error) => return each(self.left(FindingKind::Unreadable, folder, &error)),
        };
        for name in names {
            let file = folder.join(&name);
            each(if name == AUTH_FILE {
                Found::Revocation(SourceRevocation { bucket, file })
            } else {
                self.left(FindingKind::NoBucket, &file, &"it is no revocation")
            })?;
        }
        Ok(())
    }

    fn left(&self, kind: FindingKind, path: &Path, why: &dyn std::fmt::Display) -> Found {
        Found::Left(self.finding(kind, path, why))
    }

    pub(super) fn finding(
        &self,
        kind: FindingKind,
        path: &Path,
        why: &dyn std::fmt::Display,
    ) -> Finding {
        let name = path.strip_prefix(&self.root).unwrap_or(path);
        Finding {
            kind,
            name: name.display().to_string(),
            message: why.to_string(),
        }
    }

    /// Removes the folders that have become empty.
    pub(super) fn prune(&self) {
        for name in names_in(&self.root).unwrap_or_default() {
            let text = name.to_str().unwrap_or_default();
            let bucket = text.strip_suffix(AUTH_SUFFIX).unwrap_or(text);
            if text == METADATA_FOLDER || Address::parse(bucket).is_ok() {
                self.prune_folder(&self.root.join(name));
            }
        }
    }

    fn prune_folder(&self, folder: &Path) {
        let is_folder = fs::symlink_metadata(folder).is_ok_and(|about| about.is_dir());
        if !is_folder || folder == self.hub {
            return;
        }
        for name in names_in(folder).unwrap_or_default() {
            self.prune_folder(&folder.join(name));
        }
        // One that is not empty refuses, which is what is wanted.
        fs::remove_dir(folder).unwrap_or_default();
    }
}

impl SourceFile {
    /// What the stock hub noted: nothing if it did not, or that what it noted cannot be read.
    pub(super) fn note(&self) -> Result<Option<Note>, String> {
        let bytes = match read_note(&self.metadata) {
            Ok(bytes) => bytes,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| error.to_string())
    }
}

impl Note {
    /// The type, if it is one that a hub would have taken.
    pub(super) fn usable_type(&self) -> Option<&str> {
        let text = self.content_type.as_deref()?;
        let is_usable = !text.is_empty()
            && text.len() <= CONTENT_TYPE_BYTES_MAX
            && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        is_usable.then_some(text)
    }
}

impl SourceRevocation {
    pub(super) fn read(&self) -> Result<Stamp, String> {
        let bytes = read_note(&self.file).map_err(|error| error.to_string())?;
        let text = String::from_utf8_lossy(&bytes);
        Stamp::parse(&text).ok_or_else(|| format!("{:?} is no time", text.trim()))
    }
}

impl Stamp {
    fn parse(text: &str) -> Option<Self> {
        let seconds: i64 = text.trim().parse().ok()?;
        if let Ok(seconds) = u64::try_from(seconds) {
            return Some(match seconds {
                0 => Self::Never,
                _ => Self::Seconds(seconds),
            });
        }
        // The stock hub cuts a time to 32 bits with a sign; what it shows as negative lies
        // between 2038 and 2106.
        let cut = i32::try_from(seconds).ok()?;
        Some(Self::Wrapped(u64::from(cut.cast_unsigned())))
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn read_note(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::symlink_metadata(path)?.is_file() {
        return Err(io::Error::other("it is no ordinary file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?
        .take(NOTE_BYTES_MAX)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn names_in(folder: &Path) -> io::Result<Vec<OsString>> {
    if fs::symlink_metadata(folder)?.is_symlink() {
        return Err(io::Error::other("it is a link, which is not followed"));
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(entry?.file_name());
    }
    names.sort();
    Ok(names)
}

fn modified_ms(about: &Metadata) -> i64 {
    let since = about
        .modified()
        .ok()
        .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_beyond_2038_are_known_again() {
        for (text, stamp) in [
            ("0", Some(Stamp::Never)),
            ("1600000000\n", Some(Stamp::Seconds(1_600_000_000))),
            ("-192522496", Some(Stamp::Wrapped(4_102_444_800))),
            ("-1", Some(Stamp::Wrapped(4_294_967_295))),
            ("-99999999999", None),
            ("NaN", None),
            ("", None),
        ] {
            assert_eq!(Stamp::parse(text), stamp, "{text}");
        }
    }
}
