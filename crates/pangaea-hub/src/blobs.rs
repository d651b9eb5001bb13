//! The blob folder: bodies above 64 KiB as immutable files named by their SHA-256.
//!
//! A body is staged in a temporary file of the same file system, synced, renamed to its name and
//! the folder synced, all before the index is told of it; so whatever the index names exists. No
//! user's path ever becomes a file name. Which version has which blob is the index's business,
//! when blobs are removed is `gc`'s.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use gaia::etag::{ETag, ETagHasher};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

/// Bodies up to this many bytes live in the index instead.
pub(crate) const INLINE_BYTES_MAX: usize = 64 * 1024;

/// Where blobs are, in the data folder.
pub(crate) const BLOBS_FOLDER: &str = "blobs";

/// Where bodies are written until they are whole.
pub(crate) const STAGING_FOLDER: &str = "staging";

/// The SHA-256 of a body, which is also the name of its blob.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlobId([u8; 32]);

impl BlobId {
    pub(crate) fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn parse(name: &str) -> Option<Self> {
        if name.len() != 64 || !name.is_ascii() {
            return None;
        }
        let mut digest = [0; 32];
        for (index, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(name.get(index * 2..index * 2 + 2)?, 16).ok()?;
        }
        let id = Self(digest);
        // Only the one spelling that we write is ours.
        (id.to_string() == name).then_some(id)
    }
}

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BlobId({self})")
    }
}

/// The folder of blobs and the folder where they are staged.
#[derive(Debug)]
pub(crate) struct Blobs {
    blobs: PathBuf,
    staging: PathBuf,
    next_staged: AtomicU64,
    pins: Mutex<BTreeMap<BlobId, Pin>>,
    /// Takes blobs that may have lost their last use.
    suspects: mpsc::UnboundedSender<BlobId>,
}

/// Uploads that have staged a blob and not yet been committed or dropped.
#[derive(Debug, Default)]
struct Pin {
    holders: usize,
    /// Somebody wanted it swept while it was held, or a holder went away without a commit.
    suspect: bool,
}

impl Blobs {
    /// Opens the folders below `root`, creating them if need be, and removes what interrupted
    /// uploads left. Blobs that may be unreferenced are sent to `suspects` as that becomes known.
    pub(crate) fn open(
        root: &Path,
        suspects: mpsc::UnboundedSender<BlobId>,
    ) -> io::Result<Arc<Self>> {
        let blobs = root.join(BLOBS_FOLDER);
        let staging = root.join(STAGING_FOLDER);
        if staging.exists() {
            fs::remove_dir_all(&staging)?;
        }
        fs::create_dir_all(&staging)?;
        fs::create_dir_all(&blobs)?;
        for first in 0..=u8::MAX {
            let folder = folder_of(&blobs, first);
            if !folder.exists() {
                fs::create_dir(folder)?;
            }
        }
        sync_folder(&blobs)?;
        sync_folder(root)?;
        Ok(Arc::new(Self {
            blobs,
            staging,
            next_staged: AtomicU64::new(0),
            pins: Mutex::default(),
            suspects,
        }))
    }

    /// Opens a blob for reading. It stays readable through the returned file even if it is
    /// removed afterwards.
    pub(crate) fn open_blob(&self, id: BlobId) -> io::Result<File> {
        File::open(self.path_of(id))
    }

    /// Begins a staged body.
    pub(crate) fn stage(self: &Arc<Self>) -> io::Result<Staging> {
        let number = self.next_staged.fetch_add(1, Ordering::Relaxed);
        let path = self.staging.join(number.to_string());
        let file = File::create_new(&path)?;
        Ok(Staging {
            blobs: Arc::clone(self),
            temporary: Temporary { path: Some(path) },
            file,
            is_link: false,
            sha256: Sha256::new(),
            md5: ETagHasher::new(),
            size: 0,
        })
    }

    /// Begins a staged body that is a file from elsewhere, under a second name: it must not change
    /// any more, and the bytes are only looked at.
    pub(crate) fn stage_link(self: &Arc<Self>, source: &Path) -> io::Result<Staging> {
        let number = self.next_staged.fetch_add(1, Ordering::Relaxed);
        let path = self.staging.join(number.to_string());
        fs::hard_link(source, &path)?;
        let temporary = Temporary {
            path: Some(path.clone()),
        };
        Ok(Staging {
            blobs: Arc::clone(self),
            temporary,
            file: File::open(&path)?,
            is_link: true,
            sha256: Sha256::new(),
            md5: ETagHasher::new(),
            size: 0,
        })
    }

