//! Taking over what a stock hub has stored on its disk.
//!
//! Files come in groups: a group's bytes are durable before the index names them, and an original is
//! removed, if that is wanted, only after that. So an import can be killed at any moment and run
//! again: what is in the hub already is passed over. What cannot be taken over stays where it is
//! and is told. `source` knows the stock hub's layout, `content`
//! reads bytes, this module decides what becomes of them.

mod content;
mod source;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gaia::etag::ETag;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::blobs::Blobs;
use crate::error::HubError;
use crate::folder::{adopt_backup, lock, refuse_half};
use crate::index::{
    Adopted, AdoptedFile, INDEX_FILE, Index, IndexError, Known, Lookup, Merger, NewBody,
};
use content::{Body, Content, ContentError};
use source::{DEFAULT_TYPE, Found, Source, SourceFile, SourceRevocation, Stamp};

/// Files in one transaction, and the bytes that they may hold in memory.
const GROUP_FILES_MAX: usize = 256;
const GROUP_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// What becomes of the originals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Originals {
    /// They stay, and the hub has a copy.
    Keep,
    /// They go as they are taken over; large ones are not copied, if both folders are on one disk.
    Move,
}

/// Something that a person should know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// What kind of thing.
    pub kind: FindingKind,
    /// The file or folder, as it is called inside the stock hub's folder.
    pub name: String,
    /// What is with it, in words.
    pub message: String,
}

/// Kinds of [`Finding`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FindingKind {
    /// Not taken over: no bucket and nothing of one.
    NoBucket,
    /// Not taken over: no file of a hub can have this name.
    Name,
    /// Not taken over: a link.
    Link,
    /// Not taken over: a device, a pipe or the like.
    Special,
    /// Not taken over: it could not be read.
    Unreadable,
    /// Not taken over: the hub has other bytes there that are not older.
    NotOlder,
    /// Not taken over: a revocation that says no time.
    NoTime,
    /// Taken over as the bytes are: they are not those that the stock hub noted, as after an
    /// upload that broke off.
    Torn,
    /// Taken over without a type: the stock hub noted none.
    NoType,
    /// Taken over: a revocation beyond 2038, which the stock hub did not honour.
    Wrapped,
}

impl FindingKind {
    /// Whether this was left where it is.
    #[must_use]
    pub fn is_left(self) -> bool {
        match self {
            Self::NoBucket
            | Self::Name
            | Self::Link
            | Self::Special
            | Self::Unreadable
            | Self::NotOlder
            | Self::NoTime => true,
            Self::Torn | Self::NoType | Self::Wrapped => false,
        }
    }
}

/// What an import tells while it goes on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ImportEvent {
    /// So many files, with so many bytes, were looked at.
    Progress {
        /// Files.
        files: u64,
        /// Bytes in them.
        bytes: u64,
    },
    /// Something to know of.
    Finding(Finding),
}

/// What an import came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImportReport {
    /// Files that the hub did not have.
    pub imported: u64,
    /// Files of which the hub had an older version.
    pub replaced: u64,
    /// Bytes in those two.
    pub bytes: u64,
    /// Files that the hub had already.
    pub known: u64,
    /// Buckets whose revocation was taken over.
    pub revocations: u64,
    /// What was not taken over; each was told as it was found.
    pub left: u64,
    /// What was taken over with a remark.
    pub remarks: u64,
}

