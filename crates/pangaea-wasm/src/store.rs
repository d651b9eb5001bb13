//! A replica's store in IndexedDB. Transactions are relaxed: an answered write is with the operating
//! system, so it outlives the page and the browser, and may be lost when the power fails at once.
//! Whoever opens a database last may write to it; all others are told that it is in use.

use std::cell::RefCell;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::LocalBoxFuture;
use futures_util::future::Shared;
use gaia::path::FilePath;
use js_sys::Array;
use js_sys::JsString;
use js_sys::Object;
use js_sys::Reflect;
use js_sys::Uint8Array;
use pangaea::body::Body;
use pangaea::store::HistoryLimit;
use pangaea::store::LOG_ROWS_MAX;
use pangaea::store::Loaded;
use pangaea::store::RowQuery;
use pangaea::store::Store;
use pangaea::store::StoreError;
use pangaea::store::Transaction;
use pangaea_core::commit::Counters;
use pangaea_core::commit::HistoryRow;
use pangaea_core::commit::LogRow;
use pangaea_core::policy::Policy;
use pangaea_core::record;
use pangaea_core::state::Entry;
use pangaea_core::version::ContentHash;
use pangaea_core::version::Hlc;
use pangaea_core::version::VersionId;
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::JsCast;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::events;
use crate::failure::StorageFailure;

#[wasm_bindgen(module = "/js/indexed-db.js")]
extern "C" {
    type Database;

    #[wasm_bindgen(static_method_of = Database, catch)]
    async fn open(name: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    async fn load(this: &Database) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    async fn commit(this: &Database, transaction: Object) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    async fn content(this: &Database, hash: &str) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    async fn put_content(
        this: &Database,
        hash: &str,
        bytes: Uint8Array,
    ) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    async fn history(this: &Database, path: Option<&str>, limit: f64) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    async fn log(this: &Database, path: Option<&str>, limit: f64) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    async fn prune(
        this: &Database,
        before: f64,
        bytes_max: f64,
        log_max: f64,
    ) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    async fn collect(this: &Database, keep: Array) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method)]
    fn close(this: &Database);
}

/// A database that is open.
pub(crate) struct IndexedDb {
    database: std::rc::Rc<Database>,
    /// What is being written. Whoever gave up waiting for it and asks for the same again waits for
    /// that instead of writing it twice.
    under_way: RefCell<Option<(Transaction, Writing)>>,
}

type Writing = Shared<LocalBoxFuture<'static, Result<(), StorageFailure>>>;

impl IndexedDb {
    /// Opens a database, or makes it.
    pub(crate) async fn open(name: &str) -> Result<Self, StoreError> {
        let opened = Database::open(name).await;
        let database = opened.map_err(failed("opening the database"))?;
        Ok(Self {
            database: std::rc::Rc::new(database.unchecked_into()),
            under_way: RefCell::default(),
        })
    }
}

/// Reads rows of history or log as JavaScript gives them.
fn read_rows<T: DeserializeOwned>(
    rows: Result<JsValue, JsValue>,
) -> Result<Vec<(FilePath, T)>, StoreError> {
    let rows: Array = rows
        .map_err(failed("reading history or log"))?
        .unchecked_into();
    let read = |row: JsValue| {
        let path = path_of(&field(&row, "path"))?;
        let bytes = bytes_of(&field(&row, "row"));
        let row = postcard::from_bytes(&bytes).map_err(|_| damaged("a row cannot be read"))?;
        Ok((path, row))
    };
    rows.iter().map(read).collect()
}

/// The path and the limit of a query.
fn asked(query: &RowQuery) -> (Option<&str>, f64) {
    let path = query.path.as_ref().map(FilePath::as_str);
    (path, query.limit.map_or(f64::INFINITY, f64::from))
}

impl Drop for IndexedDb {
    fn drop(&mut self) {
        self.database.close();
    }
}

