//! Clients that take more than their share of connections, and clients behind proxies.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::{World, world_with};

/// Whether a new connection is served.
async fn is_served(world: &World) -> bool {
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    let request = b"GET /hub_info HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
    // It may be closed already.
    stream.write_all(request).await.ok();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.is_ok() && answer.starts_with(b"HTTP/1.1 200")
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_more() {
    let world = world_with(|config| config.connections_per_address_max = 2).await;
    let first = TcpStream::connect(world.address()).await.unwrap();
    let second = TcpStream::connect(world.address()).await.unwrap();
    assert!(!is_served(&world).await);
    drop(first);
    let mut tries = 0;
    while !is_served(&world).await {
        tries += 1;
        assert!(tries < 500, "the place of a closed connection is free");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(second);
}

#[tokio::test]
async fn a_trusted_proxy_brings_everybody() {
    let world = world_with(|config| {
        config.connections_per_address_max = 1;
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let _first = TcpStream::connect(world.address()).await.unwrap();
    let _second = TcpStream::connect(world.address()).await.unwrap();
    assert!(is_served(&world).await);
}

#[tokio::test]
async fn the_read_url_is_what_a_trusted_proxy_was_asked_for() {
    let read_url = async |world: &World| {
        let url = format!("http://{}/hub_info", world.address());
        let request = world.client.http.get(url);
        let request = request
            .header("Host", "hub.example")
            .header("X-Forwarded-Proto", "https");
        let info: Value =
            serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
        info["read_url_prefix"].as_str().unwrap().to_owned()
    };
    let behind = world_with(|config| {
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await;
    assert_eq!(read_url(&behind).await, "https://hub.example/read/");
    let alone = world_with(|_| {}).await;
    assert_eq!(
        read_url(&alone).await,
        format!("{}/read/", alone.client.url)
    );
    let told = world_with(|config| {
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        config.public_url = Some("https://told.example/".into());
    })
    .await;
    assert_eq!(read_url(&told).await, "https://told.example/read/");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let world = world_with(|config| config.head_bytes_max = 2000).await;
    let request = |bytes: usize| {
        let request = world.client.request(Method::GET, "/hub_info");
        request.header("X-Filler", "x".repeat(bytes)).send()
    };
    assert_eq!(request(100).await.unwrap().status(), 200);
    let refused = request(2000).await.unwrap();
    assert_eq!(refused.status(), 431);
    assert_eq!(refused.headers()["access-control-allow-origin"], "*");
}

/// A client that asks for much and takes nothing loses its connection, and with it the open file.
#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up() {
    let world = world_with(|config| {
        config.time_limits.answer_stall = Duration::from_secs(1);
        config.time_limits.idle = Duration::from_secs(1);
        config.connections_max = 2;
    })
    .await;
    // What the system holds for a client that does not read is some megabytes.
    let large = "x".repeat(32 * 1024 * 1024);
    assert_eq!(world.client.put("large", large).await.status, 202);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(world.address()).await.unwrap();
    let bucket = world.client.bucket();
    let request = format!("GET /read/{bucket}/large HTTP/1.1\r\nhost: h\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = [0; 12];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");
    // The piece that it was given earns it 256 seconds; time is moved rather than waited for.
    tokio::time::pause();
    for _ in 0..600 {
        tokio::time::advance(Duration::from_secs(2)).await;
        // The disk works in real time.
        std::thread::sleep(Duration::from_millis(2));
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }
    tokio::time::resume();
    // Everything that was sent before can still be read, and then there is the end.
    let mut rest = Vec::new();
    let read = timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await;
    let read = read.expect("the connection has ended");
    assert!(
        read.is_err() || rest.len() < 30 * 1024 * 1024,
        "{}",
        rest.len()
    );
    assert!(is_served(&world).await);
}
