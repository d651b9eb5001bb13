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

/// The clock and the timers of a page or a worker.
#[cfg(all(target_arch = "wasm32", feature = "http"))]
#[derive(Debug, Clone, Copy, Default)]
pub struct BrowserTime;

#[cfg(all(target_arch = "wasm32", feature = "http"))]
#[async_trait(?Send)]
impl Time for BrowserTime {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "milliseconds since 1970"
    )]
    fn now_ms(&self) -> u64 {
        js_sys::Date::now() as u64
    }

    /// Waits; longer than 24 days counts as 24 days, which is what browsers can.
    async fn sleep_ms(&self, ms: u64) {
        let ms = i32::try_from(ms).unwrap_or(i32::MAX);
        gloo_timers::future::TimeoutFuture::new(ms.unsigned_abs()).await;
    }
}
