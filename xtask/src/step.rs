//! A series of named steps: each is timed, all are run, and the end says which of them failed.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// What came of a step that did not fail.
pub enum Outcome {
    /// The step did what it says.
    Passed,
    /// The step could not be done here, for this reason, and that is not an error.
    NotChecked(String),
}

/// Runs steps and keeps what came of them.
#[derive(Default)]
pub struct Steps {
    rows: Vec<Row>,
}

struct Row {
    name: &'static str,
    took: Duration,
    result: Result<Outcome>,
}

impl Steps {
    /// Runs one step. A failure is shown at once and kept for the end; the steps after it still run.
    pub fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result<Outcome>) {
        println!("\n=== {name}");
        let start = Instant::now();
        let result = work();
        let took = start.elapsed();
        match &result {
            Ok(Outcome::Passed) => {}
            Ok(Outcome::NotChecked(reason)) => println!("note: {name}: not checked: {reason}"),
            Err(error) => println!("error: step {name}: {error:#}"),
        }
        self.rows.push(Row { name, took, result });
    }

    /// Prints the table of times and fails when a step failed, naming it.
    pub fn finish(self) -> Result<()> {
        println!("\n{:<14} {:>8}  outcome", "step", "seconds");
        for row in &self.rows {
            let outcome = match &row.result {
                Ok(Outcome::Passed) => "passed",
                Ok(Outcome::NotChecked(_)) => "not checked here, see the note above",
                Err(_) => "FAILED",
            };
            println!(
                "{:<14} {:>8.1}  {outcome}",
                row.name,
                row.took.as_secs_f64()
            );
        }
        let total: Duration = self.rows.iter().map(|row| row.took).sum();
        println!("{:<14} {:>8.1}", "all", total.as_secs_f64());
        let failed: Vec<&str> = self
            .rows
            .iter()
            .filter(|row| row.result.is_err())
            .map(|row| row.name)
            .collect();
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_step_is_named_and_later_steps_still_run() {
        let mut steps = Steps::default();
        let mut ran = false;
        steps.step("first", || bail!("broken"));
        steps.step("second", || Ok(Outcome::NotChecked("no network".into())));
        steps.step("third", || {
            ran = true;
            Ok(Outcome::Passed)
        });
        assert!(ran);
        assert_eq!(steps.finish().unwrap_err().to_string(), "failed: first");
    }

    #[test]
    fn what_could_not_be_checked_is_no_failure() {
        let mut steps = Steps::default();
        steps.step("only", || Ok(Outcome::NotChecked("no network".into())));
        assert!(steps.finish().is_ok());
    }
}
