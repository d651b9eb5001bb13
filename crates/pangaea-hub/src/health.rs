//! Whether the hub should be sent requests, and what its machine has left.

use std::path::Path;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::hub::Hub;

/// How long a commit to the index may take.
const COMMIT_TIME_MAX: Duration = Duration::from_secs(5);

/// How long an answer holds, so that asking often costs nothing.
const FRESH: Duration = Duration::from_secs(1);

const MEGABYTE: u64 = gaia::limits::MEGABYTE_BYTES;

/// What speaks for and against sending requests here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Readiness {
    /// The index took a change in good time.
    pub(crate) index: Sign,
    /// The disk has as much room as it should.
    pub(crate) disk: Sign,
    /// Nobody has told the hub to stop.
    pub(crate) serving: Sign,
}

/// An answer to one of these questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Good,
    Bad,
}

/// The last answer.
#[derive(Debug, Default)]
pub(crate) struct LastLook(Mutex<Option<(Instant, Sign, Sign)>>);

impl Sign {
    fn of(good: bool) -> Self {
        if good { Self::Good } else { Self::Bad }
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Bad => "bad",
        }
    }
}

impl Readiness {
    pub(crate) fn is_ready(self) -> bool {
        [self.index, self.disk, self.serving] == [Sign::Good; 3]
    }
}

/// Looks, unless that has just been done.
pub(crate) async fn readiness(hub: &Hub) -> Readiness {
    // Whoever comes meanwhile waits and takes the same answer.
    let mut last = hub.last_look().0.lock().await;
    let (index, disk) = match *last {
        Some((at, index, disk)) if at.elapsed() < FRESH => (index, disk),
        _ => {
            let committed = timeout(COMMIT_TIME_MAX, hub.committer().touch()).await;
            let index = Sign::of(matches!(committed, Ok(Ok(()))));
            let floor = u64::from(hub.config().free_megabytes_min) * MEGABYTE;
            // Where nobody can say how much is free, the commit has to do.
            let disk = Sign::of(free_bytes(hub).await.is_none_or(|free| free >= floor));
            *last = Some((Instant::now(), index, disk));
            (index, disk)
        }
    };
    let serving = Sign::of(!hub.is_leaving());
    Readiness {
        index,
        disk,
        serving,
    }
}

/// What is free where the data folder is, for this process.
pub(crate) async fn free_bytes(hub: &Hub) -> Option<u64> {
    let folder = hub.config().data_dir.clone();
    let free = tokio::task::spawn_blocking(move || free_in(&folder)).await;
    free.ok().flatten()
}

#[cfg(unix)]
fn free_in(folder: &Path) -> Option<u64> {
    let about = rustix::fs::statvfs(folder).ok()?;
    about.f_bavail.checked_mul(about.f_frsize)
}

#[cfg(not(unix))]
fn free_in(_: &Path) -> Option<u64> {
    None
}

/// The memory of this process, where the system says so in a file.
pub(crate) fn memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}
