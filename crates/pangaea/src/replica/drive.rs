//! Turns the crank: stores what the engine wants stored, sends what it wants sent, hands in what
//! came back, until nothing is left to do or nothing can be done.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future::Either;
use futures_util::future::select;
use pangaea_core::engine::HubState;
use pangaea_core::engine::Status;
use pangaea_core::io::Request;
use pangaea_core::policy::POLICY_PATH;

use super::Replica;
use super::ReplicaError;
use super::SETTING_CAUGHT_UP;
use super::carry::Completion;
use crate::store::Transaction;

/// Answers are stored together: at the latest after so many entries …
const DIRTY_ENTRIES_MAX: usize = 1_000;
/// … or after so many milliseconds.
const DIRTY_MS_MAX: u64 = 250;
/// A round tries again by itself after waits up to this long, in milliseconds.
const PATIENCE_MS: u64 = 2_000;
/// A round tries again by itself so often.
const PATIENCE_ATTEMPTS: u32 = 3;

/// How far a round is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Steps done since the replica was opened.
    pub done: u64,
    /// Steps that are known to be left.
    pub left: u64,
}

/// How a round ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoundEnd {
    /// Everything is on the hub and everything of the hub is here.
    Complete,
    /// Something is left; the status says what and why.
    Left(Box<Status>),
}

