//! The settings of a running hub, some of which can change while it runs.

use std::sync::Arc;

use tokio::sync::watch;

use super::HubConfig;
use super::settings::{Change, SETTINGS};

/// The settings that are in force.
#[derive(Debug)]
pub(crate) struct Live {
    current: watch::Sender<Arc<HubConfig>>,
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
    pub(crate) fn new(config: HubConfig) -> Self {
        Self {
            current: watch::Sender::new(Arc::new(config)),
        }
    }

    /// The settings of this moment. Whoever does one thing in several steps asks once.
    pub(crate) fn get(&self) -> Arc<HubConfig> {
        Arc::clone(&self.current.borrow())
    }

    /// Tells of every change from now on.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<HubConfig>> {
        self.current.subscribe()
    }

    /// Puts those settings in force that can change now.
    pub(crate) fn apply(&self, new: &HubConfig) -> Reloaded {
        let mut reloaded = Reloaded::default();
        self.current.send_if_modified(|current| {
            let mut next = HubConfig::clone(current);
            for row in SETTINGS {
                if (row.get)(current) == (row.get)(new) {
                    continue;
                }
                match row.change {
                    Change::WhileRunning => {
                        (row.copy)(new, &mut next);
                        reloaded.changed.push(row.key);
                    }
                    Change::AtStart => reloaded.needs_restart.push(row.key),
                }
            }
            *current = Arc::new(next);
            !reloaded.changed.is_empty()
        });
        reloaded
    }
}
