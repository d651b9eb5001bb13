//! Segments: the files of the log. One is appended to; those before it wait to be merged.
//!
//! A segment begins with a mark and the epoch of its index. Its name is the number of its first
//! frame. What its frames say is not known here.
//!
//! Frames are written where the file has bytes already: syncing a file that grows takes about twice
//! as long, because its length has to be written as well. So room is made ahead with zeros, and
//! a segment that is merged becomes the next one. What is behind the last frame of a segment is
//! therefore zeros, or frames with smaller numbers than its name.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use super::super::IndexError;
use super::super::schema::Epoch;
use crate::blobs::sync_folder;

/// Begins every segment.
const MARK: [u8; 16] = *b"Pangaea hub log\n";

const HEAD_BYTES: usize = MARK.len() + size_of::<Epoch>();

const ENDING: &str = "frames";

/// A merged segment that waits for its next use.
const SPARE: &str = "spare";

/// A segment that has grown to this is followed by another.
const SEGMENT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How much room is made at a time.
static ROOM: [u8; 1024 * 1024] = [0; 1024 * 1024];

/// The segment that is appended to, and the folder of all.
#[derive(Debug)]
pub(super) struct Segments {
    folder: PathBuf,
    epoch: Epoch,
    path: PathBuf,
    /// Its position is at `length`.
    file: File,
    /// Up to here the segment is what it has to be.
    length: u64,
    /// Up to here the file has bytes.
    room: u64,
    state: State,
    closed: Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    /// Something may be behind the end that was never answered for.
    Littered,
}

/// The segments that are appended to no more.
#[derive(Clone, Debug, Default)]
pub(crate) struct Closed(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    /// Those to be merged, with the numbers of their last frames.
    segments: VecDeque<(u64, PathBuf)>,
    /// One that has been merged.
    spare: Option<PathBuf>,
}

impl Segments {
    pub(super) fn begin(folder: &Path, epoch: Epoch, first: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        if let Some(parent) = folder.parent() {
            sync_folder(parent)?;
        }
        clear(folder)?;
        let path = path_of(folder, first);
        let (file, room) = create(&path, epoch)?;
        sync_folder(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            epoch,
            path,
            file,
            length: HEAD_BYTES as u64,
            room,
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
        let end = self.length + frame.len() as u64;
        let written = self
            .make_room(end)
            .and_then(|()| self.file.write_all(frame))
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.state = State::Littered;
            if let Err(error) = self.clean() {
                tracing::error!(%error, "the log takes no more changes until its end is clean");
            }
            return Err(error);
        }
        self.length = end;
        self.room = self.room.max(end);
        Ok(())
    }

    /// Makes the file longer than it has to be, if the disk is not too full for that.
    fn make_room(&mut self, end: u64) -> io::Result<()> {
        if end <= self.room {
            return Ok(());
        }
        self.file.seek(SeekFrom::Start(self.room))?;
        while self.room < end {
            if let Err(error) = self.file.write_all(&ROOM) {
                tracing::debug!(%error, "the log could not be made longer than it has to be");
                break;
            }
            self.room += ROOM.len() as u64;
        }
        self.file.seek(SeekFrom::Start(self.length))?;
        Ok(())
    }

    /// Cuts off what was not written to its end.
    fn clean(&mut self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.room = self.length;
        self.file.seek(SeekFrom::Start(self.length))?;
        self.file.sync_data()?;
        self.state = State::Good;
        Ok(())
    }

    /// Begins the next segment, with the frame `first`.
    fn go_on(&mut self, first: u64) -> io::Result<()> {
        let path = path_of(&self.folder, first);
        let (file, room) = match self.closed.take_spare() {
            Some(spare) => reuse(&spare, &path)?,
            None => create(&path, self.epoch)?,
        };
        sync_folder(&self.folder)?;
        self.file = file;
        self.length = HEAD_BYTES as u64;
        self.room = room;
        let before = std::mem::replace(&mut self.path, path);
        self.closed.push(first - 1, before);
        Ok(())
    }

    pub(super) fn remove(self) -> io::Result<()> {
        drop(self.file);
        clear(&self.folder)?;
        sync_folder(&self.folder)
    }
}

impl Closed {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, last: u64, path: PathBuf) {
        self.lock().segments.push_back((last, path));
    }

    fn take_spare(&self) -> Option<PathBuf> {
        self.lock().spare.take()
    }

    /// Puts the segments of which the database has everything out of use.
    pub(in super::super) fn remove(&self, merged: u64) {
        let mut waiting = self.lock();
        while let Some((last, path)) = waiting.segments.pop_front() {
            if last > merged {
                waiting.segments.push_front((last, path));
                return;
            }
            let gone = if waiting.spare.is_none() {
                let spare = path.with_file_name(SPARE);
                fs::rename(&path, &spare).map(|()| waiting.spare = Some(spare))
            } else {
                fs::remove_file(&path)
            };
            if let Err(error) = gone {
                tracing::warn!(%error, "could not remove a merged part of the log");
            }
        }
    }
}

/// The segments that there are, in their order, with the numbers of their first frames.
pub(super) fn list(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let is_segment = path.extension().is_some_and(|ending| ending == ENDING);
        let number = path
            .file_stem()
            .and_then(|stem| stem.to_str()?.parse().ok());
        if let Some(first) = number.filter(|_| is_segment) {
            found.push((first, path));
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
    if !path.try_exists()? {
        // It was merged while it was read, and may have been written to as another.
        return Ok(None);
    }
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

fn path_of(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.{ENDING}"))
}

/// Makes an empty segment, and says how much room it has.
fn create(path: &Path, epoch: Epoch) -> io::Result<(File, u64)> {
    // One of this name holds nothing that was answered for, or its frames would be counted.
    let mut file = File::create(path)?;
    // In one piece: no power cut leaves the second half of a head alone.
    file.write_all(&[MARK, epoch].concat())?;
    file.sync_all()?;
    Ok((file, HEAD_BYTES as u64))
}

/// Makes a segment of a merged one, whose head is the same, and says how much room it has.
fn reuse(spare: &Path, path: &Path) -> io::Result<(File, u64)> {
    fs::rename(spare, path)?;
    let mut file = File::options().write(true).open(path)?;
    file.seek(SeekFrom::Start(HEAD_BYTES as u64))?;
    let room = file.metadata()?.len();
    Ok((file, room))
}

/// Removes all segments.
fn clear(folder: &Path) -> io::Result<()> {
    for (_, path) in list(folder)? {
        fs::remove_file(path)?;
    }
    match fs::remove_file(folder.join(SPARE)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
