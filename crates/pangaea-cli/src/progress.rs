//! What onlookers are told while one sync runs: a progress bar on a terminal, on standard error,
//! and the file that `pangaea status` reads. Both only for what takes over a second.

use std::convert::Infallible;
use std::time::Duration;
use std::time::Instant;

use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use pangaea::replica::Progress;
use tokio::sync::watch;

use crate::live::Live;
use crate::live::LiveFile;
use crate::live::Task;
use crate::output::Output;
use crate::replica_dir::ReplicaDir;

const DELAY: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_millis(250);

/// Tells how far the work is until it is dropped.
pub(crate) async fn show(
    dir: &ReplicaDir,
    output: &Output,
    progress: watch::Receiver<Progress>,
) -> Infallible {
    let started = Instant::now();
    let mut live = LiveFile::new(dir);
    let mut bar = None;
    tokio::time::sleep(DELAY).await;
    loop {
        let Progress { done, left } = *progress.borrow();
        live.tell(Live {
            pid: std::process::id(),
            task: Task::Sync,
            in_flight: None,
            done,
            left,
            next_try_ms: None,
        });
        if output.wants_progress() && left > 0 {
            let Bar(bar) = bar.get_or_insert_with(|| Bar::new(started));
            bar.set_length(done + left);
            bar.set_position(done);
            bar.tick();
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// A bar that vanishes when dropped.
struct Bar(ProgressBar);

impl Bar {
    fn new(started: Instant) -> Self {
        let bar = ProgressBar::new(0).with_elapsed(started.elapsed());
        let template = "{bar:40} {pos} of {len} steps, {elapsed}";
        // The template is ours; a plain bar would do as well.
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        Self(bar)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
