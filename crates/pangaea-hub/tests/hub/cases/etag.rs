//! Tags, and the conditions of stores that speak about them.

use gaia::etag::ETag;
use serde_json::json;

use crate::support::{Answer, world};

const NAME: &str = "PreconditionFailedError";
const EXISTS: &str = "The entity you are trying to create already exists";
const MISMATCH: &str = "The provided ETag does not match that of the resource on the server";

#[tokio::test]
async fn case_031_create_only() {
    let world = world().await;
    let client = &world.client;
    let answer = client.put_if("a", "1", "If-None-Match", "*").await;
    assert_eq!(answer.status, 202);
    let answer = client.put_if("a", "2", "If-None-Match", "*").await;
    answer.is(412, NAME, EXISTS);
    assert_eq!(client.body("a").await, "1");
}

#[tokio::test]
async fn case_032_if_none_match_takes_only_a_star() {
    let world = world().await;
    let client = &world.client;
    let message = "Misuse of the if-none-match header. Expected to be * on write requests.";
    let answer = client.put_if("a", "1", "If-None-Match", "\"x\"").await;
    answer.is(412, NAME, message);
    assert!(client.names().await.is_empty());
    client.put("a", "1").await;
    let answer = client.put_if("a", "2", "If-None-Match", "\"x\"").await;
    answer.is(412, NAME, message);
    assert_eq!(client.body("a").await, "1");
}

#[tokio::test]
async fn case_033_both_conditions() {
    let world = world().await;
    let request = world.client.store("a").header("If-Match", "x");
    let request = request.header("If-None-Match", "*").body("1");
    let answer = Answer::of(request.send().await.unwrap()).await;
    let message = "Request should not contain both if-match and if-none-match headers";
    answer.is(412, NAME, message);
    assert!(world.client.names().await.is_empty());
}

#[tokio::test]
async fn case_034_if_match() {
    let world = world().await;
    let client = &world.client;
    let answer = client.put_if("a", "1", "If-Match", "x").await;
    answer.is(412, NAME, MISMATCH);
    let first = client.put("a", "1").await.text("etag").to_owned();
    let second = client.put_if("a", "2", "If-Match", &first).await;
    assert_eq!(second.status, 202);
    for body in ["3".to_owned(), "3".repeat(100_000)] {
        let stale = client.put_if("a", &body, "If-Match", &first).await;
        stale.is(412, NAME, MISMATCH);
    }
    assert_eq!(client.body("a").await, "2");
    client.delete("a").await;
    let gone = client
        .put_if("a", "3", "If-Match", second.text("etag"))
        .await;
    gone.is(412, NAME, MISMATCH);
}

#[tokio::test]
async fn case_035_if_match_star_writes_and_creates() {
    let world = world().await;
    for body in ["1", "2"] {
        let answer = world.client.put_if("a", body, "If-Match", "*").await;
        assert_eq!(answer.status, 202);
        assert_eq!(world.client.body("a").await, body);
    }
    let answer = world.client.put_if("a", "3", "If-Match", "").await;
    assert_eq!(answer.status, 202, "as if absent");
}

/// A stock hub compares text. Other hubs and caches quote tags and mark them as weak, and what
/// they mean is plain.
#[tokio::test]
async fn case_036_tags_in_every_spelling() {
    let world = world().await;
    let tag = ETag::of(b"1").as_str().to_owned();
    for spelled in [
        format!("\"{tag}\""),
        format!("W/\"{tag}\""),
        tag.to_uppercase(),
        format!("\"x\", \"{tag}\""),
    ] {
        world.client.put("a", "1").await;
        let answer = world.client.put_if("a", "2", "If-Match", &spelled).await;
        assert_eq!(answer.status, 202, "{spelled}");
    }
    let answer = world.client.put_if("a", "3", "If-Match", "\"x\", ,").await;
    assert_eq!(answer.status, 412);
}

#[tokio::test]
async fn case_037_one_content_has_one_tag() {
    let world = world().await;
    let client = &world.client;
    for body in ["small".to_owned(), "large".repeat(50_000)] {
        let stored = client.put("a", body.clone()).await;
        assert_eq!(stored.text("etag"), ETag::of(body.as_bytes()).as_str());
        assert_eq!(stored.json, client.put("a", body.clone()).await.json);
        let other = client.put("b", body).await;
        assert_eq!(stored.text("etag"), other.text("etag"));
    }
}

/// Unlike a stock hub, the answer names the tag that the client needs to go on.
#[tokio::test]
async fn case_038_what_a_412_says() {
    let world = world().await;
    let client = &world.client;
    let missing = client.put_if("a", "1", "If-Match", "x").await;
    let want = json!({"message": MISMATCH, "error": NAME});
    assert_eq!((missing.status, missing.json), (412, want));
    let tag = client.put("a", "1").await.text("etag").to_owned();
    for (header, value, message) in [("If-Match", "x", MISMATCH), ("If-None-Match", "*", EXISTS)] {
        for body in ["2".to_owned(), "2".repeat(100_000)] {
            let answer = client.put_if("a", &body, header, value).await;
            let want = json!({"message": message, "error": NAME, "etag": tag});
            assert_eq!((answer.status, answer.json), (412, want));
        }
    }
}

#[tokio::test]
async fn case_039_one_tag_wherever_it_is_asked_for() {
    let world = world().await;
    let client = &world.client;
    for body in ["small".to_owned(), "large".repeat(50_000)] {
        let stored = client.put("a", body).await;
        let listed = client.list(json!({"stat": true})).await;
        assert_eq!(listed.json["entries"][0]["etag"], stored.json["etag"]);
        assert_eq!(client.get("a").await.headers()["etag"], stored.text("etag"));
    }
}

#[tokio::test]
async fn case_040_the_tag_after_deleting_and_creating_again() {
    let world = world().await;
    let client = &world.client;
    let first = client.put("a", "1").await;
    client.delete("a").await;
    let again = client.put_if("a", "1", "If-None-Match", "*").await;
    assert_eq!((again.status, &again.json), (202, &first.json));
    let answer = client
        .put_if("a", "2", "If-Match", first.text("etag"))
        .await;
    assert_eq!(answer.status, 202);
}
