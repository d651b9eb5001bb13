//! What a sync leaves to be told by `pangaea status`: how it ended, and what is not synced. Kept
//! in a small file beside the store: it is for onlookers, so losing it loses nothing.

use std::fs;
use std::io;
use std::path::Path;

use gaia::path::FilePath;
use pangaea::mirror::Refused;
use pangaea::replica::FolderReport;
use pangaea::replica::Replica;
use pangaea_core::engine::Delay;
use pangaea_core::engine::HubState;
use pangaea_core::engine::Status;
use pangaea_core::io::Question;
use serde::Deserialize;
use serde::Serialize;

use crate::error::CliError;
use crate::error::Exit;
use crate::words;

/// So many names of one kind are remembered; the rest is counted.
const NAMES_MAX: usize = 1_000;

/// What is remembered from the last syncs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Report {
    /// When everything was stored last.
    pub(crate) last_success_ms: Option<u64>,
    /// What stood in the way last, until a success.
    pub(crate) last_error: Option<LastError>,
    /// What the last sync left for later although the hub could be used.
    pub(crate) delayed: Names,
    /// What of the folder is not synced until somebody acts.
    pub(crate) refused: Names,
    /// What of the folder is left out on purpose.
    pub(crate) notes: Names,
    /// Names on the hub that no file here can have.
    pub(crate) unusable: Names,
}

/// What stood in the way, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastError {
    pub(crate) at_ms: u64,
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

/// What kind of thing stands in the way, by what is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ErrorKind {
    /// The hub cannot be reached or is unwell: waiting helps.
    Unreachable,
    /// The hub does not take the key.
    SignIn,
    /// Many files are gone from the bucket.
    MassDelete,
    /// The bucket is not the one that it was.
    OtherBucket,
}

/// Names and why they are not synced.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Names {
    pub(crate) total: usize,
    pub(crate) first: Vec<Name>,
}

/// A name and why it is not synced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Name {
    pub(crate) name: String,
    pub(crate) reason: String,
}

impl Names {
    fn of_delays<'a>(delays: impl Iterator<Item = (&'a FilePath, &'a Delay)>) -> Self {
        let mut names = Self::default();
        for (path, delay) in delays {
            names.total += 1;
            if names.first.len() < NAMES_MAX {
                names.first.push(Name {
                    name: path.to_string(),
                    reason: delay.reason.clone(),
                });
            }
        }
        names
    }

    fn of_folder(refused: &[Refused]) -> Self {
        let name = |one: &Refused| Name {
            name: one.name.clone(),
            reason: one.reason.clone(),
        };
        let first = refused.iter().take(NAMES_MAX).map(name).collect();
        Self {
            total: refused.len(),
            first,
        }
    }

    fn of_hub(names: &[String]) -> Self {
        let reason = "no file here can have this name; it stays on the hub as it is";
        let name = |name: &String| Name {
            name: name.clone(),
            reason: reason.to_owned(),
        };
        let first = names.iter().take(NAMES_MAX).map(name).collect();
        Self {
            total: names.len(),
            first,
        }
    }
}

impl Report {
    /// Reads what an earlier sync left; what cannot be read is forgotten.
    pub(crate) fn read(place: &Path) -> Self {
        fs::read(place)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default()
    }

    /// Notes how things are after a sync that asked the hub.
    pub(crate) fn note(&mut self, replica: &Replica, status: &Status, now_ms: u64) {
        self.note_folder(replica.folder_report());
        self.delayed = Names::of_delays(replica.delays());
        self.unusable = Names::of_hub(&replica.unusable_names());
        let error = LastError::of(&status.hub, now_ms);
        if error.is_none() && status.pending == 0 {
            self.last_success_ms = Some(now_ms);
        }
        let is_same = match (&error, &self.last_error) {
            (Some(new), Some(old)) => (new.kind, &new.message) == (old.kind, &old.message),
            (None, _) | (_, None) => false,
        };
        if !is_same {
            self.last_error = error;
        }
    }

    /// Notes what of the folder is not synced.
    pub(crate) fn note_folder(&mut self, folder: &FolderReport) {
        self.refused = Names::of_folder(&folder.refused);
        self.notes = Names::of_folder(&folder.notes);
    }

    /// Puts it into its file, in one piece. Not durable: a sync that changed nothing should not
    /// wait for the disk.
    pub(crate) fn store(&self, place: &Path) -> Result<(), CliError> {
        let cannot = |error: io::Error| CliError::of_file("write", place, &error);
        // Only the process with the store's lock writes here, so one name will do.
        let fresh = place.with_extension("new");
        let text = serde_json::to_vec(self).map_err(|error| cannot(error.into()))?;
        fs::write(&fresh, text).map_err(cannot)?;
        fs::rename(&fresh, place).map_err(cannot)
    }
}

