//! How often somebody may ask: a rate that holds on average, and a burst that may go before it.
//!
//! For each that asks, one point in time is kept: when all that was asked so far would have been
//! due at the rate (the generic cell rate algorithm). It needs no timer and no refilling, and who
//! has been quiet for long is as good as unknown, so the number of those remembered is bounded.

use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use lru::LruCache;

use crate::config::Rate;

/// Those remembered. Whoever has been quiet the longest is forgotten first; to be forgotten is to
/// have one's burst back, so a limit holds only against fewer than these.
const REMEMBERED_MAX: usize = 100_000;

/// Who asked how much lately.
pub(crate) struct Rates<K: Hash + Eq> {
    began: Instant,
    /// In nanoseconds since then.
    due: Mutex<LruCache<K, u64>>,
}

impl<K: Hash + Eq> Rates<K> {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            due: Mutex::new(LruCache::unbounded()),
        }
    }

    /// Takes note of one request, or says how long to wait before the next.
    pub(crate) fn admit(&self, key: K, rate: Rate) -> Result<(), Duration> {
        self.admit_at(key, rate, self.now())
    }

    /// Takes note of so many more requests, which have to be let in: those after them will wait.
    pub(crate) fn charge(&self, key: K, rate: Rate, requests: u64) {
        let Some(interval) = interval(rate) else {
            return;
        };
        let mut all = self.lock();
        let due = all.get(&key).copied().unwrap_or(0).max(self.now());
        remember(
            &mut all,
            key,
            due.saturating_add(interval.saturating_mul(requests)),
        );
    }

    fn admit_at(&self, key: K, rate: Rate, now: u64) -> Result<(), Duration> {
        let Some(interval) = interval(rate) else {
            return Ok(());
        };
        let burst = interval.saturating_mul(u64::from(rate.burst.max(1) - 1));
        let mut all = self.lock();
        let due = all.get(&key).copied().unwrap_or(0).max(now);
        let early = (due - now).saturating_sub(burst);
        if early > 0 {
            return Err(Duration::from_nanos(early));
        }
        remember(&mut all, key, due.saturating_add(interval));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<K, u64>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

fn remember<K: Hash + Eq>(all: &mut LruCache<K, u64>, key: K, until: u64) {
    all.put(key, until);
    if all.len() > REMEMBERED_MAX {
        all.pop_lru();
    }
}

/// Nanoseconds between requests, if there is a limit.
fn interval(rate: Rate) -> Option<u64> {
    let per_second = rate.per_second.filter(|per_second| *per_second > 0)?;
    Some(1_000_000_000 / u64::from(per_second))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(per_second: u32, burst: u32) -> Rate {
        Rate {
            per_second: Some(per_second),
            burst,
        }
    }

    #[test]
    fn a_burst_then_the_rate_then_what_is_to_be_waited_for() {
        let rates = Rates::new();
        let admit = |at| rates.admit_at("a", rate(10, 5), at);
        for _ in 0..5 {
            assert_eq!(admit(SECOND), Ok(()));
        }
        assert_eq!(admit(SECOND), Err(Duration::from_millis(100)));
        assert_eq!(admit(SECOND + SECOND / 20), Err(Duration::from_millis(50)));
        assert_eq!(admit(SECOND + SECOND / 10), Ok(()));
        assert!(admit(SECOND + SECOND / 10).is_err());
        assert_eq!(rates.admit_at("b", rate(10, 5), SECOND), Ok(()));
        // After a pause, the burst is back, and no more than that.
        for _ in 0..5 {
            assert_eq!(admit(60 * SECOND), Ok(()));
        }
        assert!(admit(60 * SECOND).is_err());
    }

    #[test]
    fn what_was_let_in_at_once_is_waited_for_afterwards() {
        let rates = Rates::new();
        rates.charge("a", rate(10, 5), 1000);
        let wait = rates.admit("a", rate(10, 5)).unwrap_err();
        assert!((98..=100).contains(&wait.as_secs()), "{wait:?}");
        assert_eq!(rates.admit("a", Rate::default()), Ok(()), "no limit");
    }

    #[test]
    fn memory_is_bounded_and_no_limit_needs_none() {
        let rates = Rates::new();
        for n in 0..REMEMBERED_MAX + 10 {
            rates.admit(n, rate(1, 1)).unwrap();
        }
        assert_eq!(rates.due.lock().unwrap().len(), REMEMBERED_MAX);
        assert!(rates.admit(REMEMBERED_MAX, rate(1, 1)).is_err());
        rates.admit(0, rate(1, 1)).unwrap();
        let rates = Rates::new();
        rates.admit(0, Rate::default()).unwrap();
        assert!(rates.due.lock().unwrap().is_empty());
    }
}
