//! Waiting for changes, and following a bucket that many write to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gaia::scope::ScopeKind;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::changes::names;
use crate::support::{Answer, Client, key, scopes, token, world, world_with};

/// More than any answer that comes at once takes, less than any wait asked for.
const SOON: Duration = Duration::from_secs(20);

impl Client {
    /// A request that waits, on its own.
    fn waiting(&self, cursor: &str) -> tokio::task::JoinHandle<Answer> {
        let (client, query) = (self.clone(), format!("since={cursor}&wait=60"));
        tokio::spawn(async move { client.changes(&query).await })
    }
}

#[tokio::test]
async fn a_wait_ends_with_the_first_change_of_its_bucket() {
    let world = world().await;
    let client = &world.client;
    let neighbour = Client::new(&client.url, key(2));
    let cursor = client.cursor().await;
    let waiting = client.waiting(&cursor);
    for number in 0..10 {
        neighbour.put(&format!("n{number}"), "1").await;
    }
    sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished(), "another bucket is not its business");
    client.put("a", "1").await;
    let answer = timeout(SOON, waiting).await.unwrap().unwrap();
    assert_eq!(
        (answer.status, names(&answer.json)),
        (200, vec!["a".into()])
    );

    let waiting = client.waiting(answer.text("cursor"));
    sleep(Duration::from_millis(100)).await;
    client.delete("a").await;
    let answer = timeout(SOON, waiting).await.unwrap().unwrap();
    assert_eq!(names(&answer.json), ["-a"]);

    // What is there already is not waited for, nor is the cursor of now.
    let waiting = client.waiting(&cursor);
    let answer = timeout(SOON, waiting).await.unwrap().unwrap();
    assert_eq!(names(&answer.json), ["-a"]);
    let now = client.changes("wait=60");
    assert_eq!(timeout(SOON, now).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_wait_for_nothing_ends_in_time_with_the_cursor_of_now() {
    let world = world().await;
    let client = &world.client;
    let archival = scopes(&[(ScopeKind::PutFileArchivalPrefix, "x")]);
    let restricted = client.with_token(token().scopes(archival));
    let cursor = client.cursor().await;
    let begun = Instant::now();
    let query = format!("since={cursor}&wait=1");
    let empty = restricted.changes(&query);
    let hidden = client.put(".history.1.a.x", "1");
    let (answer, _) = tokio::join!(empty, hidden);
    let waited = begun.elapsed();
    assert!(
        (Duration::from_secs(1)..SOON).contains(&waited),
        "{waited:?}"
    );
    assert_eq!(answer.json["entries"], json!([]));
    assert_eq!(
        answer.text("cursor"),
        client.cursor().await,
        "it went on all the same"
    );
}

#[tokio::test]
async fn a_wait_ends_with_the_token() {
    let world = world().await;
    let client = world.client.with_token(token().issued_at(5));
    let waiting = client.waiting(&client.cursor().await);
    sleep(Duration::from_millis(100)).await;
    client.revoke("{\"oldestValidTimestamp\":5}").await;
    sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished(), "this one is still good");
    client.revoke("{\"oldestValidTimestamp\":6}").await;
    let answer = timeout(SOON, waiting).await.unwrap().unwrap();
    assert_eq!(answer.text("error"), "AuthTokenTimestampValidationError");
}

#[tokio::test]
async fn stopping_ends_waits_at_once() {
    let mut world = world().await;
    let cursor = world.client.cursor().await;
    let waiting = world.client.waiting(&cursor);
    sleep(Duration::from_millis(200)).await;
    let begun = Instant::now();
    world.hub.take().unwrap().shutdown().await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    let answer = waiting.await.unwrap();
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.json,
        json!({"entries": [], "cursor": cursor, "more": false})
    );
}

