//! What a bucket may hold.

use futures_util::future::join_all;
use gaia::scope::ScopeKind;
use pangaea_hub::{HubConfig, Quota, check};
use rusqlite::Connection;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::batch::{Batch, statuses};
use crate::support::{Answer, Client, World, key, scopes, token, world, world_with};

fn limited(bytes: Option<u64>, files: Option<u64>) -> impl FnOnce(&mut HubConfig) {
    move |config| config.quota.each = Quota { bytes, files }
}

#[track_caller]
fn is_full(answer: &Answer, used: &str) {
    let message = format!(
        "The bucket has no room for this: it holds {used} that it may; delete something, or ask \
         the hub's operator for more"
    );
    answer.is(413, "QuotaExceededError", &message);
}

/// What the index has counted, and what a fresh count gives.
async fn counts(world: &World) -> [(i64, i64); 2] {
    // Has everything brought into the index; asked again within a second, it would not.
    let health = reqwest::get(format!("{}/health", world.client.url)).await;
    assert_eq!(health.unwrap().status(), 200);
    let index = Connection::open(world.folder.path().join("index.sqlite3")).unwrap();
    let ask = |query: &str| {
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
        index.query_row(query, (), row).unwrap()
    };
    [
        ask("SELECT sum(files), sum(bytes) FROM buckets"),
        ask("SELECT count(*), coalesce(sum(size), 0) FROM files"),
    ]
}

#[tokio::test]
async fn bytes_and_files_are_limited_and_what_shrinks_is_not() {
    let world = world_with(limited(Some(10), Some(3))).await;
    let client = &world.client;
    assert_eq!(client.put("a", "12345").await.status, 202);
    is_full(&client.put("b", "123456").await, "5 of the 10 bytes");
    assert_eq!(client.put("b", "12345").await.status, 202);
    is_full(&client.put("a", "123456").await, "10 of the 10 bytes");
    assert_eq!(client.body("a").await, "12345");
    // A tombstone is a file without bytes.
    assert_eq!(client.put("a", "").await.status, 202);
    assert_eq!(client.put("c", "").await.status, 202);
    is_full(&client.put("d", "").await, "3 of the 3 files");
    assert_eq!(client.delete("a").await.status, 202);
    assert_eq!(client.put("d", "12345").await.status, 202);
    // Another bucket has its own.
    let other = Client::new(&client.url, key(2));
    assert_eq!(other.put("a", "1234567890").await.status, 202);
}

#[tokio::test]
async fn one_bucket_may_hold_more_or_less_than_the_others() {
    let world = world_with(|config| {
        config.quota.each.bytes = Some(1);
        let unlimited = Quota::default();
        config.quota.buckets.insert(key(2).address(), unlimited);
    })
    .await;
    is_full(&world.client.put("a", "12").await, "0 of the 1 bytes");
    let other = Client::new(&world.client.url, key(2));
    assert_eq!(other.put("a", "12").await.status, 202);
}

#[tokio::test]
async fn a_quota_lowered_below_what_is_there_takes_nothing_away() {
    let mut world = world().await;
    assert_eq!(world.client.put("a", vec![0; 100_000]).await.status, 202);
    assert_eq!(world.client.put("b", "123").await.status, 202);
    world.restart_with(limited(Some(10), Some(1))).await;
    let client = &world.client;
    assert_eq!(client.get("a").await.status(), 200);
    assert_eq!(client.put("b", "12").await.status, 202);
    is_full(&client.put("b", "123").await, "100002 of the 10 bytes");
    is_full(&client.put("c", "").await, "2 of the 1 files");
    assert_eq!(client.put("a", vec![0; 90_000]).await.status, 202);
    assert_eq!(client.delete("a").await.status, 202);
    assert_eq!(client.put("b", "1234567890").await.status, 202);
}

