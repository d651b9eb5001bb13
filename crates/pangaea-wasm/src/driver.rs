//! The loop that keeps a replica going: takes calls, carries out what the engine wants, listens to
//! the hub, and asks again after a while where the hub tells nothing. One thing at a time has the
//! replica; a call never waits for the network.

use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use js_sys::Function;
use pangaea::hub::Hub;
use pangaea::hub::HubError;
use pangaea::hub::HubNews;
use pangaea::hub::http::HttpHub;
use pangaea::replica::Replica;
use pangaea::replica::ReplicaError;
use pangaea::time::BrowserTime;
use pangaea::time::Time;
use pangaea_core::engine::HubState;
use serde_json::json;
use tokio::sync::mpsc;
use wasm_bindgen::JsValue;

use crate::events;
use crate::failure;

/// A wait that is over and leads to nothing must not turn into a busy loop.
const PAUSE_MIN_MS: u64 = 50;
/// After a failure to wait for news.
const NEWS_PAUSE_MS: u64 = 5_000;
/// History is kept up to so many bytes of content: browsers give a site less than a disk has.
const HISTORY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// While nothing changes, polls become rarer up to so many times the interval.
const POLL_FACTOR_MAX: u64 = 15;

/// Something that is done with the replica.
pub(crate) type Call = Box<dyn for<'a> FnOnce(&'a mut Driver) -> LocalBoxFuture<'a, ()>>;

/// A replica, and what drives it.
pub(crate) struct Driver {
    pub(crate) replica: Replica,
    hub: Arc<HttpHub>,
    on_events: Rc<Function>,
    /// How often the hub is asked, in milliseconds; 0: only when somebody says so.
    follow_ms: u64,
    factor: u64,
    poll_at_ms: u64,
    is_offline: bool,
    is_busy: bool,
    is_closed: bool,
}

impl Driver {
    pub(crate) fn new(replica: Replica, hub: Arc<HttpHub>, on_events: Function) -> Self {
        Self {
            replica,
            hub,
            on_events: Rc::new(on_events),
            follow_ms: 0,
            factor: 1,
            poll_at_ms: u64::MAX,
            is_offline: false,
            is_busy: false,
            is_closed: false,
        }
    }

    /// Runs until it is closed, nobody can call any more, or the store fails.
    pub(crate) async fn run(mut self, mut calls: mpsc::UnboundedReceiver<Call>) {
        let mut news = next_news(Arc::clone(&self.hub), 0);
        while !self.is_closed {
            let is_working = self.is_busy && !self.is_offline;
            let wake_in_ms = self.wake_in_ms();
            tokio::select! {
                biased;
                call = calls.recv() => match call {
                    Some(call) => {
                        call(&mut self).await;
                        self.tell_events();
                    }
                    None => return,
                },
                more = self.replica.turn(), if is_working => match more {
                    Ok(more) => {
                        self.is_busy = more;
                        self.tell_events();
                        if !more {
                            self.rest().await;
                        }
                    }
                    Err(error) => {
                        self.tell_failure(&error);
                        return;
                    }
                },
                told = &mut news, if !is_working && self.listens() => {
                    let pause = if told.is_ok() { 0 } else { NEWS_PAUSE_MS };
                    news = next_news(Arc::clone(&self.hub), pause);
                    self.sync();
                }
                () = BrowserTime.sleep_ms(wake_in_ms), if !is_working && !self.is_offline => {
                    self.wake();
                }
            }
        }
    }

    /// Asks the hub for a fresh listing now.
    pub(crate) fn sync(&mut self) {
        self.replica.begin_round();
        self.is_busy = true;
        self.note_poll();
    }

    /// Edits were made: they go out with the next turn.
    pub(crate) fn edited(&mut self) {
        self.is_busy = true;
        self.factor = 1;
    }

    pub(crate) fn follow(&mut self, interval_ms: u64) {
        self.follow_ms = interval_ms;
        self.factor = 1;
        self.note_poll();
    }

    pub(crate) fn set_offline(&mut self, is_offline: bool) {
        if self.is_offline && !is_offline {
            self.sync();
        }
        self.is_offline = is_offline;
    }

    pub(crate) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Whether the hub is listened to; while it is unwell, the engine knows when to ask it again.
    fn listens(&self) -> bool {
        self.follow_ms > 0
            && !self.is_offline
            && matches!(self.replica.status().hub, HubState::Ready)
    }

    fn note_poll(&mut self) {
        self.poll_at_ms = match self.follow_ms {
            0 => u64::MAX,
            interval => BrowserTime
                .now_ms()
                .saturating_add(interval.saturating_mul(self.factor)),
        };
    }

    fn wake_in_ms(&self) -> u64 {
        let turn = self.replica.next_turn_ms().unwrap_or(u64::MAX);
        let at = turn.min(self.poll_at_ms);
        at.saturating_sub(BrowserTime.now_ms()).max(PAUSE_MIN_MS)
    }

    fn wake(&mut self) {
        if BrowserTime.now_ms() >= self.poll_at_ms {
            self.factor = (self.factor * 2).min(POLL_FACTOR_MAX);
            match self.replica.status().hub {
                HubState::Ready | HubState::Paused { .. } => self.sync(),
                // The engine knows when; a person does.
                HubState::Waiting { .. } | HubState::Halted(_) => self.note_poll(),
            }
        }
        self.is_busy = true;
    }

    fn tell_events(&mut self) {
        let mut told = Vec::new();
        while let Some(event) = self.replica.poll_event() {
            if matches!(event, pangaea_core::io::Event::Changed { .. }) {
                self.factor = 1;
            }
            told.push(events::event(&event));
        }
        if !told.is_empty() {
            self.tell(told);
        }
    }

    /// Nothing is under way.
    async fn rest(&mut self) {
        let left = self.replica.status().pending;
        if left == 0 {
            // A failure costs nothing but space, and it is tried again at the next rest.
            drop(self.replica.clean(HISTORY_BYTES_MAX).await);
        }
        self.tell(vec![json!({ "kind": "round", "left": left })]);
    }

    fn tell_failure(&self, error: &ReplicaError) {
        let code = match error {
            ReplicaError::Store(error) => failure::code_of(error),
            _ => "damaged",
        };
        self.tell(vec![
            json!({ "kind": "failed", "code": code, "message": error.to_string() }),
        ]);
    }

    /// In one call: each takes its time, however little is told.
    fn tell(&self, told: Vec<serde_json::Value>) {
        let told = events::object(&told.into());
        // What a listener throws is the listener's own matter.
        drop(self.on_events.call1(&JsValue::UNDEFINED, &told));
    }
}

/// Ends when the hub says that something changed in the bucket; never, where it does not tell.
fn next_news(hub: Arc<HttpHub>, pause_ms: u64) -> LocalBoxFuture<'static, Result<(), HubError>> {
    Box::pin(async move {
        BrowserTime.sleep_ms(pause_ms).await;
        while hub.news().await? == HubNews::NotTold {
            BrowserTime.sleep_ms(NEWS_PAUSE_MS).await;
        }
        Ok(())
    })
}
