//! The write-ahead log: what was decided, in its order, durable before anybody is told of it.
//!
//! Changes come for paths all over the database, and making each durable there would write a page
//! or two for each. So a group of them is appended here, as one frame and with one sync, and many
//! groups together are merged into the database later. The database says up to which frame it has
//! everything, in the transaction that brings it there, so that reading a frame twice does no
//! harm. The log is of one index only, whose epoch stands at the beginning of each segment.
//!
//! A frame that was not written to its end was never answered for, and ends the log. One that is
//! missing or damaged and has later ones behind it is a hole, which no crash makes: that is an
//! error.

mod frame;
mod segment;

use std::io;
use std::path::{Path, PathBuf};

use super::IndexError;
use super::layer::Layer;
use super::schema::Epoch;
pub(super) use segment::Closed;
use segment::Segments;

/// The folder of the log, beside the database.
const LOG_FOLDER: &str = "log";

/// Where the log of an index is.
pub(super) fn folder_of(index: &Path) -> PathBuf {
    index.with_file_name(LOG_FOLDER)
}

/// The end of the log, to which frames are appended.
#[derive(Debug)]
pub(super) struct Log {
    segments: Segments,
    epoch: Epoch,
    buffer: Vec<u8>,
    next: u64,
}

impl Log {
    /// Begins a log whose first frame comes after all that the database has. What older segments
    /// there are must have been merged, and go.
    pub(super) fn begin(folder: &Path, epoch: Epoch, merged: u64) -> io::Result<Self> {
        let next = merged + 1;
        Ok(Self {
            segments: Segments::begin(folder, epoch, next)?,
            epoch,
            buffer: Vec::new(),
            next,
        })
    }

    /// Makes a layer durable and returns the number of its frame. On an error nothing of it is in
    /// the log, or nothing more is accepted.
    pub(super) fn append(&mut self, layer: &Layer) -> Result<u64, IndexError> {
        let number = self.next;
        frame::write(&mut self.buffer, &self.epoch, number, layer)
            .map_err(|_| IndexError::Damaged("a group of changes is too large for its log"))?;
        self.segments.append(number, &self.buffer)?;
        self.next += 1;
        Ok(number)
    }

    /// What is told of the segments that can go once they are merged.
    pub(super) fn closed(&self) -> Closed {
        self.segments.closed()
    }

    /// Removes all of it, when all of it is merged.
    pub(super) fn remove(self) -> io::Result<()> {
        self.segments.remove()
    }
}

/// What a log holds that its database lacks.
#[derive(Debug, Default)]
pub(super) struct Unmerged {
    pub(super) layer: Layer,
    /// The number of its last frame, if there is any.
    pub(super) last: Option<u64>,
}

/// What a log held at one moment.
#[derive(Debug)]
pub(super) struct Frames(Vec<frame::Frame>);

impl Frames {
    /// Reads the log of an index of this epoch. It may be written to meanwhile.
    pub(super) fn read(folder: &Path, epoch: Epoch) -> Result<Self, IndexError> {
        loop {
            if let Some(frames) = Self::read_once(folder, epoch)? {
                return Ok(frames);
            }
        }
    }

    /// Nothing comes back if a segment was merged and removed meanwhile.
    fn read_once(folder: &Path, epoch: Epoch) -> Result<Option<Self>, IndexError> {
        let mut frames: Vec<frame::Frame> = Vec::new();
        for (first, path) in segment::list(folder)? {
            let hole = || IndexError::LogHole { path: path.clone() };
            if frames.last().is_some_and(|last| last.number + 1 != first) {
                return Err(hole());
            }
            let Some(mut bytes) = segment::read(&path, epoch)? else {
                return Ok(None);
            };
            let mut next = first;
            while let Some((frame, length)) = frame::read(&bytes, &epoch) {
                if frame.number != next {
                    break;
                }
                frames.push(frame);
                bytes = bytes.split_off(length);
                next += 1;
            }
            // What is left was in the file before, or was not written to its end.
            if frame::is_anywhere_in(&bytes, &epoch, next) {
                return Err(hole());
            }
        }
        Ok(Some(Self(frames)))
    }

    /// What a database lacks that has everything up to the frame `merged`.
    pub(super) fn since(self, folder: &Path, merged: u64) -> Result<Unmerged, IndexError> {
        let mut unmerged = Unmerged::default();
        for frame in self.0 {
            if frame.number <= merged {
                continue;
            }
            if unmerged.last.is_none() && frame.number != merged + 1 {
                return Err(IndexError::LogHole {
                    path: folder.to_owned(),
                });
            }
            unmerged.last = Some(frame.number);
            unmerged.layer.absorb(frame.layer);
        }
        Ok(unmerged)
    }
}

#[cfg(test)]
mod tests;