impl LastError {
    fn of(hub: &HubState, now_ms: u64) -> Option<Self> {
        let (kind, message) = match hub {
            HubState::Ready => return None,
            HubState::Waiting { message, .. } => (ErrorKind::Unreachable, message.clone()),
            HubState::Paused { message } => (ErrorKind::SignIn, message.clone()),
            HubState::Halted(question) => {
                let kind = match question {
                    Question::MassDelete { .. } => ErrorKind::MassDelete,
                    Question::OtherBucket => ErrorKind::OtherBucket,
                };
                (kind, question_words(question))
            }
        };
        Some(Self {
            at_ms: now_ms,
            kind,
            message,
        })
    }
}

impl ErrorKind {
    /// What it means and what to do.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Unreachable => {
                "The hub cannot be used for now. Nothing is lost: what waits here is sent when it \
                 is back."
            }
            Self::SignIn => {
                "The hub does not accept this key any more. What waits here is kept until it \
                 does: ask whoever runs the hub."
            }
            Self::MassDelete => {
                "That may be the hub's fault, so nothing was deleted here. If the files were \
                 really deleted: `pangaea sync DIR --accept-deletes`."
            }
            Self::OtherBucket => {
                "The bucket was reset, replaced or restored, so nothing was changed. To go on \
                 with it and upload this folder's files again: `pangaea sync DIR \
                 --accept-new-bucket`."
            }
        }
    }
}

/// The engine's question in words.
pub(crate) fn question_words(question: &Question) -> String {
    match question {
        Question::MassDelete { missing, known } => format!(
            "the hub does not list {} of the {} that it and this folder have in common",
            words::grouped(*missing as u64),
            words::count(*known as u64, "file")
        ),
        Question::OtherBucket => "the bucket on the hub is not the one that it was".to_owned(),
    }
}

/// How a sync ends that left things so.
pub(crate) fn exit_of(status: &Status, folder: &FolderReport) -> Exit {
    match &status.hub {
        HubState::Paused { .. } | HubState::Halted(_) => Exit::NeedsPerson,
        HubState::Waiting { .. } => Exit::Pending,
        // What is parked is pending as well, and waiting does not help it.
        HubState::Ready if status.pending > status.parked => Exit::Pending,
        HubState::Ready if status.parked > 0 || !folder.refused.is_empty() => Exit::NeedsPerson,
        HubState::Ready if !folder.unsettled.is_empty() => Exit::Pending,
        HubState::Ready => Exit::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(hub: HubState) -> Status {
        let (files, pending, pending_bytes, oldest_ms, in_flight, parked) = (3, 0, 0, None, 0, 0);
        Status {
            files,
            pending,
            pending_bytes,
            oldest_ms,
            in_flight,
            parked,
            hub,
        }
    }

    #[test]
    fn the_exit_code_says_who_has_to_act() {
        let folder = FolderReport::default();
        let ready = status(HubState::Ready);
        assert_eq!(exit_of(&ready, &folder), Exit::Done);
        let parked = Status {
            parked: 1,
            ..ready.clone()
        };
        assert_eq!(exit_of(&parked, &folder), Exit::NeedsPerson);
        let unsent = Status {
            pending: 1,
            ..parked.clone()
        };
        assert_eq!(exit_of(&unsent, &folder), Exit::NeedsPerson);
        let sending = Status {
            pending: 2,
            parked: 1,
            ..ready
        };
        assert_eq!(exit_of(&sending, &folder), Exit::Pending);
        let waiting = HubState::Waiting {
            until_ms: 1,
            attempt: 1,
            message: String::new(),
        };
        assert_eq!(exit_of(&status(waiting), &folder), Exit::Pending);
        let halted = HubState::Halted(Question::OtherBucket);
        assert_eq!(exit_of(&status(halted), &folder), Exit::NeedsPerson);
    }

    #[test]
    fn a_report_is_read_back_and_an_unknown_one_is_no_obstacle() {
        let message = "it does not answer".to_owned();
        let error = LastError {
            at_ms: 5,
            kind: ErrorKind::SignIn,
            message,
        };
        let report = Report {
            last_error: Some(error),
            ..Report::default()
        };
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("report.json");
        assert_eq!(Report::read(&place), Report::default());
        report.store(&place).unwrap();
        assert_eq!(Report::read(&place), report);
        fs::write(&place, "[]").unwrap();
        assert_eq!(Report::read(&place), Report::default());
    }
}
