//! The one thread that writes to the index, and group commit.
//!
//! Changes queue up while the thread waits for the disk; it takes all that wait and applies them
//! in one transaction, so that one sync makes many changes durable. Each gets its own verdict. A
//! queued change no longer depends on the request that brought it: a client that hangs up leaves
//! the old version or the new one.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gaia::address::Address;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::blobs::{BlobId, Blobs};
use crate::index::{Applied, Change, IndexError, NewBody, Part, Unit, Verdict, Writer};
use crate::metrics::Metrics;
use crate::watched::Watched;

/// Requests whose changes may wait; beyond, requests wait before they join the queue. With single
/// bodies of up to 64 KiB, and batches that bring their own bound, this also bounds memory.
const QUEUE_MAX: usize = 1024;

/// Requests in one transaction.
const GROUP_MAX: usize = 256;

/// A group of so many requests tells that many clients write at the same time.
const BUSY_FROM: usize = 8;

/// How long to wait then for those who were just answered and are about to send more: one sync for
/// all is cheaper than two for a half each.
const GATHER: Duration = Duration::from_micros(400);

/// What became of each change of a request.
type Verdicts = Vec<Result<Verdict, IndexError>>;

/// The changes of one request.
struct Job {
    changes: Vec<Change>,
    unit: Unit,
    reply: oneshot::Sender<Result<Verdicts, IndexError>>,
    /// What was reserved for the changes, as long as they are here.
    _room: Option<OwnedSemaphorePermit>,
}

/// What a request is about to be told.
struct Answer {
    reply: oneshot::Sender<Result<Verdicts, IndexError>>,
    verdicts: Result<Verdicts, IndexError>,
}

/// Who hears of what was committed.
struct Told {
    watched: Arc<Watched>,
    metrics: Arc<Metrics>,
}

/// Hands changes to the writing thread; cheap to clone.
#[derive(Clone)]
pub(crate) struct Committer {
    queue: mpsc::Sender<Job>,
    watched: Arc<Watched>,
}

impl Committer {
    /// Starts the writing thread, from within a runtime. It ends, having applied what was queued,
    /// when every clone of the committer is gone.
    pub(crate) fn start(
        writer: Writer,
        blobs: Arc<Blobs>,
        metrics: Arc<Metrics>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let watched = Arc::new(Watched::default());
        let told = Told {
            watched: Arc::clone(&watched),
            metrics,
        };
        let runtime = Handle::current();
        let thread = std::thread::Builder::new()
            .name("pangaea-hub-commit".into())
            .spawn(move || run(writer, &blobs, &told, &runtime, jobs))?;
        Ok((Self { queue, watched }, thread))
    }

    /// Who is told when a bucket has changed.
    pub(crate) fn watched(&self) -> &Arc<Watched> {
        &self.watched
    }

    /// Makes a commit that changes nothing, to see whether one can be made.
    pub(crate) async fn touch(&self) -> Result<(), IndexError> {
        self.commit_all(Vec::new(), Unit::Each, None)
            .await
            .map(drop)
    }

    /// Requests that wait for their turn.
    pub(crate) fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }

    /// Applies a change; it is durable when this returns `Done`.
    ///
    /// # Cancel safety
    /// Once queued, the change is applied whether or not this future is polled again.
    pub(crate) async fn commit(&self, change: Change) -> Result<Verdict, IndexError> {
        let verdicts = self.commit_all(vec![change], Unit::Each, None).await?;
        verdicts
            .into_iter()
            .next()
            .unwrap_or(Err(IndexError::Stopping))
    }

    /// Applies changes in one transaction, in their order; one verdict for each. What `room` stands
    /// for is given back when they are done with.
    ///
    /// # Cancel safety
    /// As of [`Self::commit`].
    pub(crate) async fn commit_all(
        &self,
        changes: Vec<Change>,
        unit: Unit,
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<Verdicts, IndexError> {
        let (reply, verdicts) = oneshot::channel();
        let job = Job {
            changes,
            unit,
            reply,
            _room: room,
        };
        self.queue
            .send(job)
            .await
            .map_err(|_| IndexError::Stopping)?;
        verdicts.await.unwrap_or(Err(IndexError::Stopping))
    }
}

