//! A synced folder and its `.pangaea`, where this device keeps everything about it:
//!
//! ```text
//! config.toml   hub, bucket, where the key is; what makes a folder a synced one
//! key           the bucket's key, if `up` or `join` put it there
//! store/        the replica's store
//! hub/          what the hub of `pangaea up` stores
//! live.json     what the process at work is doing; worthless when that is gone
//! outside/      files on their way into the folder while another process has the store
//! ```

use std::fs;
use std::io;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;

use gaia::key::SecretKey;
use serde::Deserialize;
use serde::Serialize;

use crate::error::CliError;
use crate::keys;
use crate::output::Output;

const STATE: &str = ".pangaea";
const CONFIG: &str = "config.toml";
/// The newest form of the configuration that this program knows.
const FORMAT: u32 = 1;

/// What is remembered of a synced folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    /// The form of this file.
    pub(crate) format: u32,
    /// The hub's address.
    pub(crate) hub: String,
    /// The bucket's address.
    pub(crate) bucket: String,
    /// Where the key is, relative to `.pangaea`; none: it comes from the environment every time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_file: Option<PathBuf>,
    /// The hub that `pangaea up` runs for this folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) own_hub: Option<OwnHub>,
}

/// The hub that runs along with a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OwnHub {
    /// Where it listens.
    pub(crate) listen: SocketAddr,
    /// The port of the web application beside it. It stays: browsers keep what is stored by address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) app_port: Option<u16>,
}

impl Config {
    pub(crate) fn new(hub: String, key: &SecretKey, key_file: Option<PathBuf>) -> Self {
        let bucket = key.address().as_str().to_owned();
        Self {
            format: FORMAT,
            hub,
            bucket,
            key_file,
            own_hub: None,
        }
    }
}

/// A folder that is a replica's mirror.
#[derive(Debug, Clone)]
pub(crate) struct ReplicaDir {
    folder: PathBuf,
    pub(crate) config: Config,
}

impl ReplicaDir {
    /// Finds the synced folder at `dir`.
    pub(crate) fn find(dir: &Path) -> Result<Self, CliError> {
        let folder = fs::canonicalize(dir)
            .map_err(|error| CliError::of_file("open the folder", dir, &error))?;
        let Some(config) = read_config(&folder)? else {
            let failure = CliError::failed(format!("{} is no synced folder", dir.display()));
            return Err(match synced_above(&folder)? {
                Some(above) => failure.hint(format!(
                    "it lies in the synced folder {}: name that one",
                    above.display()
                )),
                None => failure.hint(
                    "`pangaea init` makes it one, `pangaea up` does so along with a hub of its own",
                ),
            });
        };
        Ok(Self { folder, config })
    }

    /// Whether there is a synced folder at `dir`.
    pub(crate) fn is_at(dir: &Path) -> bool {
        dir.join(STATE).join(CONFIG).is_file()
    }

    /// Makes a folder ready to become a synced one: there, and with its private `.pangaea`.
    pub(crate) fn prepare(dir: &Path) -> Result<PathBuf, CliError> {
        let cannot = |error: io::Error| CliError::of_file("use the folder", dir, &error);
        match fs::metadata(dir) {
            Ok(found) if !found.is_dir() => {
                let failure = CliError::failed(format!("{} is not a folder", dir.display()));
                return Err(failure.hint("name a folder; it is made if it does not exist"));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                check_not_inside_another(&existing_ancestor(dir)?)?;
                fs::create_dir_all(dir).map_err(cannot)?;
            }
            Err(error) => return Err(cannot(error)),
        }
        let folder = fs::canonicalize(dir).map_err(cannot)?;
        if Self::is_at(&folder) {
            let failure = CliError::failed(format!("{} is a synced folder already", dir.display()));
            return Err(failure.hint("`pangaea status` shows what it is synced with"));
        }
        if let Some(above) = folder.parent() {
            check_not_inside_another(above)?;
        }
        let state = folder.join(STATE);
        if state.symlink_metadata().is_ok_and(|found| !found.is_dir()) {
            return Err(CliError::failed(format!(
                "{} is in the way: Pangaea needs a folder of this name for itself",
                state.display()
            )));
        }
        keys::create_private_folder(&state).map_err(cannot)?;
        Ok(folder)
    }

