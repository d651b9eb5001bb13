//! What goes to the store in one transaction: entries, history, log and counters together, or not
//! at all (I-10). The engine fills a commit; the shell hands it to the store before it carries out
//! any request and before it tells a caller that a write is safe.

use gaia::path::FilePath;

use crate::media::MediaType;
use crate::state::Entry;
use crate::version::ContentHash;
use crate::version::DeviceId;
use crate::version::Hlc;
use crate::version::VersionId;

/// One transaction's worth of changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// New state by path; a blank entry is to be removed.
    pub entries: Vec<(FilePath, Entry)>,
    /// Versions that left the trees and are kept for a while.
    pub history: Vec<HistoryRow>,
    /// What happened, for people.
    pub log: Vec<LogRow>,
    /// The counters, if one of them moved.
    pub counters: Option<Counters>,
}

impl Commit {
    /// Whether there is nothing to store.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
            && self.history.is_empty()
            && self.log.is_empty()
            && self.counters.is_none()
    }
}

/// The replica's own counters, which never go backwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Counters {
    /// The newest time stamp given out or seen.
    pub clock: Hlc,
    /// The last journal position given out.
    pub sequence: u64,
}

/// A version that is no longer current.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryRow {
    /// Where it was.
    pub path: FilePath,
    /// Which version.
    pub version: VersionId,
    /// Its content, which the store keeps as long as this row.
    pub content: ContentHash,
    /// Length in bytes.
    pub size: u64,
    /// Type of the content.
    pub media_type: MediaType,
    /// When it was replaced, in milliseconds since 1970.
    pub replaced_ms: u64,
    /// Why it was replaced.
    pub cause: Cause,
}

/// Why a version went to history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// An edit on this device came after it.
    Edited,
    /// A newer version was pulled over it.
    Pulled,
    /// It went into a merge.
    Merged,
    /// It lost against a concurrent version.
    Lost,
    /// It was deleted.
    Deleted,
}

/// One line of the activity log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// When, in milliseconds since 1970, by this device's clock.
    pub at_ms: u64,
    /// Which file.
    pub path: FilePath,
    /// What happened to it.
    pub action: Action,
    /// The version that resulted, or was concerned.
    pub version: VersionId,
    /// More for a person, for instance the name of the conflict copy; may be empty.
    pub detail: String,
}

impl LogRow {
    /// Who wrote the version.
    pub fn author(&self) -> DeviceId {
        self.version.device
    }
}

/// What can happen to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Written on this device.
    Edited,
    /// Deleted on this device.
    Deleted,
    /// Stored on the hub.
    Pushed,
    /// Removed from the hub.
    Removed,
    /// Taken over from the hub.
    Pulled,
    /// Deleted because it was deleted elsewhere.
    PulledDelete,
    /// Two versions became one.
    Merged,
    /// Two versions are kept: one under another name.
    Conflict,
    /// A delete gave way to an edit.
    EditKept,
    /// The operation waits for somebody.
    Parked,
}
