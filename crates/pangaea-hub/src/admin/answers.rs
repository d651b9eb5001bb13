//! What the admin service answers in JSON, but for the settings themselves.

use schemars::JsonSchema;
use serde::Serialize;

/// Why nothing was done.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AdminError")]
pub(crate) struct Failure {
    /// What is wrong.
    pub(crate) error: String,
    /// All that is wrong with the settings, one by one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) more: Option<Vec<String>>,
}

/// That the process lives.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Alive {
    /// `ok`
    pub(crate) status: &'static str,
}

/// What speaks for and against sending requests to the hub; each is `ok` or `bad`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Readiness")]
pub(crate) struct ReadyParts {
    /// The index took a change in good time.
    pub(crate) index: &'static str,
    /// The disk has as much room as it should.
    pub(crate) disk: &'static str,
    /// Nobody has told the hub to stop.
    pub(crate) serving: &'static str,
}

/// What became of a change of the configuration file.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SettingsChanged")]
pub(crate) struct FileChanged {
    /// That the file was changed, in the words of the stock admin service.
    pub(crate) message: &'static str,
    /// Settings that an option or a variable decides, so that the change has no effect.
    pub(crate) overridden: Vec<String>,
}

/// What a reload has changed.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SettingsReloaded")]
pub(crate) struct ReloadDone {
    /// `OK`
    pub(crate) result: &'static str,
    /// The settings that are other now than before.
    pub(crate) changed: Vec<&'static str>,
    /// The settings that were changed but stay as they are until the hub is started again.
    pub(crate) needs_restart: Vec<&'static str>,
}

impl Failure {
    pub(crate) fn new(error: impl Into<String>) -> Self {
        Self {
            error: error.into(),
            more: None,
        }
    }
}
