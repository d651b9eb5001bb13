//! Storing: answers, types, sizes.

use gaia::etag::ETag;
use serde_json::json;

use crate::support::{Answer, raw, world, world_with};

const MEGABYTE: usize = 1_048_576;

#[tokio::test]
async fn case_008_first_store() {
    let world = world().await;
    let client = &world.client;
    let answer = client.put("a/b.txt", "hello gaia").await;
    assert_eq!(answer.status, 202, "{:?}", answer.json);
    let url = format!("{}/read/{}/a/b.txt", client.url, client.bucket());
    let etag = ETag::of(b"hello gaia");
    assert_eq!(
        answer.json,
        json!({"publicURL": url, "etag": etag.as_str()})
    );
    assert_eq!(client.body("a/b.txt").await, "hello gaia");
    assert_eq!(client.names().await, ["a/b.txt"]);
}

#[tokio::test]
async fn case_011_012_types() {
    let world = world().await;
    let client = &world.client;
    let long = format!(
        "application/json; enc=ecies; pangaea=\"1.{}\"",
        "A".repeat(900)
    );
    for (sent, read) in [
        (None, "application/octet-stream"),
        (Some("text/plain"), "text/plain; charset=utf-8"),
        (
            Some("text/plain; charset=latin1"),
            "text/plain; charset=latin1",
        ),
        (Some("application/json"), "application/json"),
        (Some(long.as_str()), long.as_str()),
    ] {
        let mut request = client.store("a").body("x");
        if let Some(kind) = sent {
            request = request.header("Content-Type", kind);
        }
        assert_eq!(request.send().await.unwrap().status(), 202);
        assert_eq!(client.get("a").await.headers()["content-type"], read);
        let listed = client.list(json!({"stat": true})).await;
        let stored = sent.unwrap_or(read);
        assert_eq!(
            listed.json["entries"][0]["contentType"], stored,
            "as stored, not as read"
        );
    }
}

#[tokio::test]
async fn case_013_zero_bytes() {
    let world = world().await;
    let answer = world.client.put("empty", "").await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.text("etag"), "d41d8cd98f00b204e9800998ecf8427e");
    let response = world.client.get("empty").await;
    assert_eq!(response.headers()["content-length"], "0");
    assert_eq!(response.text().await.unwrap(), "");
}

#[tokio::test]
async fn case_014_chunked() {
    let world = world().await;
    for total in [10_usize, 300_000] {
        let pieces = (0..total / 10).map(|_| Ok::<_, std::io::Error>("0123456789"));
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        let answer = world.client.put("a", body).await;
        assert_eq!(answer.status, 202, "{:?}", answer.json);
        assert_eq!(
            world.client.body("a").await,
            "0123456789".repeat(total / 10)
        );
    }
}

#[tokio::test]
async fn case_015_exactly_the_limit() {
    let world = world_with(|config| config.max_file_megabytes = 1).await;
    let answer = world.client.put("a", vec![7; MEGABYTE]).await;
    assert_eq!(answer.status, 202, "{:?}", answer.json);
    let answer = world.client.put("b", vec![7; MEGABYTE + 1]).await;
    let message = "Max file upload size is 1 megabytes. \
                   Rejected Content-Length of 1.0001 megabytes";
    answer.is(413, "PayloadTooLargeError", message);
    assert_eq!(world.client.names().await, ["a"]);
}

#[tokio::test]
async fn case_016_a_declared_length_is_refused_before_the_body_is_read() {
    let world = world_with(|config| config.max_file_megabytes = 1).await;
    let (bucket, authorization) = (world.client.bucket(), &world.client.authorization);
    // The body never comes, and the client does not close.
    let request = format!(
        "POST /store/{bucket}/a HTTP/1.1\r\nhost: hub\r\nauthorization: {authorization}\r\n\
         expect: 100-continue\r\nconnection: close\r\ncontent-length: 9000000\r\n\r\n"
    );
    let answer = raw(world.address(), request).await;
    assert_eq!(answer.status, 413, "{answer:?}");
}

#[tokio::test]
async fn case_017_chunked_beyond_the_limit_leaves_nothing() {
    let world = world_with(|config| config.max_file_megabytes = 1).await;
    let pieces = (0..300).map(|_| Ok::<_, std::io::Error>("x".repeat(10_000)));
    let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let answer = world.client.put("a", body).await;
    assert_eq!(
        (answer.status, answer.text("error")),
        (413, "PayloadTooLargeError")
    );
    assert!(
        answer
            .text("message")
            .contains("Rejected POST body stream of 1.")
    );
    assert!(world.client.names().await.is_empty());
    crate::support::eventually("the staged file is gone", || world.staged() == 0).await;
    assert!(world.blobs().is_empty());
}

#[tokio::test]
async fn case_018_types_that_are_refused() {
    let world = world().await;
    let request = world
        .client
        .store("a")
        .header("Content-Type", "a".repeat(1025));
    let answer = Answer::of(request.body("x").send().await.unwrap()).await;
    assert_eq!(
        (answer.status, answer.text("error")),
        (400, "InvalidInputError")
    );
    let request = world.client.store("a").header("Content-Encoding", "gzip");
    let answer = Answer::of(request.body("x").send().await.unwrap()).await;
    assert_eq!(answer.status, 415, "stored bytes are what was sent");
    assert!(world.client.names().await.is_empty());
}

#[tokio::test]
async fn case_019_another_read_url() {
    let world = world_with(|config| config.read_url = Some("https://cdn.example/g".into())).await;
    let answer = world.client.put("a b", "x").await;
    let want = format!("https://cdn.example/g/{}/a b", world.client.bucket());
    assert_eq!(answer.text("publicURL"), want);
}

#[tokio::test]
async fn case_020_public_urls_keep_the_spelling() {
    let world = world().await;
    let bucket = world.client.bucket();
    for (raw_path, shown) in [("/a", "/a"), ("./a", "./a"), ("a/", "a"), ("%61", "a")] {
        let answer = world
            .raw("POST", &format!("/store/{bucket}/{raw_path}"), "x")
            .await;
        let json: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let want = format!("{}/read/{bucket}/{shown}", world.client.url);
        assert_eq!(json["publicURL"], want);
    }
    assert_eq!(world.client.names().await, ["a"]);
}

#[tokio::test]
async fn large_files_come_back_whole() {
    let world = world().await;
    let body: Vec<u8> = (0..5_000_000_u32).map(|n| (n % 251) as u8).collect();
    let answer = world.client.put("large", body.clone()).await;
    assert_eq!(answer.text("etag"), ETag::of(&body).as_str());
    let read = world.client.get("large").await.bytes().await.unwrap();
    assert!(read == body);
    assert_eq!((world.blobs().len(), world.staged()), (1, 0));
}
