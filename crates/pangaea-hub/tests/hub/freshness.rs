//! Reads are at least as new as the last answered write, whatever the hub keeps in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::task::JoinSet;

use crate::support::{Client, eventually, world};

/// Files that are written and read at the same time; few, so that readers meet writers.
const FILES: usize = 3;
const WRITES: u64 = 150;

/// What is known of a file: the number that the last answered write had.
type Known = Arc<[AtomicU64; FILES]>;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_read_is_never_older_than_the_last_answered_write() {
    let world = world().await;
    let known: Known = Arc::default();
    let written = Arc::new(AtomicBool::new(false));
    for file in 0..FILES {
        assert_eq!(world.client.put(&format!("f{file}"), "0").await.status, 202);
    }
    let mut readers = JoinSet::new();
    for reader in 0..6 {
        let (client, known, written) = (world.client.clone(), known.clone(), written.clone());
        readers.spawn(async move { read(&client, reader % FILES, &known, &written).await });
    }
    let mut writers = JoinSet::new();
    for file in 0..FILES {
        let (client, known) = (world.client.clone(), known.clone());
        writers.spawn(async move {
            for number in 1..=WRITES {
                // Some are deleted in between: then the absence is what is current.
                if number % 50 == 0 {
                    assert_eq!(client.delete(&format!("f{file}")).await.status, 202);
                    assert_eq!(client.get(&format!("f{file}")).await.status(), 404);
                }
                let answer = client.put(&format!("f{file}"), number.to_string()).await;
                assert_eq!(answer.status, 202);
                known[file].store(number, Ordering::SeqCst);
            }
        });
    }
    writers.join_all().await;
    written.store(true, Ordering::SeqCst);
    let reads: u64 = readers.join_all().await.into_iter().sum();
    assert!(reads > 0, "nothing was read while files were written");
}

/// Reads one file until everything is written; returns how often.
async fn read(client: &Client, file: usize, known: &Known, written: &AtomicBool) -> u64 {
    let (mut reads, mut seen) = (0, 0);
    loop {
        let is_last = written.load(Ordering::SeqCst);
        let least = known[file].load(Ordering::SeqCst);
        let response = client.get(&format!("f{file}")).await;
        // Deleted for a moment, and not yet written again.
        if response.status() != 404 {
            assert_eq!(response.status(), 200);
            let found: u64 = response.text().await.unwrap().parse().unwrap();
            assert!(
                found >= least,
                "{found} was read after {least} was answered"
            );
            assert!(found >= seen, "{found} was read after {seen}");
            seen = found;
            reads += 1;
        } else {
            assert!(!is_last);
        }
        if is_last {
            assert_eq!(seen, WRITES);
            return reads;
        }
    }
}

#[tokio::test]
async fn an_archived_version_and_the_one_in_its_place_are_read_as_they_are() {
    use gaia::scope::ScopeKind;

    let world = world().await;
    let scopes = crate::support::scopes(&[(ScopeKind::PutFileArchival, "a")]);
    let archival = world
        .client
        .with_token(crate::support::token().scopes(scopes));
    for number in 0..5 {
        assert_eq!(archival.put("a", number.to_string()).await.status, 202);
        assert_eq!(world.client.body("a").await, number.to_string());
        assert_eq!(world.client.body("a").await, number.to_string());
    }
    let history: Vec<_> = world.client.names().await;
    assert_eq!(history.len(), 5);
    let mut bodies = Vec::new();
    for name in &history {
        bodies.push(world.client.body(name).await);
    }
    bodies.sort();
    assert_eq!(bodies, ["0", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn a_large_version_that_is_replaced_is_not_read_again() {
    let world = world().await;
    let client = &world.client;
    client.put("a", "l".repeat(100_000)).await;
    assert_eq!(client.body("a").await.len(), 100_000);
    client.put("a", "small").await;
    assert_eq!(client.body("a").await, "small");
    client.put("a", "m".repeat(200_000)).await;
    assert_eq!(client.body("a").await.len(), 200_000);
    assert_eq!(client.delete("a").await.status, 202);
    assert_eq!(client.get("a").await.status(), 404);
    eventually("the blobs are swept", || world.blobs().is_empty()).await;
}
