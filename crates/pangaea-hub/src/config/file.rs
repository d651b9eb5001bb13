//! Reading the configuration file, with the line of everything that is wrong in it.

use std::fs;
use std::path::Path;

use toml_edit::{Document, Item, Key, TableLike};

use super::environment::variable;
use super::error::{ConfigError, Place};
use super::load::Layers;
use super::settings::{self, SECRET, SETTINGS};

/// The largest configuration file that is read. A whitelist may be long.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Reads the text of a configuration file.
pub(crate) fn read(path: &Path) -> Result<String, ConfigError> {
    let failed = |message: String| ConfigError::at(whole(path), message);
    let size = fs::metadata(path)
        .map_err(|error| failed(format!("cannot read the configuration file: {error}")))?
        .len();
    if size > FILE_BYTES_MAX {
        return Err(failed(format!("no configuration file has {size} bytes")));
    }
    fs::read_to_string(path)
        .map_err(|error| failed(format!("cannot read the configuration file: {error}")))
}

/// Puts the settings of a file above what is there so far.
pub(crate) fn read_settings(path: &Path, text: &str, layers: &mut Layers) {
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let place = at(path, text, error.span().map(|span| span.start));
            let message = error.message().trim().replace('\n', "; ");
            layers.complain(place, format!("this is not TOML: {message}"));
            return;
        }
    };
    for (section, item) in document.as_table().iter() {
        let key = document.as_table().key(section);
        let place = place_of(path, text, key, item);
        let Some(members) = item.as_table_like() else {
            layers.complain(
                place,
                unknown_section(section, "setting outside of a section"),
            );
            continue;
        };
        if settings::names_in(section).is_empty() {
            layers.complain(place, unknown_section(section, "section"));
            continue;
        }
        read_section(path, text, section, members, layers);
    }
}

fn read_section(
    path: &Path,
    text: &str,
    section: &str,
    members: &dyn TableLike,
    layers: &mut Layers,
) {
    for (name, item) in members.iter() {
        let place = place_of(path, text, members.key(name), item);
        match find(section, name) {
            Err(message) => layers.complain(place, message),
            Ok(setting) => {
                let value = match item.as_value() {
                    Some(value) => setting.takes.read_toml(value),
                    None => Err("a section".to_owned()),
                };
                layers.offer(setting, place, value);
            }
        }
    }
}

/// The setting of a name, or what to write instead.
pub(crate) fn find(section: &str, name: &str) -> Result<&'static settings::Setting, String> {
    let key = format!("{section}.{name}");
    if key == SECRET {
        return Err(format!(
            "{key} does not belong into this file: write the token into a file of its own and \
             name that with admin.token_file, or set {}",
            variable(SECRET)
        ));
    }
    settings::find(&key).ok_or_else(|| {
        let elsewhere = SETTINGS.iter().find(|row| {
            let (_, other) = row.key.split_once('.').unwrap_or_default();
            other == name && row.key != SECRET
        });
        match elsewhere.and_then(|row| row.key.split_once('.')) {
            Some((right, _)) => {
                format!("there is no setting {key}: `{name}` belongs into [{right}]")
            }
            None => format!(
                "there is no setting {key}: [{section}] has {}",
                settings::names_in(section).join(", ")
            ),
        }
    })
}

pub(crate) fn unknown_section(name: &str, what: &str) -> String {
    format!(
        "there is no {what} `{name}`: the sections are [{}]",
        settings::sections().join("], [")
    )
}

fn whole(path: &Path) -> Place {
    let path = path.to_owned();
    Place::File { path, line: None }
}

fn place_of(path: &Path, text: &str, key: Option<&Key>, item: &Item) -> Place {
    let span = key.and_then(Key::span).or_else(|| item.span());
    at(path, text, span.map(|span| span.start))
}

fn at(path: &Path, text: &str, byte: Option<usize>) -> Place {
    let before = byte.and_then(|byte| text.as_bytes().get(..byte));
    let line = before.map(|before| before.iter().filter(|byte| **byte == b'\n').count() + 1);
    let path = path.to_owned();
    Place::File { path, line }
}