    /// Tells the sweeper that this blob may be unreferenced by now.
    pub(crate) fn suspect(&self, id: BlobId) {
        // Nobody listens any more while the hub stops; the sweep at the next start finds it.
        if self.suspects.send(id).is_err() {
            tracing::debug!("left a blob to the sweep at the next start");
        }
    }

    /// Removes a blob unless an upload holds it or `is_referenced` says that it is in use.
    ///
    /// The pins stay locked throughout, so an upload of the same bytes either has its pin before
    /// and keeps the blob, or renames its own copy into place afterwards.
    pub(crate) fn sweep<E: From<io::Error>>(
        &self,
        id: BlobId,
        is_referenced: impl FnOnce() -> Result<bool, E>,
    ) -> Result<Swept, E> {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pin) = pins.get_mut(&id) {
            pin.suspect = true;
            return Ok(Swept::Kept);
        }
        if is_referenced()? {
            return Ok(Swept::Kept);
        }
        match fs::remove_file(self.path_of(id)) {
            Ok(()) => Ok(Swept::Removed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Swept::Kept),
            Err(error) => Err(error.into()),
        }
    }

    /// The blobs whose name begins with this byte.
    pub(crate) fn with_first_byte(&self, first: u8) -> io::Result<Vec<BlobId>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder_of(&self.blobs, first))? {
            found.extend(entry?.file_name().to_str().and_then(BlobId::parse));
        }
        Ok(found)
    }

    fn path_of(&self, id: BlobId) -> PathBuf {
        blob_path(&self.blobs, id)
    }

    fn pin(self: &Arc<Self>, id: BlobId) -> StagedBlob {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        pins.entry(id).or_default().holders += 1;
        drop(pins);
        StagedBlob {
            blobs: Arc::clone(self),
            id,
            committed: false,
        }
    }

    fn unpin(&self, id: BlobId, suspect: bool) {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(pin) = pins.get_mut(&id) else {
            return;
        };
        pin.holders -= 1;
        pin.suspect |= suspect;
        if pin.holders > 0 {
            return;
        }
        let suspect = pin.suspect;
        pins.remove(&id);
        drop(pins);
        if suspect {
            self.suspect(id);
        }
    }
}

/// Whether a sweep removed a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Swept {
    Removed,
    Kept,
}

/// A body being written; dropped, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Staging {
    blobs: Arc<Blobs>,
    temporary: Temporary,
    file: File,
    is_link: bool,
    sha256: Sha256,
    md5: ETagHasher,
    size: u64,
}

/// What is known of a body once it is complete.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) blob: StagedBlob,
    pub(crate) etag: ETag,
    pub(crate) size: u64,
}

impl Staging {
    /// Writes the next bytes. Blocks on the disk.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.look_at(bytes);
        self.file.write_all(bytes)
    }

    /// Takes note of the next bytes of a file that has them already.
    pub(crate) fn look_at(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.md5.update(bytes);
        self.size += bytes.len() as u64;
    }

    /// Whether this is a file from elsewhere.
    pub(crate) fn is_link(&self) -> bool {
        self.is_link
    }

    /// How many bytes there are so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The tag of the bytes so far.
    pub(crate) fn etag(&self) -> ETag {
        self.md5.clone().finish()
    }

    /// The digest of the bytes so far.
    pub(crate) fn digest(&self) -> BlobId {
        BlobId(self.sha256.clone().finalize().into())
    }

    /// Makes the body durable under its digest. Blocks on the disk.
    pub(crate) fn finish(mut self) -> io::Result<Staged> {
        self.file.sync_all()?;
        let id = BlobId(self.sha256.finalize().into());
        let blob = self.blobs.pin(id);
        let target = self.blobs.path_of(id);
        // A blob of this name has the same bytes, so renaming over it changes nothing. It is
        // done all the same: the one there might not have reached the disk yet.
        self.temporary.rename_to(&target)?;
        if let Some(folder) = target.parent() {
            sync_folder(folder)?;
        }
        Ok(Staged {
            blob,
            etag: self.md5.finish(),
            size: self.size,
        })
    }
}

/// A durable blob that the index may not name yet. Until this is dropped the blob is not swept.
#[derive(Debug)]
pub(crate) struct StagedBlob {
    blobs: Arc<Blobs>,
    id: BlobId,
    committed: bool,
}

impl StagedBlob {
    pub(crate) fn id(&self) -> BlobId {
        self.id
    }

