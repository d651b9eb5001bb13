//! Looks at a replica without touching it: also while another process syncs it, and without hub
//! or key.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use gaia::path::FilePath;
use pangaea::body::Body;
use pangaea::mirror::Mirror;
use pangaea::mirror::MirrorOptions;
use pangaea::replica::Conflict;
use pangaea::replica::SETTING_DEVICE;
use pangaea::store::Store;
use pangaea::store::sqlite::SqliteStore;
use pangaea_core::state::Entry;
use pangaea_core::state::LocalFile;
use pangaea_core::state::ProblemKind;
use pangaea_core::state::is_reserved;

use crate::error::CliError;
use crate::replica_dir::ReplicaDir;

/// What the store holds at one moment.
pub(crate) struct View {
    pub(crate) entries: BTreeMap<FilePath, Entry>,
    pub(crate) settings: BTreeMap<String, String>,
    pub(crate) store: SqliteStore,
    /// Knows what the folder looked like when it was last taken in.
    pub(crate) mirror: Mirror,
    folder: PathBuf,
}

impl View {
    pub(crate) async fn open(dir: &ReplicaDir) -> Result<Self, CliError> {
        let store = SqliteStore::open_read_only(dir.store())?;
        let mirror = Mirror::open(dir.folder(), MirrorOptions::default())?;
        let loaded = store.load().await?;
        mirror.load_stamps(loaded.stamps)?;
        Ok(Self {
            entries: loaded.entries.into_iter().collect(),
            settings: loaded.settings.into_iter().collect(),
            store,
            mirror,
            folder: dir.folder().to_owned(),
        })
    }

    /// The files of this device, Pangaea's own left out.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&FilePath, &Entry, &LocalFile)> {
        self.entries
            .iter()
            .filter(|(path, _)| !is_reserved(path))
            .filter_map(|(path, entry)| Some((path, entry, entry.local.file()?)))
    }

    /// A file of this device.
    pub(crate) fn file(&self, path: &FilePath) -> Option<&LocalFile> {
        self.entries.get(path)?.local.file()
    }

    pub(crate) fn conflicts(&self) -> Vec<Conflict> {
        let conflict = |(path, entry): (&FilePath, &Entry)| {
            let problem = entry.problem.as_ref().map(|problem| problem.kind);
            if problem == Some(ProblemKind::Undecided) {
                return Some(Conflict::Undecided { path: path.clone() });
            }
            entry.local.file()?;
            let original = pangaea_core::conflict::original_path(path)?;
            Some(Conflict::Copy {
                path: original,
                copy: path.clone(),
            })
        };
        self.entries.iter().filter_map(conflict).collect()
    }

    pub(crate) fn device(&self) -> Option<&str> {
        self.settings.get(SETTING_DEVICE).map(String::as_str)
    }

    /// Where a file lies in the folder.
    pub(crate) fn place(&self, path: &FilePath) -> PathBuf {
        let stamp = self.mirror.stamp(path);
        let disk = stamp.as_ref().and_then(|stamp| stamp.disk.as_deref());
        self.folder.join(disk.unwrap_or(path.as_str()))
    }

    /// The content of a file as it is in the folder now, taken in or not.
    pub(crate) async fn content(&self, path: &FilePath) -> Result<Option<Body>, CliError> {
        let known = self.file(path).map(|file| file.content);
        if is_reserved(path) {
            let Some(hash) = known else { return Ok(None) };
            return Ok(self.store.content(hash).await?);
        }
        if let Some(hash) = known
            && let Some(body) = self.mirror.content(path, hash)?
        {
            return Ok(Some(body));
        }
        let place = self.place(path);
        let found = fs::symlink_metadata(&place)
            .ok()
            .filter(fs::Metadata::is_file);
        Ok(found.map(|found| Body::File {
            size: found.len(),
            path: place,
        }))
    }
}
