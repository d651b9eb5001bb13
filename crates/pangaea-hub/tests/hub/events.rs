//! The change feed as a stream of server-sent events.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use gaia::scope::ScopeKind;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::changes::names;
use crate::support::{Client, World, key, scopes, token, world, world_with};

/// More than any event that comes at once takes, and a hub that hangs is noticed.
const SOON: Duration = Duration::from_secs(20);

/// A stream under way, read block by block.
struct Stream {
    response: Response,
    text: String,
}

/// What stands between two empty lines.
#[derive(Debug, Default, PartialEq)]
struct Block {
    id: String,
    event: String,
    data: String,
    retry: String,
    comments: usize,
}

impl Block {
    fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap()
    }

    #[track_caller]
    fn names(&self) -> Vec<String> {
        assert_eq!(self.event, "changes", "{self:?}");
        let page = self.json();
        assert_eq!(page["cursor"], json!(self.id));
        names(&page)
    }
}

impl Client {
    fn events(&self, query: &str) -> RequestBuilder {
        let route = format!("/changes/{}?{query}", self.bucket());
        self.request(Method::GET, &route)
            .header("Accept", "text/event-stream")
    }

    async fn stream(&self, query: &str) -> Stream {
        Stream::of(self.events(query)).await
    }
}

impl Stream {
    async fn of(request: RequestBuilder) -> Self {
        let response = timeout(SOON, request.send()).await.unwrap().unwrap();
        assert_eq!(response.status(), 200);
        let text = String::new();
        Self { response, text }
    }

    /// The next block, or nothing at the end of the stream.
    async fn block(&mut self) -> Option<Block> {
        let text = loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                break block;
            }
            let piece = timeout(SOON, self.response.chunk()).await.unwrap().unwrap();
            let Some(piece) = piece else {
                assert_eq!(self.text, "", "the stream ends between blocks");
                return None;
            };
            self.text.push_str(std::str::from_utf8(&piece).unwrap());
        };
        let mut block = Block::default();
        for line in text.lines() {
            match line.split_once(':').unwrap() {
                ("", _) => block.comments += 1,
                ("id", value) => block.id = value.trim().to_owned(),
                ("event", value) => block.event = value.trim().to_owned(),
                ("data", value) => block.data = value.trim().to_owned(),
                ("retry", value) => block.retry = value.trim().to_owned(),
                other => panic!("{other:?}"),
            }
        }
        Some(block)
    }

    /// The next event, past heartbeats.
    async fn event(&mut self) -> Option<Block> {
        loop {
            let block = self.block().await?;
            if !block.event.is_empty() {
                return Some(block);
            }
        }
    }
}

#[tokio::test]
async fn events_come_as_files_change() {
    let world = world().await;
    let client = &world.client;
    client.put("before", "1").await;
    let mut stream = client.stream("").await;
    let header = |name: &str| stream.response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/event-stream");
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("x-accel-buffering"), "no");
    assert_eq!(header("access-control-allow-origin"), "*");
    let first = stream.block().await.unwrap();
    assert_eq!(first.names(), [""; 0], "it says where the feed is");
    assert_eq!(
        (first.retry.as_str(), &first.id),
        ("3000", &client.cursor().await)
    );
    client.put("a", "1").await;
    let event = stream.event().await.unwrap();
    assert_eq!(event.names(), ["a"]);
    assert_eq!(event.json()["more"], json!(false));
    assert_eq!(event.retry, "");
    client.delete("before").await;
    assert_eq!(stream.event().await.unwrap().names(), ["-before"]);
    // Another bucket's changes say nothing here.
    Client::new(&client.url, key(2)).put("n", "1").await;
    client.put("b", "1").await;
    assert_eq!(stream.event().await.unwrap().names(), ["b"]);
}

