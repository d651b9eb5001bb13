//! Stopping: what is under way is finished or refused, never cut without the client noticing.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::metrics::administrated;
use crate::support::{World, begin_store, finish_store, world, world_with};

async fn begin_read(world: &World, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    let bucket = world.client.bucket();
    let head = format!("GET /read/{bucket}/{path} HTTP/1.1\r\nhost: hub\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn slow_uploads_and_downloads_are_finished() {
    const BYTES: usize = 30_000_000;
    let mut world = world().await;
    assert_eq!(world.client.put("large", vec![7; BYTES]).await.status, 202);
    let upload = begin_store(&world, "slow", 10, b"12345").await;
    let mut download = begin_read(&world, "large").await;
    let mut first = vec![0; 10_000];
    download.read_exact(&mut first).await.unwrap();
    let stopping = tokio::spawn(world.hub.take().unwrap().shutdown());
    sleep(Duration::from_millis(300)).await;
    assert!(!stopping.is_finished());
    assert_eq!(finish_store(upload, b"67890").await, 202);
    sleep(Duration::from_millis(300)).await;
    assert!(!stopping.is_finished());
    let mut rest = Vec::new();
    download.read_to_end(&mut rest).await.unwrap();
    first.extend(rest);
    let body = first
        .windows(4)
        .position(|part| part == b"\r\n\r\n")
        .unwrap()
        + 4;
    assert_eq!(first.len() - body, BYTES);
    assert!(first[body..].iter().all(|byte| *byte == 7));
    stopping.await.unwrap().unwrap();
    world.start_again().await;
    assert_eq!(world.client.body("slow").await, "1234567890");
}

#[tokio::test]
async fn an_upload_that_takes_too_long_is_told_to_come_again() {
    let mut world = world_with(|config| config.stop.finish = Duration::from_secs(1)).await;
    let mut upload = begin_store(&world, "slow", 10, b"12345").await;
    sleep(Duration::from_millis(100)).await;
    let began = Instant::now();
    let stopping = tokio::spawn(world.hub.take().unwrap().shutdown());
    let mut answer = String::new();
    upload.read_to_string(&mut answer).await.unwrap();
    assert!(
        began.elapsed() >= Duration::from_millis(900),
        "{:?}",
        began.elapsed()
    );
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    let lower = answer.to_lowercase();
    assert!(lower.contains("\r\nretry-after: 5\r\n"), "{answer}");
    assert!(lower.contains("\r\nconnection: close\r\n"), "{answer}");
    assert!(
        answer.contains("The hub is stopping; try again soon"),
        "{answer}"
    );
    stopping.await.unwrap().unwrap();
    world.start_again().await;
    assert_eq!(world.client.get("slow").await.status(), 404);
}

#[tokio::test]
async fn a_hub_that_is_about_to_stop_says_so_first_and_serves_on_meanwhile() {
    let mut world = administrated(|config| config.stop.delay = Duration::from_secs(2)).await;
    let (health, ready) = (
        format!("{}/health", world.client.url),
        world.admin("/ready"),
    );
    let http = world.client.http.clone();
    let status = async |url: &str| {
        http.get(url)
            .send()
            .await
            .map(|answer| answer.status().as_u16())
    };
    assert_eq!(status(&health).await.unwrap(), 200);
    let stopping = tokio::spawn(world.hub.take().unwrap().shutdown());
    sleep(Duration::from_millis(300)).await;
    assert_eq!(status(&health).await.unwrap(), 503);
    assert_eq!(status(&ready).await.unwrap(), 503);
    assert_eq!(world.client.put("a", "x").await.status, 202);
    assert!(!stopping.is_finished());
    stopping.await.unwrap().unwrap();
    assert!(status(&health).await.is_err());
}
