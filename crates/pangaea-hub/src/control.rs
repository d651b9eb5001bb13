//! What can be changed about a hub while it runs, for whoever may: the program that runs it, and
//! the admin service.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::config::{ConfigError, ConfigSources, Live, Reloaded};

/// The settings of a running hub and where they come from.
#[derive(Debug)]
pub(crate) struct Control {
    live: Arc<Live>,
    /// Nothing when the program that runs the hub made the settings itself.
    sources: Option<ConfigSources>,
    /// Held by whoever reloads, so that the newest file is what stays.
    reloading: Mutex<()>,
}

impl Control {
    pub(crate) fn new(live: Arc<Live>, sources: Option<ConfigSources>) -> Self {
        Self {
            live,
            sources,
            reloading: Mutex::new(()),
        }
    }

    pub(crate) fn live(&self) -> &Live {
        &self.live
    }

    /// Reads the settings again and puts those in force that can change. If something is wrong,
    /// everything stays as it is.
    pub(crate) async fn reload(&self) -> Result<Reloaded, ConfigError> {
        let _alone = self.reloading.lock().await;
        let Some(sources) = self.sources.clone() else {
            return Ok(Reloaded::default());
        };
        let loaded = tokio::task::spawn_blocking(move || sources.load())
            .await
            .unwrap_or_else(|_| Err(ConfigError::fault()))?;
        let reloaded = self.live.apply(&loaded.config);
        tracing::info!(changed = ?reloaded.changed, "settings have been read again");
        if !reloaded.needs_restart.is_empty() {
            let settings = reloaded.needs_restart.join(", ");
            tracing::warn!(%settings, "these settings change only when the hub is started again");
        }
        Ok(reloaded)
    }
}