#[tokio::test]
async fn a_broken_stream_is_resumed_after_its_last_event() {
    let world = world().await;
    let client = &world.client;
    let start = client.cursor().await;
    let mut stream = client.stream("").await;
    stream.event().await.unwrap();
    client.put("a", "1").await;
    let seen = stream.event().await.unwrap();
    drop(stream);
    client.put("b", "1").await;
    client.delete("a").await;
    // The query is still that of the first request.
    let request = client.events(&format!("since={start}"));
    let mut stream = Stream::of(request.header("Last-Event-ID", &seen.id)).await;
    assert_eq!(stream.event().await.unwrap().names(), ["b", "-a"]);
    let request = client.events(&format!("since={start}"));
    let mut stream = Stream::of(request.header("Last-Event-ID", "")).await;
    assert_eq!(stream.event().await.unwrap().names(), ["b", "-a"]);
    let request = client.events("").header("Last-Event-ID", "no cursor");
    assert_eq!(request.send().await.unwrap().status(), 400);
    // For a page, the header means nothing.
    let route = format!("/changes/{}?since={start}", client.bucket());
    let page = client
        .request(Method::GET, &route)
        .header("Last-Event-ID", "no cursor");
    assert_eq!(page.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn many_changes_come_as_many_events() {
    let world = world().await;
    let client = &world.client;
    let start = client.cursor().await;
    for number in 0..5 {
        client.put(&format!("f{number}"), "1").await;
    }
    let query = format!("since={start}&limit=2");
    let mut stream = client.stream(&query).await;
    for (more, want) in [
        (true, vec!["f0", "f1"]),
        (true, vec!["f2", "f3"]),
        (false, vec!["f4"]),
    ] {
        let event = stream.event().await.unwrap();
        assert_eq!(
            (event.names(), event.json()["more"].clone()),
            (want.iter().map(ToString::to_string).collect(), json!(more))
        );
    }
    client.put("f5", "1").await;
    assert_eq!(stream.event().await.unwrap().names(), ["f5"]);
    assert_eq!(client.events("limit=0").send().await.unwrap().status(), 400);
    assert_eq!(
        client
            .events("since=garbage")
            .send()
            .await
            .unwrap()
            .status(),
        400
    );
    let other = Client::new(&client.url, key(2));
    let stolen = client.with_authorization(other.authorization);
    assert_eq!(stolen.events("").send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_silent_stream_has_a_heartbeat() {
    let world = world_with(|config| config.changes_heartbeat = Duration::from_secs(1)).await;
    let client = &world.client;
    let archival = scopes(&[(ScopeKind::PutFileArchivalPrefix, "x")]);
    let restricted = client.with_token(token().scopes(archival));
    let mut stream = restricted.stream("").await;
    stream.event().await.unwrap();
    for _ in 0..2 {
        let block = stream.block().await.unwrap();
        assert_eq!((block.comments, block.event.as_str()), (1, ""));
    }
    // What a token may not see makes no event, and does not keep the heart from beating.
    client.put(".history.1.a.x", "1").await;
    let block = stream.block().await.unwrap();
    assert_eq!((block.comments, block.event.as_str()), (1, ""));
    client.put("x", "1").await;
    assert_eq!(stream.event().await.unwrap().names(), ["x"]);
}

#[tokio::test]
async fn an_expired_cursor_is_an_event_and_the_end() {
    let mut world = world().await;
    world.client.put("a", "1").await;
    let start = world.client.cursor().await;
    world.client.delete("a").await;
    world
        .restart_with(|config| config.removals_kept = Duration::ZERO)
        .await;
    let elsewhere = self::world().await.client.cursor().await;
    for cursor in [start, elsewhere] {
        let mut stream = world.client.stream(&format!("since={cursor}")).await;
        let event = stream.block().await.unwrap();
        assert_eq!((event.event.as_str(), event.id.as_str()), ("expired", ""));
        assert_eq!(event.json()["error"], json!("CursorExpired"));
        assert_eq!(stream.block().await, None);
    }
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let world = world_with(|config| config.changes_heartbeat = Duration::from_secs(1)).await;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let client = world.client.with_token(token().issued_at(5));
    let short = world
        .client
        .with_token(token().issued_at(5).expires_at(now + 1));
    let mut ending = short.stream("").await;
    ending.event().await.unwrap();
    assert_eq!(ending.event().await, None, "its time is over");

    let mut revoked = client.stream("").await;
    revoked.event().await.unwrap();
    client.revoke("{\"oldestValidTimestamp\":6}").await;
    assert_eq!(revoked.event().await, None);
}

#[tokio::test]
async fn a_revocation_ends_streams_before_the_next_heartbeat() {
    let world = world_with(|config| config.changes_heartbeat = Duration::from_secs(3600)).await;
    let client = world.client.with_token(token().issued_at(5));
    let mut stream = client.stream("").await;
    stream.event().await.unwrap();
    client.revoke("{\"oldestValidTimestamp\":6}").await;
    assert_eq!(stream.event().await, None);
}

#[tokio::test]
async fn stopping_ends_streams_at_once() {
    let mut world: World = world().await;
    let mut stream = world.client.stream("").await;
    stream.event().await.unwrap();
    let begun = Instant::now();
    world.hub.take().unwrap().shutdown().await.unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(stream.event().await, None);
}

#[tokio::test]
async fn who_closes_a_stream_leaves_a_free_place() {
    let world = world_with(|config| config.connections_max = 1).await;
    for _ in 0..5 {
        let client = Client::new(&world.client.url, key(1));
        let mut stream = client.stream("").await;
        stream.event().await.unwrap();
        let late = Client::new(&world.client.url, key(1));
        let waits = tokio::spawn(async move { late.put("a", "1").await });
        sleep(Duration::from_millis(50)).await;
        assert!(!waits.is_finished(), "the place is taken");
        drop((stream, client));
        assert_eq!(timeout(SOON, waits).await.unwrap().unwrap().status, 202);
    }
}

#[tokio::test]
async fn what_accepts_events_among_others_gets_events() {
    let world = world().await;
    let client = &world.client;
    let route = format!("/changes/{}", client.bucket());
    for (accept, kind) in [
        ("text/event-stream", "text/event-stream"),
        (
            "application/json;q=0.5, Text/Event-Stream;q=1",
            "text/event-stream",
        ),
        ("*/*", "application/json"),
        ("text/event-streams", "application/json"),
    ] {
        let request = client.request(Method::GET, &route).header("Accept", accept);
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-type"], kind, "{accept}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_may_resume_a_stream() {
    let world = world().await;
    let client = &world.client;
    let url = format!("{}/changes/{}", client.url, client.bucket());
    let request = client.http.request(Method::OPTIONS, url);
    let response = request.send().await.unwrap();
    let allowed = response.headers()["access-control-allow-headers"].to_str();
    let allowed: Vec<_> = allowed.unwrap().split(',').collect();
    assert!(allowed.contains(&"Last-Event-ID"), "{allowed:?}");
    assert!(allowed.contains(&"Authorization"), "{allowed:?}");
}
