//! What can be changed about a hub while it runs, for whoever may: the program that runs it, and
//! the admin service.

use std::sync::Arc;

use serde_json::{Map, Value as Json};
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

use crate::config::{
    ConfigError, ConfigSources, Live, Place, Problem, Reloaded, change_file, read_file,
    replace_file,
};

/// The settings of a running hub and where they come from.
#[derive(Debug)]
pub(crate) struct Control {
    live: Arc<Live>,
    /// Nothing when the program that runs the hub made the settings itself.
    sources: Option<ConfigSources>,
    /// Held by whoever reloads or changes the file, so that nothing overtakes.
    changing: Mutex<()>,
}

/// Why the file was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChangeError {
    #[error(
        "this hub was started without a configuration file; start it with --config FILE to change \
         settings here"
    )]
    NoFile,
    #[error("the configuration file cannot be written: {0}")]
    Write(std::io::Error),
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl Control {
    pub(crate) fn new(live: Arc<Live>, sources: Option<ConfigSources>) -> Self {
        Self {
            live,
            sources,
            changing: Mutex::new(()),
        }
    }

    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Reads the settings again, and the files that they name, and puts those in force that can
    /// change. If something is wrong, everything stays as it is.
    pub(crate) async fn reload(&self) -> Result<Reloaded, ConfigError> {
        let _alone = self.changing.lock().await;
        let live = Arc::clone(&self.live);
        let sources = self.sources.clone();
        let reloaded = spawn_blocking(move || match sources {
            Some(sources) => live.apply(&sources.load()?.config),
            None => live.apply(&live.get()),
        })
        .await
        .unwrap_or_else(|_| Err(ConfigError::fault()))?;
        tracing::info!(changed = ?reloaded.changed, "settings have been read again");
        if !reloaded.needs_restart.is_empty() {
            let settings = reloaded.needs_restart.join(", ");
            tracing::warn!(%settings, "these settings change only when the hub is started again");
        }
        Ok(reloaded)
    }

    /// Changes the configuration file, if a hub could start with what comes out. Gives the
    /// changed settings that are decided elsewhere, so that nothing comes of the change.
    pub(crate) async fn change(
        &self,
        changes: Map<String, Json>,
    ) -> Result<Vec<String>, ChangeError> {
        let _alone = self.changing.lock().await;
        let sources = self.sources.clone().ok_or(ChangeError::NoFile)?;
        spawn_blocking(move || change(&sources, &changes))
            .await
            .unwrap_or_else(|_| Err(ConfigError::fault().into()))
    }
}

fn change(
    sources: &ConfigSources,
    changes: &Map<String, Json>,
) -> Result<Vec<String>, ChangeError> {
    let path = sources.file().ok_or(ChangeError::NoFile)?;
    let text = change_file(&read_file(path)?, changes)?;
    let loaded = sources.load_with(Some(&text)).map_err(|error| {
        // The lines of a text that nobody sees would mislead.
        let messages = error.problems().iter().map(|one| one.message.clone());
        let problems = messages.map(|message| Problem::new(Place::Request, message));
        ConfigError::new(problems.collect())
    })?;
    loaded.check_outside()?;
    replace_file(path, &text).map_err(ChangeError::Write)?;
    let keys = changes.iter().flat_map(|(section, members)| {
        let names = members.as_object().into_iter().flat_map(Map::keys);
        names.map(move |name| format!("{section}.{name}"))
    });
    let keys: Vec<String> = keys.collect();
    tracing::info!(settings = ?keys, "the configuration file was changed by an admin request");
    Ok(keys
        .into_iter()
        .filter(|key| loaded.is_above_file(key))
        .collect())
}