    /// A prepared folder that is not a synced one yet.
    pub(crate) fn unfinished(folder: PathBuf, config: Config) -> Self {
        Self { folder, config }
    }

    /// Replaces the stored configuration in one step.
    pub(crate) fn write_config(&self) -> Result<(), CliError> {
        let place = self.state().join(CONFIG);
        let cannot = |error: io::Error| CliError::of_file("write", &place, &error);
        let text = toml::to_string(&self.config)
            .map_err(|error| CliError::failed(format!("cannot write the settings: {error}")))?;
        let fresh = place.with_extension("new");
        let mut file = fs::File::create(&fresh).map_err(cannot)?;
        file.write_all(text.as_bytes()).map_err(cannot)?;
        file.sync_all().map_err(cannot)?;
        fs::rename(&fresh, &place).map_err(cannot)?;
        fs::File::open(self.state())
            .and_then(|state| state.sync_all())
            .map_err(cannot)
    }

    /// The folder, with all links in its path resolved.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join(STATE)
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.state().join("store")
    }

    pub(crate) fn hub_data(&self) -> PathBuf {
        self.state().join("hub")
    }

    pub(crate) fn live_file(&self) -> PathBuf {
        self.state().join("live.json")
    }

    pub(crate) fn report_file(&self) -> PathBuf {
        self.state().join("report.json")
    }

    pub(crate) fn outside(&self) -> PathBuf {
        self.state().join("outside")
    }

    /// The bucket's key, from where the configuration says or from the environment.
    pub(crate) fn key(&self, output: &Output) -> Result<SecretKey, CliError> {
        let key = match (keys::from_environment()?, &self.config.key_file) {
            (Some(key), _) if key.address().as_str() == self.config.bucket => key,
            // The variable may be meant for another folder.
            (_, Some(file)) => keys::read_file(&self.state().join(file), output)?,
            (Some(_), None) => return Err(self.wrong_key(keys::KEY_VARIABLE)),
            (None, None) => {
                let failure =
                    CliError::failed("the key of this folder's bucket is not stored here");
                return Err(failure.hint(format!("put it into {}", keys::KEY_VARIABLE)));
            }
        };
        if key.address().as_str() != self.config.bucket {
            return Err(self.wrong_key("the key file"));
        }
        Ok(key)
    }

    fn wrong_key(&self, place: &str) -> CliError {
        CliError::failed(format!(
            "{place} holds the key of another bucket; this folder belongs to {}",
            self.config.bucket
        ))
    }
}

fn read_config(folder: &Path) -> Result<Option<Config>, CliError> {
    let place = folder.join(STATE).join(CONFIG);
    let text = match fs::read_to_string(&place) {
        Ok(text) => text,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(CliError::of_file("read", &place, &error)),
    };
    #[derive(Deserialize)]
    struct Head {
        format: u32,
    }
    let damaged = |error: toml::de::Error| {
        CliError::failed(format!(
            "cannot use {}: {}",
            place.display(),
            error.message()
        ))
    };
    let head: Head = toml::from_str(&text).map_err(damaged)?;
    if head.format > FORMAT {
        return Err(CliError::failed("a newer pangaea set this folder up").hint("update this one"));
    }
    toml::from_str(&text).map(Some).map_err(damaged)
}

/// The synced folder that `folder` lies in, if any.
fn synced_above(folder: &Path) -> Result<Option<PathBuf>, CliError> {
    for above in folder.ancestors() {
        if read_config(above)?.is_some() {
            return Ok(Some(above.to_owned()));
        }
    }
    Ok(None)
}

fn check_not_inside_another(folder: &Path) -> Result<(), CliError> {
    match synced_above(folder)? {
        None => Ok(()),
        Some(above) => {
            let message = format!("this lies inside the synced folder {}", above.display());
            Err(CliError::failed(message).hint("choose a folder outside of it"))
        }
    }
}

/// The nearest folder above `dir` that is there, with all links resolved.
fn existing_ancestor(dir: &Path) -> Result<PathBuf, CliError> {
    let absolute =
        std::path::absolute(dir).map_err(|error| CliError::of_file("find", dir, &error))?;
    let found = absolute
        .ancestors()
        .find_map(|above| fs::canonicalize(above).ok());
    Ok(found.unwrap_or(absolute))
}
