//! Clients that are slow on purpose. Time is paused here: as soon as everybody waits, the next
//! timer fires.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::support::{eventually, world};

/// Sends something and then nothing more; returns what came back until the hub closed, and how
/// long that took.
async fn fall_silent(address: SocketAddr, sent: &str) -> (String, Duration) {
    let started = Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(sent.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let closed = timeout(Duration::from_secs(300), stream.read_to_string(&mut answer)).await;
    // A reset is as good as an end.
    if closed.expect("the hub closes the connection").is_err() {
        answer.clear();
    }
    (answer, started.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_first_request_must_come_soon() {
    let world = world().await;
    for sent in [
        "",
        "P",
        "PRI * HTTP/2.0\r\n",
        "GET /hub_info HTTP/1.1\r\nhost: h",
    ] {
        let (_, took) = fall_silent(world.address(), sent).await;
        assert!(took <= Duration::from_secs(11), "{sent}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let world = world().await;
    let (answer, took) = fall_silent(
        world.address(),
        "GET /hub_info HTTP/1.1\r\nhost: h\r\n\r\nGET /hub",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(took <= Duration::from_secs(31), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_is_given_up() {
    let world = world().await;
    let (bucket, authorization) = (world.client.bucket(), &world.client.authorization);
    let head = format!(
        "POST /store/{bucket}/a HTTP/1.1\r\nhost: h\r\nauthorization: {authorization}\r\n\
         content-length: 200000\r\n\r\n"
    );
    let sent = format!("{head}{}", "x".repeat(100_000));
    let (answer, took) = fall_silent(world.address(), &sent).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(took <= Duration::from_secs(45), "{took:?}");
    eventually("the staged file is gone", || world.staged() == 0).await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_trickles_is_given_up() {
    let world = world().await;
    let (bucket, authorization) = (world.client.bucket(), &world.client.authorization);
    let head = format!(
        "POST /store/{bucket}/a HTTP/1.1\r\nhost: h\r\nauthorization: {authorization}\r\n\
         content-length: 200000\r\n\r\n"
    );
    let started = Instant::now();
    let (mut reading, mut writing) = TcpStream::connect(world.address())
        .await
        .unwrap()
        .into_split();
    writing.write_all(head.as_bytes()).await.unwrap();
    let trickle = tokio::spawn(async move {
        while writing.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
    });
    let mut answer = [0; 12];
    let answered = timeout(Duration::from_secs(300), reading.read_exact(&mut answer)).await;
    answered.expect("the hub gives up").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert!(
        started.elapsed() <= Duration::from_secs(70),
        "{:?}",
        started.elapsed()
    );
    trickle.abort();
}
