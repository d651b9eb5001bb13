//! Several requests at once. A stock hub refuses the second request for a path that is in use;
//! this one decides when a body is complete, so nobody waits and nobody is refused for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use gaia::etag::ETag;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::support::{Client, World, begin_store, eventually, finish_store, key, world};

const LARGE: usize = 200_000;

/// An upload to `a` that is half done.
async fn half_done(world: &World) -> TcpStream {
    let stream = begin_store(world, "a", LARGE, &vec![b's'; LARGE / 2]).await;
    eventually("the upload is being staged", || world.staged() == 1).await;
    stream
}

async fn complete(stream: TcpStream) -> u16 {
    finish_store(stream, &vec![b's'; LARGE / 2]).await
}

#[tokio::test]
async fn case_041_a_second_store_on_a_path_in_flight() {
    let world = world().await;
    let slow = half_done(&world).await;
    assert_eq!(world.client.put("a", "quick").await.status, 202, "not 409");
    assert_eq!(world.client.body("a").await, "quick");
    assert_eq!(complete(slow).await, 202);
    assert_eq!(world.client.body("a").await, "s".repeat(LARGE), "the last");
}

#[tokio::test]
async fn case_042_a_delete_on_a_path_in_flight() {
    let world = world().await;
    world.client.put("a", "old").await;
    let slow = half_done(&world).await;
    assert_eq!(world.client.delete("a").await.status, 202, "not 409");
    assert_eq!(world.client.get("a").await.status(), 404);
    assert_eq!(complete(slow).await, 202);
    assert_eq!(world.client.body("a").await.len(), LARGE);
}

#[tokio::test]
async fn case_043_other_paths_do_not_mind() {
    let world = world().await;
    let slow = half_done(&world).await;
    assert_eq!(world.client.put("b", "other").await.status, 202);
    assert_eq!(world.client.delete("b").await.status, 202);
    assert!(world.client.names().await.is_empty());
    let other = Client::new(&world.client.url, key(2));
    assert_eq!(other.put("a", "in another bucket").await.status, 202);
    assert_eq!(complete(slow).await, 202);
}

