//! What settings refer to outside of the configuration: files that must be there and good.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;

use super::error::{ConfigError, Place, Problem};
use super::load::LoadedConfig;
use super::{AdminSettings, HubConfig, Secret};
use crate::tls;

/// A file that is made and removed again to see whether the data folder can be written to.
const PROBE: &str = ".pangaea-hub-check";

/// The shortest admin token: nobody guesses it, and it cannot be a forgotten placeholder.
const TOKEN_BYTES_MIN: usize = 16;

/// A token is one line; nothing longer is meant to be one.
const TOKEN_BYTES_MAX: u64 = 4096;

/// What was found in the files that settings name.
#[derive(Clone, Debug)]
pub(crate) struct Outside {
    /// What connections are secured with.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// What admin requests have to show.
    pub(crate) admin_token: Option<Secret>,
}

impl Outside {
    /// Reads everything but the data folder.
    pub(crate) fn read(config: &HubConfig) -> Result<Self, ConfigError> {
        match (tls::load(&config.tls), admin_token(&config.admin)) {
            (Ok(tls), Ok(admin_token)) => Ok(Self { tls, admin_token }),
            (tls, token) => {
                let messages = tls.err().into_iter().chain(token.err());
                let problems = messages.map(|message| Problem::new(Place::Sum, message));
                Err(ConfigError::new(problems.collect()))
            }
        }
    }

    /// How URLs of this hub begin.
    pub(crate) fn scheme(&self) -> &'static str {
        match self.tls {
            Some(_) => "https",
            None => "http",
        }
    }
}

impl LoadedConfig {
    /// Looks at everything that the settings refer to, as a start would, and starts nothing.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn check_outside(&self) -> Result<(), ConfigError> {
        let mut problems = match Outside::read(&self.config) {
            Ok(_) => Vec::new(),
            Err(error) => error.problems().to_vec(),
        };
        if let Err(error) = can_store(&self.config.data_dir) {
            let folder = self.config.data_dir.display();
            let message = format!(
                "storage.data_dir: cannot write to {folder}: {error}; check that it, or the \
                 folder above it, exists and belongs to the user that the hub runs as"
            );
            problems.push(Problem::new(Place::Sum, message));
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(ConfigError::new(problems))
        }
    }
}

fn admin_token(settings: &AdminSettings) -> Result<Option<Secret>, String> {
    if settings.listen.is_none() {
        return Ok(None);
    }
    let (name, token) = match (&settings.token, &settings.token_file) {
        (Some(token), _) => ("admin.token", token.clone()),
        (None, Some(path)) => ("admin.token_file", read_token(path)?),
        (None, None) => return Err("admin.address is set, but no token".to_owned()),
    };
    if token.expose().len() < TOKEN_BYTES_MIN {
        return Err(format!(
            "{name}: the token has fewer than {TOKEN_BYTES_MIN} characters; `openssl rand -hex 32` \
             makes a good one"
        ));
    }
    Ok(Some(token))
}

fn read_token(path: &Path) -> Result<Secret, String> {
    let failed = |error: io::Error| {
        let shown = path.display();
        format!("admin.token_file: cannot read {shown}: {error}")
    };
    if fs::metadata(path).map_err(failed)?.len() > TOKEN_BYTES_MAX {
        return Err(failed(io::Error::other("it is too large to hold a token")));
    }
    fs::read_to_string(path)
        .map(|text| Secret::new(&text))
        .map_err(failed)
}

/// Whether files can be made in a folder, or it could be made itself.
fn can_store(folder: &Path) -> io::Result<()> {
    let mut nearest = folder;
    while let Err(error) = fs::metadata(nearest) {
        match nearest.parent() {
            Some(parent) if error.kind() == io::ErrorKind::NotFound => nearest = parent,
            _ => return Err(error),
        }
        if nearest.as_os_str().is_empty() {
            nearest = Path::new(".");
        }
    }
    let probe = nearest.join(PROBE);
    File::create(&probe)?;
    fs::remove_file(&probe)
}
