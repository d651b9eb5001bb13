//! The progress bar: on a terminal, on standard error, and only for what takes over a second.

use std::time::Duration;
use std::time::Instant;

use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use pangaea::replica::Progress;

use crate::output::Output;

const DELAY: Duration = Duration::from_secs(1);

/// A bar that shows up late. It vanishes when dropped.
#[derive(Debug)]
pub(crate) struct Bar {
    started: Instant,
    bar: Option<ProgressBar>,
    is_wanted: bool,
}

impl Bar {
    pub(crate) fn new(output: &Output) -> Self {
        Self {
            started: Instant::now(),
            bar: None,
            is_wanted: output.wants_progress(),
        }
    }

    /// Whether the work takes long enough for anybody to look on.
    pub(crate) fn is_due(&self) -> bool {
        self.started.elapsed() >= DELAY
    }

    pub(crate) fn show(&mut self, progress: Progress) {
        if !self.is_wanted || !self.is_due() {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(0);
            let template = "{bar:40} {pos} of {len} steps, {elapsed}";
            // The template is ours; a plain bar would do as well.
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style);
            bar.enable_steady_tick(Duration::from_millis(250));
            bar
        });
        bar.set_length(progress.done + progress.left);
        bar.set_position(progress.done);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
