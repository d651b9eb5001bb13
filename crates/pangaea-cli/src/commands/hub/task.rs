//! What the tasks on a hub's data folder share: a progress bar, on a terminal and for what takes
//! over a second, and lines that do not run into it.

use std::time::Duration;
use std::time::Instant;

use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use pangaea_hub::check::FolderEvent;
use pangaea_hub::check::Problem;
use serde_json::json;

use crate::error::CliError;
use crate::output::Output;

const DELAY: Duration = Duration::from_secs(1);

/// A bar that shows late and vanishes when dropped.
pub(super) struct Bar {
    started: Instant,
    is_wanted: bool,
    bar: Option<ProgressBar>,
}

impl Bar {
    pub(super) fn new(output: &Output) -> Self {
        Self {
            started: Instant::now(),
            is_wanted: output.wants_progress(),
            bar: None,
        }
    }

    /// So many bytes of so many are done.
    pub(super) fn of(&mut self, done: u64, total: u64) {
        if let Some(bar) = self.shown("{bar:40} {bytes} of {total_bytes}, {elapsed}") {
            bar.set_length(total);
            bar.set_position(done);
        }
    }

    /// So much is done, of nobody knows how much.
    pub(super) fn so_far(&mut self, words: impl FnOnce() -> String) {
        if let Some(bar) = self.shown("{spinner} {msg}, {elapsed}") {
            bar.set_message(words());
            bar.tick();
        }
    }

    /// Prints something while the bar is out of the way.
    pub(super) fn aside(&self, print: impl FnOnce()) {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    fn shown(&mut self, template: &str) -> Option<&ProgressBar> {
        if !self.is_wanted || self.started.elapsed() < DELAY {
            return None;
        }
        let started = self.started;
        Some(self.bar.get_or_insert_with(|| {
            // The template is ours; a plain bar would do as well.
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(0)
                .with_elapsed(started.elapsed())
                .with_style(style)
        }))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Prints unless that failed before: work goes on to its end though nobody reads of it.
pub(super) fn printed(
    outcome: &mut Result<(), CliError>,
    print: impl FnOnce() -> Result<(), CliError>,
) {
    if outcome.is_ok() {
        *outcome = print();
    }
}

/// Works with a bar, and prints what is wrong as it is found. An error is one of printing.
pub(super) fn followed<T>(
    output: &Output,
    work: impl FnOnce(&mut dyn FnMut(FolderEvent)) -> T,
) -> Result<T, CliError> {
    let mut bar = Bar::new(output);
    let mut unprinted = Ok(());
    let done = work(&mut |event| match event {
        FolderEvent::Progress { done, total } => bar.of(done, total),
        FolderEvent::Problem(problem) => {
            bar.aside(|| printed(&mut unprinted, || tell(&problem, output)));
        }
        _ => {}
    });
    drop(bar);
    unprinted.map(|()| done)
}

/// Prints something that is wrong with what a hub has stored.
fn tell(problem: &Problem, output: &Output) -> Result<(), CliError> {
    let document = json!({
        "event": "problem",
        "kind": problem.kind,
        "bucket": problem.bucket,
        "path": problem.path,
        "message": problem.message,
    });
    output.result(&document, || {
        let place = [problem.bucket.as_deref(), problem.path.as_deref()];
        let place: Vec<_> = place.into_iter().flatten().collect();
        match place.as_slice() {
            [] => problem.message.clone(),
            place => format!("{}: {}", place.join("/"), problem.message),
        }
    })
}