#[async_trait(?Send)]
impl Store for IndexedDb {
    async fn load(&self) -> Result<Loaded, StoreError> {
        let found = self.database.load().await;
        let found = found.map_err(failed("reading the replica's state"))?;
        let mut loaded = Loaded::default();
        for (key, row) in pairs(&found, "entries") {
            let entry = record::decode_entry(&bytes_of(&field(&row, "record")))?;
            loaded.entries.push((path_of(&key)?, entry));
        }
        for (key, stamp) in pairs(&found, "stamps") {
            loaded.stamps.push((path_of(&key)?, bytes_of(&stamp)));
        }
        for (key, value) in pairs(&found, "settings") {
            loaded.settings.push((text_of(&key), text_of(&value)));
        }
        // As the other stores: by key, byte by byte. IndexedDB compares in another way.
        loaded.entries.sort_by(|a, b| a.0.cmp(&b.0));
        loaded.stamps.sort_by(|a, b| a.0.cmp(&b.0));
        loaded.settings.sort();
        let counters = bytes_of(&field(&found, "counters"));
        if !counters.is_empty() {
            let (clock, sequence) =
                postcard::from_bytes(&counters).map_err(|_| damaged("the counters"))?;
            let clock = Hlc::from_u64(clock);
            loaded.counters = Some(Counters { clock, sequence });
        }
        Ok(loaded)
    }

    async fn commit(&self, transaction: Transaction) -> Result<(), StoreError> {
        let under_way = self.under_way.borrow_mut().take();
        if let Some((earlier, writing)) = under_way {
            let written = writing.await;
            if earlier == transaction {
                return written.map_err(|failure| failure.into_error("writing a transaction"));
            }
        }
        let rows = rows_of(&transaction)?;
        let database = std::rc::Rc::clone(&self.database);
        let writing = async move {
            let written = database.commit(rows).await;
            written
                .map(drop)
                .map_err(|thrown| StorageFailure::of(&thrown))
        };
        let writing = writing.boxed_local().shared();
        *self.under_way.borrow_mut() = Some((transaction, writing.clone()));
        let written = writing.await;
        self.under_way.borrow_mut().take();
        written.map_err(|failure| failure.into_error("writing a transaction"))
    }

    async fn content(&self, hash: ContentHash) -> Result<Option<Body>, StoreError> {
        let found = self.database.content(&name_of(hash)).await;
        let found = found.map_err(failed("reading content"))?;
        if found.is_undefined() {
            return Ok(None);
        }
        let bytes = Bytes::from(bytes_of(&found));
        if ContentHash::of(&bytes) != hash {
            return Err(StoreError::wrong_digest());
        }
        Ok(Some(Body::Bytes(bytes)))
    }

    async fn adopt(&self, hash: ContentHash, body: Body) -> Result<(), StoreError> {
        let Body::Bytes(bytes) = body else {
            return Err(damaged("there are no files in a browser"));
        };
        if ContentHash::of(&bytes) != hash {
            return Err(StoreError::wrong_digest());
        }
        let bytes = Uint8Array::from(&bytes[..]);
        let stored = self.database.put_content(&name_of(hash), bytes).await;
        stored.map(drop).map_err(failed("storing content"))
    }

    fn staging(&self) -> Option<PathBuf> {
        None
    }

    async fn history(&self, query: RowQuery) -> Result<Vec<HistoryRow>, StoreError> {
        let (path, limit) = asked(&query);
        let rows = read_rows::<StoredHistory>(self.database.history(path, limit).await)?;
        let read = |(path, row): (FilePath, StoredHistory)| row.into_row(path);
        rows.into_iter().map(read).collect()
    }

    async fn log(&self, query: RowQuery) -> Result<Vec<LogRow>, StoreError> {
        let (path, limit) = asked(&query);
        let rows = read_rows::<StoredLog>(self.database.log(path, limit).await)?;
        let read = |(path, row): (FilePath, StoredLog)| row.into_row(path);
        rows.into_iter().map(read).collect()
    }

    async fn prune_history(&self, limit: HistoryLimit) -> Result<(), StoreError> {
        let (before, bytes) = (number(limit.replaced_before_ms), number(limit.bytes_max));
        let pruned = self
            .database
            .prune(before, bytes, LOG_ROWS_MAX.into())
            .await;
        pruned.map(drop).map_err(failed("dropping old history"))
    }