#[tokio::test]
async fn who_hangs_up_leaves_a_free_place() {
    let world = world_with(|config| config.connections_max = 2).await;
    let cursor = Client::new(&world.client.url, key(1)).cursor().await;
    for _ in 0..5 {
        // A client each: two that wait hold both places.
        let client = || Client::new(&world.client.url, key(1));
        let waiting = [client().waiting(&cursor), client().waiting(&cursor)];
        sleep(Duration::from_millis(100)).await;
        for one in waiting {
            assert!(!one.is_finished());
            one.abort();
        }
    }
    let late = Client::new(&world.client.url, key(1));
    assert_eq!(timeout(SOON, late.put("a", "1")).await.unwrap().status, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_wait_while_others_work() {
    let world = world().await;
    let client = &world.client;
    let neighbour = Client::new(&client.url, key(2));
    let cursor = client.cursor().await;
    let waiting: Vec<_> = (0..200).map(|_| client.waiting(&cursor)).collect();
    sleep(Duration::from_millis(500)).await;
    // They hold neither threads nor readers of the index: ten times as many requests get through.
    for number in 0..200 {
        assert_eq!(neighbour.put("n", format!("{number}")).await.status, 202);
        assert_eq!(neighbour.body("n").await, number.to_string());
        assert_eq!(neighbour.names().await, ["n"]);
    }
    assert!(waiting.iter().all(|one| !one.is_finished()));
    client.put("a", "1").await;
    for one in waiting {
        let answer = timeout(SOON, one).await.unwrap().unwrap();
        assert_eq!(names(&answer.json), ["a"]);
    }
}

/// What a client that follows believes the bucket to hold.
#[derive(Default)]
struct Believed(BTreeMap<String, Value>);

impl Believed {
    fn take(&mut self, entries: &Value) {
        for entry in entries.as_array().unwrap() {
            let name = entry["name"].as_str().unwrap().to_owned();
            if entry["exists"] == json!(true) {
                self.0.insert(name, entry.clone());
            } else {
                self.0.remove(&name);
            }
        }
    }

    async fn list(&mut self, client: &Client) {
        let mut page = Value::Null;
        loop {
            let answer = client
                .list(json!({"page": page, "stat": true, "limit": 7}))
                .await;
            self.take(&answer.json["entries"]);
            page = answer.json["page"].clone();
            if page.is_null() {
                return;
            }
        }
    }
}

/// Stores, deletes and archives at random, always the same.
async fn write_wildly(client: Client, mut state: u64) {
    let archival = scopes(&[(ScopeKind::PutFileArchivalPrefix, "f")]);
    let archivist = client.with_token(token().scopes(archival));
    for _ in 0..150 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let (path, deed) = ((state >> 33) % 40, (state >> 40) % 10);
        let path = format!("f{path}");
        let answer = match deed {
            0..=4 => client.put(&path, format!("{state}")).await,
            5 => archivist.put(&path, format!("{state}")).await,
            6 => archivist.delete(&path).await,
            _ => client.delete(&path).await,
        };
        assert!([202, 404].contains(&answer.status), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_lists_and_follows_ends_with_what_the_hub_has() {
    let world = world().await;
    let client = world.client.clone();
    let mut writers = JoinSet::new();
    for seed in 0..5 {
        writers.spawn(write_wildly(client.clone(), seed));
    }
    sleep(Duration::from_millis(50)).await;
    let mut cursor = client.cursor().await;
    let mut believed = Believed::default();
    believed.list(&client).await;
    let written = Arc::new(AtomicBool::new(false));
    let done = Arc::clone(&written);
    let follower = tokio::spawn(async move {
        loop {
            let last = done.load(Ordering::SeqCst);
            let answer = client
                .changes(&format!("since={cursor}&limit=5&wait=1"))
                .await;
            believed.take(&answer.json["entries"]);
            cursor = answer.text("cursor").to_owned();
            let empty = answer.json["entries"] == json!([]) && answer.json["more"] == json!(false);
            if last && empty {
                return believed;
            }
        }
    });
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    written.store(true, Ordering::SeqCst);
    let believed = follower.await.unwrap();
    let mut real = Believed::default();
    real.list(&world.client).await;
    assert!(real.0.len() > 40, "there is history among it");
    assert_eq!(believed.0, real.0);
}