#[tokio::test]
async fn uploads_at_the_same_time_never_add_up_to_more() {
    let world = world_with(limited(Some(10_000), None)).await;
    let client = &world.client;
    let puts = (0..40).map(|n| client.put(if n % 2 == 0 { "x" } else { "y" }, vec![0; 7000]));
    let puts = puts.map(|put| async { put.await.status });
    let done = join_all(puts).await;
    assert!(done.contains(&413) && done.contains(&202), "{done:?}");
    assert_eq!(counts(&world).await, [(1, 7000); 2]);

    let world = world_with(limited(Some(10_000), None)).await;
    let client = &world.client;
    let names: Vec<String> = (0..60).map(|n| format!("f{n}")).collect();
    // Small ones, large ones that go past the index, and batches.
    let singles = names
        .iter()
        .map(|name| async { client.put(name, vec![0; 900]).await.status });
    let batches = (0..6).map(|n| async move {
        let mut batch = Batch::default();
        for m in 0..5 {
            batch = batch.store(&format!("b{n}-{m}"), [0; 900]);
        }
        statuses(&client.batch(&batch).await)
    });
    let (singles, batches) = tokio::join!(join_all(singles), join_all(batches));
    let all: Vec<u16> = singles
        .into_iter()
        .chain(batches.into_iter().flatten())
        .collect();
    let done = all
        .iter()
        .filter(|status| [200, 202].contains(*status))
        .count();
    assert_eq!(done, 11, "{all:?}");
    assert_eq!(all.iter().filter(|status| **status == 413).count(), 90 - 11);
    assert_eq!(counts(&world).await, [(11, 9900); 2]);
}

#[tokio::test]
async fn a_batch_is_held_to_the_quota_change_by_change_or_as_a_whole() {
    let world = world_with(limited(Some(10), None)).await;
    let client = &world.client;
    let batch = Batch::default()
        .store("a", "12345678")
        .store("b", "123")
        .delete("a", None)
        .store("c", "123");
    let outcomes = client.batch(&batch).await;
    assert_eq!(statuses(&outcomes), [202, 413, 202, 202]);
    assert_eq!(outcomes[1].error.as_deref(), Some("QuotaExceededError"));
    let words = outcomes[1].message.as_deref().unwrap();
    assert!(words.contains("8 of the 10 bytes"), "{words}");

    let batch = Batch::default().store("d", "1234").store("e", "1234");
    assert_eq!(statuses(&client.atomic(&batch).await), [424, 413]);
    assert_eq!(client.names().await, ["c"]);
    // Room that an atomic batch makes for itself counts.
    let batch = Batch::default().delete("c", None).store("d", "1234567890");
    assert_eq!(statuses(&client.atomic(&batch).await), [202, 202]);
    assert_eq!(counts(&world).await, [(1, 10); 2]);
}

#[tokio::test]
async fn what_is_announced_as_too_much_is_refused_before_it_is_sent() {
    let world = world_with(limited(Some(100_000), None)).await;
    let (bucket, authorization) = (world.client.bucket(), &world.client.authorization);
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    let head = format!(
        "POST /store/{bucket}/a HTTP/1.1\r\nhost: hub\r\nauthorization: {authorization}\r\n\
         content-length: 100001\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("QuotaExceededError"), "{answer}");
}

#[tokio::test]
async fn counts_are_those_of_a_fresh_count_whatever_was_done() {
    let mut world = world().await;
    let plain = world.client.clone();
    let archival =
        plain.with_token(token().scopes(scopes(&[(ScopeKind::PutFileArchivalPrefix, "f")])));
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for _ in 0..300 {
        let path = format!("f{}", random(12));
        let size = if random(10) == 0 { 70_000 } else { random(500) };
        let body = vec![1; usize::try_from(size).unwrap()];
        match random(6) {
            0 => drop(plain.delete(&path).await),
            1 => assert_eq!(archival.put(&path, body).await.status, 202),
            2 => drop(archival.delete(&path).await),
            3 => {
                let batch = Batch::default()
                    .store(&path, &body)
                    .delete("f1", None)
                    .store("f2", &body);
                let outcomes = if random(2) == 0 {
                    plain.batch(&batch).await
                } else {
                    plain.atomic(&batch).await
                };
                assert_eq!(outcomes.len(), 3);
            }
            _ => assert_eq!(plain.put(&path, body).await.status, 202),
        }
    }
    let [counted, fresh] = counts(&world).await;
    assert_eq!(counted, fresh);
    assert!(fresh.0 > 20 && fresh.1 > 100_000, "{fresh:?}");
    // The check looks at the same, and sees it when it is wrong.
    world.hub.take().unwrap().shutdown().await.unwrap();
    let mut found = Vec::new();
    let mut look = |event| {
        if let check::FolderEvent::Problem(problem) = event {
            found.push(problem.message);
        }
    };
    assert_eq!(
        check::check(world.folder.path(), &mut look)
            .unwrap()
            .problems,
        0
    );
    let index = Connection::open(world.folder.path().join("index.sqlite3")).unwrap();
    index
        .execute("UPDATE buckets SET bytes = bytes + 1", ())
        .unwrap();
    drop(index);
    assert_eq!(
        check::check(world.folder.path(), &mut look)
            .unwrap()
            .problems,
        1
    );
    assert!(found[0].contains("count of bytes is wrong"), "{found:?}");
}