    async fn collect_garbage(&self, keep: &[ContentHash]) -> Result<(), StoreError> {
        let keep = keep.iter().map(|hash| JsValue::from(name_of(*hash)));
        let collected = self.database.collect(keep.collect()).await;
        collected
            .map(drop)
            .map_err(failed("dropping content that nothing names"))
    }
}

/// A row of history beside its path.
#[derive(Serialize, Deserialize)]
struct StoredHistory {
    version: [u8; 16],
    content: [u8; 32],
    size: u64,
    media_type: String,
    replaced_ms: u64,
    cause: u8,
}

impl StoredHistory {
    fn of(row: &HistoryRow) -> Self {
        Self {
            version: row.version.to_bytes(),
            content: *row.content.as_bytes(),
            size: row.size,
            media_type: row.media_type.as_str().to_owned(),
            replaced_ms: row.replaced_ms,
            cause: record::cause_code(row.cause),
        }
    }

    fn into_row(self, path: FilePath) -> Result<HistoryRow, StoreError> {
        Ok(HistoryRow {
            path,
            version: VersionId::from_bytes(self.version),
            content: ContentHash::from_bytes(self.content),
            size: self.size,
            media_type: record::decode_media_type(&self.media_type)?,
            replaced_ms: self.replaced_ms,
            cause: record::cause_from_code(self.cause)
                .ok_or_else(|| damaged("a row of history has an unknown cause"))?,
        })
    }
}

/// A row of the log beside its path.
#[derive(Serialize, Deserialize)]
struct StoredLog {
    at_ms: u64,
    action: u8,
    version: [u8; 16],
    detail: String,
}

impl StoredLog {
    fn of(row: &LogRow) -> Self {
        Self {
            at_ms: row.at_ms,
            action: record::action_code(row.action),
            version: row.version.to_bytes(),
            detail: row.detail.clone(),
        }
    }

    fn into_row(self, path: FilePath) -> Result<LogRow, StoreError> {
        Ok(LogRow {
            at_ms: self.at_ms,
            path,
            action: record::action_from_code(self.action)
                .ok_or_else(|| damaged("a row of the log has an unknown action"))?,
            version: VersionId::from_bytes(self.version),
            detail: self.detail,
        })
    }
}

/// A transaction as the JavaScript side takes it.
fn rows_of(transaction: &Transaction) -> Result<Object, StoreError> {
    let rows = Object::new();
    let contents = Array::new();
    for (hash, bytes) in &transaction.contents {
        if ContentHash::of(bytes) != *hash {
            return Err(StoreError::wrong_digest());
        }
        push(
            &contents,
            &name_of(*hash),
            Uint8Array::from(&bytes[..]).into(),
        );
    }
    set(&rows, "contents", &contents);
    let entries = entries_of(transaction)?;
    set(&rows, "entries", &entries);
    let commit = &transaction.commit;
    let history = Array::new();
    for row in &commit.history {
        let object = Object::new();
        set(&object, "path", &row.path.as_str().into());
        set(&object, "row", &packed(&StoredHistory::of(row))?.into());
        set(&object, "size", &number(row.size).into());
        set(&object, "replaced", &number(row.replaced_ms).into());
        set(&object, "content", &name_of(row.content).into());
        history.push(&object);
    }
    set(&rows, "history", &history);
    let log = Array::new();
    for row in &commit.log {
        push(&log, row.path.as_str(), packed(&StoredLog::of(row))?.into());
    }
    set(&rows, "log", &log);
    let stamps = Array::new();
    for (path, stamp) in &transaction.stamps {
        let stamp = stamp
            .as_deref()
            .map_or(JsValue::NULL, |stamp| Uint8Array::from(stamp).into());
        push(&stamps, path.as_str(), stamp);
    }
    set(&rows, "stamps", &stamps);
    let settings = Array::new();
    for (name, value) in &transaction.settings {
        let value = value.as_deref().map_or(JsValue::NULL, JsValue::from);
        push(&settings, name, value);
    }
    set(&rows, "settings", &settings);
    if let Some(counters) = commit.counters {
        let counters = (counters.clock.as_u64(), counters.sequence);
        set(&rows, "counters", &packed(&counters)?.into());
    }
    Ok(rows)
}

