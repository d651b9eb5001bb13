//! Memory that requests share which hold more than a small body at a time: each reserves what it
//! may take up before it reads on, and those for which there is no room wait, though not for ever.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::Refusal;

/// What requests of one kind may take up together.
const UNITS_MAX: usize = 64 * 1024;
const UNIT_BYTES: usize = 1024;

/// How long a request waits for others to end.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// A bound on memory.
#[derive(Debug)]
pub(crate) struct Room(Arc<Semaphore>);

impl Room {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Semaphore::new(UNITS_MAX)))
    }

    /// Reserves so many bytes until the permit is dropped.
    pub(crate) async fn reserve(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Refusal> {
        let units = bytes.div_ceil(UNIT_BYTES).min(UNITS_MAX);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let permit = Arc::clone(&self.0).acquire_many_owned(units);
        match timeout(WAIT_MAX, permit).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) | Err(_) => Err(Refusal::Busy),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_does_not_fit_waits_and_then_is_refused() {
        let room = Room::new();
        let all = room.reserve(usize::MAX).await.unwrap();
        let refused = room.reserve(1).await;
        assert!(matches!(refused, Err(Refusal::Busy)), "{refused:?}");
        let (waiting, ()) = tokio::join!(room.reserve(1), async {
            tokio::time::sleep(WAIT_MAX / 2).await;
            drop(all);
        });
        drop(waiting.unwrap());
    }
}
