//! What was measured, as a table for people and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::Scenario;
use super::contender::{Contender, Programs};
use super::floors::{Floor, judge};
use super::process::Sample;
use super::tree::Shape;

/// The numbers so far, and under which circumstances they were taken.
pub struct Report {
    runs: u32,
    shape: Shape,
    circumstances: Vec<(&'static str, String)>,
    contenders: Vec<Contender>,
    samples: BTreeMap<(Scenario, Contender), Vec<Sample>>,
}

impl Report {
    /// Starts a report without numbers.
    pub fn new(
        runs: u32,
        shape: Shape,
        contenders: &[Contender],
        programs: &Programs,
        work: &Path,
    ) -> Result<Self> {
        let system = rustix::system::uname();
        let cores = std::thread::available_parallelism()?;
        let circumstances = vec![
            ("programs", programs.versions(contenders)?.join("; ")),
            ("system", format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy())),
            ("cores", cores.to_string()),
            ("file system", file_system(work)),
            (
                "tree",
                format!("{} files of {} bytes, pseudo-random, up to 4 folders deep", shape.files, shape.bytes),
            ),
            (
                "times",
                "whole process, from start to exit; files warm in the page cache, disk synced before each".into(),
            ),
        ];
        Ok(Self {
            runs,
            shape,
            circumstances,
            contenders: contenders.to_vec(),
            samples: BTreeMap::new(),
        })
    }

    /// Adds one measurement.
    pub fn add(&mut self, contender: Contender, scenario: Scenario, sample: Sample) {
        self.samples
            .entry((scenario, contender))
            .or_default()
            .push(sample);
    }

    /// Returns the median time, where it was measured.
    pub fn median(&self, contender: Contender, scenario: Scenario) -> Option<Duration> {
        Some(Spread::of(self.samples.get(&(scenario, contender))?)?.median)
    }

    /// Returns the most memory that the contender's client had in any scenario.
    pub fn peak_bytes(&self, contender: Contender) -> Option<u64> {
        let own = self
            .samples
            .iter()
            .filter(|((_, other), _)| *other == contender);
        own.flat_map(|(_, samples)| samples)
            .map(|sample| sample.peak_bytes)
            .max()
    }

    /// Judges the floors.
    pub fn floors(&self) -> Vec<Floor> {
        judge(self)
    }

    /// Returns the report as plain text.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.circumstances {
            line(&mut text, format_args!("{name}: {value}"));
        }
        for contender in &self.contenders {
            line(
                &mut text,
                format_args!("{}: {}", contender.name(), contender.settings()),
            );
        }
        line(
            &mut text,
            format_args!(
                "\nmedians of {} runs, seconds; peak memory of the client",
                self.runs
            ),
        );
        for scenario in Scenario::ALL {
            self.scenario_text(&mut text, scenario);
        }
        let floors = self.floors();
        if !floors.is_empty() {
            text.push_str("\nfloors\n");
        }
        for floor in floors {
            let verdict = if floor.held() { "pass" } else { "FAIL" };
            line(
                &mut text,
                format_args!("  {verdict}  {} ({})", floor.promise, floor.measured),
            );
        }
        text
    }

    /// Writes the report as JSON.
    pub fn write(&self, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string_pretty(&self.json())?;
        std::fs::write(file, text + "\n")
            .with_context(|| format!("cannot write {}", file.display()))
    }

    fn scenario_text(&self, text: &mut String, scenario: Scenario) {
        line(
            text,
            format_args!(
                "\n{:<22} {:>9} {:>9} {:>9} {:>9} {:>12}",
                scenario.name(),
                "median",
                "least",
                "most",
                "MiB",
                "to pangaea"
            ),
        );
        let reference = self.median(Contender::Pangaea, scenario);
        for contender in &self.contenders {
            let Some(samples) = self.samples.get(&(scenario, *contender)) else {
                continue;
            };
            let Some(spread) = Spread::of(samples) else {
                continue;
            };
            let ratio = reference.map_or("-".to_string(), |reference| {
                format!(
                    "{:.2} x",
                    spread.median.as_secs_f64() / reference.as_secs_f64()
                )
            });
            line(
                text,
                format_args!(
                    "  {:<20} {:>9.3} {:>9.3} {:>9.3} {:>9} {:>12}",
                    contender.name(),
                    spread.median.as_secs_f64(),
                    spread.least.as_secs_f64(),
                    spread.most.as_secs_f64(),
                    spread.peak_bytes.div_ceil(1 << 20),
                    ratio
                ),
            );
        }
    }

    fn json(&self) -> Value {
        let circumstances: serde_json::Map<String, Value> = self
            .circumstances
            .iter()
            .map(|(name, value)| ((*name).to_string(), json!(value)))
            .collect();
        let contenders: Vec<Value> = self
            .contenders
            .iter()
            .map(|contender| json!({"name": contender.name(), "settings": contender.settings()}))
            .collect();
        let mut results = Vec::new();
        for ((scenario, contender), samples) in &self.samples {
            let Some(spread) = Spread::of(samples) else {
                continue;
            };
            let seconds: Vec<f64> = samples
                .iter()
                .map(|sample| sample.wall.as_secs_f64())
                .collect();
            let reference = self.median(Contender::Pangaea, *scenario);
            results.push(json!({
                "scenario": scenario.name(),
                "contender": contender.name(),
                "median_seconds": spread.median.as_secs_f64(),
                "least_seconds": spread.least.as_secs_f64(),
                "most_seconds": spread.most.as_secs_f64(),
                "peak_bytes": spread.peak_bytes,
                "to_pangaea": reference.map(|it| spread.median.as_secs_f64() / it.as_secs_f64()),
                "seconds": seconds,
            }));
        }
        let floors: Vec<Value> = self
            .floors()
            .iter()
            .map(|floor| json!({"promise": floor.promise, "measured": floor.measured, "held": floor.held()}))
            .collect();
        json!({
            "runs": self.runs,
            "files": self.shape.files,
            "bytes": self.shape.bytes,
            "circumstances": circumstances,
            "contenders": contenders,
            "results": results,
            "floors": floors,
        })
    }
}

