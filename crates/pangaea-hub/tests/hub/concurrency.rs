//! Many clients at once, and clients that go away in the middle.

use std::collections::BTreeMap;

use tokio::task::JoinSet;

use crate::support::{begin_store, eventually, finish_store, token, world};

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
