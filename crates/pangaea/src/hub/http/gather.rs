//! Gathering calls that are made at the same time into requests that hold many of them. Nobody
//! waits for company: while few requests are under way, what is there is sent at once; what comes
//! while they are is sent together as soon as one of them returns.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;

use tokio::sync::oneshot;

use super::failure;
use super::platform::Movable;
use super::platform::spawn;
use super::platform::yield_now;
use crate::hub::HubError;

/// Requests of one kind under way at a time. More would each hold fewer calls.
const RUNNING_MAX: usize = 4;

/// A call that can be sent together with others.
pub(super) trait Gathered {
    /// What comes back.
    type Reply;

    /// Roughly the bytes that it adds to a request.
    fn weight(&self) -> usize;
}

/// How much one request holds; at least one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) calls_max: usize,
    pub(super) weight_max: usize,
}

/// A call that waits for its result.
pub(super) struct Waiting<C: Gathered> {
    pub(super) call: C,
    reply: oneshot::Sender<Result<C::Reply, HubError>>,
}

impl<C: Gathered> Waiting<C> {
    /// Hands the result over.
    pub(super) fn reply(self, result: Result<C::Reply, HubError>) {
        // Whoever asked may have gone in the meantime.
        self.reply.send(result).ok();
    }
}

/// The calls of one kind.
pub(super) struct Gather<C: Gathered> {
    state: Mutex<State<C>>,
    limits: Limits,
}

struct State<C: Gathered> {
    waiting: VecDeque<Waiting<C>>,
    running: usize,
}

impl<C: Gathered> Gather<C> {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        let state = State {
            waiting: VecDeque::new(),
            running: 0,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            limits,
        })
    }

    /// Adds a call. A turn comes back if a request may be sent now: `carry` has to take it.
    fn push(self: &Arc<Self>, waiting: Waiting<C>) -> Option<Turn<C>> {
        let mut state = self.state();
        state.waiting.push_back(waiting);
        if state.running >= RUNNING_MAX {
            return None;
        }
        state.running += 1;
        Some(Turn {
            gather: Arc::clone(self),
            is_over: false,
        })
    }

    /// Makes a call and waits for its result. `send` sends what was gathered, and replies to each
    /// of it. It runs in a task of its own, since it serves others as well.
    pub(super) async fn call<F, S>(self: &Arc<Self>, call: C, send: S) -> Result<C::Reply, HubError>
    where
        C: Movable + 'static,
        C::Reply: Movable,
        S: Fn(Vec<Waiting<C>>) -> F + Movable + 'static,
        F: Future<Output = ()> + Movable,
    {
        let (reply, result) = oneshot::channel();
        if let Some(mut turn) = self.push(Waiting { call, reply }) {
            spawn(async move {
                // Calls that are about to be made come along.
                yield_now().await;
                while let Some(calls) = turn.next() {
                    send(calls).await;
                }
            });
        }
        result.await.unwrap_or_else(|_| {
            Err(failure::unreachable(
                "the request was cut off inside this program",
            ))
        })
    }

    fn state(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to have one request under way at a time.
struct Turn<C: Gathered> {
    gather: Arc<Gather<C>>,
    is_over: bool,
}

impl<C: Gathered> Turn<C> {
    /// What the next request holds; none if nothing waits, and then the turn is over. Calls that
    /// were given up are left out.
    fn next(&mut self) -> Option<Vec<Waiting<C>>> {
        let Limits {
            calls_max,
            weight_max,
        } = self.gather.limits;
        let mut state = self.gather.state();
        let (mut taken, mut weight) = (Vec::new(), 0);
        while let Some(first) = state.waiting.front() {
            if first.reply.is_closed() {
                state.waiting.pop_front();
                continue;
            }
            weight += first.call.weight();
            if taken.len() >= calls_max || (!taken.is_empty() && weight > weight_max) {
                break;
            }
            taken.extend(state.waiting.pop_front());
        }
        if taken.is_empty() {
            // Under the same lock as the look, so that nobody queues for a turn that has ended.
            state.running -= 1;
            self.is_over = true;
            return None;
        }
        Some(taken)
    }
}

impl<C: Gathered> Drop for Turn<C> {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        // Its task was cut off. Nobody may be left to carry what waits.
        let mut state = self.gather.state();
        state.running -= 1;
        if state.running == 0 {
            state.waiting.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    struct Number(usize);

    impl Gathered for Number {
        type Reply = usize;

        fn weight(&self) -> usize {
            self.0
        }
    }

    fn gather(calls_max: usize, weight_max: usize) -> Arc<Gather<Number>> {
        Gather::new(Limits {
            calls_max,
            weight_max,
        })
    }

    /// Makes calls of these weights at once; how many each request held.
    async fn requests(gather: &Arc<Gather<Number>>, weights: &[usize]) -> Vec<usize> {
        let log = Arc::new(Mutex::new(Vec::new()));
        let calls = weights.iter().map(|weight| {
            let log = Arc::clone(&log);
            gather.call(Number(*weight), move |calls: Vec<Waiting<Number>>| {
                let log = Arc::clone(&log);
                async move {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    log.lock().unwrap().push(calls.len());
                    for waiting in calls {
                        let weight = waiting.call.0;
                        waiting.reply(Ok(weight));
                    }
                }
            })
        });
        let replies = futures_util::future::join_all(calls).await;
        let replies: Vec<_> = replies.into_iter().map(Result::unwrap).collect();
        assert_eq!(replies, weights, "each its own");
        log.lock().unwrap().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn calls_go_together_within_limits_and_alone_at_once() {
        assert_eq!(requests(&gather(100, 100), &[1]).await, [1]);
        assert_eq!(requests(&gather(100, 100), &[1; 90]).await, [90]);
        assert_eq!(requests(&gather(40, 100), &[1; 90]).await, [40, 40, 10]);
        assert_eq!(
            requests(&gather(100, 100), &[60, 40, 1, 500, 1]).await,
            [2, 1, 1, 1]
        );
        let many = requests(&gather(10, 100), &[1; 95]).await;
        assert_eq!((many.len(), many.iter().sum()), (10, 95));
    }

    #[tokio::test]
    async fn what_was_cut_off_is_told_and_leaves_room() {
        let gather = gather(1, 1);
        for _ in 0..2 * RUNNING_MAX {
            let cut = gather
                .call(Number(1), |_| async { panic!("a fault") })
                .await;
            assert!(matches!(cut, Err(HubError::Unreachable { .. })));
        }
        assert_eq!(requests(&gather, &[1]).await, [1]);
        let given_up = gather.call(Number(1), |calls| async {
            std::future::pending::<()>().await;
            drop(calls);
        });
        assert!(
            tokio::time::timeout(Duration::from_millis(1), given_up)
                .await
                .is_err()
        );
        assert_eq!(requests(&gather, &[1]).await, [1]);
    }
}
