//! What the process at work on a folder is doing right now, in a small file for `pangaea status`.
//! The file outlives its process only after a crash; the process id tells.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use rustix::process::Pid;
use rustix::process::test_kill_process;
use serde::Deserialize;
use serde::Serialize;

use crate::replica_dir::ReplicaDir;

/// What a process tells of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Live {
    pub(crate) pid: u32,
    pub(crate) task: Task,
    /// Requests under way, if it counts them.
    pub(crate) in_flight: Option<usize>,
    /// Steps done.
    pub(crate) done: u64,
    /// Steps known to be left.
    pub(crate) left: u64,
    /// When the hub is tried again, in milliseconds since 1970.
    pub(crate) next_try_ms: Option<u64>,
}

/// What a process is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Task {
    /// One round.
    Sync,
    /// Keeping the folder in sync.
    Watch,
}

/// Writes the file, and takes it away when dropped.
#[derive(Debug)]
pub(crate) struct LiveFile {
    place: PathBuf,
    written: Option<Live>,
}

impl LiveFile {
    pub(crate) fn new(dir: &ReplicaDir) -> Self {
        Self {
            place: dir.live_file(),
            written: None,
        }
    }

    /// Tells, unless it was told already. Not durable, and no failure if it cannot be done: this
    /// is for onlookers.
    pub(crate) fn tell(&mut self, live: Live) {
        if self.written.as_ref() == Some(&live) {
            return;
        }
        if write(&self.place, &live).is_some() {
            self.written = Some(live);
        }
    }
}

impl Drop for LiveFile {
    fn drop(&mut self) {
        if self.written.is_some() {
            fs::remove_file(&self.place).ok();
        }
    }
}

fn write(place: &Path, live: &Live) -> Option<()> {
    // Only the process with the store's lock writes here, so one name will do.
    let fresh = place.with_extension("new");
    fs::write(&fresh, serde_json::to_vec(live).ok()?).ok()?;
    fs::rename(&fresh, place).ok()
}

/// What the process at work tells, if there is one.
pub(crate) fn read(dir: &ReplicaDir) -> Option<Live> {
    let live: Live = serde_json::from_slice(&fs::read(dir.live_file()).ok()?).ok()?;
    let pid = Pid::from_raw(i32::try_from(live.pid).ok()?)?;
    let is_there = match test_kill_process(pid) {
        Ok(()) | Err(rustix::io::Errno::PERM) => true,
        Err(_) => false,
    };
    is_there.then_some(live)
}
