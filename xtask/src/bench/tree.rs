//! The tree that is synced: the same bytes on every machine, a mixture of depths and kinds of file.

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};

/// How many files there are and how long each is.
#[derive(Clone, Copy)]
pub struct Shape {
    /// The number of files.
    pub files: u32,
    /// The length of each file.
    pub bytes: usize,
}

/// The modification time of the first file: a whole second long past, as in a tree that has been lying there.
const OLDEST: Duration = Duration::from_secs(1_750_000_000);

/// Makes the tree in `root`.
pub fn make(root: &Path, shape: Shape) -> Result<()> {
    for index in 0..shape.files {
        let path = root.join(name(index));
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let mut file =
            File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        file.write_all(&content(index, shape.bytes))?;
        let time = SystemTime::UNIX_EPOCH + OLDEST + Duration::from_secs(u64::from(index));
        file.set_times(FileTimes::new().set_modified(time))?;
    }
    Ok(())
}

/// Adds a line to one file, another one for each `turn`.
///
/// The file grows because WebDAV as rclone serves it knows no modification times: a change that kept the length would
/// go unseen there.
pub fn change(root: &Path, shape: Shape, turn: u32) -> Result<()> {
    let path = root.join(name(pick(shape, turn)));
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    writeln!(file, "changed in turn {turn}")?;
    Ok(())
}

/// Fails unless both folders hold the same files with the same bytes. The replica's own `.pangaea` is left out.
pub fn compare(one: &Path, other: &Path) -> Result<()> {
    let (left, right) = (files(one)?, files(other)?);
    if let Some(path) = left.symmetric_difference(&right).next() {
        bail!("only one of the two folders holds {}", path.display());
    }
    for path in &left {
        if fs::read(one.join(path))? != fs::read(other.join(path))? {
            bail!("{} differs between the two folders", path.display());
        }
    }
    Ok(())
}

fn files(root: &Path) -> Result<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let absolute = root.join(&folder);
        let entries = fs::read_dir(&absolute)
            .with_context(|| format!("cannot list {}", absolute.display()))?;
        for entry in entries {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if path == Path::new(".pangaea") {
                continue;
            }
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                found.insert(path);
            }
        }
    }
    Ok(found)
}

/// Names the file: one in sixteen lies at the top, the others up to four folders deep. With ten thousand files that makes
/// some 460 folders.
fn name(index: u32) -> PathBuf {
    let mut random = Random::new(index);
    let depth = match index % 16 {
        0 => 0,
        1..=4 => 1,
        5..=9 => 2,
        10..=13 => 3,
        _ => 4,
    };
    let mut path = PathBuf::new();
    for level in 0..depth {
        let choices = [16, 4, 2, 2][level];
        path.push(format!("folder-{:02}", random.below(choices)));
    }
    path.push(format!("file-{index:05}.{}", Kind::of(index).extension()));
    path
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Json,
    Binary,
}

impl Kind {
    fn of(index: u32) -> Self {
        match index % 7 {
            0 => Self::Json,
            1 => Self::Binary,
            _ => Self::Text,
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Text => "md",
            Self::Json => "json",
            Self::Binary => "bin",
        }
    }
}

fn content(index: u32, length: usize) -> Vec<u8> {
    let mut random = Random::new(index);
    match Kind::of(index) {
        Kind::Binary => (0..length).map(|_| random.byte()).collect(),
        Kind::Text => text(&mut random, length),
        Kind::Json => {
            let (head, tail) = (format!("{{\"id\":{index},\"note\":\""), "\"}\n");
            let body: String = (0..length.saturating_sub(head.len() + tail.len()))
                .map(|_| char::from(b'a' + random.byte() % 26))
                .collect();
            format!("{head}{body}{tail}").into_bytes()
        }
    }
}

fn text(random: &mut Random, length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        let byte = match random.byte() {
            0..=40 => b' ',
            41..=45 => b'\n',
            other => b'a' + other % 26,
        };
        bytes.push(byte);
    }
    bytes
}

/// Picks the text file that a turn changes.
fn pick(shape: Shape, turn: u32) -> u32 {
    let start = Random::new(turn.wrapping_add(1_000_000)).below(shape.files);
    (start..shape.files)
        .chain(0..start)
        .find(|index| Kind::of(*index) == Kind::Text)
        .unwrap_or(0)
}

/// SplitMix64: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn new(seed: u32) -> Self {
        Self(u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    fn below(&mut self, limit: u32) -> u32 {
        u32::try_from(self.next() % u64::from(limit)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Shape = Shape {
        files: 64,
        bytes: 1024,
    };

    #[test]
    fn the_tree_is_the_same_each_time_and_every_file_has_the_length() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        make(one.path(), SMALL).unwrap();
        make(two.path(), SMALL).unwrap();
        compare(one.path(), two.path()).unwrap();
        let found = files(one.path()).unwrap();
        assert_eq!(found.len(), 64);
        for path in &found {
            assert_eq!(
                fs::metadata(one.path().join(path)).unwrap().len(),
                1024,
                "{}",
                path.display()
            );
        }
        let depths: BTreeSet<usize> = found.iter().map(|path| path.components().count()).collect();
        assert_eq!(depths, BTreeSet::from([1, 2, 3, 4, 5]));
    }

    #[test]
    fn a_change_shows_and_so_does_a_missing_file() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        make(one.path(), SMALL).unwrap();
        make(two.path(), SMALL).unwrap();
        change(one.path(), SMALL, 0).unwrap();
        assert!(
            compare(one.path(), two.path())
                .unwrap_err()
                .to_string()
                .contains("differs")
        );
        change(two.path(), SMALL, 0).unwrap();
        compare(one.path(), two.path()).unwrap();
        fs::remove_file(two.path().join(name(5))).unwrap();
        assert!(
            compare(one.path(), two.path())
                .unwrap_err()
                .to_string()
                .contains("only one")
        );
    }

    #[test]
    fn turns_change_different_files() {
        assert_ne!(pick(SMALL, 0), pick(SMALL, 1));
        assert_ne!(pick(SMALL, 1), pick(SMALL, 2));
    }

    #[test]
    fn json_files_are_json() {
        assert!(serde_json::from_slice::<serde_json::Value>(&content(7, 1024)).is_ok());
    }
}
