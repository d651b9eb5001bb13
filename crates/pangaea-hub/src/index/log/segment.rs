//! Segments: the files of the log. One is appended to; those before it wait to be merged.
//!
//! A segment begins with a mark and the epoch of its index. Its name is the number of its first
//! frame. What its frames say is not known here.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use super::super::IndexError;
use super::super::schema::Epoch;
use crate::blobs::sync_folder;

/// Begins every segment.
const MARK: [u8; 16] = *b"Pangaea hub log\n";

const HEAD_BYTES: usize = MARK.len() + size_of::<Epoch>();

const ENDING: &str = "frames";

/// A segment that has grown to this is followed by another.
const SEGMENT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The segment that is appended to, and the folder of all.
#[derive(Debug)]
pub(super) struct Segments {
    folder: PathBuf,
    epoch: Epoch,
    path: PathBuf,
    file: File,
    /// Up to here the segment is what it has to be.
    length: u64,
    state: State,
    closed: Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    /// Something may be behind the end that was never answered for.
    Littered,
}

/// The segments that are appended to no more, with the numbers of their last frames.
#[derive(Clone, Debug, Default)]
pub(crate) struct Closed(Arc<Mutex<VecDeque<(u64, PathBuf)>>>);

impl Segments {
    pub(super) fn begin(folder: &Path, epoch: Epoch, first: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        if let Some(parent) = folder.parent() {
            sync_folder(parent)?;
        }
        for path in list(folder)? {
            fs::remove_file(path)?;
        }
        let (path, file) = create(folder, epoch, first)?;
        Ok(Self {
            folder: folder.to_owned(),
            epoch,
            path,
            file,
            length: HEAD_BYTES as u64,
            state: State::Good,
            closed: Closed::default(),
        })
    }

    pub(super) fn closed(&self) -> Closed {
        self.closed.clone()
    }

    /// Makes a frame durable, or leaves no trace of it: until that is certain no other is taken.
    pub(super) fn append(&mut self, number: u64, frame: &[u8]) -> io::Result<()> {
        if self.state == State::Littered {
            self.clean()?;
        }
        if self.length >= SEGMENT_BYTES_MAX {
            self.go_on(number)?;
        }
        let written = self
            .file
            .write_all(frame)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.state = State::Littered;
            if let Err(error) = self.clean() {
                tracing::error!(%error, "the log takes no more changes until its end is clean");
            }
            return Err(error);
        }
        self.length += frame.len() as u64;
        Ok(())
    }

    /// Cuts off what was not written to its end.
    fn clean(&mut self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.sync_data()?;
        self.state = State::Good;
        Ok(())
    }

    /// Begins the next segment, with the frame `first`.
    fn go_on(&mut self, first: u64) -> io::Result<()> {
        let (path, file) = create(&self.folder, self.epoch, first)?;
        self.file = file;
        self.length = HEAD_BYTES as u64;
        let before = std::mem::replace(&mut self.path, path);
        self.closed.push(first - 1, before);
        Ok(())
    }

    pub(super) fn remove(self) -> io::Result<()> {
        drop(self.file);
        for path in list(&self.folder)? {
            fs::remove_file(path)?;
        }
        sync_folder(&self.folder)
    }
}

impl Closed {
    fn push(&self, last: u64, path: PathBuf) {
        let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        closed.push_back((last, path));
    }

    /// Removes the segments of which the database has everything.
    pub(in super::super) fn remove(&self, merged: u64) {
        let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while closed.front().is_some_and(|(last, _)| *last <= merged)
            && let Some((_, path)) = closed.pop_front()
        {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!(%error, "could not remove a merged part of the log");
            }
        }
    }
}

/// The segments that there are, in their order.
pub(super) fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == ENDING) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// What is behind the head of a segment; nothing if the segment is gone.
pub(super) fn read(path: &Path, epoch: Epoch) -> Result<Option<Bytes>, IndexError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => Bytes::from(bytes),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let Some((head, _)) = bytes.split_at_checked(HEAD_BYTES) else {
        // Nothing was appended before the head was durable.
        return Ok(Some(Bytes::new()));
    };
    if head[..MARK.len()] != MARK {
        return Err(IndexError::LogHole {
            path: path.to_owned(),
        });
    }
    if head[MARK.len()..] != epoch {
        return Err(IndexError::StrangeLog {
            path: path.to_owned(),
        });
    }
    Ok(Some(bytes.slice(HEAD_BYTES..)))
}

fn create(folder: &Path, epoch: Epoch, first: u64) -> io::Result<(PathBuf, File)> {
    let path = folder.join(format!("{first:020}.{ENDING}"));
    // One of this name holds nothing that was answered for, or its frames would be counted.
    let mut file = File::create(&path)?;
    let mut head = MARK.to_vec();
    head.extend_from_slice(&epoch);
    file.write_all(&head)?;
    file.sync_all()?;
    sync_folder(folder)?;
    Ok((path, file))
}
