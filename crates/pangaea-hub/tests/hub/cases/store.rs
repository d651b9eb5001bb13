//! Storing: answers, types, sizes.

use std::time::{Duration, SystemTime};

use gaia::etag::ETag;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use crate::support::{Answer, Client, eventually, raw, world, world_with};

const MEGABYTE: usize = 1_048_576;

#[tokio::test]
async fn case_008_first_store() {
    let world = world().await;
    let client = &world.client;
    let answer = client.put("a/b.txt", "hello gaia").await;
    assert_eq!(answer.status, 202, "{:?}", answer.json);
    let url = format!("{}/read/{}/a/b.txt", client.url, client.bucket());
    let etag = ETag::of(b"hello gaia");
    let want = json!({"publicURL": url, "etag": etag.as_str()});
    assert_eq!(answer.json, want);
    assert_eq!(etag.as_str(), "645d6e59f2b315c604beb9ed3e26ffc0");
    let read = client.http.get(url).send().await.unwrap();
    assert_eq!(read.text().await.unwrap(), "hello gaia");
}

/// Checks the headers of a read of a whole file.
#[track_caller]
fn check_headers(headers: &HeaderMap, kind: &str, body: &str) {
    let header = |name: &str| headers[name].to_str().unwrap();
    assert_eq!(header("content-type"), kind);
    assert_eq!(header("etag"), ETag::of(body.as_bytes()).as_str());
    assert_eq!(header("content-length"), body.len().to_string());
    assert_eq!(header("cache-control"), "no-cache");
    assert_eq!(header("access-control-allow-origin"), "*");
    let exposed = header("access-control-expose-headers");
    for name in ["Content-Type", "ETag"] {
        assert!(exposed.split(',').any(|one| one == name), "{exposed}");
    }
    let modified = httpdate::parse_http_date(header("last-modified")).unwrap();
    let age = SystemTime::now().duration_since(modified).unwrap();
    assert!(age < Duration::from_secs(60), "{age:?}");
}

#[tokio::test]
async fn case_009_get() {
    let world = world().await;
    let client = &world.client;
    for body in ["hello gaia".to_owned(), "0123456789".repeat(20_000)] {
        let request = client.store("a").header("Content-Type", "application/x-y");
        request.body(body.clone()).send().await.unwrap();
        let response = client.get("a").await;
        assert_eq!(response.status(), 200);
        check_headers(response.headers(), "application/x-y", &body);
        assert!(response.text().await.unwrap() == body);
    }
}

#[tokio::test]
async fn case_010_head() {
    let world = world().await;
    let client = &world.client;
    for body in ["hello gaia".to_owned(), "0123456789".repeat(20_000)] {
        client.put("a", body.clone()).await;
        let url = format!("{}/read/{}/a", client.url, client.bucket());
        let response = client.http.head(url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        check_headers(response.headers(), "application/octet-stream", &body);
        assert_eq!(response.text().await.unwrap(), "");
    }
}

/// Stores with a type, or none; the type that is read and the one that is listed.
async fn types(client: &Client, sent: Option<&str>) -> (String, Value) {
    let mut request = client.store("a").body("x");
    if let Some(kind) = sent {
        request = request.header("Content-Type", kind);
    }
    assert_eq!(request.send().await.unwrap().status(), 202);
    let response = client.get("a").await;
    let read = response.headers()["content-type"].to_str().unwrap();
    let listed = client.list(json!({"stat": true})).await;
    let listed = listed.json["entries"][0]["contentType"].clone();
    (read.to_owned(), listed)
}

#[tokio::test]
async fn case_011_the_type_of_what_has_none() {
    let world = world().await;
    let want = "application/octet-stream";
    for sent in [None, Some("")] {
        let (read, listed) = types(&world.client, sent).await;
        assert_eq!((read.as_str(), listed), (want, json!(want)));
    }
}

#[tokio::test]
async fn case_012_types_are_kept() {
    let world = world().await;
    let longest = format!("application/json; pangaea=\"1.{}\"", "A".repeat(990));
    for (sent, read) in [
        ("text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ("text/plain; charset=latin1", "text/plain; charset=latin1"),
        ("application/json", "application/json"),
        (longest.as_str(), longest.as_str()),
        // The stock reader completes bare text so, too.
        ("text/plain", "text/plain; charset=utf-8"),
    ] {
        let want = (read.to_owned(), json!(sent));
        assert_eq!(types(&world.client, Some(sent)).await, want);
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

fn chunked(piece: String, count: usize) -> reqwest::Body {
    let pieces = (0..count).map(move |_| Ok::<_, std::io::Error>(piece.clone()));
    reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
}

#[tokio::test]
async fn case_014_chunked() {
    let world = world().await;
    for count in [0, 1, 30_000] {
        let body = chunked("0123456789".into(), count);
        let answer = world.client.put("a", body).await;
        assert_eq!(answer.status, 202, "{:?}", answer.json);
        let want = "0123456789".repeat(count);
        assert_eq!(answer.text("etag"), ETag::of(want.as_bytes()).as_str());
        assert!(world.client.body("a").await == want);
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
    let client = &world.client;
    client.put("old", "1").await;
    for path in ["new", "old"] {
        let answer = client.put(path, chunked("x".repeat(10_000), 300)).await;
        assert_eq!(answer.status, 413, "the connection is not just cut");
        assert_eq!(answer.text("error"), "PayloadTooLargeError");
        let message = answer.text("message");
        assert!(
            message.contains("Rejected POST body stream of 1."),
            "{message}"
        );
    }
    assert_eq!(client.names().await, ["old"]);
    assert_eq!(client.body("old").await, "1");
    eventually("the staged file is gone", || world.staged() == 0).await;
    assert!(world.blobs().is_empty());
}

#[tokio::test]
async fn case_018_types_that_are_too_long() {
    let world = world().await;
    let client = &world.client;
    for (length, status) in [(1024, 202), (1025, 400), (9000, 400)] {
        let request = client.store("a").header("Content-Type", "a".repeat(length));
        let answer = Answer::of(request.body("x").send().await.unwrap()).await;
        assert_eq!(answer.status, status, "{length}");
        if status == 400 {
            assert_eq!(answer.text("error"), "InvalidInputError");
        }
    }
}

#[tokio::test]
async fn case_019_another_read_url() {
    for url in ["https://cdn.example/g", "https://cdn.example/g/"] {
        let world = world_with(|config| config.read_url = Some(url.into())).await;
        let answer = world.client.put("a b", "x").await;
        let want = format!("https://cdn.example/g/{}/a b", world.client.bucket());
        assert_eq!(answer.text("publicURL"), want);
        let info = format!("{}/hub_info", world.client.url);
        let info = Answer::of(world.client.http.get(info).send().await.unwrap()).await;
        assert_eq!(info.text("read_url_prefix"), "https://cdn.example/g/");
    }
}

#[tokio::test]
async fn case_020_public_urls_keep_the_spelling() {
    let world = world().await;
    let bucket = world.client.bucket();
    for (raw_path, shown) in [
        ("/a", "/a"),
        ("./a", "./a"),
        ("a/", "a"),
        ("%61", "a"),
        ("%C3%BC%20b", "ü b"),
    ] {
        let target = format!("/store/{bucket}/{raw_path}");
        let answer = world.raw("POST", &target, "x").await;
        let json: Value = serde_json::from_str(&answer.body).unwrap();
        let want = format!("{}/read/{bucket}/{shown}", world.client.url);
        assert_eq!(json["publicURL"], want);
    }
    assert_eq!(world.client.names().await, ["a", "ü b"]);
}
