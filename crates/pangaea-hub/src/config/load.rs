//! Putting the sources above each other: the default, the file, the environment, the command
//! line. Everything that is wrong is collected, so that nobody has to mend a file line by line.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};

use super::error::{ConfigError, Place, Problem};
use super::settings::{self, SECRET, SETTINGS, Setting};
use super::value::Value;
use super::{HubConfig, LISTEN_DEFAULT, environment, file};

/// Where the settings of a hub come from. Empty, everything is as it comes.
#[derive(Clone, Default)]
pub struct ConfigSources {
    file: Option<PathBuf>,
    /// Kept because a process cannot be given others, and reloading must end up the same.
    variables: Vec<(OsString, OsString)>,
    options: Vec<Given>,
}

/// A setting that was given on the command line.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) option: String,
    pub(crate) key: String,
    pub(crate) text: String,
}

/// Settings that are consistent, and where each came from.
#[derive(Clone, Debug)]
pub struct LoadedConfig {
    /// The settings.
    pub config: HubConfig,
    /// What is strange but harmless, for the log.
    pub warnings: Vec<String>,
    places: BTreeMap<&'static str, Place>,
}

/// The sources so far.
pub(crate) struct Layers {
    config: HubConfig,
    places: BTreeMap<&'static str, Place>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) warnings: Vec<String>,
}

impl ConfigSources {
    /// Nothing but the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes settings from a TOML file.
    #[must_use]
    pub fn with_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Takes settings from variables; those of other programs are left out.
    #[must_use]
    pub fn with_environment(
        mut self,
        variables: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Self {
        let ours = variables
            .into_iter()
            .filter(|(name, _)| environment::is_ours(name));
        self.variables.extend(ours);
        self
    }

    /// Takes a setting, such as `listen.address`, from an option of the command line. Secrets
    /// must not come this way.
    #[must_use]
    pub fn with_option(mut self, option: &str, key: &str, text: impl Into<String>) -> Self {
        self.options.push(Given {
            option: option.to_owned(),
            key: key.to_owned(),
            text: text.into(),
        });
        self
    }

    /// The configuration file, if there is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Reads everything.
    ///
    /// # Errors
    /// All that is wrong, with the places where it is.
    pub fn load(&self) -> Result<LoadedConfig, ConfigError> {
        match &self.file {
            Some(path) => {
                let text = file::read(path)?;
                self.load_with(Some(&text))
            }
            None => self.load_with(None),
        }
    }

    /// Reads everything, with this for the text of the file.
    pub(crate) fn load_with(&self, text: Option<&str>) -> Result<LoadedConfig, ConfigError> {
        let mut layers = Layers {
            config: HubConfig::new(PathBuf::new(), LISTEN_DEFAULT),
            places: BTreeMap::new(),
            problems: Vec::new(),
            warnings: Vec::new(),
        };
        if let (Some(path), Some(text)) = (&self.file, text) {
            file::read_settings(path, text, &mut layers);
        }
        environment::read(&self.variables, &mut layers);
        for given in &self.options {
            let place = Place::CommandLine(given.option.clone());
            match settings::find(&given.key) {
                Some(row) => layers.offer(row, place, row.takes.read_text(&given.text)),
                None => layers.complain(place, format!("there is no setting {}", given.key)),
            }
        }
        layers.finish()
    }
}

impl fmt::Debug for ConfigSources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Variables may hold a secret.
        f.debug_struct("ConfigSources")
            .field("file", &self.file)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Layers {
    /// Puts a value, or what was there instead of one, above what is there so far.
    pub(crate) fn offer(
        &mut self,
        setting: &'static Setting,
        place: Place,
        value: Result<Value, String>,
    ) {
        let key = setting.key;
        let takes = setting.takes.describe();
        let done = value.map_err(|given| format!("{key} takes {takes}, not {given}"));
        let done = done.and_then(|value| {
            (setting.set)(&mut self.config, value)
                .map_err(|error| format!("{key} takes {takes}: {error}"))
        });
        match done {
            Ok(()) => {
                self.places.insert(key, place);
            }
            Err(message) => self.complain(place, message),
        }
    }

    pub(crate) fn complain(&mut self, place: Place, message: impl Into<String>) {
        self.problems.push(Problem::new(place, message));
    }

    fn finish(mut self) -> Result<LoadedConfig, ConfigError> {
        // What was not understood might be just what is missing.
        if self.problems.is_empty() {
            self.problems = self.config.check();
        }
        if !self.problems.is_empty() {
            return Err(ConfigError::new(self.problems));
        }
        Ok(LoadedConfig {
            config: self.config,
            warnings: self.warnings,
            places: self.places,
        })
    }
}

impl LoadedConfig {
    /// Settings of which it does not matter where they came from.
    pub(crate) fn of(config: &HubConfig) -> Self {
        Self {
            config: config.clone(),
            warnings: Vec::new(),
            places: BTreeMap::new(),
        }
    }

