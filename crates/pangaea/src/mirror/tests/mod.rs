//! The mirror against real folders.

mod apply;
mod links;
mod model;
mod names;
mod race;
mod rules;
mod scan;
mod watch;

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use bytes::Bytes;
use gaia::path::FilePath;
use pangaea_core::version::ContentHash;
use tempfile::TempDir;

use super::*;

/// A mirrored folder of its own.
struct Folder {
    root: TempDir,
    mirror: Mirror,
}

impl Folder {
    fn new() -> Self {
        Self::with(MirrorOptions::default())
    }

    fn with(options: MirrorOptions) -> Self {
        let root = TempDir::new().unwrap();
        fs::create_dir_all(root.path().join(".pangaea/staging")).unwrap();
        let mirror = Mirror::open(root.path(), options).unwrap();
        Self { root, mirror }
    }

    fn staging(&self) -> PathBuf {
        self.root.path().join(".pangaea/staging")
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn write(&self, name: &str, content: &str) {
        let place = self.at(name);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.at(name)).unwrap()
    }

    fn exists(&self, name: &str) -> bool {
        self.at(name).symlink_metadata().is_ok()
    }

    fn link(&self, target: impl AsRef<Path>, name: &str) {
        std::os::unix::fs::symlink(target, self.at(name)).unwrap();
    }

    fn scan(&self) -> Scan {
        self.mirror.scan(Scope::All).unwrap()
    }

    fn scan_paths(&self, paths: &[&str]) -> Scan {
        let paths: Vec<FilePath> = paths.iter().map(|text| path(text)).collect();
        self.mirror.scan(Scope::Paths(&paths)).unwrap()
    }

    /// What a scan reports, one line each; stamps that only became certain are left out.
    fn changes(&self) -> Vec<String> {
        lines(&self.scan())
    }

    fn apply(&self, name: &str, expected: Option<&str>, to: Option<&str>) -> Applied {
        self.mirror
            .apply(&task(name, expected, to), &self.staging())
            .unwrap()
    }

    /// The files in staging, which a caller has to see to.
    fn staged(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> = fs::read_dir(self.staging())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        files
    }

    /// Waits until the times of files made before are in the past for certain, so that no stamp
    /// is doubtful any more.
    fn settle(&self) {
        let made = self.at(".pangaea/clock");
        fs::write(&made, "").unwrap();
        loop {
            let meta = disk::meta_of(fs::File::open(&made).unwrap()).unwrap();
            if !stamp::is_racy(&meta, read::now_ns()) {
                return;
            }
            std::thread::yield_now();
        }
    }
}

fn path(text: &str) -> FilePath {
    text.parse().unwrap()
}

fn hash(content: &str) -> ContentHash {
    ContentHash::of(content.as_bytes())
}

fn body(content: &str) -> Body {
    Body::Bytes(Bytes::copy_from_slice(content.as_bytes()))
}

fn task(name: &str, expected: Option<&str>, to: Option<&str>) -> ApplyTask {
    ApplyTask {
        path: path(name),
        expected: expected.map(hash),
        to: to.map(|content| (hash(content), body(content))),
    }
}

fn lines(scan: &Scan) -> Vec<String> {
    let line = |change: &Change| match change {
        Change::Written {
            path,
            content,
            size,
            stamp,
            ..
        } => {
            assert_eq!((stamp.content, stamp.size), (*content, *size));
            Some(format!("+{path}"))
        }
        Change::Deleted { path } => Some(format!("-{path}")),
        Change::Touched { .. } => None,
    };
    scan.changes.iter().filter_map(line).collect()
}

fn names(list: &[Refused]) -> Vec<&str> {
    list.iter().map(|refused| refused.name.as_str()).collect()
}

fn done(applied: Applied) -> (Option<Stamp>, Option<Displaced>) {
    match applied {
        Applied::Done { stamp, displaced } => (stamp, displaced),
        other => panic!("{other:?}"),
    }
}

fn refusal(applied: Applied) -> String {
    match applied {
        Applied::Refused { reason } => reason,
        other => panic!("{other:?}"),
    }
}