/// Entries, in groups of four: the path, the record (null: it is removed), the content that it names, and what is told of it.
/// Objects are made of them in JavaScript, which takes a fraction of the time.
fn entries_of(transaction: &Transaction) -> Result<Array, StoreError> {
    let entries = Array::new();
    for (path, entry) in &transaction.commit.entries {
        if !record::is_worth_storing(entry) {
            push(&entries, path.as_str(), JsValue::NULL);
            push(&entries, "", JsValue::from_str(""));
            continue;
        }
        let bytes = record::encode_entry(entry)?;
        push(&entries, path.as_str(), Uint8Array::from(&bytes[..]).into());
        let local = entry.local.file().map(|file| name_of(file.content));
        let base = entry.base.file().map(|file| name_of(file.content));
        let base = base.filter(|name| local.as_ref() != Some(name));
        let named: Vec<&str> = [&local, &base]
            .into_iter()
            .flatten()
            .map(String::as_str)
            .collect();
        let told = local.as_deref().and_then(|name| told_of(path, entry, name));
        push(&entries, &named.join(" "), told.unwrap_or_default().into());
    }
    Ok(entries)
}

/// What a page can read of a file by itself, as JSON.
fn told_of(path: &FilePath, entry: &Entry, content: &str) -> Option<String> {
    let encryption = Policy::default().encryption_for(path.as_str());
    let mut told = events::told(entry, entry.format(encryption))?;
    told.content = Some(content);
    told.is_by_policy = entry.local.file()?.format.is_none() && entry.base.file().is_none();
    serde_json::to_string(&told).ok()
}

fn packed(value: &impl Serialize) -> Result<Uint8Array, StoreError> {
    let bytes = postcard::to_allocvec(value).map_err(|_| damaged("a row cannot be written"))?;
    Ok(Uint8Array::from(&bytes[..]))
}

/// The key of content: its digest in hexadecimal digits.
fn name_of(hash: ContentHash) -> String {
    hex::encode(hash.as_bytes())
}

fn push(array: &Array, key: &str, value: JsValue) {
    array.push(&key.into());
    array.push(&value);
}

fn set(object: &Object, name: &str, value: &JsValue) {
    // A plain object takes any field.
    drop(Reflect::set(object, &name.into(), value));
}

fn field(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &name.into()).unwrap_or_default()
}

/// The keys and values of one object store.
fn pairs(found: &JsValue, name: &str) -> Vec<(JsValue, JsValue)> {
    let array = |name: &str| field(found, name).dyn_into::<Array>().unwrap_or_default();
    let (keys, values) = (array(&format!("{name}_keys")), array(name));
    keys.iter().zip(values.iter()).collect()
}

fn path_of(key: &JsValue) -> Result<FilePath, StoreError> {
    FilePath::parse(&text_of(key)).map_err(|_| damaged("a stored path is none"))
}

fn text_of(value: &JsValue) -> String {
    value
        .dyn_ref::<JsString>()
        .map(String::from)
        .unwrap_or_default()
}

fn bytes_of(value: &JsValue) -> Vec<u8> {
    value
        .dyn_ref::<Uint8Array>()
        .map(Uint8Array::to_vec)
        .unwrap_or_default()
}

/// Numbers in JavaScript are exact up to 2^53, which is enough for bytes and milliseconds.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn number(value: u64) -> f64 {
    value as f64
}

fn damaged(detail: &str) -> StoreError {
    StoreError::Damaged {
        detail: detail.to_owned(),
    }
}

fn failed(context: &'static str) -> impl Fn(JsValue) -> StoreError {
    move |thrown| StorageFailure::of(&thrown).into_error(context)
}
