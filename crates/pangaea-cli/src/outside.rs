//! Edits in the folder itself: for when another process has the replica, which takes them in by
//! itself, and for content that is too large for memory. Done like every change of the mirror:
//! the file is made elsewhere and swapped in, and nothing is overwritten unseen.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Read;
use std::io::Write;
use std::path::PathBuf;

use bytes::Bytes;
use gaia::path::FilePath;
use pangaea::body::Body;
use pangaea::mirror::Applied;
use pangaea::mirror::ApplyTask;
use pangaea::mirror::Mirror;
use pangaea::mirror::Scope;
use pangaea_core::state::is_reserved;
use pangaea_core::version::ContentHash;
use pangaea_core::version::ContentHasher;

use crate::error::CliError;
use crate::keys;
use crate::replica_dir::ReplicaDir;

/// More than this is not held in memory.
const IN_MEMORY_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// A file that its user writes all the time is left alone after so many attempts.
const ATTEMPTS_MAX: u32 = 5;

/// A folder for files on their way, gone when this is dropped.
pub(crate) struct Workshop {
    place: PathBuf,
}

impl Workshop {
    pub(crate) fn open(dir: &ReplicaDir) -> Result<Self, CliError> {
        let place = dir.outside().join(std::process::id().to_string());
        // A process that had this id before may have left something.
        fs::remove_dir_all(&place).ok();
        keys::create_private_folder(&place)
            .map_err(|error| CliError::of_file("make the folder", &place, &error))?;
        Ok(Self { place })
    }

    /// Reads content to its end: into memory, or into a file if there is too much of it.
    pub(crate) fn receive(
        &self,
        source: &mut impl Read,
        name: &str,
    ) -> Result<(ContentHash, Body), CliError> {
        self.receive_from(source)
            .map_err(|error| CliError::failed(format!("cannot take in {name}: {error}")))
    }

    fn receive_from(&self, source: &mut impl Read) -> io::Result<(ContentHash, Body)> {
        let mut head = Vec::new();
        source
            .take(IN_MEMORY_BYTES_MAX + 1)
            .read_to_end(&mut head)?;
        if head.len() as u64 <= IN_MEMORY_BYTES_MAX {
            return Ok((ContentHash::of(&head), Body::Bytes(Bytes::from(head))));
        }
        let path = self.place.join("received");
        let mut file = File::create(&path)?;
        let mut hasher = ContentHasher::new();
        let mut size = 0;
        let mut buffer = head;
        while !buffer.is_empty() {
            hasher.update(&buffer);
            file.write_all(&buffer)?;
            size += buffer.len() as u64;
            buffer.clear();
            source.take(1024 * 1024).read_to_end(&mut buffer)?;
        }
        Ok((hasher.finish(), Body::File { path, size }))
    }

    /// Puts content in the place of a file, or deletes the file for none. False: there was nothing
    /// to delete.
    pub(crate) fn place(
        &self,
        mirror: &Mirror,
        path: &FilePath,
        to: Option<(ContentHash, Body)>,
    ) -> Result<bool, CliError> {
        if is_reserved(path) {
            let message = format!("{path} cannot be changed while another pangaea is at work");
            return Err(CliError::failed(message).hint("stop that one first"));
        }
        let refused = |reason: &str| {
            CliError::failed(format!("{path} cannot be written to the folder: {reason}"))
        };
        for _ in 0..ATTEMPTS_MAX {
            // What its user made of the file since is what is to be replaced.
            let scan = mirror.scan(Scope::Paths(std::slice::from_ref(path)))?;
            if scan.unsettled.contains(path) {
                continue;
            }
            let expected = mirror.stamp(path).map(|stamp| stamp.content);
            if to.is_none() && expected.is_none() {
                return Ok(false);
            }
            let task = ApplyTask {
                path: path.clone(),
                expected,
                to: to.clone(),
            };
            match mirror.apply(&task, &self.place)? {
                Applied::Done { .. } => {
                    mirror.sync_to_disk()?;
                    return Ok(true);
                }
                Applied::Differs => {}
                Applied::Ignored => return Err(refused(".pangaeaignore keeps it out")),
                Applied::Refused { reason } => return Err(refused(&reason)),
            }
        }
        Err(refused("somebody else is writing it all the time"))
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.place).ok();
    }
}
