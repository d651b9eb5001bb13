//! Changing the configuration file without disturbing what a person wrote into it.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use serde_json::{Map, Value as Json};
use toml_edit::{DocumentMut, Item, Table, TableLike};

use super::error::{ConfigError, Place, Problem};
use super::file::{find, unknown_section};
use super::settings;

/// The text of a file with changes, a JSON object of sections; `null` takes a setting out. What
/// else is in the file, and its comments, stay.
pub(crate) fn change(text: &str, changes: &Map<String, Json>) -> Result<String, ConfigError> {
    let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
        let message = format!("the file is not TOML any more: {}", error.message());
        ConfigError::at(Place::Request, message)
    })?;
    let mut problems = Vec::new();
    for (section, members) in changes {
        let known = !settings::names_in(section).is_empty();
        match members.as_object().filter(|_| known) {
            None if known => problems.push(format!("{section} takes an object of settings")),
            None => problems.push(unknown_section(section, "section")),
            Some(members) => {
                if let Err(message) = change_section(&mut document, section, members) {
                    problems.extend(message);
                }
            }
        }
    }
    if problems.is_empty() {
        return Ok(document.to_string());
    }
    let problems = problems.into_iter();
    Err(ConfigError::new(
        problems
            .map(|message| Problem::new(Place::Request, message))
            .collect(),
    ))
}

fn change_section(
    document: &mut DocumentMut,
    section: &str,
    members: &Map<String, Json>,
) -> Result<(), Vec<String>> {
    let mut problems = Vec::new();
    let table = document
        .entry(section)
        .or_insert_with(|| Item::Table(Table::new()));
    let Some(table) = table.as_table_like_mut() else {
        return Err(vec![format!("{section} is no section in the file")]);
    };
    for (name, json) in members {
        let setting = match find(section, name) {
            Ok(setting) => setting,
            Err(message) => {
                problems.push(message);
                continue;
            }
        };
        if json.is_null() {
            table.remove(name);
            continue;
        }
        match setting.takes.read_json(json) {
            Ok(value) => put(table, name, value.to_toml()),
            Err(given) => {
                let takes = setting.takes.describe();
                problems.push(format!("{} takes {takes}, not {given}", setting.key));
            }
        }
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// Sets a value and keeps the comment behind the old one.
fn put(table: &mut dyn TableLike, name: &str, mut value: toml_edit::Value) {
    if let Some(old) = table.get(name).and_then(Item::as_value) {
        *value.decor_mut() = old.decor().clone();
    }
    table.insert(name, Item::Value(value));
}

/// Puts a new text in a file's place: whoever reads it sees the old one or the new one.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    // The file that a link leads to is the one to replace.
    let path = fs::canonicalize(path)?;
    let permissions = fs::metadata(&path)?.permissions();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let written = (|| {
        let mut file = fs::File::create(&beside)?;
        file.set_permissions(permissions)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&beside, &path)
    })();
    if written.is_err() {
        // It may never have been made.
        fs::remove_file(&beside).ok();
        return written;
    }
    match path.parent() {
        Some(folder) => crate::blobs::sync_folder(folder),
        None => Ok(()),
    }
}
