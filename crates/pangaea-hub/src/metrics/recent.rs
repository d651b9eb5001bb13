//! The last minutes and the last hour, for people who look at the status page.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant, SystemTime};

use super::TIME_BOUNDS;
use super::histogram::quantile;
use crate::routes::RouteName;

/// How often counts are kept.
pub(crate) const SAMPLE_EVERY: Duration = Duration::from_secs(10);

/// Samples that are kept: five minutes.
const SAMPLES_MAX: usize = 30;

const MINUTES_MAX: u64 = 60;

const LINES_MAX: usize = 20;
const LINE_CHARS_MAX: usize = 300;

#[derive(Debug, Default)]
pub(super) struct Recent {
    samples: VecDeque<(Instant, Vec<Vec<u64>>)>,
    /// By minutes since the start.
    refused: VecDeque<(u64, BTreeMap<&'static str, u64>)>,
    lines: VecDeque<RecentLine>,
}

/// A failure.
#[derive(Clone, Debug)]
pub(crate) struct RecentLine {
    pub(crate) at: SystemTime,
    pub(crate) text: String,
}

/// What a route did lately.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RouteSummary {
    pub(crate) route: RouteName,
    pub(crate) requests: u64,
    /// In microseconds.
    pub(crate) half_within: Option<f64>,
    pub(crate) most_within: Option<f64>,
}

impl Recent {
    pub(super) fn count(&mut self, minute: u64, cause: &'static str) {
        if self.refused.back().is_none_or(|(last, _)| *last != minute) {
            self.refused.push_back((minute, BTreeMap::new()));
        }
        self.refused.retain(|(at, _)| at + MINUTES_MAX > minute);
        if let Some((_, causes)) = self.refused.back_mut() {
            *causes.entry(cause).or_default() += 1;
        }
    }

    pub(super) fn of_last_hour(&self, minute: u64) -> BTreeMap<&'static str, u64> {
        let mut sum = BTreeMap::new();
        let lately = self.refused.iter();
        for (_, causes) in lately.filter(|(at, _)| at + MINUTES_MAX > minute) {
            for (cause, count) in causes {
                *sum.entry(*cause).or_default() += count;
            }
        }
        sum
    }

    pub(super) fn note(&mut self, at: SystemTime, text: String) {
        let text = text.chars().take(LINE_CHARS_MAX).collect();
        self.lines.push_back(RecentLine { at, text });
        if self.lines.len() > LINES_MAX {
            self.lines.pop_front();
        }
    }

    pub(super) fn lines(&self) -> Vec<RecentLine> {
        self.lines.iter().rev().cloned().collect()
    }

    pub(super) fn sample(&mut self, at: Instant, counts: Vec<Vec<u64>>) {
        self.samples.push_back((at, counts));
        if self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
    }

    pub(super) fn since_oldest(
        &self,
        began: Instant,
        now: &[Vec<u64>],
    ) -> (Duration, Vec<RouteSummary>) {
        let oldest = self.samples.front();
        let since = oldest.map_or(began, |(at, _)| *at);
        let mut summaries = Vec::new();
        for (at, (route, now)) in RouteName::ALL.into_iter().zip(now).enumerate() {
            let before = oldest.and_then(|(_, counts)| counts.get(at));
            let fresh = now.iter().enumerate().map(|(step, count)| {
                count - before.and_then(|before| before.get(step)).unwrap_or(&0)
            });
            let fresh: Vec<u64> = fresh.collect();
            let requests = fresh.iter().sum();
            if requests > 0 {
                summaries.push(RouteSummary {
                    route,
                    requests,
                    half_within: quantile(TIME_BOUNDS, &fresh, 0.5),
                    most_within: quantile(TIME_BOUNDS, &fresh, 0.99),
                });
            }
        }
        (since.elapsed(), summaries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_remembered_and_no_more() {
        let mut recent = Recent::default();
        for minute in [0, 0, 30, 59] {
            recent.count(minute, "busy");
        }
        recent.count(59, "disk");
        let sum = |recent: &Recent, minute| recent.of_last_hour(minute).get("busy").copied();
        assert_eq!(sum(&recent, 59), Some(4));
        assert_eq!(sum(&recent, 60), Some(2));
        assert_eq!(sum(&recent, 200), None);
        recent.count(200, "busy");
        assert_eq!(recent.refused.len(), 1);
    }

    #[test]
    fn only_what_came_since_the_oldest_sample_counts() {
        let mut recent = Recent::default();
        let began = Instant::now();
        let counts = |count| {
            let mut counts = vec![vec![0; TIME_BOUNDS.len() + 1]; RouteName::ALL.len()];
            counts[0][0] = count;
            counts
        };
        let (_, all) = recent.since_oldest(began, &counts(7));
        assert_eq!((all.len(), all[0].requests), (1, 7));
        recent.sample(began, counts(7));
        assert_eq!(recent.since_oldest(began, &counts(7)).1, []);
        assert_eq!(recent.since_oldest(began, &counts(9)).1[0].requests, 2);
        for _ in 0..SAMPLES_MAX {
            recent.sample(began, counts(8));
        }
        assert_eq!(recent.since_oldest(began, &counts(9)).1[0].requests, 1);
    }

    #[test]
    fn lines_are_bounded() {
        let mut recent = Recent::default();
        for n in 0..100 {
            recent.note(SystemTime::now(), format!("{n} {}", "x".repeat(1000)));
        }
        assert_eq!(recent.lines().len(), LINES_MAX);
        assert!(recent.lines()[0].text.starts_with("99 "));
        assert_eq!(recent.lines()[0].text.len(), LINE_CHARS_MAX);
    }
}