struct Spread {
    median: Duration,
    least: Duration,
    most: Duration,
    peak_bytes: u64,
}

impl Spread {
    fn of(samples: &[Sample]) -> Option<Self> {
        let mut times: Vec<Duration> = samples.iter().map(|sample| sample.wall).collect();
        times.sort_unstable();
        let middle = times.len() / 2;
        let upper = *times.get(middle)?;
        let median = if times.len() % 2 == 1 {
            upper
        } else {
            (upper + times[middle - 1]) / 2
        };
        Some(Self {
            median,
            least: *times.first()?,
            most: *times.last()?,
            peak_bytes: samples.iter().map(|sample| sample.peak_bytes).max()?,
        })
    }
}

/// Names the type of the file system that holds `path`, from the kernel's list of mounts.
fn file_system(path: &Path) -> String {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .filter(|(mount, _)| path.starts_with(mount))
        .max_by_key(|(mount, _)| mount.len())
        .map_or_else(|| "unknown".to_string(), |(_, kind)| kind.to_string())
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{content}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            runs: 1,
            shape: Shape {
                files: 20,
                bytes: 1024,
            },
            circumstances: Vec::new(),
            contenders: Contender::ALL.to_vec(),
            samples: BTreeMap::new(),
        }
    }

    fn sample(milliseconds: u64, peak_bytes: u64) -> Sample {
        Sample {
            wall: Duration::from_millis(milliseconds),
            peak_bytes,
        }
    }

    #[test]
    fn the_median_is_the_middle() {
        let mut report = report();
        for time in [30, 10, 20] {
            report.add(Contender::Sync, Scenario::Up, sample(time, 1));
        }
        assert_eq!(
            report.median(Contender::Sync, Scenario::Up),
            Some(Duration::from_millis(20))
        );
        report.add(Contender::Sync, Scenario::Up, sample(21, 1));
        assert_eq!(
            report.median(Contender::Sync, Scenario::Up),
            Some(Duration::from_micros(20_500))
        );
        assert_eq!(report.median(Contender::Sync, Scenario::Down), None);
    }

    #[test]
    fn floors_are_missed_by_the_slower_and_the_larger() {
        let mut report = report();
        report.add(Contender::Pangaea, Scenario::Start, sample(5, 1));
        report.add(Contender::Pangaea, Scenario::NoOp, sample(106, 100_000_000));
        report.add(Contender::Sync, Scenario::NoOp, sample(200, 1));
        report.add(Contender::Bisync, Scenario::NoOp, sample(90, 1));
        let verdicts: Vec<(String, bool)> = report
            .floors()
            .into_iter()
            .map(|floor| (floor.promise.clone(), floor.held()))
            .collect();
        assert_eq!(
            verdicts,
            [
                ("pangaea: no-op sync ahead of rclone".to_string(), false),
                (
                    "pangaea: no-op sync under 100 ms beyond process start".to_string(),
                    false
                ),
                ("pangaea: client memory under 100 MB".to_string(), false),
            ]
        );
    }

    #[test]
    fn floors_are_held_by_the_faster_and_the_smaller() {
        let mut report = report();
        report.add(Contender::Pangaea, Scenario::Start, sample(5, 1));
        report.add(Contender::Pangaea, Scenario::NoOp, sample(80, 99_999_999));
        report.add(Contender::BisyncTuned, Scenario::NoOp, sample(90, 1));
        assert_eq!(report.floors().len(), 3);
        assert!(report.floors().iter().all(Floor::held));
        assert!(report.text().contains("1.12 x") || report.text().contains("1.13 x"));
    }
}
