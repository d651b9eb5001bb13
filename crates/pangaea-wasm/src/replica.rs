//! What JavaScript calls.

use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use gaia::association::AssociationToken;
use gaia::key::SecretKey;
use js_sys::Array;
use js_sys::Function;
use js_sys::JsString;
use js_sys::Object;
use js_sys::Promise;
use js_sys::Reflect;
use js_sys::Uint8Array;
use pangaea::body::Body;
use pangaea::hub::http::Features;
use pangaea::hub::http::HttpHub;
use pangaea::hub::http::HttpHubConfig;
use pangaea::replica;
use pangaea::replica::EditError;
use pangaea::replica::Parts;
use pangaea::store::RowQuery;
use pangaea::time::BrowserTime;
use pangaea_core::engine::HubState;
use pangaea_core::io::Choice;
use pangaea_core::io::Question;
use pangaea_core::io::Side;
use pangaea_core::state::is_reserved;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::sync::oneshot;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::driver::Call;
use crate::driver::Driver;
use crate::edits;
use crate::events;
use crate::failure;
use crate::merges::JsMerges;
use crate::store::IndexedDb;

/// What is done for a call, with its result.
type Work<'a> = LocalBoxFuture<'a, Result<JsValue, JsValue>>;

/// A device's copy of a bucket. Calls are carried out one after the other, in their order.
#[wasm_bindgen]
pub struct Replica {
    calls: mpsc::UnboundedSender<Call>,
    address: String,
    device: String,
}

#[wasm_bindgen]
impl Replica {
    /// Opens the database, or makes it. Never waits for the hub. `merge` and `merge_built_in` are
    /// what [`JsMerges`] asks.
    pub fn open(
        options: Object,
        on_events: Function,
        merge: Function,
        merge_built_in: Function,
    ) -> Promise {
        let merges = JsMerges {
            by_app: merge,
            built_in: merge_built_in,
        };
        promise(Box::pin(async move {
            let opened = Self::open_with(options, on_events, merges).await;
            opened.map(JsValue::from)
        }))
    }

    /// The bucket's address.
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// This device's id.
    pub fn device(&self) -> String {
        self.device.clone()
    }

    /// Makes edits, all or none; the version of each.
    pub fn edit(&self, list: JsValue) -> Promise {
        let list = edits::read(&list);
        self.ask(move |driver| {
            Box::pin(async move {
                let versions = driver.replica.edit(list?).await;
                driver.edited();
                let versions = versions.map_err(|error| failure::of_edit(&error))?;
                let texts = versions
                    .iter()
                    .map(|version| JsValue::from(version.to_string()));
                Ok(texts.collect::<Array>().into())
            })
        })
    }

    /// A file and its content; undefined if there is none.
    pub fn read(&self, path: String) -> Promise {
        let path = edits::path(&path);
        self.ask(move |driver| {
            Box::pin(async move {
                let path = path?;
                let body = match driver.replica.read(&path).await {
                    Ok(body) => body,
                    Err(EditError::Absent { .. }) => return Ok(JsValue::UNDEFINED),
                    Err(error) => return Err(failure::of_edit(&error)),
                };
                let (Body::Bytes(bytes), Some(entry)) =
                    (body, driver.replica.engine().entry(&path))
                else {
                    return Ok(JsValue::UNDEFINED);
                };
                let found = events::file(driver.replica.engine(), &path, entry).unwrap_or_default();
                let found = events::object(&found);
                let bytes = Uint8Array::from(&bytes[..]);
                drop(Reflect::set(&found, &"content".into(), &bytes));
                Ok(found)
            })
        })
    }

    /// The files whose path begins so.
    pub fn list(&self, prefix: String) -> Promise {
        self.tell(move |driver| {
            let files = driver.replica.files();
            let wanted = files.filter(|(path, _)| path.as_str().starts_with(&prefix));
            wanted
                .filter_map(|(path, entry)| events::file(driver.replica.engine(), path, entry))
                .collect()
        })
    }

