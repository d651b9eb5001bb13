//! Settings in environment variables: `PANGAEA_HUB_`, the section, `_` and the name, in capitals.

use std::ffi::{OsStr, OsString};

use super::error::Place;
use super::load::Layers;
use super::settings::SETTINGS;

const PREFIX: &str = "PANGAEA_HUB_";

/// The variable of a setting.
pub(crate) fn variable(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "_").to_uppercase())
}

/// Whether a variable is meant for the hub.
pub(crate) fn is_ours(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(PREFIX.as_bytes())
}

/// Reads the variables that are settings. Empty ones count as not set.
pub(crate) fn read(variables: &[(OsString, OsString)], layers: &mut Layers) {
    for (name, value) in variables {
        let setting = SETTINGS
            .iter()
            .find(|setting| *name == *variable(setting.key));
        let name = name.to_string_lossy().into_owned();
        let Some(setting) = setting else {
            // Others set such variables too: Kubernetes does, for a service of this name.
            layers
                .warnings
                .push(format!("the environment variable {name} is no setting"));
            continue;
        };
        if value.is_empty() {
            continue;
        }
        let place = Place::Environment(name);
        match value.to_str() {
            Some(text) => layers.offer(setting, place, setting.takes.read_text(text)),
            None => layers.complain(place, format!("{} is not text in UTF-8", setting.key)),
        }
    }
}