/// Why an import stopped. What was taken over until then is safe, and it can be run again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The stock hub's folder is not there.
    #[error("cannot read the stock hub's folder {path}: {source}")]
    Source {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The hub's folder cannot be used.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// The index cannot be written.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The disk failed.
    #[error("cannot write to the hub's folder {path}: {source}; the import can be run again")]
    Disk {
        /// The folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Takes over the folder of a stock hub into the data folder of a hub that is not running.
/// Neither may be at work meanwhile. Blocks; memory is bounded.
///
/// # Errors
/// [`ImportError`]; what cannot be taken over comes as [`ImportEvent::Finding`] instead, and does
/// not stop the rest.
pub fn import(
    stock: &Path,
    data: &Path,
    originals: Originals,
    tell: &mut dyn FnMut(ImportEvent),
) -> Result<ImportReport, ImportError> {
    let unreadable = |source| ImportError::Source {
        path: stock.to_owned(),
        source,
    };
    let root = stock.canonicalize().map_err(unreadable)?;
    fs::read_dir(&root).map_err(unreadable)?;
    let failed = |source| HubError::DataDir {
        path: data.to_owned(),
        source,
    };
    fs::create_dir_all(data).map_err(failed)?;
    let hub = data.canonicalize().map_err(failed)?;
    let locked = lock(&hub)?;
    refuse_half(&hub)?;
    adopt_backup(&hub)?;
    // What loses its use here is found by the hub when it starts.
    let (suspects, _) = mpsc::unbounded_channel();
    let blobs = Blobs::open(&hub, suspects).map_err(failed)?;
    let index_file = hub.join(INDEX_FILE);
    // What was removed is the hub's to forget.
    let opened = Index::open(&index_file, 1, Duration::MAX)?;
    let source = Source { root, hub };
    let mut import = Import {
        source: &source,
        blobs,
        merger: opened.merger,
        lookup: Lookup::open(&index_file)?,
        originals,
        group: Group::default(),
        seen_bytes: 0,
        seen_files: 0,
        report: ImportReport::default(),
        tell,
    };
    source.walk(&mut |found| import.take(found))?;
    import.flush()?;
    if originals == Originals::Move {
        source.prune();
    }
    let report = import.report;
    drop(import);
    drop(locked);
    Ok(report)
}

struct Import<'a> {
    source: &'a Source,
    blobs: Arc<Blobs>,
    merger: Merger,
    lookup: Lookup,
    originals: Originals,
    group: Group,
    seen_files: u64,
    seen_bytes: u64,
    report: ImportReport,
    tell: &'a mut dyn FnMut(ImportEvent),
}

/// What is committed together, and the originals that may go then.
#[derive(Default)]
struct Group {
    adopted: Vec<Adopted>,
    done_with: Vec<PathBuf>,
    bytes: u64,
}

impl Import<'_> {
    fn take(&mut self, found: Found) -> Result<(), ImportError> {
        match found {
            Found::File(file) => self.file(file)?,
            Found::Revocation(revocation) => self.revocation(revocation),
            Found::Left(finding) => self.tell(finding),
        }
        if self.group.adopted.len() + self.group.done_with.len() >= GROUP_FILES_MAX
            || self.group.bytes >= GROUP_BYTES_MAX
        {
            self.flush()?;
        }
        Ok(())
    }

    fn tell(&mut self, finding: Finding) {
        if finding.kind.is_left() {
            self.report.left += 1;
        } else {
            self.report.remarks += 1;
        }
        (self.tell)(ImportEvent::Finding(finding));
    }

    fn about(&mut self, kind: FindingKind, path: &Path, why: &dyn std::fmt::Display) {
        let finding = self.source.finding(kind, path, why);
        self.tell(finding);
    }

    fn file(&mut self, file: SourceFile) -> Result<(), ImportError> {
        self.seen_files += 1;
        self.seen_bytes += file.size;
        let (files, bytes) = (self.seen_files, self.seen_bytes);
        (self.tell)(ImportEvent::Progress { files, bytes });
        let known = self.lookup.find(&file.key)?;
        let note = file.note();
        let noted_tag = match &note {
            Ok(Some(note)) => note.etag.as_deref().and_then(ETag::parse),
            Ok(None) | Err(_) => None,
        };
        if let Some(known) = &known
            && known.is_taken_from(file.size, file.modified_ms, noted_tag.as_ref())
        {
            self.pass_over(file);
            return Ok(());
        }
        let content = match content::read(&file.content, &self.blobs, self.originals) {
            Ok(content) => content,
            Err(ContentError::Unreadable(error)) => {
                self.about(FindingKind::Unreadable, &file.content, &error);
                return Ok(());
            }
            Err(ContentError::Disk(source)) => {
                let path = self.source.hub.clone();
                return Err(ImportError::Disk { path, source });
            }
        };
        let content_type = match &note {
            Ok(Some(note)) => note.usable_type().unwrap_or(DEFAULT_TYPE).to_owned(),
            Ok(None) | Err(_) => DEFAULT_TYPE.to_owned(),
        };
        match self.judge(known.as_ref(), &file, &content, &content_type) {
            Judgement::Take => {}
            Judgement::Known => {
                self.pass_over(file);
                return Ok(());
            }
            Judgement::NotOlder => {
                let why = "the hub has another version of it, which is not older";
                self.about(FindingKind::NotOlder, &file.content, &why);
                return Ok(());
            }
        }
        self.remark(&file, &note, noted_tag.as_ref(), &content.etag);
        if known.is_some() {
            self.report.replaced += 1;
        } else {
            self.report.imported += 1;
        }
        self.report.bytes += content.size;
        self.adopt(file, content, content_type)
    }

    fn judge(
        &self,
        known: Option<&Known>,
        file: &SourceFile,
        content: &Content,
        content_type: &str,
    ) -> Judgement {
        let Some(known) = known else {
            return Judgement::Take;
        };
        let has_same_bytes = known.etag == content.etag && known.digest == content.digest;
        let is_older = known.modified_ms < file.modified_ms;
        match (has_same_bytes, is_older) {
            (true, _) if known.content_type == content_type => Judgement::Known,
            (_, true) => Judgement::Take,
            (true, false) => Judgement::Known,
            (false, false) => Judgement::NotOlder,
        }
    }

    /// Tells what is odd about a file that is taken over.
    fn remark(
        &mut self,
        file: &SourceFile,
        note: &Result<Option<source::Note>, String>,
        noted_tag: Option<&ETag>,
        etag: &ETag,
    ) {
        match note {
            Err(error) => {
                let why = format!("what was noted of its type cannot be read: {error}");
                self.about(FindingKind::NoType, &file.content, &why);
            }
            Ok(None) => {
                let why = "no type was noted for it, as after an upload that broke off";
                self.about(FindingKind::NoType, &file.content, &why);
            }
            Ok(Some(note)) if note.usable_type().is_none() => {
                let why = "the type that was noted for it cannot be used";
                self.about(FindingKind::NoType, &file.content, &why);
            }
            Ok(Some(_)) => {}
        }
        if let Some(noted) = noted_tag
            && noted != etag
        {
            let why = format!(
                "its bytes are not those that were noted, as after an upload that broke off: \
                 its tag is {etag}, not {noted}"
            );
            self.about(FindingKind::Torn, &file.content, &why);
        }
    }

    fn pass_over(&mut self, file: SourceFile) {
        self.report.known += 1;
        self.let_go(file);
    }

    /// Has the originals of a file removed with the group, if they are to go.
    fn let_go(&mut self, file: SourceFile) {
        if self.originals == Originals::Move {
            self.group.done_with.extend([file.metadata, file.content]);
        }
    }

    fn adopt(
        &mut self,
        file: SourceFile,
        content: Content,
        content_type: String,
    ) -> Result<(), ImportError> {
        let body = match content.body {
            Body::Inline(bytes) => {
                self.group.bytes += content.size;
                NewBody::Inline(bytes)
            }
            Body::Staged(staging) => {
                let staged = staging.finish().map_err(|source| ImportError::Disk {
                    path: self.source.hub.clone(),
                    source,
                })?;
                NewBody::Blob(staged.blob)
            }
        };
        self.group.adopted.push(Adopted::File(AdoptedFile {
            key: file.key.clone(),
            body,
            size: content.size,
            etag: content.etag,
            digest: content.digest,
            content_type,
            modified_ms: file.modified_ms,
        }));
        self.let_go(file);
        Ok(())
    }

    fn revocation(&mut self, revocation: SourceRevocation) {
        let seconds = match revocation.read() {
            Ok(Stamp::Never) => return,
            Ok(Stamp::Seconds(seconds)) => seconds,
            Ok(Stamp::Wrapped(seconds)) => {
                let why = format!(
                    "the time beyond 2038 that it was given comes into force: tokens made before \
                     {seconds} seconds after 1970 are refused from now on"
                );
                self.about(FindingKind::Wrapped, &revocation.file, &why);
                seconds
            }
            Err(error) => {
                self.about(FindingKind::NoTime, &revocation.file, &error);
                return;
            }
        };
        self.report.revocations += 1;
        self.group.adopted.push(Adopted::Revocation {
            bucket: revocation.bucket,
            oldest_valid: seconds,
        });
        if self.originals == Originals::Move {
            self.group.done_with.push(revocation.file);
        }
    }

    /// Makes the group durable, then lets its originals go.
    fn flush(&mut self) -> Result<(), ImportError> {
        let group = std::mem::take(&mut self.group);
        if !group.adopted.is_empty() {
            self.merger.adopt(group.adopted)?;
        }
        for path in group.done_with {
            match fs::remove_file(&path) {
                Ok(()) => {}
                // There need be no metadata.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let why =
                        format!("the hub has it, but the original cannot be removed: {error}");
                    self.about(FindingKind::Unreadable, &path, &why);
                }
            }
        }
        Ok(())
    }
}

/// Whether a file is taken over.
enum Judgement {
    Take,
    Known,
    NotOlder,
}