    /// What is not known to be on the hub.
    pub fn unsent(&self) -> Promise {
        self.tell(|driver| {
            let entries = driver.replica.engine().entries().iter();
            let unsent = entries.filter(|(path, entry)| {
                !is_reserved(path) && (entry.pending.is_some() || entry.problem.is_some())
            });
            unsent
                .map(|(path, entry)| events::unsent(driver.replica.engine(), path, entry))
                .collect()
        })
    }

    /// Earlier versions of a file, the newest first.
    pub fn history(&self, path: String) -> Promise {
        let path = edits::path(&path);
        self.ask(move |driver| {
            Box::pin(async move {
                let query = RowQuery {
                    path: Some(path?),
                    limit: None,
                };
                let rows = driver.replica.history(query).await;
                let rows = rows.map_err(|error| failure::of_store(&error))?;
                Ok(events::object(&rows.iter().map(events::history).collect()))
            })
        })
    }

    /// What happened lately, the newest first.
    pub fn log(&self, limit: u32) -> Promise {
        let query = RowQuery {
            path: None,
            limit: Some(limit),
        };
        self.ask(move |driver| {
            Box::pin(async move {
                let rows = driver.replica.log(query).await;
                let rows = rows.map_err(|error| failure::of_store(&error))?;
                Ok(events::object(&rows.iter().map(events::log).collect()))
            })
        })
    }

    /// Makes an earlier version the current one; the version that this gives.
    pub fn restore(&self, path: String, version: String) -> Promise {
        let path = edits::path(&path);
        let version = edits::version(&version);
        self.ask(move |driver| {
            Box::pin(async move {
                let restored = driver.replica.restore(&path?, version?).await;
                driver.edited();
                let version = restored.map_err(|error| failure::of_edit(&error))?;
                Ok(version.to_string().into())
            })
        })
    }

    /// Files of which two versions are kept.
    pub fn conflicts(&self) -> Promise {
        self.tell(|driver| {
            driver
                .replica
                .conflicts()
                .iter()
                .map(events::conflict)
                .collect()
        })
    }

    /// Settles a conflict: `mine`, `theirs` or `both`.
    pub fn resolve(&self, path: String, choice: String) -> Promise {
        let path = edits::path(&path);
        let choice = match choice.as_str() {
            "mine" => Ok(Choice::Side(Side::Ours)),
            "theirs" => Ok(Choice::Side(Side::Theirs)),
            "both" => Ok(Choice::Both),
            _ => {
                let message = "a conflict is settled with mine, theirs or both";
                Err(failure::error("refused", message))
            }
        };
        self.ask(move |driver| {
            Box::pin(async move {
                let resolved = driver.replica.resolve(&path?, choice?).await;
                driver.edited();
                resolved.map_err(|error| failure::of_edit(&error))?;
                Ok(JsValue::UNDEFINED)
            })
        })
    }

    /// A summary.
    pub fn status(&self) -> Promise {
        self.tell(|driver| events::status(&driver.replica))
    }

    /// A person said yes to what the replica asks: `mass-delete` or `other-bucket`.
    pub fn answer(&self, question: &str) {
        let is_it = match question {
            "mass-delete" => |asked: &Question| matches!(asked, Question::MassDelete { .. }),
            _ => |asked: &Question| matches!(asked, Question::OtherBucket),
        };
        self.command(move |driver| {
            if let HubState::Halted(asked) = driver.replica.status().hub
                && is_it(&asked)
            {
                driver.replica.accept(asked);
                driver.edited();
            }
        });
    }

    /// Looks at the hub and sends what waits, now.
    pub fn sync(&self) {
        self.command(Driver::sync);
    }

    /// Keeps asking the hub, every so many milliseconds at the most; 0 ends it.
    pub fn follow(&self, interval_ms: u32) {
        self.command(move |driver| driver.follow(interval_ms.into()));
    }

    /// Whether requests are useless for now.
    pub fn pause_network(&self, is_paused: bool) {
        self.command(move |driver| driver.set_offline(is_paused));
    }

