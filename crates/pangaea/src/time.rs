//! Where time comes from: an argument of everything that needs it, so that the same code runs
//! natively, in a browser and in simulated time.

use async_trait::async_trait;

use crate::shared::Shared;

/// A clock, and a way to wait.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait Time: Shared {
    /// Milliseconds since 1970, by this device's clock.
    fn now_ms(&self) -> u64;

    /// Returns after so many milliseconds.
    async fn sleep_ms(&self, ms: u64);
}

/// The operating system's clock. Needs a tokio runtime.
#[cfg(feature = "native")]
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemTime;

#[cfg(feature = "native")]
#[async_trait]
impl Time for SystemTime {
    fn now_ms(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        since.map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
    }

    async fn sleep_ms(&self, ms: u64) {
        tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
    }
}