    /// All settings as a TOML file, with secrets masked and remarks on what does not come from
    /// the file or the defaults.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = String::new();
        for section in settings::sections() {
            text += &format!("[{section}]\n");
            for setting in SETTINGS {
                if let Some((of, name)) = setting.key.split_once('.')
                    && of == section
                {
                    text += &self.line(setting, name);
                }
            }
            text.push('\n');
        }
        text.truncate(text.trim_end().len());
        text
    }

    fn line(&self, setting: &Setting, name: &str) -> String {
        let remark = match self.places.get(setting.key) {
            Some(Place::File { .. }) | None => String::new(),
            Some(place) => format!("  # {place}"),
        };
        match (setting.get)(&self.config) {
            Some(value) => format!("{name} = {}{remark}\n", value.to_toml()),
            None => format!("# {name} is not set\n"),
        }
    }

    /// All settings as JSON, by section, with secrets masked; what is not set is `null`.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut sections = Map::new();
        for setting in SETTINGS {
            let Some((section, name)) = setting.key.split_once('.') else {
                continue;
            };
            let value = (setting.get)(&self.config);
            let value = value.map_or(Json::Null, |value| value.to_json());
            let members = sections
                .entry(section)
                .or_insert_with(|| Json::Object(Map::new()));
            if let Json::Object(members) = members {
                members.insert(name.to_owned(), value);
            }
        }
        Json::Object(sections)
    }

    /// Whether a setting comes from above the file, so that changing the file changes nothing.
    pub(crate) fn is_above_file(&self, key: &str) -> bool {
        matches!(
            self.places.get(key),
            Some(Place::Environment(_) | Place::CommandLine(_))
        )
    }
}

impl HubConfig {
    /// Everything that does not fit together.
    pub(crate) fn check(&self) -> Vec<Problem> {
        let mut problems = self.check_rows();
        let mut complain = |message: &str| problems.push(Problem::new(Place::Sum, message));
        if self.data_dir.as_os_str().is_empty() {
            complain(
                "storage.data_dir is not set: name the folder for everything that is stored there, \
                 or with --data",
            );
        }
        match (&self.tls.certificate, &self.tls.key) {
            (Some(_), None) => {
                complain("tls.certificate is set, but not tls.key: set both or neither");
            }
            (None, Some(_)) => {
                complain("tls.key is set, but not tls.certificate: set both or neither");
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        let admin = &self.admin;
        if admin.listen.is_some() && admin.token.is_none() && admin.token_file.is_none() {
            complain(
                "admin.address is set, but no token: name the file that holds it with \
                 admin.token_file, or leave admin.address out",
            );
        }
        if admin.listen == Some(self.listen) && self.listen.port() != 0 {
            complain("admin.address and listen.address are the same: choose another port");
        }
        problems
    }

    /// Holds every setting against the table: those that were made in code have not been yet.
    fn check_rows(&self) -> Vec<Problem> {
        let mut scratch = self.clone();
        let mut problems = Vec::new();
        for row in SETTINGS.iter().filter(|row| row.key != SECRET) {
            let Some(value) = (row.get)(self) else {
                continue;
            };
            let takes = row.takes.describe();
            let set = match row.takes.admit(value) {
                Ok(value) => (row.set)(&mut scratch, value),
                Err(given) => Err(format!("it is {given}")),
            };
            if let Err(error) = set {
                let message = format!("{} takes {takes}: {error}", row.key);
                problems.push(Problem::new(Place::Sum, message));
            }
        }
        problems
    }
}
