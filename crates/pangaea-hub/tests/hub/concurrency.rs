//! Many clients at once, and clients that go away in the middle.

use std::collections::BTreeMap;

use gaia::etag::ETag;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{World, eventually, token, world};

/// Begins a store and sends only the first part of its body.
async fn begin_store(world: &World, path: &str, length: usize, part: &[u8]) -> TcpStream {
    let (bucket, authorization) = (world.client.bucket(), &world.client.authorization);
    let head = format!(
        "POST /store/{bucket}/{path} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\
         authorization: {authorization}\r\ncontent-length: {length}\r\n\r\n"
    );
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(part).await.unwrap();
    stream
}

/// Sends the rest of a body and returns the status.
async fn finish_store(mut stream: TcpStream, rest: &[u8]) -> u16 {
    stream.write_all(rest).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn case_041_042_043_044_a_path_in_flight_is_not_locked() {
    let world = world().await;
    let client = &world.client;
    let half = vec![b'a'; 100_000];
    let slow = begin_store(&world, "a", 200_000, &half).await;
    eventually("the upload is being staged", || world.staged() == 1).await;
    assert_eq!(client.put("a", "quick").await.status, 202);
    assert_eq!(client.body("a").await, "quick");
    assert_eq!(client.delete("a").await.status, 202);
    assert_eq!(client.put("b", "other").await.status, 202);
    assert_eq!(finish_store(slow, &half).await, 202);
    assert_eq!(
        client.body("a").await.len(),
        200_000,
        "whoever finishes last"
    );
    assert_eq!(client.put("a", "again").await.status, 202);
}

#[tokio::test]
async fn case_045_racing_creates() {
    let world = world().await;
    let large = "0123456789".repeat(10_000);
    for round in 0..20 {
        let path = format!("race-{round}");
        let mut tasks = JoinSet::new();
        for racer in 0..8 {
            let (client, path) = (world.client.clone(), path.clone());
            // Half of them spell the path otherwise, half of them are large.
            let spelled = if racer % 2 == 0 {
                path
            } else {
                format!("/{path}")
            };
            let body = format!("{racer}{}", if racer % 4 < 2 { "" } else { large.as_str() });
            tasks.spawn(async move {
                let answer = client.put_if(&spelled, &body, "If-None-Match", "*").await;
                (answer.status, body)
            });
        }
        let results = tasks.join_all().await;
        let winners: Vec<_> = results
            .iter()
            .filter(|(status, _)| *status == 202)
            .collect();
        assert_eq!(
            winners.len(),
            1,
            "{:?}",
            results.iter().map(|r| r.0).collect::<Vec<_>>()
        );
        assert!(
            results
                .iter()
                .all(|(status, _)| [202, 412].contains(status))
        );
        assert!(world.client.body(&path).await == winners[0].1);
    }
    assert_eq!(world.client.names().await.len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn compare_and_swap_loses_no_increment() {
    let world = world().await;
    world.client.put("counter", "0").await;
    let mut tasks = JoinSet::new();
    for _ in 0..8 {
        let client = world.client.clone();
        tasks.spawn(async move {
            let mut done = 0;
            while done < 25 {
                let response = client.get("counter").await;
                let tag = response.headers()["etag"].to_str().unwrap().to_owned();
                let count: u64 = response.text().await.unwrap().parse().unwrap();
                let next = (count + 1).to_string();
                match client
                    .put_if("counter", &next, "If-Match", &tag)
                    .await
                    .status
                {
                    202 => done += 1,
                    status => assert_eq!(status, 412),
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(world.client.body("counter").await, "200");
}

#[tokio::test]
async fn each_change_of_a_group_has_its_own_verdict() {
    let world = world().await;
    world.client.put("taken", "0").await;
    let mut tasks = JoinSet::new();
    for number in 0..100 {
        let client = world.client.clone();
        tasks.spawn(async move {
            let fails = number % 3 == 0;
            let path = if fails {
                "taken".to_owned()
            } else {
                format!("new-{number}")
            };
            let answer = client.put_if(&path, "1", "If-None-Match", "*").await;
            assert_eq!(answer.status, if fails { 412 } else { 202 }, "{path}");
        });
    }
    tasks.join_all().await;
    assert_eq!(world.client.body("taken").await, "0");
    assert_eq!(world.client.names().await.len(), 67);
}

#[tokio::test]
async fn a_change_that_the_index_cannot_take_fails_alone() {
    let world = world().await;
    let index = world.folder.path().join("index.sqlite3");
    let connection = rusqlite::Connection::open(index).unwrap();
    let trigger = "CREATE TRIGGER t BEFORE INSERT ON files WHEN NEW.path = 'poison'
                   BEGIN SELECT RAISE(ABORT, 'poison'); END";
    connection.execute_batch(trigger).unwrap();
    let mut tasks = JoinSet::new();
    for number in 0..60 {
        let client = world.client.clone();
        tasks.spawn(async move {
            let poison = number % 20 == 7;
            let path = if poison {
                "poison".to_owned()
            } else {
                format!("f-{number}")
            };
            let answer = client.put(&path, "1").await;
            assert_eq!(answer.status, if poison { 500 } else { 202 }, "{path}");
            if poison {
                assert_eq!(answer.json, serde_json::json!({"message": "Server Error"}));
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(world.client.names().await.len(), 57);
}

/// What a version of `case_048` looks like: its type says how its body must be.
fn version(number: usize) -> (String, String) {
    let length = if number.is_multiple_of(2) {
        1_000
    } else {
        150_000 + number
    };
    let letter = char::from_digit(10 + u32::try_from(number % 26).unwrap(), 36).unwrap();
    (
        format!("application/x-{letter}-{length}"),
        letter.to_string().repeat(length),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn case_047_048_reads_during_replacement_never_mix() {
    let world = world().await;
    let mut writers = JoinSet::new();
    for writer in 0..3 {
        let client = world.client.clone();
        writers.spawn(async move {
            for number in 0..60 {
                let (kind, body) = version(number * 3 + writer);
                let request = client.store("a").header("Content-Type", kind).body(body);
                assert_eq!(request.send().await.unwrap().status(), 202);
            }
        });
    }
    let mut readers = JoinSet::new();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    for _ in 0..4 {
        let (client, stop) = (world.client.clone(), std::sync::Arc::clone(&stop));
        readers.spawn(async move {
            let mut seen = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                let response = client.get("a").await;
                if response.status() == 404 {
                    continue;
                }
                assert_eq!(response.status(), 200);
                let headers = response.headers().clone();
                let body = response.text().await.unwrap();
                let tag = ETag::of(body.as_bytes());
                assert_eq!(headers["etag"], tag.as_str());
                let kind = format!("application/x-{}-{}", &body[..1], body.len());
                assert_eq!(headers["content-type"], kind.as_str());
                seen += 1;
            }
            seen
        });
    }
    writers.join_all().await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let seen: usize = readers.join_all().await.into_iter().sum();
    assert!(seen > 20, "the readers saw {seen} versions only");
    // Whatever was replaced goes.
    eventually("one blob at most", || world.blobs().len() <= 1).await;
}

#[tokio::test]
async fn case_046_049_050_aborted_uploads_leave_nothing() {
    let world = world().await;
    let client = &world.client;
    client.put("old", "old content").await;
    let part = vec![b'x'; 300_000];
    for (path, length, sent) in [
        ("old", 400_000, 300_000),
        ("new", 400_000, 300_000),
        ("new", 10, 5),
    ] {
        let stream = begin_store(&world, path, length, &part[..sent]).await;
        if sent > 65_536 {
            eventually("the upload is being staged", || world.staged() == 1).await;
        }
        drop(stream);
        eventually("the staged file is gone", || world.staged() == 0).await;
    }
    assert_eq!(
        client.get("old").await.headers()["etag"],
        ETag::of(b"old content").as_str()
    );
    assert_eq!(client.body("old").await, "old content");
    assert_eq!(client.get("new").await.status(), 404);
    assert_eq!(client.names().await, ["old"]);
    assert!(world.blobs().is_empty());
    assert_eq!(
        client.put("new", "1").await.status,
        202,
        "nothing is locked"
    );
}

#[tokio::test]
async fn a_client_that_does_not_wait_leaves_old_or_new() {
    let world = world().await;
    let mut bodies = BTreeMap::new();
    for number in 0..40 {
        let path = format!("f{number}");
        let old = format!("old {number}");
        let new = if number % 2 == 0 {
            "n".repeat(100_000)
        } else {
            "new".to_owned()
        };
        world.client.put(&path, old.clone()).await;
        let stream = begin_store(&world, &path, new.len(), new.as_bytes()).await;
        drop(stream);
        bodies.insert(path, [old, new]);
    }
    for (path, [old, new]) in bodies {
        let body = world.client.body(&path).await;
        assert!(
            body == old || body == new,
            "{path} has {} bytes",
            body.len()
        );
    }
    eventually("nothing staged remains", || world.staged() == 0).await;
}

#[tokio::test]
async fn a_token_revoked_during_an_upload_does_not_commit() {
    let world = world().await;
    let half = vec![b'a'; 100_000];
    let slow = begin_store(&world, "a", 200_000, &half).await;
    eventually("the upload is being staged", || world.staged() == 1).await;
    let owner = world.client.with_token(token().issued_at(2_000));
    assert_eq!(
        owner.revoke("{\"oldestValidTimestamp\":1000}").await.status,
        202
    );
    assert_eq!(finish_store(slow, &half).await, 401);
    assert_eq!(world.client.get("a").await.status(), 404);
    eventually("the blob is swept", || world.blobs().is_empty()).await;
}

#[tokio::test]
async fn blobs_go_with_their_last_use() {
    let world = world().await;
    let client = &world.client;
    let body = "same".repeat(50_000);
    for path in ["a", "b"] {
        client.put(path, body.clone()).await;
    }
    assert_eq!(world.blobs().len(), 1);
    client.put("a", "small").await;
    assert_eq!(
        client.put_if("c", &body, "If-None-Match", "*").await.status,
        202
    );
    client.delete("b").await;
    assert!(client.body("c").await == body);
    // A refused store of the same bytes takes nothing away.
    assert_eq!(client.put_if("c", &body, "If-Match", "x").await.status, 412);
    client.put("d", "other".repeat(50_000)).await;
    client.delete("d").await;
    eventually("only the used blob remains", || world.blobs().len() == 1).await;
    assert!(client.body("c").await == body);
    client.delete("c").await;
    eventually("no blob remains", || world.blobs().is_empty()).await;
}

#[tokio::test]
async fn an_open_reader_reads_on_when_its_blob_goes() {
    let world = world().await;
    let body = vec![b'r'; 30_000_000];
    world.client.put("a", body.clone()).await;
    let mut response = world.client.get("a").await;
    let mut read = response.chunk().await.unwrap().unwrap().len();
    assert_eq!(world.client.delete("a").await.status, 202);
    eventually("the blob is swept", || world.blobs().is_empty()).await;
    while let Some(piece) = response.chunk().await.unwrap() {
        assert!(piece.iter().all(|byte| *byte == b'r'));
        read += piece.len();
    }
    assert_eq!(read, body.len());
}

#[tokio::test]
async fn many_connections_wait_their_turn() {
    let world = crate::support::world_with(|config| config.connections_max = 2).await;
    let mut tasks = JoinSet::new();
    for number in 0..20 {
        let client = crate::support::Client::new(&world.client.url, world.client.key.clone());
        tasks.spawn(async move { client.put(&format!("f{number}"), "1").await.status });
    }
    assert!(
        tasks
            .join_all()
            .await
            .into_iter()
            .all(|status| status == 202)
    );
}
