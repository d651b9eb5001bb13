//! Frames: how the `batch` and `fetch` accelerations put many files into one body.
//!
//! A frame is a line of JSON, ended by a line feed, and then exactly as many raw bytes as the line
//! says. [`write_head`] and [`Decoder`] are the two directions; what the lines mean is in
//! [`crate::batch`] and [`crate::fetch`].

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::FRAME_HEAD_BYTES_MAX;

/// The first line of a frame.
pub trait FrameHead: Serialize + DeserializeOwned {
    /// How many bytes follow the line.
    fn length(&self) -> u64;
}

/// Why bytes are no sequence of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// There is no line feed where there must be one.
    #[error("a frame's first line is longer than {FRAME_HEAD_BYTES_MAX} bytes")]
    HeadTooLong,
    /// The line is not the JSON that it should be.
    #[error("a frame's first line cannot be read")]
    BadHead,
}

/// Appends a frame's first line to `out`. The frame's bytes, if any, come right after it.
///
/// # Errors
/// [`FrameError`] if no decoder would take the line; `out` is then as it was.
pub fn write_head<H: FrameHead>(head: &H, out: &mut Vec<u8>) -> Result<(), FrameError> {
    let before = out.len();
    let written = serde_json::to_writer(&mut *out, head).map_err(|_| FrameError::BadHead);
    out.push(b'\n');
    let fits = out.len() - before <= FRAME_HEAD_BYTES_MAX;
    let result = written.and(fits.then_some(()).ok_or(FrameError::HeadTooLong));
    if result.is_err() {
        out.truncate(before);
    }
    result
}

/// What a [`Decoder`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'a, H> {
    /// A frame begins.
    Head(H),
    /// The next bytes of the frame that began last; never empty.
    Bytes(&'a [u8]),
}

/// Takes a body apart that comes in pieces of any size. It never holds more than one line.
#[derive(Debug)]
pub struct Decoder<H> {
    line: Vec<u8>,
    remaining: u64,
    head: PhantomData<fn() -> H>,
}

impl<H: FrameHead> Decoder<H> {
    /// A decoder at the beginning of a body.
    #[must_use]
    pub fn new() -> Self {
        Self {
            line: Vec::new(),
            remaining: 0,
            head: PhantomData,
        }
    }

    /// Takes the next piece from the front of `input`; none once all of it is taken.
    ///
    /// # Errors
    /// [`FrameError`], after which the decoder is of no more use.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<Piece<'a, H>>, FrameError> {
        if input.is_empty() {
            return Ok(None);
        }
        if self.remaining > 0 {
            let wanted = usize::try_from(self.remaining).unwrap_or(usize::MAX);
            let (bytes, rest) = input.split_at(wanted.min(input.len()));
            *input = rest;
            self.remaining -= bytes.len() as u64;
            return Ok(Some(Piece::Bytes(bytes)));
        }
        let end = input.iter().position(|byte| *byte == b'\n');
        let (part, rest) = input.split_at(end.map_or(input.len(), |end| end + 1));
        if self.line.len() + part.len() > FRAME_HEAD_BYTES_MAX {
            return Err(FrameError::HeadTooLong);
        }
        *input = rest;
        self.line.extend_from_slice(part);
        if end.is_none() {
            return Ok(None);
        }
        let head: H = serde_json::from_slice(&self.line).map_err(|_| FrameError::BadHead)?;
        self.line.clear();
        self.remaining = head.length();
        Ok(Some(Piece::Head(head)))
    }

    /// Whether the last frame that began is complete and no other has begun. Only here may a body
    /// end.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.remaining == 0 && self.line.is_empty()
    }
}

impl<H: FrameHead> Default for Decoder<H> {
    fn default() -> Self {
        Self::new()
    }
}
