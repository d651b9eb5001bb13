//! Content on the move: bytes in memory, a file, or a stream. What is small travels as bytes, what
//! is large is never held in memory whole.

use std::path::PathBuf;

use bytes::Bytes;
use futures_util::stream::Stream;

/// Up to this many bytes travel in memory; more goes through files and streams.
pub const IN_MEMORY_BYTES_MAX: u64 = 1024 * 1024;

/// Plain or stored content that can be read more than once.
#[derive(Debug, Clone)]
pub enum Body {
    /// In memory.
    Bytes(Bytes),
    /// In a file of this length, which the reader must not change.
    File {
        /// Where.
        path: PathBuf,
        /// Length in bytes.
        size: u64,
    },
}

impl Body {
    /// Length in bytes.
    pub fn size(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { size, .. } => *size,
        }
    }
}

/// Bytes as they come, or the error that cut them off.
#[cfg(not(target_arch = "wasm32"))]
pub type ByteStream<E> = std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, E>> + Send>>;
/// Bytes as they come, or the error that cut them off.
#[cfg(target_arch = "wasm32")]
pub type ByteStream<E> = std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, E>>>>;
