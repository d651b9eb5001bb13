//! `pangaea key`: makes, shows and imports keys. The secret itself is never shown.

use std::path::Path;
use std::path::PathBuf;

use gaia::key::SecretKey;
use serde_json::Value;
use serde_json::json;

use crate::cli::KeyCommand;
use crate::cli::KeyFileArgs;
use crate::cli::KeyImportArgs;
use crate::error::CliError;
use crate::error::Exit;
use crate::keys;
use crate::output::Output;

pub(crate) fn run(command: KeyCommand, output: &Output) -> Result<Exit, CliError> {
    match command {
        KeyCommand::New(args) => {
            let key = keys::generate()?;
            keep(&place(args)?, &key, output)
        }
        KeyCommand::Import(KeyImportArgs { file, refused }) => {
            if !refused.is_empty() {
                return Err(CliError::usage(
                    "a key is not taken from an argument, where other users can see it",
                )
                .hint("type it in when asked, or send it to standard input"));
            }
            let place = place(file)?;
            if place.exists() {
                // Before anybody types a key for nothing.
                return keys::write_new_file(&place, &keys::generate()?).map(|()| Exit::Failed);
            }
            keep(&place, &keys::ask()?, output)
        }
        KeyCommand::Show(args) => {
            let (key, file) = match (args.key_file, keys::from_environment()?) {
                (None, Some(key)) => (key, None),
                (file, _) => {
                    let place = place(KeyFileArgs { key_file: file })?;
                    (keys::read_file(&place, output)?, Some(place))
                }
            };
            output.result(&document(&key, file.as_deref()), || {
                format!(
                    "address     {}\npublic key  {}",
                    key.address(),
                    key.public()
                )
            })?;
            Ok(Exit::Done)
        }
    }
}

fn keep(place: &Path, key: &SecretKey, output: &Output) -> Result<Exit, CliError> {
    keys::write_new_file(place, key)?;
    output.result(&document(key, Some(place)), || key.address().to_string())?;
    Ok(Exit::Done)
}

fn document(key: &SecretKey, file: Option<&Path>) -> Value {
    json!({
        "address": key.address().as_str(),
        "public_key": key.public().to_hex(),
        "key_file": file.map(|file| file.display().to_string()),
    })
}

fn place(args: KeyFileArgs) -> Result<PathBuf, CliError> {
    match args.key_file {
        Some(file) => Ok(file),
        None => keys::default_file(),
    }
}
