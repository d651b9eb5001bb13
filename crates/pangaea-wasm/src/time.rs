//! The browser's clock and timers.

use async_trait::async_trait;
use gloo_timers::future::TimeoutFuture;
use pangaea::time::Time;

/// The clock of this page or worker.
pub(crate) struct BrowserTime;

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

    async fn sleep_ms(&self, ms: u64) {
        // Browsers wait 24 days at most.
        let ms = i32::try_from(ms).unwrap_or(i32::MAX);
        TimeoutFuture::new(ms.unsigned_abs()).await;
    }
}