fn run(
    mut writer: Writer,
    blobs: &Blobs,
    told: &Told,
    runtime: &Handle,
    mut jobs: mpsc::Receiver<Job>,
) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    let mut is_busy = false;
    while jobs.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
        if is_busy {
            std::thread::sleep(GATHER);
            while group.len() < GROUP_MAX
                && let Ok(job) = jobs.try_recv()
            {
                group.push(job);
            }
        }
        is_busy = group.len() >= BUSY_FROM;
        let group = std::mem::take(&mut group);
        let mut answers = Vec::with_capacity(group.len());
        apply_group(&mut writer, blobs, told, group, &mut answers);
        answer(runtime, answers);
    }
}

/// Tells the requests of a group what became of them. That wakes each of them, which is cheaper
/// where they run than from this thread, and the next group need not wait for it.
fn answer(runtime: &Handle, answers: Vec<Answer>) {
    let told = async move {
        for Answer { reply, verdicts } in answers {
            // The client may have gone; the changes stand.
            if reply.send(verdicts).is_err() {
                tracing::debug!("changes were committed after their client had gone");
            }
        }
    };
    drop(runtime.spawn(told));
}

fn apply_group(
    writer: &mut Writer,
    blobs: &Blobs,
    told: &Told,
    group: Vec<Job>,
    answers: &mut Vec<Answer>,
) {
    let parts: Vec<_> = group
        .iter()
        .map(|job| Part {
            changes: &job.changes,
            unit: job.unit,
        })
        .collect();
    let began = Instant::now();
    match writer.apply(&parts) {
        Ok(applied) => {
            told.metrics.committed(group.len(), began.elapsed());
            tracing::trace!(requests = group.len(), "committed");
            let mut verdicts = applied.verdicts.into_iter().map(Ok);
            for job in group {
                let own = verdicts.by_ref().take(job.changes.len()).collect();
                answers.push(finish(job, Ok(own)));
            }
            wake(&told.watched, &applied.changed);
            release(blobs, applied.released);
        }
        Err(IndexError::Busy) => {
            // The wait was long enough for all of them.
            for job in group {
                answers.push(finish(job, Err(IndexError::Busy)));
            }
        }
        Err(error) if group.len() > 1 => {
            // Nothing of the group took place. One change that the database cannot take must not
            // fail the others, so each request is tried by itself.
            tracing::warn!(%error, requests = group.len(), "splitting a group of changes");
            for job in group {
                apply_group(writer, blobs, told, vec![job], answers);
            }
        }
        Err(error) => {
            let Some(job) = group.into_iter().next() else {
                return;
            };
            let verdicts = if job.unit == Unit::Each && job.changes.len() > 1 {
                tracing::warn!(%error, changes = job.changes.len(), "splitting a batch");
                Ok(apply_singly(writer, blobs, told, &job.changes))
            } else {
                Err(error)
            };
            answers.push(finish(job, verdicts));
        }
    }
}

/// Applies each change in a transaction of its own.
fn apply_singly(writer: &mut Writer, blobs: &Blobs, told: &Told, changes: &[Change]) -> Verdicts {
    let apply = |change| {
        let part = Part {
            changes: std::slice::from_ref(change),
            unit: Unit::Each,
        };
        let Applied {
            verdicts,
            released,
            changed,
        } = writer.apply(&[part])?;
        wake(&told.watched, &changed);
        release(blobs, released);
        verdicts.into_iter().next().ok_or(IndexError::Stopping)
    };
    changes.iter().map(apply).collect()
}

fn wake(watched: &Watched, changed: &[Address]) {
    for bucket in changed {
        watched.wake(bucket);
    }
}

fn release(blobs: &Blobs, released: Vec<BlobId>) {
    for blob in released {
        blobs.suspect(blob);
    }
}

/// Lets go of the changes. They are gone before the answer, so that a test or a client sees the
/// sweep's view settled.
fn finish(job: Job, verdicts: Result<Verdicts, IndexError>) -> Answer {
    let Job { changes, reply, .. } = job;
    for (at, change) in changes.into_iter().enumerate() {
        let verdict = verdicts.as_ref().ok().and_then(|all| all.get(at));
        if let (Some(Ok(Verdict::Done)), Change::Store(mut store)) = (verdict, change)
            && let NewBody::Blob(blob) = &mut store.body
        {
            blob.mark_committed();
        }
    }
    Answer { reply, verdicts }
}
