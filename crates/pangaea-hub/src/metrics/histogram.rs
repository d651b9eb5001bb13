//! Counting how large values were, in fixed steps, without a lock.

use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many values were at most as large as each of some bounds.
#[derive(Debug)]
pub(crate) struct Histogram {
    bounds: &'static [u64],
    /// One more than there are bounds: the last is for what is larger.
    counts: Box<[AtomicU64]>,
    sum: AtomicU64,
}

impl Histogram {
    /// The bounds grow.
    pub(crate) fn new(bounds: &'static [u64]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }
    }

    pub(crate) fn note(&self, value: u64) {
        let at = self.bounds.partition_point(|bound| *bound < value);
        self.counts[at].fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// The counts of this moment.
    pub(super) fn counts(&self) -> Vec<u64> {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        self.counts.iter().map(load).collect()
    }

    /// Writes the lines of a metric, its values in units of `unit`.
    pub(super) fn write(
        &self,
        out: &mut String,
        name: &str,
        labels: &str,
        unit: f64,
    ) -> fmt::Result {
        let comma = if labels.is_empty() { "" } else { "," };
        let mut sum = 0;
        let counts = self.counts();
        for (bound, count) in self.bounds.iter().zip(&counts) {
            sum += count;
            let bound = as_float(*bound) / unit;
            writeln!(out, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {sum}")?;
        }
        let total: u64 = counts.iter().sum();
        let value = as_float(self.sum.load(Ordering::Relaxed)) / unit;
        let braces = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{labels}}}")
        };
        writeln!(out, "{name}_bucket{{{labels}{comma}le=\"+Inf\"}} {total}")?;
        writeln!(out, "{name}_sum{braces} {value}")?;
        writeln!(out, "{name}_count{braces} {total}")
    }
}

/// The value that a share of those counted does not exceed; within a step they are taken to be
/// spread evenly. What is above the last bound counts as the last bound.
pub(crate) fn quantile(bounds: &[u64], counts: &[u64], share: f64) -> Option<f64> {
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return None;
    }
    let wanted = share * as_float(total);
    let (mut below, mut from) = (0.0, 0.0);
    for (bound, count) in bounds.iter().zip(counts) {
        let (to, count) = (as_float(*bound), as_float(*count));
        if count > 0.0 && below + count >= wanted {
            return Some(from + (to - from) * ((wanted - below) / count));
        }
        below += count;
        from = to;
    }
    Some(from)
}

#[expect(clippy::cast_precision_loss, reason = "nobody reads that many digits")]
pub(crate) fn as_float(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: &[u64] = &[10, 20, 40];

    #[test]
    fn values_are_counted_below_their_bounds_and_written_as_prometheus_reads_them() {
        let histogram = Histogram::new(BOUNDS);
        for value in [0, 10, 11, 40, 41, 1000] {
            histogram.note(value);
        }
        assert_eq!(histogram.counts(), [2, 1, 1, 2]);
        let mut out = String::new();
        histogram.write(&mut out, "x", "a=\"b\"", 2.0).unwrap();
        let want = "x_bucket{a=\"b\",le=\"5\"} 2\nx_bucket{a=\"b\",le=\"10\"} 3\n\
                    x_bucket{a=\"b\",le=\"20\"} 4\nx_bucket{a=\"b\",le=\"+Inf\"} 6\n\
                    x_sum{a=\"b\"} 551\nx_count{a=\"b\"} 6\n";
        assert_eq!(out, want);
    }

    #[test]
    fn quantiles_are_within_their_step() {
        assert_eq!(quantile(BOUNDS, &[0, 0, 0, 0], 0.5), None);
        assert_eq!(quantile(BOUNDS, &[2, 0, 2, 0], 0.5), Some(10.0));
        assert_eq!(quantile(BOUNDS, &[0, 4, 0, 0], 0.5), Some(15.0));
        assert_eq!(quantile(BOUNDS, &[1, 0, 1, 0], 0.99), Some(39.6));
        assert_eq!(quantile(BOUNDS, &[0, 0, 0, 9], 0.5), Some(40.0));
    }
}
