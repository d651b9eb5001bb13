//! What the application may ask of a replica.

use gaia::path::FilePath;
use pangaea_core::commit::HistoryRow;
use pangaea_core::commit::LogRow;
use pangaea_core::conflict;
use pangaea_core::engine::Delay;
use pangaea_core::engine::Status;
use pangaea_core::state::Entry;
use pangaea_core::state::Problem;
use pangaea_core::state::ProblemKind;
use pangaea_core::state::is_reserved;

use super::Replica;
use crate::store::RowQuery;
use crate::store::StoreError;

/// How far a file is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// The hub has this version.
    Stored,
    /// It waits to be sent.
    Queued,
    /// It waits for somebody.
    Parked,
}

impl FileState {
    /// The state of an entry.
    pub fn of(entry: &Entry) -> Self {
        if entry
            .problem
            .as_ref()
            .is_some_and(|problem| problem.kind != ProblemKind::Ignored)
        {
            Self::Parked
        } else if entry.pending.is_some() {
            Self::Queued
        } else {
            Self::Stored
        }
    }
}

/// Two versions of a file that somebody may want to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// One of them lies beside the file.
    Copy {
        /// The file.
        path: FilePath,
        /// The copy.
        copy: FilePath,
    },
    /// Nothing was decided yet.
    Undecided {
        /// The file.
        path: FilePath,
    },
}

impl Replica {
    /// A summary of the journal.
    pub fn status(&self) -> Status {
        self.engine.status()
    }

    /// The files of this device with their states, Pangaea's own left out.
    pub fn files(&self) -> impl Iterator<Item = (&FilePath, &Entry)> {
        let visible = |(path, entry): &(&FilePath, &Entry)| {
            entry.local.file().is_some() && !is_reserved(path)
        };
        self.engine.entries().iter().filter(visible)
    }

    /// The paths that wait for somebody, and why.
    pub fn problems(&self) -> impl Iterator<Item = (&FilePath, &Problem)> {
        self.engine
            .entries()
            .iter()
            .filter_map(|(path, entry)| Some((path, entry.problem.as_ref()?)))
    }

    /// The paths that are left alone for a while although the hub can be used, and why.
    pub fn delays(&self) -> impl Iterator<Item = (&FilePath, &Delay)> {
        self.engine.delays()
    }

    /// Files that somebody may want to look at.
    pub fn conflicts(&self) -> Vec<Conflict> {
        conflicts(self.engine.entries().iter())
    }

    /// Names on the hub that no path here can hold, by the last listing.
    pub fn unusable_names(&self) -> Vec<String> {
        self.carrier.unusable()
    }

    /// Earlier versions, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn history(&self, query: RowQuery) -> Result<Vec<HistoryRow>, StoreError> {
        self.carrier.store().history(query).await
    }

    /// What happened, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn log(&self, query: RowQuery) -> Result<Vec<LogRow>, StoreError> {
        self.carrier.store().log(query).await
    }
}

/// The conflicts among entries.
pub fn conflicts<'a>(entries: impl Iterator<Item = (&'a FilePath, &'a Entry)>) -> Vec<Conflict> {
    entries
        .filter_map(|(path, entry)| {
            let undecided = entry
                .problem
                .as_ref()
                .is_some_and(|problem| problem.kind == ProblemKind::Undecided);
            if undecided {
                return Some(Conflict::Undecided { path: path.clone() });
            }
            entry.local.file()?;
            let original = conflict::original_path(path)?;
            Some(Conflict::Copy {
                path: original,
                copy: path.clone(),
            })
        })
        .collect()
}
