//! What the log holds of requests, and what it never holds.

use std::fmt;
use std::sync::{Mutex, Once, PoisonError};

use pangaea_hub::RequestLog;
use reqwest::Method;
use serde_json::{Map, Value, json};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::batch::Batch;
use crate::metrics::{TOKEN, administrated};
use crate::support::{Client, key};

static LINES: Mutex<String> = Mutex::new(String::new());

/// Puts what is logged somewhere, one JSON object a line.
struct Collect {
    level: Level,
    put: fn(&str),
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Subscriber for Collect {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.level
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        (self.put)(&Value::Object(fields.0).to_string());
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0
            .insert(field.name().to_owned(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

/// Keeps what all tests of this process log at INFO or above.
fn collect() {
    static ONCE: Once = Once::new();
    let put = |line: &str| {
        let mut lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
        *lines += &format!("{line}\n");
    };
    let level = Level::INFO;
    ONCE.call_once(|| tracing::subscriber::set_global_default(Collect { level, put }).unwrap());
}

/// Prints the failures of a hub in a process of its own.
pub fn print_failures() {
    let put = |line: &str| eprintln!("{line}");
    let level = Level::ERROR;
    tracing::subscriber::set_global_default(Collect { level, put }).unwrap();
}

fn lines() -> String {
    LINES.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Sends a request to every route of the hub.
async fn ask_for_everything(client: &Client) {
    let bucket = client.bucket();
    let path = "Hidden-Folder/Hidden-File";
    assert_eq!(client.put(path, "Hidden-Content").await.status, 202);
    assert_eq!(client.body(path).await, "Hidden-Content");
    assert_eq!(
        client.put_if(path, "x", "if-none-match", "*").await.status,
        412
    );
    let batch = Batch::default()
        .store("Hidden-Batch", "x")
        .create(path, "x");
    client.batch(&batch).await;
    assert_eq!(client.list(json!({})).await.status, 202);
    for (method, route, body) in [
        (
            Method::POST,
            format!("/fetch/{bucket}"),
            json!({ "paths": [path] }),
        ),
        (Method::GET, format!("/changes/{bucket}"), Value::Null),
        (Method::GET, "/hub_info".to_owned(), Value::Null),
        (
            Method::OPTIONS,
            format!("/store/{bucket}/{path}"),
            Value::Null,
        ),
        (Method::GET, "/health".to_owned(), Value::Null),
        (Method::GET, "/".to_owned(), Value::Null),
        (Method::GET, "/Hidden-Route".to_owned(), Value::Null),
        (
            Method::GET,
            format!("/read/{bucket}/Hidden-Query?Hidden-Key"),
            Value::Null,
        ),
    ] {
        let request = client.request(method, &route).body(body.to_string());
        request.send().await.unwrap();
    }
    assert_eq!(client.delete(path).await.status, 202);
    let oldest = json!({ "oldestValidTimestamp": 1 }).to_string();
    assert_eq!(client.revoke(&oldest).await.status, 202);
    let stranger = client.with_authorization(format!("{}x", client.authorization));
    assert_eq!(stranger.put(path, "x").await.status, 401);
}

#[tokio::test]
async fn every_request_has_a_line_without_secrets_and_without_paths() {
    collect();
    let world = administrated(|config| config.log.requests = RequestLog::Info).await;
    // A bucket that no other test uses.
    let client = Client::new(&world.client.url, key(201));
    let bucket = client.bucket();
    ask_for_everything(&client).await;
    let admin = world.client.http.get(world.admin("/")).bearer_auth(TOKEN);
    assert_eq!(admin.send().await.unwrap().status(), 200);
    let lines = lines();
    let ours: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &Value| line["message"] == "request")
        .collect();
    for route in [
        "store",
        "read",
        "batch",
        "list_files",
        "fetch",
        "changes",
        "hub_info",
        "preflight",
        "health",
        "home",
        "unknown",
        "delete",
        "revoke_all",
    ] {
        assert!(
            ours.iter().any(|line| line["route"] == route),
            "{route} in {lines}"
        );
    }
    let refused = ours.iter().find(|line| line["status"] == 412).unwrap();
    assert_eq!(refused["method"], "POST");
    assert_eq!(refused["cause"], "precondition");
    assert_eq!(refused["bucket"], bucket[..6]);
    assert!(refused["ms"].is_number() && refused["request"].is_number());
    let read = ours.iter().find(|line| line["route"] == "read").unwrap();
    assert_eq!((&read["status"], &read["bytes"]), (&json!(200), &json!(14)));

    let token = client.authorization.trim_start_matches("bearer ");
    for secret in ["Hidden", token, TOKEN, &bucket, &hex(&[201; 32])] {
        assert!(!lines.contains(secret), "{secret} in {lines}");
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
