//! Large content: files beside the database, named by digest, in `content/ab/<hex>`; and the
//! folder for files that are being made. A file appears under its name only when it is whole and
//! durable.

use std::collections::BTreeSet;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use bytes::Bytes;
use pangaea_core::version::ContentHash;

use crate::store::StoreError;

const CONTEXT_ADOPT: &str = "storing content";
const CONTEXT_COLLECT: &str = "dropping content that nothing names";

/// The two folders of one replica.
#[derive(Debug)]
pub(super) struct ContentFolder {
    content: PathBuf,
    staging: PathBuf,
    /// What came in since the running collection began, and must not fall victim to it.
    adopted: BTreeSet<ContentHash>,
    temporary_next: u64,
}

impl ContentFolder {
    pub(super) fn new(replica: &Path) -> Self {
        Self {
            content: replica.join("content"),
            staging: staging_of(replica),
            adopted: BTreeSet::new(),
            temporary_next: 0,
        }
    }

    /// Makes both folders and empties the one for unfinished files.
    pub(super) fn prepare(&self) -> io::Result<()> {
        fs::create_dir_all(&self.content)?;
        fs::create_dir_all(&self.staging)?;
        for entry in fs::read_dir(&self.staging)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }

    pub(super) fn path_of(&self, hash: ContentHash) -> PathBuf {
        path_of(&self.content, hash)
    }

    /// Takes over bytes; durable on return.
    pub(super) fn adopt_bytes(
        &mut self,
        hash: ContentHash,
        bytes: &Bytes,
    ) -> Result<(), StoreError> {
        let temporary = self.temporary();
        let written = File::create_new(&temporary).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        self.place(hash, &temporary, written)
    }

    /// Takes over a file: moves it if it lies in the staging folder, copies it otherwise, because
    /// then it is somebody else's.
    pub(super) fn adopt_file(&mut self, hash: ContentHash, file: &Path) -> Result<(), StoreError> {
        if file.starts_with(&self.staging) {
            let synced = File::open(file).and_then(|open| open.sync_all());
            return self.place(hash, file, synced);
        }
        let temporary = self.temporary();
        let copied = fs::copy(file, &temporary)
            .and_then(|_| File::options().write(true).open(&temporary)?.sync_all());
        self.place(hash, &temporary, copied)
    }

    /// Removes a staged file whose content went elsewhere.
    pub(super) fn discard(&self, file: &Path) {
        if file.starts_with(&self.staging) {
            // What is left here goes when the store is opened the next time.
            fs::remove_file(file).ok();
        }
    }

    /// Begins a collection: names all content files that there are now.
    pub(super) fn begin_collection(&mut self) -> Result<Vec<ContentHash>, StoreError> {
        self.adopted.clear();
        self.list()
            .map_err(|error| StoreError::io(CONTEXT_COLLECT, error))
    }

    /// Ends a collection: removes the files named, but for those that came in again meanwhile.
    pub(super) fn end_collection(&mut self, unnamed: &[ContentHash]) -> Result<(), StoreError> {
        for hash in unnamed {
            if self.adopted.contains(hash) {
                continue;
            }
            match fs::remove_file(self.path_of(*hash)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::io(CONTEXT_COLLECT, error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn temporary(&mut self) -> PathBuf {
        self.temporary_next += 1;
        self.staging
            .join(format!("content-{}.tmp", self.temporary_next))
    }

    /// Gives a finished, synced file its name, durably.
    fn place(
        &mut self,
        hash: ContentHash,
        file: &Path,
        finished: io::Result<()>,
    ) -> Result<(), StoreError> {
        let target = self.path_of(hash);
        let placed = finished.and_then(|()| {
            let folder = target.parent().unwrap_or(&self.content);
            if !folder.is_dir() {
                fs::create_dir_all(folder)?;
                sync_folder(&self.content)?;
            }
            fs::rename(file, &target)?;
            sync_folder(folder)
        });
        if placed.is_err() {
            self.discard(file);
        }
        self.adopted.insert(hash);
        placed.map_err(|error| StoreError::io(CONTEXT_ADOPT, error))
    }

    fn list(&self) -> io::Result<Vec<ContentHash>> {
        let mut hashes = Vec::new();
        for folder in fs::read_dir(&self.content)? {
            let folder = folder?;
            if !folder.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(folder.path())? {
                // A name that is no digest is not ours to remove.
                let name = file?.file_name();
                hashes.extend(
                    name.to_str()
                        .and_then(|name| name.parse::<ContentHash>().ok()),
                );
            }
        }
        Ok(hashes)
    }
}

/// Where unfinished files of a replica lie.
pub(super) fn staging_of(replica: &Path) -> PathBuf {
    replica.join("staging")
}

/// Where a replica's large content of this digest lies.
pub(super) fn content_file(replica: &Path, hash: ContentHash) -> PathBuf {
    path_of(&replica.join("content"), hash)
}

fn path_of(content: &Path, hash: ContentHash) -> PathBuf {
    let name = hash.to_hex();
    content.join(&name[..2]).join(name)
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere folders cannot be opened, and renames are journalled by the file system.
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}
