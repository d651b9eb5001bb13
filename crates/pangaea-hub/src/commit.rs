//! The thread that decides on changes and makes them durable, and the one that brings them into
//! the database.
//!
//! Changes queue up while the first waits for the disk; it takes all that wait and makes them
//! durable together, so that one sync serves many. Each gets its own verdict. A queued change no
//! longer depends on the request that brought it: a client that hangs up leaves the old version or
//! the new one. The second thread follows behind, many groups at a time, and nobody waits for it
//! but those who need rows in their order.

use std::fs::File;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::blobs::Blobs;
use crate::index::{
    Again, Change, Index, IndexError, Layer, Merger, Opened, Part, Task, Unit, Verdict, Writer,
};
use crate::metrics::Metrics;
use crate::watched::Watched;

/// Requests whose changes may wait; beyond, requests wait before they join the queue. With single
/// bodies of up to 64 KiB, and batches that bring their own bound, this also bounds memory.
const QUEUE_MAX: usize = 1024;

/// Requests in one transaction.
const GROUP_MAX: usize = 256;

/// What became of each change of a request.
type Verdicts = Vec<Result<Verdict, IndexError>>;

/// What a request asks of the deciding thread.
struct Job {
    work: Work,
    /// What was reserved for the changes, as long as they are here.
    _room: Option<OwnedSemaphorePermit>,
}

enum Work {
    /// Changes of one request.
    Changes {
        part: Part,
        reply: oneshot::Sender<Result<Verdicts, IndexError>>,
    },
    /// Something durable that changes nothing; the answer is the number of its frame.
    Touch {
        reply: oneshot::Sender<Result<u64, IndexError>>,
    },
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
    index: Index,
    watched: Arc<Watched>,
}

impl Committer {
    /// Starts both threads, from within a runtime. The thread that is returned ends when every
    /// clone of the committer is gone, what was queued has been applied, and the other thread has
    /// brought all of it into the database; until then it holds `lock`.
    pub(crate) fn start(
        opened: Opened,
        blobs: Arc<Blobs>,
        metrics: Arc<Metrics>,
        lock: Arc<File>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let Opened {
            index,
            writer,
            merger,
        } = opened;
        let (queue, jobs) = mpsc::channel(QUEUE_MAX);
        let watched = Arc::new(Watched::default());
        let told = Told {
            watched: Arc::clone(&watched),
            metrics,
        };
        let runtime = Handle::current();
        let merging = std::thread::Builder::new()
            .name("pangaea-hub-merge".into())
            .spawn(move || merge(merger, &blobs))?;
        let thread = std::thread::Builder::new()
            .name("pangaea-hub-commit".into())
            .spawn(move || {
                let log = run(writer, &told, &runtime, jobs).end();
                if let Ok(Leftover::Nothing) = merging.join()
                    && let Err(error) = log.remove()
                {
                    tracing::warn!(%error, "could not remove the log; the next start does");
                }
                drop(lock);
            })?;
        let committer = Self {
            queue,
            index,
            watched,
        };
        Ok((committer, thread))
    }

    /// Who is told when a bucket has changed.
    pub(crate) fn watched(&self) -> &Arc<Watched> {
        &self.watched
    }

    /// Makes something durable that changes nothing and brings it into the database, to see
    /// whether that can be done.
    pub(crate) async fn touch(&self) -> Result<(), IndexError> {
        let (reply, frame) = oneshot::channel();
        self.queue(Work::Touch { reply }, None).await?;
        let frame = frame.await.unwrap_or(Err(IndexError::Stopping))?;
        self.index.merge_until(frame).await
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

    /// Applies changes together, in their order; one verdict for each. What `room` stands
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
        let part = Part { changes, unit };
        self.queue(Work::Changes { part, reply }, room).await?;
        verdicts.await.unwrap_or(Err(IndexError::Stopping))
    }

    async fn queue(
        &self,
        work: Work,
        room: Option<OwnedSemaphorePermit>,
    ) -> Result<(), IndexError> {
        let job = Job { work, _room: room };
        let queued = self.queue.send(job).await;
        queued.map_err(|_| IndexError::Stopping)
    }
}

/// Decides until nobody asks any more.
fn run(mut writer: Writer, told: &Told, runtime: &Handle, mut jobs: mpsc::Receiver<Job>) -> Writer {
    let mut group = Vec::with_capacity(GROUP_MAX);
    while jobs.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
        let answers = apply_group(&mut writer, told, group.drain(..));
        answer(runtime, answers);
    }
    writer
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

/// Applies what a group of requests asks for; all that they brought is gone before they are
/// answered, so that whoever hears of an answer sees the sweeper's view settled.
fn apply_group(writer: &mut Writer, told: &Told, group: impl Iterator<Item = Job>) -> Vec<Answer> {
    let (mut parts, mut replies, mut rooms) = (Vec::new(), Vec::new(), Vec::new());
    for Job { work, _room: room } in group {
        match work {
            Work::Changes { part, reply } => {
                replies.push((reply, part.changes.len()));
                parts.push(part);
                rooms.push(room);
            }
            Work::Touch { reply } => drop(reply.send(writer.touch())),
        }
    }
    if parts.is_empty() {
        return Vec::new();
    }
    let (requests, began) = (parts.len(), Instant::now());
    let applied = writer.apply(parts);
    drop(rooms);
    let applied = match applied {
        Ok(applied) => applied,
        Err(error) => {
            tracing::warn!(%error, requests, "a group of changes could not be made durable");
            let error = Arc::new(error);
            let failed = replies.into_iter().map(|(reply, _)| Answer {
                reply,
                verdicts: Err(IndexError::Behind(Arc::clone(&error))),
            });
            return failed.collect();
        }
    };
    told.metrics.committed(requests, began.elapsed());
    tracing::trace!(requests, "committed");
    for bucket in &applied.changed {
        told.watched.wake(bucket);
    }
    let mut verdicts = applied.verdicts.into_iter();
    let answers = replies.into_iter().map(|(reply, count)| Answer {
        reply,
        verdicts: Ok(verdicts.by_ref().take(count).collect()),
    });
    answers.collect()
}

/// What a thread that merges has left behind.
enum Leftover {
    Nothing,
    /// What the log holds, for the next start.
    Log,
}

/// Brings into the database what was decided, until nothing more will be.
fn merge(mut merger: Merger, blobs: &Blobs) -> Leftover {
    while let Task::Merge(layer, until) = merger.next_task() {
        let mut is_failing = false;
        let released = loop {
            let error = match merger.merge(&layer, until) {
                Ok(released) => break released,
                Err(error) => error,
            };
            if !is_failing {
                is_failing = true;
                tracing::error!(
                    %error,
                    "the index takes no changes; they are kept in the log, and tried again"
                );
            }
            if merger.failed(error) == Again::No {
                tracing::warn!("the next start brings the rest of the log into the index");
                return Leftover::Log;
            }
        };
        if is_failing {
            tracing::info!("the index takes changes again");
        }
        for blob in released {
            blobs.suspect(blob);
        }
        let_go(layer);
    }
    if merger.is_done() {
        Leftover::Nothing
    } else {
        Leftover::Log
    }
}

/// The database names the layer's blobs now.
fn let_go(layer: Arc<Layer>) {
    for pin in Arc::into_inner(layer)
        .into_iter()
        .flat_map(Layer::into_pins)
    {
        // One that a later change has as well stays pinned for that one's sake.
        if let Some(mut blob) = Arc::into_inner(pin) {
            blob.mark_committed();
        }
    }
}
