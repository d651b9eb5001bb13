//! Batches whose clients go away, that race, and that the index cannot take.

use gaia::batch::MEDIA_TYPE;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::batch::{Batch, results, statuses, store, tag};
use crate::support::{World, eventually, token, world};

/// Begins a batch whose first file is staged and complete, and whose second one never comes.
async fn begin(world: &World, first: &[u8]) -> TcpStream {
    let batch = Batch::default().store("first", first);
    let second = store("second", &[0; 100]);
    let batch = batch.operation(&second, b"only a part");
    let (bucket, authorization) = (world.client.bucket(), &world.client.authorization);
    let length = batch.0.len() + 100 - 11;
    let head = format!(
        "POST /batch/{bucket} HTTP/1.1\r\nhost: hub\r\nauthorization: {authorization}\r\n\
         content-type: {MEDIA_TYPE}\r\ncontent-length: {length}\r\n\r\n"
    );
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&batch.0).await.unwrap();
    stream
}

#[tokio::test]
async fn a_client_that_goes_in_the_middle_leaves_nothing() {
    let world = world().await;
    let stream = begin(&world, &vec![b'l'; 300_000]).await;
    eventually("the first file is there", || world.blobs().len() == 1).await;
    assert!(world.client.names().await.is_empty(), "not applied yet");
    drop(stream);
    eventually("its blob is swept", || world.blobs().is_empty()).await;
    assert_eq!(world.staged(), 0);
    assert!(world.client.names().await.is_empty());
}

#[tokio::test]
async fn a_token_revoked_while_a_batch_comes_commits_nothing() {
    let world = world().await;
    let mut stream = begin(&world, &vec![b'l'; 300_000]).await;
    eventually("the first file is there", || world.blobs().len() == 1).await;
    let owner = world.client.with_token(token().issued_at(2_000));
    owner.revoke("{\"oldestValidTimestamp\":1000}").await;
    stream.write_all(&[0; 100 - 11]).await.unwrap();
    let mut answer = [0; 2048];
    let length = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert_eq!(answer.matches("\"status\":401").count(), 2, "{answer}");
    assert!(owner.names().await.is_empty());
}

#[tokio::test]
async fn slow_batches_leave_room_for_others() {
    let world = world().await;
    let mut slow = Vec::new();
    for _ in 0..50 {
        slow.push(begin(&world, b"small").await);
    }
    let batch = Batch::default().create("a", "1");
    assert_eq!(statuses(&world.client.batch(&batch).await), [202]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn batches_and_single_stores_lose_no_increment() {
    let world = world().await;
    for counter in ["c0", "c1", "c2"] {
        world.client.put(counter, "0").await;
    }
    let mut tasks = JoinSet::new();
    for worker in 0..6 {
        let client = world.client.clone();
        tasks.spawn(async move {
            let mut done = [0; 3];
            while done.iter().any(|done| *done < 20) {
                let mut batch = Batch::default();
                let mut states = Vec::new();
                for counter in 0..3 {
                    let old = client.body(&format!("c{counter}")).await;
                    let new = (old.parse::<u64>().unwrap() + 1).to_string();
                    batch = batch.replace(&format!("c{counter}"), &tag(&old), &new);
                    states.push((old, new));
                }
                if worker % 2 == 0 {
                    // All three or none of them.
                    let query = if worker == 0 { "?atomic=true" } else { "" };
                    let results = results(&client.send_batch(query, &batch).await);
                    for (counter, result) in results.iter().enumerate() {
                        assert!([202, 412, 424].contains(&result.status));
                        done[counter] += u64::from(result.status == 202);
                    }
                } else {
                    for (counter, (old, new)) in states.iter().enumerate() {
                        let path = format!("c{counter}");
                        let answer = client.put_if(&path, new, "If-Match", &tag(old)).await;
                        done[counter] += u64::from(answer.status == 202);
                    }
                }
            }
            done
        });
    }
    let done = tasks.join_all().await;
    for counter in 0..3 {
        let sum: u64 = done.iter().map(|done| done[counter]).sum();
        let count = world.client.body(&format!("c{counter}")).await;
        assert_eq!(count, sum.to_string());
    }
}

#[tokio::test]
async fn an_answered_batch_survives_a_restart() {
    let mut world = world().await;
    let large = vec![b'l'; 100_000];
    let batch = Batch::default().create("a", "1").store("b", &large);
    assert_eq!(statuses(&world.client.batch(&batch).await), [202, 202]);
    world.restart().await;
    assert_eq!(world.client.body("a").await, "1");
    assert_eq!(world.client.get("b").await.bytes().await.unwrap(), large);
}
