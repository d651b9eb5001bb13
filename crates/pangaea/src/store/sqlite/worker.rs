//! A thread that owns something blocking, and the way to hand it work from async code.
//!
//! Work that was handed over is carried out even if nobody waits for the answer any more, so a
//! caller that is cancelled leaves a whole transaction behind, or none.

use std::sync::mpsc;
use std::thread;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::store::StoreError;

type Job<S> = Box<dyn FnOnce(&mut S) + Send>;

/// A thread with a value of its own, which ends when this is dropped.
pub(super) struct Worker<S> {
    jobs: Option<mpsc::Sender<Job<S>>>,
    thread: Option<JoinHandle<()>>,
}

impl<S: Send + 'static> Worker<S> {
    pub(super) fn start(name: &'static str, mut state: S) -> Result<Self, StoreError> {
        let (sender, receiver) = mpsc::channel::<Job<S>>();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                while let Ok(job) = receiver.recv() {
                    job(&mut state);
                }
            })
            .map_err(|error| StoreError::io("starting a thread", error))?;
        Ok(Self {
            jobs: Some(sender),
            thread: Some(thread),
        })
    }

    /// Carries out `work` on the thread, after all that was handed over before.
    pub(super) async fn run<T, W>(&self, work: W) -> Result<T, StoreError>
    where
        T: Send + 'static,
        W: FnOnce(&mut S) -> Result<T, StoreError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job: Job<S> = Box::new(move |state| {
            // An error means that nobody waits any more.
            answer.send(work(state)).ok();
        });
        let sent = self
            .jobs
            .as_ref()
            .is_some_and(|jobs| jobs.send(job).is_ok());
        if !sent {
            return Err(stopped());
        }
        answered.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl<S> Drop for Worker<S> {
    fn drop(&mut self) {
        drop(self.jobs.take());
        // Waiting makes sure that files and locks are free when the store is gone. A thread that
        // panicked has nothing left to wait for.
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// The thread is gone, which a panic in an earlier job must have caused.
fn stopped() -> StoreError {
    StoreError::io(
        "the store has stopped after an earlier failure; restart the program",
        "stopped",
    )
}
