//! The one thread that writes to the index, and group commit.
//!
//! Changes queue up while the thread waits for the disk; it takes all that wait and applies them
//! in one transaction, so that one sync makes many changes durable. Each gets its own verdict. A
//! queued change no longer depends on the request that brought it: a client that hangs up leaves
//! the old version or the new one.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use crate::blobs::Blobs;
use crate::index::{Applied, Change, IndexError, NewBody, Verdict, Writer};

/// Changes that may wait; beyond, requests wait before they join the queue. With bodies of up to
/// 64 KiB this also bounds memory.
const QUEUE_MAX: usize = 1024;

/// Changes in one transaction.
const GROUP_MAX: usize = 256;

struct Job {
    change: Change,
    reply: oneshot::Sender<Result<Verdict, IndexError>>,
}

/// Hands changes to the writing thread; cheap to clone.
#[derive(Clone)]
pub(crate) struct Committer {
    queue: mpsc::Sender<Job>,
}

impl Committer {
    /// Starts the writing thread. It ends, having applied what was queued, when every clone of
    /// the committer is gone.
    pub(crate) fn start(
        writer: Writer,
        blobs: Arc<Blobs>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("pangaea-hub-commit".into())
            .spawn(move || run(writer, &blobs, jobs))?;
        Ok((Self { queue }, thread))
    }

    /// Applies a change; it is durable when this returns `Done`.
    ///
    /// # Cancel safety
    /// Once queued, the change is applied whether or not this future is polled again.
    pub(crate) async fn commit(&self, change: Change) -> Result<Verdict, IndexError> {
        let (reply, verdict) = oneshot::channel();
        let job = Job { change, reply };
        self.queue
            .send(job)
            .await
            .map_err(|_| IndexError::Stopping)?;
        verdict.await.unwrap_or(Err(IndexError::Stopping))
    }
}

fn run(mut writer: Writer, blobs: &Blobs, mut jobs: mpsc::Receiver<Job>) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while jobs.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
        apply_group(&mut writer, blobs, std::mem::take(&mut group));
    }
}

fn apply_group(writer: &mut Writer, blobs: &Blobs, group: Vec<Job>) {
    let changes: Vec<&Change> = group.iter().map(|job| &job.change).collect();
    match writer.apply(&changes) {
        Ok(applied) => answer(blobs, group, applied),
        Err(IndexError::Busy) => {
            // The wait was long enough for all of them.
            for job in group {
                finish(job, Err(IndexError::Busy));
            }
        }
        Err(error) if group.len() > 1 => {
            // Nothing of the group took place. One change that the database cannot take must not
            // fail the others, so each is tried by itself.
            tracing::warn!(%error, changes = group.len(), "splitting a group of changes");
            for job in group {
                apply_group(writer, blobs, vec![job]);
            }
        }
        Err(error) => {
            let mut error = Some(error);
            for job in group {
                finish(job, Err(error.take().unwrap_or(IndexError::Stopping)));
            }
        }
    }
}

fn answer(blobs: &Blobs, group: Vec<Job>, applied: Applied) {
    tracing::trace!(changes = group.len(), "committed");
    for (job, verdict) in group.into_iter().zip(applied.verdicts) {
        finish(job, Ok(verdict));
    }
    for blob in applied.released {
        blobs.suspect(blob);
    }
}

fn finish(job: Job, verdict: Result<Verdict, IndexError>) {
    let Job { mut change, reply } = job;
    if let (Ok(Verdict::Done), Change::Store(store)) = (&verdict, &mut change)
        && let NewBody::Blob(blob) = &mut store.body
    {
        blob.mark_committed();
    }
    // Released before the answer, so that a test or a client sees the sweep's view settled.
    drop(change);
    // The client may have gone; the change stands.
    if reply.send(verdict).is_err() {
        tracing::debug!("a change was committed after its client had gone");
    }
}
