//! The one writer: decides groups of changes, makes them durable, and lets them be seen.

use std::sync::Arc;

use gaia::address::Address;
use rusqlite::Connection;

use super::decide::{Draft, Verdicts, View};
use super::layer::Layer;
use super::log::Log;
use super::paths::Paths;
use super::pending::Pending;
use super::sqlite::{Revocations, now_ms};
use super::{Index, IndexError, Part};

/// What only one thread may have: the end of the log.
pub(crate) struct Writer {
    connection: Connection,
    log: Log,
    paths: Paths,
    pending: Arc<Pending>,
    revocations: Arc<Revocations>,
}

/// What a durable group of changes means for the rest of the hub.
#[derive(Debug)]
pub(crate) struct Applied {
    /// One for each change, in order.
    pub(crate) verdicts: Verdicts,
    /// The buckets that are no longer as they were.
    pub(crate) changed: Vec<Address>,
}

impl Writer {
    pub(super) fn new(index: &Index, connection: Connection, paths: Paths, log: Log) -> Self {
        Self {
            connection,
            log,
            paths,
            pending: Arc::clone(index.pending()),
            revocations: Arc::clone(index.revocations()),
        }
    }

    /// Applies the changes in order; those that are done are durable on return. On an error none
    /// of them took place. Waits while there are too many for the database.
    pub(crate) fn apply(&mut self, parts: Vec<Part>) -> Result<Applied, IndexError> {
        self.pending.room()?;
        let decided = {
            let layers = self.pending.layers();
            // After the layers: what they lack is in the database by then.
            let moment = self.connection.unchecked_transaction()?;
            let mut draft = Draft::new(View::new(&layers, &moment, Some(&self.paths)), now_ms());
            for part in parts {
                draft.take(part);
            }
            draft.finish()?
        };
        let changed: Vec<_> = decided
            .layer
            .buckets()
            .map(|(address, part)| (*address, part.state.oldest_valid))
            .collect();
        if !decided.layer.is_empty() {
            self.append(decided.layer)?;
        }
        for (bucket, oldest_valid) in &changed {
            if *oldest_valid > 0 {
                self.revocations.raise(bucket, *oldest_valid);
            }
        }
        Ok(Applied {
            verdicts: decided.verdicts,
            changed: changed.into_iter().map(|(bucket, _)| bucket).collect(),
        })
    }

    /// Makes a change that changes nothing, as durable as any, and returns the number of its frame.
    pub(crate) fn touch(&mut self) -> Result<u64, IndexError> {
        self.append(Layer::default())
    }

    fn append(&mut self, layer: Layer) -> Result<u64, IndexError> {
        let number = self.log.append(&layer)?;
        self.pending.add(layer, number);
        Ok(number)
    }

    /// Says that no more changes will come. What is returned is left when everything is merged.
    pub(crate) fn end(self) -> LogEnd {
        self.pending.end();
        LogEnd(self.log)
    }
}

/// A log to which nothing is appended any more.
pub(crate) struct LogEnd(Log);

impl LogEnd {
    /// Removes the log; everything in it must have been merged.
    pub(crate) fn remove(self) -> std::io::Result<()> {
        self.0.remove()
    }
}
