//! Bodies of uploads that come as streams: exactly as long as announced or broken off, and
//! watched for standstill.

use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;

use super::platform::Instant;
use super::platform::Movable;
use super::platform::sleep_until;
use crate::body::ByteStream;

/// When all is sent, a hub may need time for a large file before it answers: it has to get it
/// onto its disk. This much is added to the idle timeout for each such part of it.
const HUB_BYTES_PER_S_MIN: u64 = 2 * 1024 * 1024;

/// What is known of an upload while it runs; clones watch the same one.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<State>>);

struct State {
    moved: Instant,
    sent: u64,
    size: u64,
    source_failure: Option<String>,
}

impl Progress {
    pub(super) fn new(size: u64) -> Self {
        let state = State {
            moved: Instant::now(),
            sent: 0,
            size,
            source_failure: None,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    /// Why the local source could not be read to its end, if that is what happened.
    pub(super) fn source_failure(&self) -> Option<String> {
        self.state().source_failure.clone()
    }

    /// Ends when nothing has moved for too long.
    pub(super) async fn standstill(self, idle_timeout: Duration) {
        loop {
            let (moved, patience) = {
                let state = self.state();
                let for_the_hub = if state.sent < state.size {
                    Duration::ZERO
                } else {
                    Duration::from_secs(state.size / HUB_BYTES_PER_S_MIN)
                };
                (state.moved, idle_timeout.saturating_add(for_the_hub))
            };
            if moved.elapsed() >= patience {
                return;
            }
            sleep_until(moved + patience).await;
        }
    }

    /// The source's bytes, with all of that noted on the way.
    pub(super) fn watch(
        &self,
        source: ByteStream<io::Error>,
    ) -> impl stream::Stream<Item = io::Result<Bytes>> + Movable + 'static {
        let start = Some((source, self.clone()));
        stream::unfold(start, |running| async {
            let (mut source, progress) = running?;
            // Being asked for more means that what came before has been taken.
            progress.state().moved = Instant::now();
            let mut next = progress.check(source.next().await)?;
            // The last bytes complete the request, so an error that the source has in store for
            // its end must come before them.
            while next.is_ok() && progress.is_complete() {
                match progress.check(source.next().await) {
                    None => return Some((next, None)),
                    Some(Err(error)) => next = Err(error),
                    Some(Ok(_empty)) => {}
                }
            }
            let running = next.is_ok().then_some((source, progress));
            Some((next, running))
        })
    }

    fn is_complete(&self) -> bool {
        let state = self.state();
        state.sent == state.size
    }

    fn check(&self, next: Option<io::Result<Bytes>>) -> Option<io::Result<Bytes>> {
        let mut state = self.state();
        let failure = match next {
            None if state.sent == state.size => return None,
            None => "it is shorter than it was before".to_owned(),
            Some(Ok(chunk)) => {
                state.sent = state.sent.saturating_add(chunk.len() as u64);
                if state.sent <= state.size {
                    return Some(Ok(chunk));
                }
                "it is longer than it was before".to_owned()
            }
            Some(Err(error)) => error.to_string(),
        };
        state.source_failure = Some(failure.clone());
        // The error makes the connection break off, so that the hub never takes the part for the
        // whole.
        Some(Err(io::Error::other(failure)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn upload(chunks: Vec<io::Result<Bytes>>, size: u64) -> (Vec<Option<Bytes>>, Progress) {
        let progress = Progress::new(size);
        let source: ByteStream<io::Error> = Box::pin(stream::iter(chunks));
        let sent = progress.watch(source).map(Result::ok).collect().await;
        (sent, progress)
    }

    fn chunk(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[tokio::test]
    async fn only_the_announced_length_goes_through() {
        let whole = || {
            vec![
                Ok(chunk("ab")),
                Ok(chunk("")),
                Ok(chunk("c")),
                Ok(chunk("")),
            ]
        };
        let (sent, progress) = upload(whole(), 3).await;
        assert_eq!(sent, [Some(chunk("ab")), Some(chunk("")), Some(chunk("c"))]);
        assert_eq!(progress.source_failure(), None);

        let (sent, progress) = upload(whole(), 4).await;
        assert_eq!(sent.last(), Some(&None));
        assert!(
            progress
                .source_failure()
                .is_some_and(|text| text.contains("shorter"))
        );

        let (sent, progress) = upload(whole(), 2).await;
        assert_eq!(sent, [None], "the last bytes that fit are held back");
        assert!(
            progress
                .source_failure()
                .is_some_and(|text| text.contains("longer"))
        );

        let (sent, progress) =
            upload(vec![Err(io::Error::other("gone")), Ok(chunk("ab"))], 2).await;
        assert_eq!(sent, [None]);
        assert_eq!(progress.source_failure().as_deref(), Some("gone"));
    }

    #[tokio::test(start_paused = true)]
    async fn standstill_is_counted_from_the_last_movement() {
        let idle = Duration::from_secs(30);
        let start = Instant::now();
        Progress::new(1).standstill(idle).await;
        assert_eq!(start.elapsed(), idle);

        let progress = Progress::new(1 << 30);
        let slow = stream::iter([1, 2, 3]).then(|_| async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            Ok(chunk("x"))
        });
        let body = progress.watch(Box::pin(slow)).collect::<Vec<_>>();
        let start = Instant::now();
        tokio::join!(body, progress.clone().standstill(idle));
        assert_eq!(start.elapsed(), Duration::from_secs(90));

        // A hub that got everything has time to write it to its disk.
        progress.state().sent = 1 << 30;
        let start = Instant::now();
        progress.clone().standstill(Duration::from_secs(300)).await;
        assert!(
            start.elapsed() > Duration::from_secs(700),
            "{:?}",
            start.elapsed()
        );
    }
}
