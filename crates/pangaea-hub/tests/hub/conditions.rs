//! Conditions of stores, and the tags that they speak about.

use gaia::etag::ETag;
use serde_json::json;

use crate::support::{Answer, world};

const EXISTS: &str = "The entity you are trying to create already exists";
const MISMATCH: &str = "The provided ETag does not match that of the resource on the server";

#[tokio::test]
async fn case_031_create_only() {
    let world = world().await;
    let client = &world.client;
    assert_eq!(
        client.put_if("a", "1", "If-None-Match", "*").await.status,
        202
    );
    let answer = client.put_if("a", "2", "If-None-Match", "*").await;
    answer.is(412, "PreconditionFailedError", EXISTS);
    assert_eq!(client.body("a").await, "1");
}

#[tokio::test]
async fn case_032_033_misuse() {
    let world = world().await;
    let client = &world.client;
    let answer = client.put_if("a", "1", "If-None-Match", "\"x\"").await;
    let message = "Misuse of the if-none-match header. Expected to be * on write requests.";
    answer.is(412, "PreconditionFailedError", message);
    let request = client
        .store("a")
        .header("If-Match", "x")
        .header("If-None-Match", "*");
    let answer = Answer::of(request.body("1").send().await.unwrap()).await;
    let message = "Request should not contain both if-match and if-none-match headers";
    answer.is(412, "PreconditionFailedError", message);
    assert!(client.names().await.is_empty());
}

#[tokio::test]
async fn case_034_038_if_match() {
    let world = world().await;
    let client = &world.client;
    let answer = client.put_if("a", "1", "If-Match", "x").await;
    answer.is(412, "PreconditionFailedError", MISMATCH);
    assert!(answer.json.get("etag").is_none(), "there is none");
    let first = client.put("a", "1").await;
    let second = client
        .put_if("a", "2", "If-Match", first.text("etag"))
        .await;
    assert_eq!(second.status, 202);
    let stale = client
        .put_if("a", "3", "If-Match", first.text("etag"))
        .await;
    stale.is(412, "PreconditionFailedError", MISMATCH);
    assert_eq!(
        stale.text("etag"),
        second.text("etag"),
        "what the client needs to go on"
    );
    // A large body is refused before it is sent.
    let stale = client
        .put_if("a", &"3".repeat(100_000), "If-Match", first.text("etag"))
        .await;
    stale.is(412, "PreconditionFailedError", MISMATCH);
    assert_eq!(stale.text("etag"), second.text("etag"));
    assert_eq!(client.body("a").await, "2");
}

#[tokio::test]
async fn case_035_if_match_star_writes_and_creates() {
    let world = world().await;
    for body in ["1", "2"] {
        assert_eq!(
            world.client.put_if("a", body, "If-Match", "*").await.status,
            202
        );
        assert_eq!(world.client.body("a").await, body);
    }
    assert_eq!(
        world.client.put_if("a", "3", "If-Match", "").await.status,
        202,
        "as if absent"
    );
}

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
async fn case_037_039_040_one_tag_for_one_content() {
    let world = world().await;
    let client = &world.client;
    for body in ["small".to_owned(), "large".repeat(50_000)] {
        let stored = client.put("a", body.clone()).await;
        assert_eq!(stored.json, client.put("a", body.clone()).await.json);
        let listed = client.list(json!({"stat": true})).await;
        let tag = stored.text("etag").to_owned();
        assert_eq!(listed.json["entries"][0]["etag"], tag);
        assert_eq!(client.get("a").await.headers()["etag"], tag.as_str());
        client.delete("a").await;
        let again = client.put_if("a", &body, "If-None-Match", "*").await;
        assert_eq!(again.text("etag"), tag);
    }
}
