//! Large files over connections that break, from our own hub through a relay that cuts them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use pangaea_hub::Hub as HubServer;
use pangaea_hub::HubConfig;
use pangaea_hub::RunningHub;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::net::TcpStream;

use super::*;

/// A relay that cuts every connection after so many bytes of answers; returns where it listens and
/// how many connections there were.
async fn relay(hub: SocketAddr, answer_bytes_max: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let connections = Arc::clone(&count);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            connections.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(pass(client, hub, answer_bytes_max));
        }
    });
    (address, count)
}

async fn pass(client: TcpStream, hub: SocketAddr, mut left: usize) {
    let hub = TcpStream::connect(hub).await.unwrap();
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_hub, mut to_hub) = hub.into_split();
    tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_hub).await.ok() });
    let mut piece = vec![0; 64 * 1024];
    while left > 0 {
        let most = left.min(piece.len());
        match from_hub.read(&mut piece[..most]).await {
            Ok(count) if count > 0 && to_client.write_all(&piece[..count]).await.is_ok() => {
                left -= count;
            }
            _ => return,
        }
    }
}

/// A hub that is told to clients as what listens at `front`.
async fn hub_behind(folder: &TempDir, front: SocketAddr, listen: SocketAddr) -> RunningHub {
    let mut config = HubConfig::new(folder.path(), listen);
    config.public_url = Some(format!("http://{front}"));
    HubServer::start(config).await.unwrap()
}

fn large() -> Vec<u8> {
    (0..5_000_000_u32).map(|n| (n % 253) as u8).collect()
}

/// A hub that holds `large.bin` behind a relay.
async fn cut_off_after(bytes: usize) -> (TempDir, RunningHub, HttpHub, Arc<AtomicUsize>) {
    let folder = TempDir::new().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let listen = free.local_addr().unwrap();
    let (front, count) = relay(listen, bytes).await;
    drop(free);
    let server = hub_behind(&folder, front, listen).await;
    let direct = client(&format!("http://{listen}"));
    let body = HubBody::Bytes(large().into());
    let kind = "application/octet-stream";
    direct
        .write(&path("large.bin"), kind, body, &Condition::Create)
        .await
        .unwrap();
    (folder, server, client(&format!("http://{front}")), count)
}

#[tokio::test]
async fn a_large_file_arrives_whole_over_connections_that_break() {
    let (_folder, _server, hub, connections) = cut_off_after(1_500_000).await;
    let read = hub.read_file(&path("large.bin")).await.unwrap().unwrap();
    assert_eq!(read.size, Some(5_000_000));
    assert_eq!(drain(read).await.unwrap(), large());
    assert!(connections.load(Ordering::Relaxed) >= 4);
}

#[tokio::test]
async fn a_file_that_changes_meanwhile_is_not_put_together_of_two_versions() {
    let (_folder, server, hub, _) = cut_off_after(1_500_000).await;
    let read = hub.read_file(&path("large.bin")).await.unwrap().unwrap();
    let direct = client(&format!("http://{}", server.local_addr()));
    let mut other = large();
    other.reverse();
    let condition = Condition::Replace(ETag::of(&large()));
    let body = HubBody::Bytes(other.into());
    direct
        .write(
            &path("large.bin"),
            "application/octet-stream",
            body,
            &condition,
        )
        .await
        .unwrap();
    let drained = drain(read).await;
    assert!(
        is_unreachable(&drained),
        "{:?}",
        drained.map(|bytes| bytes.len())
    );
}

#[tokio::test]
async fn a_hub_that_is_gone_is_an_error() {
    let (_folder, server, hub, connections) = cut_off_after(1_500_000).await;
    let read = hub.read_file(&path("large.bin")).await.unwrap().unwrap();
    server.shutdown().await.unwrap();
    let before = connections.load(Ordering::Relaxed);
    let drained = drain(read).await;
    assert!(
        is_unreachable(&drained),
        "{:?}",
        drained.map(|bytes| bytes.len())
    );
    assert!(
        connections.load(Ordering::Relaxed) <= before + 6,
        "it tried too often"
    );
}
