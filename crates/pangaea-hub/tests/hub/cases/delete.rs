//! Deleting.

use gaia::etag::ETag;

use crate::support::{Answer, Client, key, world};

const MISSING: &str = "File does not exist";

#[tokio::test]
async fn case_051_the_answer() {
    let world = world().await;
    world.client.put("a", "1").await;
    let response = world.client.deletion("a").send().await.unwrap();
    assert_eq!(response.status(), 202);
    assert!(response.headers().get("content-type").is_none());
    assert_eq!(response.text().await.unwrap(), "");
}

#[tokio::test]
async fn case_052_what_is_not_there() {
    let world = world().await;
    world.client.put("a", "1").await;
    world.client.delete("a").await;
    for path in ["a", "never"] {
        let answer = world.client.delete(path).await;
        answer.is(404, "DoesNotExist", MISSING);
    }
}

#[tokio::test]
async fn case_053_a_folder() {
    let world = world().await;
    world.client.put("d/x", "1").await;
    for path in ["d", "d/"] {
        let answer = world.client.delete(path).await;
        answer.is(404, "DoesNotExist", MISSING);
    }
    assert_eq!(world.client.body("d/x").await, "1");
}

#[tokio::test]
async fn case_054_two_dots() {
    let world = world().await;
    world.client.put("d/x", "1").await;
    let target = format!("/delete/{}/d/../d/x", world.client.bucket());
    let answer = world.raw("DELETE", &target, "").await;
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("BadPathError"), "{}", answer.body);
    assert_eq!(world.client.body("d/x").await, "1");
}

#[tokio::test]
async fn case_055_another_bucket() {
    let world = world().await;
    let client = &world.client;
    client.put("a", "1").await;
    let other = Client::new(&client.url, key(2));
    let stolen = client.with_authorization(other.authorization);
    let message = "Address not allowed to write on this path";
    stolen.delete("a").await.is(401, "ValidationError", message);
    assert_eq!(client.body("a").await, "1");
}

/// A stock hub takes no notice of it, so that a client can lose what it has not seen.
#[tokio::test]
async fn case_056_a_condition_is_honoured() {
    let world = world().await;
    let client = &world.client;
    let old = client.put("a", "1").await;
    let new = client.put("a", "2").await;
    let request = client.deletion("a").header("If-Match", old.text("etag"));
    let answer = Answer::of(request.send().await.unwrap()).await;
    let message = "The provided ETag does not match that of the resource on the server";
    answer.is(412, "PreconditionFailedError", message);
    assert_eq!(answer.text("etag"), new.text("etag"));
    assert_eq!(client.body("a").await, "2");
    let quoted = format!("\"{}\"", ETag::of(b"2"));
    let request = client.deletion("a").header("If-Match", &quoted);
    assert_eq!(request.send().await.unwrap().status(), 202);
    let request = client.deletion("a").header("If-Match", quoted);
    let status = request.send().await.unwrap().status();
    assert_eq!(status, 404, "gone is gone, as without it");
}

#[tokio::test]
async fn case_057_gone_everywhere() {
    let world = world().await;
    let client = &world.client;
    for (path, body) in [("a", "1".to_owned()), ("b", "2".repeat(100_000))] {
        client.put(path, body).await;
        assert_eq!(client.delete(path).await.status, 202);
        assert_eq!(client.get(path).await.status(), 404);
        assert!(client.names().await.is_empty());
    }
    client.put("a", "again").await;
    assert_eq!(client.body("a").await, "again");
}
