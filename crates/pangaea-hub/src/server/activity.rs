//! What a connection is doing, so that one whose client does nothing can be given to another.
//!
//! HTTP libraries time the heads of HTTP/1 requests and nothing else. A client that keeps an idle
//! HTTP/2 connection, or asks for a large file and does not take it, would keep its place for
//! ever. The end of an [`Answering`] is also the moment at which an answer is out of our hands.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::config::TimeLimits;
use crate::metrics::Metrics;
use crate::respond::Body;

/// Clients may be this slow.
const BYTES_PER_SECOND_MIN: usize = 1024;

/// The doings of one connection.
#[derive(Debug)]
pub(super) struct Activity {
    limits: TimeLimits,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    /// Requests whose answers have not been handed over whole.
    answers: Vec<Pending>,
    next_id: u64,
    /// By when the next request must come, while there is no answer to give.
    quiet_until: Instant,
    watcher: Watcher,
}

#[derive(Debug)]
struct Pending {
    id: u64,
    /// By when the client must have taken what it was given; nothing while the hub is at work.
    taken_until: Option<Instant>,
}

#[derive(Debug, PartialEq)]
enum Watcher {
    /// Looks again by itself.
    Sleeps,
    /// Has to be told when there is a time to wait for.
    Waits,
}

/// A request from its head to the end of its answer.
#[derive(Debug)]
pub(super) struct Answering {
    activity: Arc<Activity>,
    id: u64,
    /// Bytes in the last piece.
    last: usize,
}

/// The body of an answer, with an eye on how it is taken.
pub(super) struct WatchedBody {
    body: Body,
    answering: Answering,
}

impl Activity {
    pub(super) fn new(limits: TimeLimits, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            limits,
            metrics,
            state: Mutex::new(State {
                answers: Vec::new(),
                next_id: 0,
                quiet_until: Instant::now() + limits.first_request,
                watcher: Watcher::Sleeps,
            }),
            changed: Notify::new(),
        })
    }

    /// A request has come.
    pub(super) fn begin(self: &Arc<Self>) -> Answering {
        let mut state = self.state();
        let id = state.next_id;
        state.next_id += 1;
        state.answers.push(Pending {
            id,
            taken_until: None,
        });
        Answering {
            activity: Arc::clone(self),
            id,
            last: 0,
        }
    }

    /// Returns when the client has kept the connection waiting for too long.
    pub(super) async fn too_quiet(&self) {
        loop {
            match self.look() {
                Some(until) if until <= Instant::now() => return,
                Some(until) => sleep_until(until).await,
                None => self.changed.notified().await,
            }
        }
    }

    /// The first time by which the client has to do something.
    fn look(&self) -> Option<Instant> {
        let mut state = self.state();
        let until = if state.answers.is_empty() {
            Some(state.quiet_until)
        } else {
            state.answers.iter().filter_map(|one| one.taken_until).min()
        };
        state.watcher = match until {
            Some(_) => Watcher::Sleeps,
            None => Watcher::Waits,
        };
        until
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, state: &State) {
        if state.watcher == Watcher::Waits {
            self.changed.notify_one();
        }
    }
}

impl Answering {
    pub(super) fn watch(self, body: Body) -> WatchedBody {
        WatchedBody {
            body,
            answering: self,
        }
    }

    /// The client has taken what it was given, and the hub is at work.
    fn asked(&self) {
        self.set(None);
    }

    /// The client was given a piece.
    fn gave(&mut self, bytes: usize) {
        self.last = bytes;
        self.activity.metrics.sent_bytes.add(bytes as u64);
        let limits = &self.activity.limits;
        self.set(Some(Instant::now() + limits.answer_stall + earned(bytes)));
    }

    fn set(&self, until: Option<Instant>) {
        let mut state = self.activity.state();
        let pending = state.answers.iter_mut().find(|one| one.id == self.id);
        if let Some(pending) = pending {
            pending.taken_until = until;
        }
        if until.is_some() {
            self.activity.tell(&state);
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let mut state = self.activity.state();
        state.answers.retain(|one| one.id != self.id);
        if state.answers.is_empty() {
            // The last piece may still be on its way through the library's buffers.
            let idle = self.activity.limits.idle + earned(self.last);
            state.quiet_until = Instant::now() + idle;
            self.activity.tell(&state);
        }
    }
}

fn earned(bytes: usize) -> Duration {
    Duration::from_secs((bytes / BYTES_PER_SECOND_MIN) as u64)
}

impl http_body::Body for WatchedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.answering.asked();
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            self.answering.gave(bytes);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