impl Replica {
    /// One round: looks at the folder and at the whole bucket, and works until nothing is left or
    /// nothing more can be done now.
    ///
    /// # Errors
    /// [`ReplicaError`], if this device's own storage fails. A hub that fails is no error: what is
    /// left stays in the journal.
    pub async fn round(
        &mut self,
        on_progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<RoundEnd, ReplicaError> {
        self.engine.resume();
        self.engine.handle_round_start();
        // The listing is on its way while the folder is looked at.
        self.start_requests();
        #[cfg(feature = "mirror")]
        self.scan_folder().await?;
        let mut attempts = 0;
        loop {
            while self.turn().await? {
                on_progress(self.progress());
            }
            #[cfg(feature = "mirror")]
            if self.scan_again().await? {
                continue;
            }
            let now_ms = self.carrier.time().now_ms();
            let Some((at, _)) = self.engine.poll_timeout() else {
                break;
            };
            let wait = at.saturating_sub(now_ms);
            attempts += 1;
            if wait > PATIENCE_MS || attempts > PATIENCE_ATTEMPTS {
                break;
            }
            self.carrier.time().sleep_ms(wait).await;
            self.engine.handle_timeout(self.carrier.time().now_ms());
        }
        self.save().await?;
        on_progress(self.progress());
        let status = self.engine.status();
        let done = status.pending == 0 && status.parked == 0 && status.hub == HubState::Ready;
        Ok(if done {
            RoundEnd::Complete
        } else {
            RoundEnd::Left(Box::new(status))
        })
    }

    /// Asks for a fresh listing, which later turns carry out.
    pub fn begin_round(&mut self) {
        self.engine.resume();
        self.engine.handle_round_start();
    }

    /// Does what can be done now and waits for one answer. False: nothing is under way; come back
    /// when something happens, or at [`Replica::next_turn_ms`]. May be dropped at any await.
    ///
    /// # Errors
    /// [`ReplicaError`], if this device's own storage fails.
    pub async fn turn(&mut self) -> Result<bool, ReplicaError> {
        let now_ms = self.carrier.time().now_ms();
        self.engine.handle_timeout(now_ms);
        self.store_unsaved().await?;
        self.start_requests();
        let overdue = self
            .dirty_since_ms
            .is_some_and(|since| now_ms - since.min(now_ms) > DIRTY_MS_MAX);
        if self.is_idle() || overdue || self.dirty > DIRTY_ENTRIES_MAX {
            let stored = self.save().await?;
            self.start_requests();
            if self.is_idle() {
                self.note_caught_up().await?;
                // Planning may have changed something that must be stored before it goes on.
                return Ok(stored || !self.engine.is_quiet(now_ms) && self.is_dirty());
            }
        }
        if self.arrived.is_empty() {
            let Some(first) = self.running.next().await else {
                return Ok(false);
            };
            self.arrived.extend(first);
        }
        while let Some(Some(next)) = self.running.next().now_or_never() {
            self.arrived.extend(next);
        }
        while let Some(completion) = self.arrived.pop_front() {
            self.take(completion);
        }
        Ok(true)
    }

    /// Whether no request is under way.
    fn is_idle(&self) -> bool {
        self.running.is_empty() && self.arrived.is_empty()
    }

    /// Waits for the store, and goes on with requests meanwhile. Their answers are left for later: the engine takes what
    /// was handed to the store for stored.
    async fn meanwhile<T>(&mut self, mut storing: impl Future<Output = T> + Unpin) -> T {
        while !self.running.is_empty() {
            match select(storing, self.running.next()).await {
                Either::Left((stored, _)) => return stored,
                Either::Right((answers, rest)) => {
                    self.arrived.extend(answers.into_iter().flatten());
                    storing = rest;
                }
            }
        }
        storing.await
    }

    /// Remembers that everything of the hub has been here, when that is so for the first time.
    async fn note_caught_up(&mut self) -> Result<(), ReplicaError> {
        if !self.has_caught_up && self.engine.has_everything() {
            let setting = (SETTING_CAUGHT_UP.to_owned(), Some("yes".to_owned()));
            self.extra.settings.push(setting);
            self.save().await?;
            self.has_caught_up = true;
        }
        Ok(())
    }

    /// When a waiting replica wants its next turn, in milliseconds since 1970.
    pub fn next_turn_ms(&self) -> Option<u64> {
        self.engine.poll_timeout().map(|(at, _)| at)
    }

    /// How far the work is, by what is known of it now.
    pub fn progress(&self) -> Progress {
        Progress {
            done: self.done,
            left: self.engine.steps_left() as u64,
        }
    }

    pub(super) fn start_requests(&mut self) {
        if self.unsaved.is_some() {
            // The engine takes it for stored. Nothing follows from it before it is.
            return;
        }
        let now_ms = self.carrier.time().now_ms();
        while let Some((id, request)) = self.engine.poll_request(now_ms) {
            #[cfg(feature = "mirror")]
            if let Request::Apply { path, .. } = &request
                && self.carrier.mirror_for(path).is_some()
            {
                self.to_apply.push((id, request));
                continue;
            }
            self.running.push(self.carrier.start(id, request));
        }
        // One batch at a time: while it is on its way, the next one grows.
        #[cfg(feature = "mirror")]
        if !self.applying
            && !self.to_apply.is_empty()
            && let Some(mirror) = self.carrier.mirror()
        {
            self.applying = true;
            let batch = std::mem::take(&mut self.to_apply);
            self.running
                .push(self.carrier.start_applying(Arc::clone(mirror), batch));
        }
        while let Some(event) = self.engine.poll_event() {
            self.events.push_back(event);
        }
    }

    fn take(&mut self, completion: Completion) {
        let now_ms = self.carrier.time().now_ms();
        self.done += u64::from(!matches!(completion.request, Request::List));
        self.extra.stamps.extend(completion.stamps);
        self.extra.contents.extend(completion.contents);
        #[cfg(feature = "mirror")]
        {
            if let Request::Apply { path, .. } = &completion.request
                && self.carrier.mirror_for(path).is_some()
            {
                self.applying = false;
            }
            self.applied |= completion.applied;
            self.rescan.extend(completion.rescan);
        }
        self.engine
            .handle_response(completion.id, completion.response, now_ms);
        self.mark_dirty(1);
    }

    pub(super) fn mark_dirty(&mut self, entries: usize) {
        self.dirty += entries;
        if self.dirty_since_ms.is_none() {
            self.dirty_since_ms = Some(self.carrier.time().now_ms());
        }
    }

    fn is_dirty(&self) -> bool {
        self.dirty > 0
    }

    /// Stores everything that is not stored yet. True: there was something.
    pub(super) async fn save(&mut self) -> Result<bool, ReplicaError> {
        self.store_unsaved().await?;
        let commit = self.engine.take_commit();
        let transaction = Transaction {
            commit,
            ..std::mem::take(&mut self.extra)
        };
        self.dirty = 0;
        self.dirty_since_ms = None;
        let is_empty = transaction.commit.is_empty()
            && transaction.contents.is_empty()
            && transaction.stamps.is_empty()
            && transaction.settings.is_empty();
        if is_empty {
            return Ok(false);
        }
        self.unsaved = Some(transaction);
        self.store_unsaved().await?;
        Ok(true)
    }

    /// Stores what was to be stored, also if whoever waited for that gave up in the middle.
    async fn store_unsaved(&mut self) -> Result<(), ReplicaError> {
        if let Some(transaction) = self.unsaved.clone() {
            let mut entries = transaction.commit.entries.iter();
            self.has_new_policy |= entries.any(|(path, _)| path.as_str() == POLICY_PATH);
            #[cfg(feature = "mirror")]
            if self.applied {
                self.carrier.sync_folder().await?;
                self.applied = false;
            }
            let store = Arc::clone(self.carrier.store());
            self.meanwhile(store.commit(transaction)).await?;
            self.unsaved = None;
        }
        if self.has_new_policy {
            let loaded = self.load_policy().await;
            self.has_new_policy = false;
            loaded?;
        }
        Ok(())
    }
}
