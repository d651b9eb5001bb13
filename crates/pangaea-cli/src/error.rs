//! The one place where errors become words, hints and exit codes.

use std::fmt;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use pangaea::hub::http::HttpHubConfigError;
use pangaea::mirror::MirrorError;
use pangaea::replica::EditError;
use pangaea::replica::ReplicaError;
use pangaea::store::StoreError;
use pangaea_hub::ConfigError;
use pangaea_hub::HubError;

use crate::output::Output;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; after a sync: everything is stored.
    Done,
    /// It failed.
    Failed,
    /// Wrong usage.
    Usage,
    /// Work is left that needs no one.
    Pending,
    /// A person has to act first.
    NeedsPerson,
}

impl Exit {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Pending => 3,
            Self::NeedsPerson => 4,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// Why a command did not do what it was asked for.
#[derive(Debug)]
pub(crate) struct CliError {
    exit: Exit,
    message: String,
    hint: Option<String>,
    /// Whoever read the output went away: nobody is there to be told anything.
    is_nobody_listening: bool,
}

impl CliError {
    /// Something failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::with_exit(Exit::Failed, message)
    }

    /// Something was asked for in a wrong way.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::with_exit(Exit::Usage, message)
    }

    fn with_exit(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            hint: None,
            is_nobody_listening: false,
        }
    }

    /// Adds what can be done about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// A file or folder that could not be used.
    pub(crate) fn of_file(action: &str, path: &Path, error: &io::Error) -> Self {
        Self::failed(format!("cannot {action} {}: {error}", path.display()))
    }

    /// Output that could not be written.
    pub(crate) fn of_output(error: &io::Error) -> Self {
        let mut failure = Self::failed(format!("cannot write the output: {error}"));
        failure.is_nobody_listening = error.kind() == io::ErrorKind::BrokenPipe;
        failure
    }

    /// Tells the person, or the program, that asked.
    pub(crate) fn tell(&self, output: &Output) -> Exit {
        if self.is_nobody_listening {
            return Exit::Done;
        }
        output.error(&self.message, self.hint.as_deref(), self.exit);
        self.exit
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Help, the version, or a mistake on the command line.
pub(crate) fn of_usage(error: &clap::Error) -> ExitCode {
    // Help that nobody reads to its end is no failure.
    error.print().ok();
    match error.exit_code() {
        0 => Exit::Done.into(),
        _ => Exit::Usage.into(),
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> Self {
        let failure = Self::failed(error.to_string());
        match error {
            StoreError::InUse => {
                let message = "another pangaea is at work on this folder";
                Self::failed(message).hint(
                    "if that is `pangaea up` or `pangaea sync --watch`, it syncs by itself; stop \
                     it to do this",
                )
            }
            StoreError::Damaged { .. } => failure.hint(
                "your files in the folder are not concerned: move the folder's .pangaea away and \
                 `pangaea init` it again",
            ),
            StoreError::Newer { .. }
            | StoreError::Missing
            | StoreError::ReadOnly
            | StoreError::Io { .. }
            | _ => failure,
        }
    }
}

impl From<MirrorError> for CliError {
    fn from(error: MirrorError) -> Self {
        Self::failed(error.to_string())
    }
}

impl From<ReplicaError> for CliError {
    fn from(error: ReplicaError) -> Self {
        match error {
            ReplicaError::Store(error) => error.into(),
            ReplicaError::Mirror(error) => error.into(),
            ReplicaError::Policy(_) => Self::failed(error.to_string())
                .hint("correct the policies on a device that can read them, then sync that one"),
            ReplicaError::Settings(_) | _ => Self::failed(error.to_string()),
        }
    }
}

impl From<EditError> for CliError {
    fn from(error: EditError) -> Self {
        match error {
            EditError::Replica(error) => error.into(),
            EditError::NotKept { ref path, .. } => {
                let hint = format!("`pangaea log DIR '{path}'` lists the versions that are kept");
                Self::failed(error.to_string()).hint(hint)
            }
            EditError::NoConflict { .. } => {
                Self::failed(error.to_string()).hint("`pangaea conflicts DIR` lists the conflicts")
            }
            EditError::Absent { .. } => {
                Self::failed(error.to_string()).hint("`pangaea ls DIR` lists the files")
            }
            EditError::Refused { .. } | _ => Self::failed(error.to_string()),
        }
    }
}

impl From<HttpHubConfigError> for CliError {
    fn from(error: HttpHubConfigError) -> Self {
        match error {
            HttpHubConfigError::Address { .. } => Self::usage(error.to_string()),
            HttpHubConfigError::Setup { .. } | _ => Self::failed(error.to_string()),
        }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<HubError> for CliError {
    fn from(error: HubError) -> Self {
        match error {
            HubError::Config(error) => error.into(),
            HubError::DataDir { .. }
            | HubError::InUse { .. }
            | HubError::Index(_)
            | HubError::Listen { .. }
            | HubError::Fault(_)
            | _ => Self::failed(error.to_string()),
        }
    }
}
