//! What a person wants to know of the whole replica at a glance.

use gaia::path::FilePath;

use super::Delay;
use super::Engine;
use super::HubState;
use crate::state::Base;
use crate::state::Entry;
use crate::state::Local;
use crate::state::Problem;
use crate::state::ProblemKind;
use crate::state::Remote;
use crate::version::Hlc;

/// A summary of the journal and of what stands in its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Files on this device, Pangaea's own not counted.
    pub files: usize,
    /// Operations that are not known to be on the hub.
    pub pending: usize,
    /// How many bytes of content they hold.
    pub pending_bytes: u64,
    /// When the oldest of them was made, in milliseconds since 1970.
    pub oldest_ms: Option<u64>,
    /// Requests under way.
    pub in_flight: usize,
    /// Paths that wait for somebody.
    pub parked: usize,
    /// Whether the hub can be used.
    pub hub: HubState,
}

impl Engine {
    /// The summary.
    pub fn status(&self) -> Status {
        let mut status = Status {
            files: 0,
            pending: self.journal.len(),
            pending_bytes: 0,
            oldest_ms: None,
            in_flight: self.in_flight.len(),
            parked: 0,
            hub: self.hub.clone(),
        };
        for (path, entry) in &self.entries {
            let file = entry.local.file();
            if matches!(entry.local, Local::File(_)) && !crate::state::is_reserved(path) {
                status.files += 1;
            }
            if let Some(pending) = &entry.pending {
                status.pending_bytes += file.map_or(0, |file| file.size);
                let oldest = status.oldest_ms.unwrap_or(u64::MAX).min(pending.since_ms);
                status.oldest_ms = Some(oldest);
            }
            let is_parked = |problem: &Problem| problem.kind != ProblemKind::Ignored;
            if entry.problem.as_ref().is_some_and(is_parked) {
                status.parked += 1;
            }
        }
        status
    }

    /// The paths that are left alone for a while, and why.
    pub fn delays(&self) -> impl Iterator<Item = (&FilePath, &Delay)> {
        self.waiting.iter()
    }

    /// Whether everything that the hub was said to have in this life is here, but for what waits for
    /// somebody.
    pub fn has_everything(&self) -> bool {
        let is_wanted = |entry: &Entry| {
            let is_there = matches!(entry.remote, Remote::Seen(Some(_)) | Remote::File(_));
            is_there && entry.problem.is_none() && entry.base == Base::Unknown
        };
        self.has_listed
            && self.listing.is_done()
            && self.hub == HubState::Ready
            && self.in_flight.is_empty()
            && !self.entries.values().any(is_wanted)
    }

    /// How many steps are known to be left, waiting ones not counted.
    pub fn steps_left(&self) -> usize {
        let ready = self.ready.len() + self.held.len() + self.unstored.len();
        ready + self.in_flight.len() + self.follow_up.len()
    }

    /// The path whose operation has this place in the journal.
    pub fn journal_path(&self, sequence: u64) -> Option<&FilePath> {
        self.journal.get(&sequence)
    }

    /// The newest time stamp that this replica gave out or saw.
    pub fn clock_last(&self) -> Hlc {
        self.clock.last()
    }
}
