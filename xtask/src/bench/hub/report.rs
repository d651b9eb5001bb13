//! What was measured of the hub, as a table, and the floors it is held to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::super::floors::Floor;
use super::load::Outcome;

/// Who answers, and what is asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// The empty server takes bodies.
    EmptyPut,
    /// The hub stores files of new names.
    PutNew,
    /// The hub overwrites files.
    PutAgain,
    /// nginx serves files.
    NginxGet,
    /// The hub serves files.
    HubGet,
}

impl Measure {
    /// All of them, in the order in which they are run and told.
    pub const ALL: [Self; 5] = [
        Self::EmptyPut,
        Self::PutNew,
        Self::PutAgain,
        Self::NginxGet,
        Self::HubGet,
    ];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::EmptyPut => "PUT, empty axum handler",
            Self::PutNew => "PUT, hub, new files",
            Self::PutAgain => "PUT, hub, overwriting",
            Self::NginxGet => "GET, nginx",
            Self::HubGet => "GET, hub",
        }
    }

    /// What it is compared with, and the least share of it that must be reached, in percent.
    fn limit(self) -> Option<(Self, f64)> {
        match self {
            Self::PutNew | Self::PutAgain => Some((Self::EmptyPut, 100.0 / 3.0)),
            Self::HubGet => Some((Self::NginxGet, 80.0)),
            Self::EmptyPut | Self::NginxGet => None,
        }
    }
}

/// Everything that was measured.
#[derive(Default)]
pub struct Report {
    rates: BTreeMap<Measure, Vec<Outcome>>,
    others: Vec<Floor>,
}

impl Report {
    /// Adds the outcome of one load.
    pub fn add(&mut self, measure: Measure, outcome: Outcome) {
        self.rates.entry(measure).or_default().push(outcome);
    }

    /// Adds something that stands by itself.
    pub fn expect(&mut self, promise: impl Into<String>, measured: String, held: bool) {
        self.others.push(Floor {
            promise: promise.into(),
            measured,
            held,
        });
    }

    /// All floors.
    pub fn floors(&self) -> impl Iterator<Item = Floor> {
        let shares = Measure::ALL.into_iter().filter_map(|measure| {
            let (limit, least) = measure.limit()?;
            let share = self.share(measure, limit)?;
            Some(Floor {
                promise: format!(
                    "{}: at least {least:.0} % of {}",
                    measure.name(),
                    limit.name()
                ),
                measured: format!("{share:.0} %"),
                held: share >= least,
            })
        });
        let others = self.others.iter().map(|floor| Floor {
            promise: floor.promise.clone(),
            measured: floor.measured.clone(),
            held: floor.held,
        });
        shares.chain(others)
    }

    /// The report as plain text.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{:<26} {:>9} {:>9} {:>9} {:>9} {:>9}\n",
            "answers a second", "median", "least", "most", "p99 ms", "of limit"
        );
        for (measure, outcomes) in &self.rates {
            let rates = sorted(outcomes.iter().map(|outcome| outcome.rate));
            let p99 = sorted(outcomes.iter().map(|outcome| outcome.p99.as_secs_f64()));
            let share = measure
                .limit()
                .and_then(|(limit, _)| self.share(*measure, limit))
                .map_or("-".to_owned(), |share| format!("{share:.0} %"));
            line(
                &mut text,
                format_args!(
                    "{:<26} {:>9.0} {:>9.0} {:>9.0} {:>9.2} {share:>9}",
                    measure.name(),
                    median(&rates),
                    rates.first().copied().unwrap_or_default(),
                    rates.last().copied().unwrap_or_default(),
                    median(&p99) * 1000.0,
                ),
            );
        }
        text.push_str("\nfloors\n");
        for floor in self.floors() {
            let verdict = if floor.held() { "pass" } else { "FAIL" };
            line(
                &mut text,
                format_args!("  {verdict}  {} ({})", floor.promise, floor.measured),
            );
        }
        text
    }

    /// The median over the rounds of how much of the limit was reached, in percent. Both sides of one round ran one
    /// after the other, so what else the machine did fell on both.
    fn share(&self, measure: Measure, limit: Measure) -> Option<f64> {
        let pairs = self
            .rates
            .get(&measure)?
            .iter()
            .zip(self.rates.get(&limit)?);
        let shares = sorted(pairs.map(|(ours, limit)| ours.rate / limit.rate * 100.0));
        Some(median(&shares))
    }
}

/// The median of times.
pub fn median_time(times: &[Duration]) -> Duration {
    Duration::from_secs_f64(median(&sorted(times.iter().map(Duration::as_secs_f64))))
}

fn sorted(numbers: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers
}

/// The middle of sorted numbers, or between the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(middle)) {
        (_, None) => 0.0,
        (0, Some(upper)) => f64::midpoint(sorted[middle - 1], *upper),
        (_, Some(only)) => *only,
    }
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing into memory has no way to fail.
    writeln!(text, "{words}").unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(rate: f64) -> Outcome {
        Outcome {
            rate,
            p99: Duration::from_millis(1),
        }
    }

    #[test]
    fn a_share_below_its_floor_fails_and_one_above_passes() {
        let mut report = Report::default();
        for (empty, put, nginx, get) in [
            (300.0, 99.0, 100.0, 81.0),
            (600.0, 210.0, 10.0, 9.0),
            (300.0, 99.0, 100.0, 79.0),
        ] {
            report.add(Measure::EmptyPut, outcome(empty));
            report.add(Measure::PutNew, outcome(put));
            report.add(Measure::NginxGet, outcome(nginx));
            report.add(Measure::HubGet, outcome(get));
        }
        let verdicts: Vec<(bool, String)> = report
            .floors()
            .map(|floor| (floor.held(), floor.measured))
            .collect();
        assert_eq!(
            verdicts,
            [(false, "33 %".to_owned()), (true, "81 %".to_owned())]
        );
        report.expect("memory under 40 MB", "41 MB".to_owned(), false);
        assert!(
            report.text().contains("FAIL  memory under 40 MB (41 MB)"),
            "{}",
            report.text()
        );
    }

    #[test]
    fn the_middle_of_an_even_number_lies_between() {
        let times = [4, 1, 2, 3].map(Duration::from_secs);
        assert_eq!(median_time(&times), Duration::from_millis(2500));
        assert_eq!(median_time(&[]), Duration::ZERO);
    }
}