    /// Ends it and lets go of the database.
    pub fn close(&self) -> Promise {
        self.tell(|driver| {
            driver.close();
            Value::Null
        })
    }
}

impl Replica {
    async fn open_with(
        options: Object,
        on_events: Function,
        merges: JsMerges,
    ) -> Result<Self, JsValue> {
        let text = |name: &str| {
            let value = Reflect::get(&options, &name.into()).unwrap_or_default();
            wasm_bindgen::JsCast::dyn_ref::<JsString>(&value).map(String::from)
        };
        let key = SecretKey::from_hex(&text("key").unwrap_or_default());
        let key = key.map_err(|error| failure::error("bad-key", &error.to_string()))?;
        let mut config = HttpHubConfig::new(text("hub").unwrap_or_default(), key.clone());
        if Reflect::get(&options, &"plain".into()).is_ok_and(|plain| plain.is_truthy()) {
            config.features = Features::Ignored;
        }
        if let Some(association) = text("association") {
            let association = AssociationToken::parse(&association);
            let bad = |error: &dyn std::fmt::Display| failure::error("bad-key", &error.to_string());
            config.association = Some(association.map_err(|error| bad(&error))?);
        }
        let hub =
            HttpHub::new(config).map_err(|error| failure::error("bad-hub", &error.to_string()))?;
        let hub = Arc::new(hub);
        let store = IndexedDb::open(&text("database").unwrap_or_default()).await;
        let mut random = [0; 48];
        getrandom::fill(&mut random)
            .map_err(|error| failure::error("storage", &error.to_string()))?;
        let parts = Parts {
            store: Arc::new(store.map_err(|error| failure::of_store(&error))?),
            hub: Arc::clone(&hub) as Arc<dyn pangaea::hub::Hub>,
            time: Arc::new(BrowserTime),
            key,
            random,
            merges: Arc::new(merges),
        };
        let replica = replica::Replica::open(parts).await;
        let replica = replica.map_err(|error| failure::of_replica(&error))?;
        let (address, device) = (replica.address().to_string(), replica.device().to_string());
        let (calls, receiver) = mpsc::unbounded_channel();
        let driver = Driver::new(replica, hub, on_events);
        wasm_bindgen_futures::spawn_local(driver.run(receiver));
        Ok(Self {
            calls,
            address,
            device,
        })
    }

    /// Does something when it is its turn, and promises the result.
    fn ask(&self, work: impl FnOnce(&mut Driver) -> Work<'_> + 'static) -> Promise {
        self.queue(Box::new(work))
    }

    /// Not generic, unlike its callers.
    fn queue(&self, work: Box<dyn FnOnce(&mut Driver) -> Work<'_>>) -> Promise {
        let (reply, result) = oneshot::channel();
        let call: Call = Box::new(move |driver| {
            Box::pin(async move {
                // Whoever asked may be gone.
                drop(reply.send(work(driver).await));
            })
        });
        // A replica that was closed drops the call, and the reply with it.
        drop(self.calls.send(call));
        promise(Box::pin(async {
            result.await.unwrap_or_else(|_| {
                let message = "the replica was closed; open it again";
                Err(failure::error("closed", message))
            })
        }))
    }

    /// Asks for a value that is there at once.
    fn tell(&self, work: impl FnOnce(&mut Driver) -> Value + 'static) -> Promise {
        self.ask(move |driver| {
            let value = events::object(&work(driver));
            Box::pin(async move { Ok(value) })
        })
    }

    fn command(&self, work: impl FnOnce(&mut Driver) + 'static) {
        let call: Call = Box::new(move |driver| {
            work(driver);
            Box::pin(async {})
        });
        // A closed replica has nothing to do.
        drop(self.calls.send(call));
    }
}

/// Not generic, so that what a promise needs is in the module once.
fn promise(work: Work<'static>) -> Promise {
    wasm_bindgen_futures::future_to_promise(work)
}
