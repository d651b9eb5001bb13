//! Against our own hub, in this process.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use futures_util::stream;
use gaia::hub_info::feature;
use pangaea_hub::Hub as HubServer;
use pangaea_hub::HubConfig;
use pangaea_hub::RunningHub;
use tempfile::TempDir;

use super::*;
use crate::body::ByteStream;
use crate::hub::HubFile;

async fn start(folder: &TempDir, listen: SocketAddr) -> RunningHub {
    let mut config = HubConfig::new(folder.path(), listen);
    config.page_entries = 7;
    HubServer::start(config).await.unwrap()
}

async fn hub_and_client() -> (TempDir, RunningHub, HttpHub) {
    let folder = TempDir::new().unwrap();
    let hub = start(&folder, SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let client = client(hub.url());
    (folder, hub, client)
}

fn stream_of(chunks: usize, size: usize) -> ByteStream<io::Error> {
    Box::pin(stream::iter((0..chunks).map(move |number| {
        Ok(Bytes::from(vec![number.to_le_bytes()[0]; size]))
    })))
}

#[tokio::test]
async fn a_file_is_written_read_replaced_and_deleted() {
    let (_folder, server, hub) = hub_and_client().await;
    assert!(hub.read(&path("a/ü b.txt")).await.unwrap().is_none());
    assert_eq!(create(&hub, "a/ü b.txt", "one").await.unwrap(), done("one"));
    let again = create(&hub, "a/ü b.txt", "other").await.unwrap();
    assert!(matches!(again, HubOutcome::ConditionFailed(_)), "{again:?}");

    let read = hub.read(&path("a/ü b.txt")).await.unwrap().unwrap();
    assert_eq!(read.tag, Some(ETag::of(b"one")));
    assert_eq!(read.content_type, "text/plain; charset=utf-8");
    assert_eq!(read.size, Some(3));
    assert!(read.modified_s > 1_500_000_000, "{}", read.modified_s);
    assert_eq!(drain(read).await.unwrap(), b"one");

    let (one, two) = (ETag::of(b"one"), ETag::of(b"two"));
    assert_eq!(
        replace(&hub, "a/ü b.txt", "two", &one).await.unwrap(),
        done("two")
    );
    let late = replace(&hub, "a/ü b.txt", "three", &one).await.unwrap();
    assert!(matches!(late, HubOutcome::ConditionFailed(_)), "{late:?}");

    let late = hub.delete(&path("a/ü b.txt"), &one).await.unwrap();
    assert!(matches!(late, HubOutcome::ConditionFailed(_)), "{late:?}");
    assert_eq!(
        hub.delete(&path("a/ü b.txt"), &two).await.unwrap(),
        HubOutcome::Done(None)
    );
    assert!(hub.read(&path("a/ü b.txt")).await.unwrap().is_none());
    assert_eq!(
        hub.delete(&path("a/ü b.txt"), &two).await.unwrap(),
        HubOutcome::Absent
    );
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn our_hub_says_what_it_can_do_and_what_time_it_is() {
    let (_folder, server, hub) = hub_and_client().await;
    assert_eq!(hub.last_date(), None);
    let info = hub.info().await.unwrap();
    assert!(info.offers(feature::CONDITIONAL_DELETE), "{info:?}");
    let (hub_ms, sent_ms, received_ms) = hub.last_date().unwrap();
    assert!(sent_ms <= received_ms);
    assert!(
        hub_ms + 2000 > sent_ms && hub_ms <= received_ms,
        "{hub_ms} {sent_ms}"
    );
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_listing_of_many_pages_is_complete() {
    let (_folder, server, hub) = hub_and_client().await;
    assert_eq!(hub.list().await.unwrap(), crate::hub::HubListing::default());
    let names: Vec<_> = (0..40)
        .map(|number| format!("d{}/{number:02} ü", number % 3))
        .collect();
    for name in &names {
        create(&hub, name, name).await.unwrap();
    }
    let mut expected: Vec<_> = names
        .iter()
        .map(|name| HubFile {
            path: path(name),
            tag: Some(ETag::of(name.as_bytes())),
            size: name.len() as u64,
        })
        .collect();
    expected.sort_by(|a, b| a.path.cmp(&b.path));
    let listing = hub.list().await.unwrap();
    assert_eq!(listing.files, expected);
    assert!(listing.unusable.is_empty());
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn files_of_any_size_go_up_and_down() {
    let (_folder, server, hub) = hub_and_client().await;
    for (chunks, size) in [(0, 1), (1, 1), (3, 100_000), (64, 512 * 1024)] {
        let name = path(&format!("{chunks}-{size}"));
        let total = (chunks * size) as u64;
        let body = HubBody::Stream {
            size: total,
            stream: stream_of(chunks, size),
        };
        let kind = "application/octet-stream";
        let stored = hub
            .write(&name, kind, body, &Condition::Create)
            .await
            .unwrap();
        let read = hub.read(&name).await.unwrap().unwrap();
        assert_eq!(stored, HubOutcome::Done(read.tag.clone()));
        assert_eq!(read.size, Some(total));
        let tag = read.tag.clone();
        let bytes = drain(read).await.unwrap();
        assert_eq!(bytes.len() as u64, total);
        assert_eq!(Some(ETag::of(&bytes)), tag);
    }
    create(&hub, "empty", "").await.unwrap();
    let read = hub.read(&path("empty")).await.unwrap().unwrap();
    assert_eq!(drain(read).await.unwrap(), b"");
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn an_upload_whose_source_fails_leaves_nothing() {
    let (_folder, server, hub) = hub_and_client().await;
    let failing: ByteStream<io::Error> = Box::pin(stream::iter([
        Ok(Bytes::from(vec![1; 100_000])),
        Err(io::Error::other("the disk is gone")),
    ]));
    for (stream, words) in [
        (failing, "the disk is gone"),
        (stream_of(3, 100_000), "longer"),
        (stream_of(1, 100_000), "shorter"),
    ] {
        let body = HubBody::Stream {
            size: 200_000,
            stream,
        };
        let error = hub
            .write(&path("a"), "text/plain", body, &Condition::Create)
            .await;
        let Err(HubError::Source { message }) = error else {
            panic!("{error:?}")
        };
        assert!(message.contains(words), "{message}");
    }
    assert!(hub.list().await.unwrap().files.is_empty());
    assert_eq!(create(&hub, "a", "whole").await.unwrap(), done("whole"));
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_is_too_large_is_not_even_sent() {
    let folder = TempDir::new().unwrap();
    let mut config = HubConfig::new(folder.path(), SocketAddr::from(([127, 0, 0, 1], 0)));
    config.max_file_megabytes = 1;
    let server = HubServer::start(config).await.unwrap();
    let hub = client(server.url());
    let body = HubBody::Stream {
        size: (1 << 20) + 1,
        stream: Box::pin(stream::pending()),
    };
    let error = hub
        .write(&path("a"), "text/plain", body, &Condition::Create)
        .await
        .unwrap_err();
    assert!(matches!(error, HubError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("1 MB"), "{error}");
    let body = HubBody::Stream {
        size: 1 << 20,
        stream: stream_of(16, 1 << 16),
    };
    hub.write(&path("a"), "text/plain", body, &Condition::Create)
        .await
        .unwrap();
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn what_a_bucket_has_no_room_for_is_refused_for_good_and_says_so() {
    let folder = TempDir::new().unwrap();
    let mut config = HubConfig::new(folder.path(), SocketAddr::from(([127, 0, 0, 1], 0)));
    config.quota.each.bytes = Some(10);
    let server = HubServer::start(config).await.unwrap();
    let hub = client(server.url());
    create(&hub, "a", "12345").await.unwrap();
    let error = create(&hub, "b", "123456").await.unwrap_err();
    assert!(matches!(error, HubError::Refused { .. }), "{error:?}");
    let words = "it holds 5 of the 10 bytes that it may";
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(create(&hub, "b", "12345").await.unwrap(), done("12345"));
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn odd_types_are_refused_before_they_are_sent() {
    let (_folder, server, hub) = hub_and_client().await;
    for kind in [
        "text/plain\r\nX: y",
        &format!("text/plain; a={}", "x".repeat(1100)),
    ] {
        let error = hub
            .write(&path("a"), kind, bytes(""), &Condition::Create)
            .await;
        assert!(matches!(error, Err(HubError::Refused { .. })), "{error:?}");
    }
    let long = format!(
        r#"application/json; charset=utf-8; pangaea="1.{}""#,
        "A".repeat(900)
    );
    hub.write(&path("a"), &long, bytes(""), &Condition::Create)
        .await
        .unwrap();
    let read = hub.read(&path("a")).await.unwrap().unwrap();
    assert_eq!(read.content_type, long);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_hub_that_was_down_is_used_again() {
    let folder = TempDir::new().unwrap();
    let server = start(&folder, SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let (url, listen) = (server.url().to_owned(), server.local_addr());
    let hub = client(&url);
    create(&hub, "a", "a").await.unwrap();
    server.shutdown().await.unwrap();
    for outcome in every_call(&hub).await {
        assert!(is_unreachable(&outcome), "{outcome:?}");
    }
    let server = start(&folder, listen).await;
    assert_eq!(hub.list().await.unwrap().files.len(), 1);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_bucket_is_written_with_its_own_key_only() {
    let (_folder, server, hub) = hub_and_client().await;
    create(&hub, "a", "a").await.unwrap();
    let mut other = config(server.url());
    other.key = SecretKey::from_bytes(&[8; 32]).unwrap();
    let other = HttpHub::new(other).unwrap();
    assert_ne!(other.bucket(), hub.bucket());
    assert!(other.list().await.unwrap().files.is_empty());
    server.shutdown().await.unwrap();
}
