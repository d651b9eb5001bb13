//! What the hub counts about itself while it runs, for `/metrics` and the status page. It is lost
//! when the hub stops; what is stored is counted in the index.
//!
//! Counting is a few additions without a lock. Nothing here knows an address or a path.

mod histogram;
mod recent;
mod text;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::StatusCode;

use crate::routes::RouteName;
pub(crate) use histogram::{Histogram, as_float};
use recent::Recent;
pub(crate) use recent::{RecentLine, RouteSummary, SAMPLE_EVERY};
pub(crate) use text::{Now, write};

/// Microseconds.
const TIME_BOUNDS: &[u64] = &[
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000,
];

/// Requests in a transaction.
const GROUP_BOUNDS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256];

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How many of something there are now.
#[derive(Debug, Default)]
pub(crate) struct Present(Arc<()>);

impl Present {
    /// One of them, until it is dropped.
    pub(crate) fn hold(&self) -> Arc<()> {
        Arc::clone(&self.0)
    }

    pub(crate) fn count(&self) -> u64 {
        (Arc::strong_count(&self.0) as u64).saturating_sub(1)
    }
}

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    began: Instant,
    began_at: SystemTime,
    routes: Box<[RouteMetrics]>,
    pub(crate) received_bytes: Counter,
    pub(crate) sent_bytes: Counter,
    pub(crate) connections: Present,
    pub(crate) accepted: Counter,
    pub(crate) token_hits: Counter,
    pub(crate) token_misses: Counter,
    pub(crate) blobs_collected: Counter,
    group_requests: Histogram,
    group_micros: Histogram,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    recent: Mutex<Recent>,
}

#[derive(Debug)]
struct RouteMetrics {
    /// By the first digit of the status, 1 to 5.
    classes: [Counter; 5],
    micros: Histogram,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let route = || RouteMetrics {
            classes: Default::default(),
            micros: Histogram::new(TIME_BOUNDS),
        };
        Self {
            began: Instant::now(),
            began_at: SystemTime::now(),
            routes: RouteName::ALL.iter().map(|_| route()).collect(),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            connections: Present::default(),
            accepted: Counter::default(),
            token_hits: Counter::default(),
            token_misses: Counter::default(),
            blobs_collected: Counter::default(),
            group_requests: Histogram::new(GROUP_BOUNDS),
            group_micros: Histogram::new(TIME_BOUNDS),
            refused: Mutex::default(),
            recent: Mutex::default(),
        }
    }

    /// A request whose answer begins now.
    pub(crate) fn answered(&self, route: RouteName, status: StatusCode, time: Duration) {
        let metrics = &self.routes[route as usize];
        let class = usize::from(status.as_u16() / 100).clamp(1, 5) - 1;
        metrics.classes[class].add(1);
        metrics.micros.note(micros(time));
    }

    /// A transaction of so many requests.
    pub(crate) fn committed(&self, requests: usize, time: Duration) {
        self.group_requests.note(requests as u64);
        self.group_micros.note(micros(time));
    }

    /// A request, or an operation of a batch, that was refused.
    pub(crate) fn refused(&self, cause: &'static str) {
        *lock(&self.refused).entry(cause).or_default() += 1;
        let minute = self.began.elapsed().as_secs() / 60;
        self.recent().count(minute, cause);
    }

    /// A failure that the operator should hear of. The text holds no secrets and no paths.
    pub(crate) fn failed(&self, text: String) {
        self.recent().note(SystemTime::now(), text);
    }

    /// Keeps the counts of this moment, to tell later what happened since.
    pub(crate) fn sample(&self) {
        let counts = self.route_counts();
        self.recent().sample(Instant::now(), counts);
    }

    /// What the routes did lately, those that nobody asked for left out, and over which time.
    pub(crate) fn lately(&self) -> (Duration, Vec<RouteSummary>) {
        let counts = self.route_counts();
        self.recent().since_oldest(self.began, &counts)
    }

    /// Refusals of the last hour, by cause.
    pub(crate) fn refused_lately(&self) -> BTreeMap<&'static str, u64> {
        let minute = self.began.elapsed().as_secs() / 60;
        self.recent().of_last_hour(minute)
    }

    /// The last failures, the newest first.
    pub(crate) fn failures(&self) -> Vec<RecentLine> {
        self.recent().lines()
    }

    pub(crate) fn uptime(&self) -> Duration {
        self.began.elapsed()
    }

    fn route_counts(&self) -> Vec<Vec<u64>> {
        self.routes.iter().map(|one| one.micros.counts()).collect()
    }

    fn recent(&self) -> MutexGuard<'_, Recent> {
        lock(&self.recent)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
