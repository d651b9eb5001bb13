//! The settings of a running hub, some of which can change while it runs.

use std::sync::Arc;

use tokio::sync::watch;

use super::outside::Outside;
use super::settings::{Change, SETTINGS, Setting};
use super::{ConfigError, HubConfig};

/// The settings that are in force.
#[derive(Debug)]
pub(crate) struct Live {
    current: watch::Sender<Arc<HubConfig>>,
    /// What was in the files that they name.
    outside: watch::Sender<Arc<Outside>>,
}

/// What a new configuration came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// The settings that are other now than before.
    pub changed: Vec<&'static str>,
    /// The settings that were changed but stay as they are until the hub is started again.
    pub needs_restart: Vec<&'static str>,
}

impl Live {
    /// Also reads the files that the settings name.
    pub(crate) fn new(config: HubConfig) -> Result<Self, ConfigError> {
        let outside = Outside::read(&config)?;
        Ok(Self {
            current: watch::Sender::new(Arc::new(config)),
            outside: watch::Sender::new(Arc::new(outside)),
        })
    }

    /// The files of this moment.
    pub(crate) fn outside(&self) -> Arc<Outside> {
        Arc::clone(&self.outside.borrow())
    }

    /// The settings of this moment. Whoever does one thing in several steps asks once.
    pub(crate) fn get(&self) -> Arc<HubConfig> {
        Arc::clone(&self.current.borrow())
    }

    /// Tells of every change from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<HubConfig>> {
        self.current.subscribe()
    }

    /// Puts those settings in force that can change now, and reads again what they name.
    pub(crate) fn apply(&self, new: &HubConfig) -> Result<Reloaded, ConfigError> {
        let mut outside = Outside::read(new)?;
        let current = self.outside();
        // Clients are told http or https once and for all.
        let turns = outside.tls.is_some() != current.tls.is_some();
        if turns {
            outside.tls.clone_from(&current.tls);
        }
        if current.admin_token.is_none() {
            outside.admin_token = None;
        }
        self.outside.send_replace(Arc::new(outside));
        let at_start =
            |row: &Setting| row.change == Change::AtStart || (turns && row.key.starts_with("tls."));
        let mut reloaded = Reloaded::default();
        self.current.send_if_modified(|current| {
            let mut next = HubConfig::clone(current);
            for row in SETTINGS {
                if (row.get)(current) == (row.get)(new) {
                    continue;
                }
                if at_start(row) {
                    reloaded.needs_restart.push(row.key);
                } else {
                    (row.copy)(new, &mut next);
                    reloaded.changed.push(row.key);
                }
            }
            *current = Arc::new(next);
            !reloaded.changed.is_empty()
        });
        Ok(reloaded)
    }
}