#[tokio::test]
async fn case_044_afterwards_all_is_as_before() {
    let world = world().await;
    assert_eq!(complete(half_done(&world).await).await, 202);
    assert_eq!(world.client.put("a", "again").await.status, 202);
    assert_eq!(world.client.body("a").await, "again");
    assert_eq!(world.client.delete("a").await.status, 202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn case_045_racing_creates() {
    let world = world().await;
    let large = "0123456789".repeat(10_000);
    for round in 0..20 {
        let path = format!("race-{round}");
        let mut tasks = JoinSet::new();
        for racer in 0..8 {
            let client = world.client.clone();
            // Half of them spell the path otherwise, half of them are large.
            let slash = if racer % 2 == 0 { "" } else { "/" };
            let spelled = format!("{slash}{path}");
            let body = format!("{racer}{}", if racer % 4 < 2 { "" } else { large.as_str() });
            tasks.spawn(async move {
                let answer = client.put_if(&spelled, &body, "If-None-Match", "*").await;
                (answer.status, body)
            });
        }
        let (won, lost): (Vec<_>, Vec<_>) = tasks
            .join_all()
            .await
            .into_iter()
            .partition(|(status, _)| *status == 202);
        assert_eq!(won.len(), 1);
        assert!(lost.iter().all(|(status, _)| *status == 412), "not 409");
        assert!(world.client.body(&path).await == won[0].1);
    }
    assert_eq!(world.client.names().await.len(), 20);
}

#[tokio::test]
async fn case_046_nothing_stays_locked() {
    let world = world().await;
    let client = &world.client;
    let stranger = Client::new(&client.url, key(2));
    let stolen = client.with_authorization(stranger.authorization);
    assert_eq!(stolen.put("a", "x").await.status, 401);
    assert_eq!(client.put("a", "1").await.status, 202, "after a refusal");
    drop(half_done(&world).await);
    assert_eq!(client.put("a", "2").await.status, 202, "after an abort");
    assert_eq!(client.put_if("a", "x", "If-Match", "x").await.status, 412);
    assert_eq!(client.put("a", "3").await.status, 202, "after an error");
    assert_eq!(client.delete("a").await.status, 202);
}

/// What a version of the next two cases looks like: its type says how its body must be.
fn version(number: usize) -> (String, String) {
    let length = if number.is_multiple_of(2) {
        1_000
    } else {
        150_000 + number
    };
    let letter = char::from_digit(10 + u32::try_from(number % 26).unwrap(), 36).unwrap();
    let kind = format!("application/x-{letter}-{length}");
    (kind, letter.to_string().repeat(length))
}

/// Reads a version, and checks that all of it is of one.
async fn check_version(client: &Client) -> bool {
    let response = client.get("a").await;
    if response.status() == 404 {
        return false;
    }
    assert_eq!(response.status(), 200);
    let headers = response.headers().clone();
    let body = response.text().await.unwrap();
    assert_eq!(headers["etag"], ETag::of(body.as_bytes()).as_str());
    let kind = format!("application/x-{}-{}", &body[..1], body.len());
    assert_eq!(headers["content-type"], kind.as_str());
    assert!(body.bytes().all(|byte| byte == body.as_bytes()[0]));
    true
}

fn write_versions(world: &World, writers: usize, each: usize) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for writer in 0..writers {
        let client = world.client.clone();
        tasks.spawn(async move {
            for number in 0..each {
                let (kind, body) = version(number * writers + writer);
                let request = client.store("a").header("Content-Type", kind).body(body);
                assert_eq!(request.send().await.unwrap().status(), 202);
            }
        });
    }
    tasks
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn case_047_parallel_writes_mangle_nothing() {
    let world = world().await;
    for _ in 0..20 {
        write_versions(&world, 6, 1).join_all().await;
        assert!(check_version(&world.client).await);
    }
    eventually("one blob at most", || world.blobs().len() <= 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn case_048_reads_during_replacement_never_mix() {
    let world = world().await;
    let writers = write_versions(&world, 3, 60);
    let stop = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for _ in 0..4 {
        let (client, stop) = (world.client.clone(), Arc::clone(&stop));
        readers.spawn(async move {
            let mut seen = 0;
            while !stop.load(Ordering::Relaxed) {
                seen += usize::from(check_version(&client).await);
            }
            seen
        });
    }
    writers.join_all().await;
    stop.store(true, Ordering::Relaxed);
    let seen: usize = readers.join_all().await.into_iter().sum();
    assert!(seen > 20, "the readers saw {seen} versions only");
    // Whatever was replaced goes.
    eventually("one blob at most", || world.blobs().len() <= 1).await;
}

/// Begins uploads of small and large files and breaks them off.
async fn abort_uploads(world: &World, path: &str) {
    let part = vec![b'x'; 300_000];
    for (length, sent) in [(400_000, 300_000), (10, 5), (10, 0)] {
        let stream = begin_store(world, path, length, &part[..sent]).await;
        if sent > 65_536 {
            eventually("the upload is being staged", || world.staged() == 1).await;
        }
        drop(stream);
        eventually("the staged file is gone", || world.staged() == 0).await;
    }
}

#[tokio::test]
async fn case_049_an_aborted_upload_leaves_the_old_version() {
    let world = world().await;
    world.client.put("a", "old content").await;
    abort_uploads(&world, "a").await;
    let response = world.client.get("a").await;
    assert_eq!(
        response.headers()["etag"],
        ETag::of(b"old content").as_str()
    );
    assert_eq!(response.text().await.unwrap(), "old content");
    assert!(world.blobs().is_empty());
}

#[tokio::test]
async fn case_050_an_aborted_new_file_is_never_seen() {
    let world = world().await;
    world.client.put("other", "1").await;
    abort_uploads(&world, "a").await;
    assert_eq!(world.client.get("a").await.status(), 404);
    let listed = world.client.list(serde_json::json!({"stat": true})).await;
    assert_eq!(listed.json["entries"].as_array().unwrap().len(), 1);
    assert_eq!(world.client.delete("a").await.status, 404);
    let created = world.client.put_if("a", "1", "If-None-Match", "*").await;
    assert_eq!(created.status, 202);
    assert!(world.blobs().is_empty());
}
