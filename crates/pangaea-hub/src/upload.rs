//! Receiving bodies: counted, hashed and, when large, written to the staging folder
//! while it arrives.
//!
//! Disk and hashing of large bodies run on blocking threads, a piece at a time, so a slow client
//! holds no thread. A body that is cut off, too slow or too large leaves nothing behind.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gaia::etag::ETag;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::blobs::{BlobId, Blobs, INLINE_BYTES_MAX, Staging};
use crate::error::Refusal;
use crate::hub::Hub;
use crate::index::NewBody;
use crate::metrics::Metrics;

/// How long a body may take whatever its size.
const GRACE: Duration = Duration::from_secs(60);

/// Beyond the grace, a body must come at this rate at least.
const BYTES_PER_SECOND_MIN: u64 = 1024;

/// How much is collected before it is handed to the disk.
const PIECE_BYTES: usize = 1024 * 1024;

/// What is read and thrown away after a refusal, so that the client gets to see the answer.
const DRAIN_BYTES_MAX: u64 = 32 * 1024 * 1024;
const DRAIN_TIME_MAX: Duration = Duration::from_secs(10);

/// A complete body.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) body: NewBody,
    pub(crate) size: u64,
    pub(crate) etag: ETag,
    pub(crate) digest: BlobId,
}

/// The pieces of a request's body, with time limits.
pub(crate) struct Pieces {
    body: Incoming,
    /// The longest silence of a client.
    silence: Duration,
    metrics: Arc<Metrics>,
    /// Turns true when a stopping hub waits no longer.
    giving_up: watch::Receiver<bool>,
    deadline: Instant,
    bytes_per_second_min: u64,
    received: u64,
}

impl Pieces {
    pub(crate) fn new(hub: &Hub, body: Incoming) -> Self {
        Self {
            body,
            silence: hub.config().time_limits.body_silence,
            metrics: Arc::clone(hub.metrics()),
            giving_up: hub.giving_up(),
            deadline: Instant::now() + GRACE,
            bytes_per_second_min: BYTES_PER_SECOND_MIN,
            received: 0,
        }
    }

    /// Asks for another rate, where a body takes up more than disk while it comes.
    pub(crate) fn at_least(mut self, bytes_per_second: u64) -> Self {
        self.bytes_per_second_min = bytes_per_second.max(1);
        self
    }

    /// The next piece, or nothing at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Refusal> {
        let mut giving_up = self.giving_up.clone();
        tokio::select! {
            biased;
            piece = self.next_of_body() => piece,
            _ = giving_up.wait_for(|giving_up| *giving_up) => Err(Refusal::Stopping),
        }
    }

    async fn next_of_body(&mut self) -> Result<Option<Bytes>, Refusal> {
        loop {
            let earned = Duration::from_secs(self.received / self.bytes_per_second_min);
            let until = (Instant::now() + self.silence).min(self.deadline + earned);
            let frame = timeout_at(until, self.body.frame())
                .await
                .map_err(|_| Refusal::TooSlow)?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| {
                tracing::debug!(%error, "a body ended early");
                Refusal::Incomplete
            })?;
            // Trailers mean nothing here.
            if let Ok(data) = frame.into_data() {
                self.received += data.len() as u64;
                self.metrics.received_bytes.add(data.len() as u64);
                return Ok(Some(data));
            }
        }
    }

    /// Bytes received so far.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Reads on for a while in the background. Closing a connection on a client that still sends
    /// would take the answer from it.
    pub(crate) fn drain(mut self) {
        tokio::spawn(async move {
            let until = self.received + DRAIN_BYTES_MAX;
            let rest = async {
                while let Ok(Some(_)) = self.next_of_body().await
                    && self.received < until
                {}
            };
            if timeout(DRAIN_TIME_MAX, rest).await.is_err() {
                tracing::debug!("gave up on a client that went on sending after a refusal");
            }
        });
    }
}

/// Receives a body of at most `bytes_max` bytes.
pub(crate) async fn receive(
    pieces: &mut Pieces,
    blobs: &Arc<Blobs>,
    bytes_max: u64,
    too_large: impl Fn(u64) -> Refusal,
) -> Result<Received, Refusal> {
    let mut collector = Collector::new(blobs);
    while let Some(piece) = pieces.next().await? {
        if pieces.received() > bytes_max {
            return Err(too_large(pieces.received()));
        }
        collector.push(piece).await?;
    }
    Ok(collector.finish().await?)
}

/// Collects one body: in memory as long as it is small, then in a staged file.
pub(crate) struct Collector {
    blobs: Arc<Blobs>,
    small: Vec<u8>,
    spool: Option<Spool>,
}

impl Collector {
    pub(crate) fn new(blobs: &Arc<Blobs>) -> Self {
        Self {
            blobs: Arc::clone(blobs),
            small: Vec::new(),
            spool: None,
        }
    }

    pub(crate) async fn push(&mut self, piece: Bytes) -> io::Result<()> {
        if let Some(spool) = &mut self.spool {
            return spool.push(piece).await;
        }
        self.small.extend_from_slice(&piece);
        if self.small.len() > INLINE_BYTES_MAX {
            let first = Bytes::from(std::mem::take(&mut self.small));
            self.spool = Some(Spool::start(&self.blobs, first));
        }
        Ok(())
    }

    /// The whole body, durable if it is a large one.
    pub(crate) async fn finish(self) -> io::Result<Received> {
        if let Some(spool) = self.spool {
            let staging = spool.finish().await?;
            let staged = blocking(move || staging.finish()).await?;
            return Ok(Received {
                size: staged.size,
                etag: staged.etag,
                digest: staged.blob.id(),
                body: NewBody::Blob(staged.blob),
            });
        }
        let body = Bytes::from(self.small);
        Ok(Received {
            size: body.len() as u64,
            etag: ETag::of(&body),
            digest: BlobId::of(&body),
            body: NewBody::Inline(body),
        })
    }
}

/// Writes pieces to a staged file: one batch is with the disk while the next is collected.
/// Dropped half-way, the staged file goes as soon as the disk is done with its batch.
struct Spool {
    writing: JoinHandle<io::Result<Staging>>,
    pending: Vec<Bytes>,
    pending_bytes: usize,
}

impl Spool {
    fn start(blobs: &Arc<Blobs>, first: Bytes) -> Self {
        let blobs = Arc::clone(blobs);
        let writing = tokio::task::spawn_blocking(move || {
            let mut staging = blobs.stage()?;
            staging.write(&first)?;
            Ok(staging)
        });
        Self {
            writing,
            pending: Vec::new(),
            pending_bytes: 0,
        }
    }

    async fn push(&mut self, piece: Bytes) -> io::Result<()> {
        self.pending_bytes += piece.len();
        self.pending.push(piece);
        if self.pending_bytes >= PIECE_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> io::Result<()> {
        let mut staging = joined((&mut self.writing).await)?;
        let batch = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        self.writing = tokio::task::spawn_blocking(move || {
            for piece in batch {
                staging.write(&piece)?;
            }
            Ok(staging)
        });
        Ok(())
    }

    async fn finish(mut self) -> io::Result<Staging> {
        self.flush().await?;
        joined(self.writing.await)
    }
}

/// Runs disk work off the async threads.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    joined(tokio::task::spawn_blocking(work).await)
}

fn joined<T>(result: Result<io::Result<T>, tokio::task::JoinError>) -> io::Result<T> {
    result.unwrap_or_else(|error| Err(io::Error::other(error)))
}