    /// Says that the index names this blob now, which spares a sweep.
    pub(crate) fn mark_committed(&mut self) {
        self.committed = true;
    }
}

impl Drop for StagedBlob {
    fn drop(&mut self) {
        self.blobs.unpin(self.id, !self.committed);
    }
}

/// A temporary file's name; the file goes when this is dropped.
#[derive(Debug)]
struct Temporary {
    path: Option<PathBuf>,
}

impl Temporary {
    fn rename_to(&mut self, target: &Path) -> io::Result<()> {
        if let Some(path) = &self.path {
            fs::rename(path, target)?;
            // A second name of what is there already stays behind.
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        self.path = None;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = self.path.take()
            && let Err(error) = fs::remove_file(path)
        {
            tracing::warn!(%error, "could not remove a staged body; the next start will");
        }
    }
}

/// The file of a blob in a folder of blobs.
pub(crate) fn blob_path(blobs: &Path, id: BlobId) -> PathBuf {
    folder_of(blobs, id.0[0]).join(id.to_string())
}

/// Where the blobs are whose name begins with this byte.
pub(crate) fn folder_of(blobs: &Path, first: u8) -> PathBuf {
    blobs.join(format!("{first:02x}"))
}

/// Makes renames and new files in a folder durable. Only Unix needs it and can do it.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blobs() -> (
        tempfile::TempDir,
        Arc<Blobs>,
        mpsc::UnboundedReceiver<BlobId>,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (suspects, receiver) = mpsc::unbounded_channel();
        let blobs = Blobs::open(folder.path(), suspects).unwrap();
        (folder, blobs, receiver)
    }

    fn staged(blobs: &Arc<Blobs>, body: &[u8]) -> Staged {
        let mut staging = blobs.stage().unwrap();
        staging.write(body).unwrap();
        staging.finish().unwrap()
    }

    fn sweep(blobs: &Blobs, id: BlobId, referenced: bool) -> Swept {
        blobs.sweep::<io::Error>(id, || Ok(referenced)).unwrap()
    }

    #[test]
    fn a_body_is_found_under_its_digest() {
        let (_folder, blobs, _suspects) = blobs();
        let body = staged(&blobs, b"hello gaia");
        assert_eq!(body.blob.id(), BlobId::of(b"hello gaia"));
        assert_eq!(body.etag, ETag::of(b"hello gaia"));
        let text = io::read_to_string(blobs.open_blob(body.blob.id()).unwrap()).unwrap();
        assert_eq!(text, "hello gaia");
        let first = body.blob.id().as_bytes()[0];
        assert_eq!(blobs.with_first_byte(first).unwrap(), [body.blob.id()]);
        assert_eq!(
            BlobId::parse(&body.blob.id().to_string()),
            Some(body.blob.id())
        );
    }

    #[test]
    fn an_abandoned_upload_leaves_nothing() {
        let (folder, blobs, mut suspects) = blobs();
        let mut staging = blobs.stage().unwrap();
        staging.write(b"half").unwrap();
        drop(staging);
        assert_eq!(
            fs::read_dir(folder.path().join("staging")).unwrap().count(),
            0
        );
        assert!(suspects.try_recv().is_err(), "it never had a name");
    }

    #[test]
    fn a_held_blob_is_not_swept_and_is_looked_at_again_afterwards() {
        let (_folder, blobs, mut suspects) = blobs();
        let first = staged(&blobs, b"x");
        let mut second = staged(&blobs, b"x");
        let id = first.blob.id();
        drop(first);
        assert_eq!(
            sweep(&blobs, id, false),
            Swept::Kept,
            "the second upload holds it"
        );
        second.blob.mark_committed();
        drop(second);
        assert_eq!(suspects.try_recv().unwrap(), id);
        assert_eq!(sweep(&blobs, id, true), Swept::Kept);
        let mut open = blobs.open_blob(id).unwrap();
        assert_eq!(sweep(&blobs, id, false), Swept::Removed);
        let mut text = String::new();
        io::Read::read_to_string(&mut open, &mut text).unwrap();
        assert_eq!(text, "x", "a reader that has it open reads on");
        assert!(blobs.open_blob(id).is_err());
    }

    #[test]
    fn a_committed_blob_is_not_suspected() {
        let (_folder, blobs, mut suspects) = blobs();
        let mut body = staged(&blobs, b"x");
        body.blob.mark_committed();
        drop(body);
        assert!(suspects.try_recv().is_err());
    }
}
