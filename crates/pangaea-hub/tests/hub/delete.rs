//! Deleting.

use gaia::etag::ETag;

use crate::support::{Answer, Client, key, world};

#[tokio::test]
async fn case_051_057_delete() {
    let world = world().await;
    let client = &world.client;
    client.put("a", "1").await;
    let response = client.deletion("a").send().await.unwrap();
    assert_eq!(response.status(), 202);
    assert!(response.headers().get("content-type").is_none());
    assert_eq!(response.text().await.unwrap(), "");
    assert_eq!(client.get("a").await.status(), 404);
    assert!(client.names().await.is_empty());
}

#[tokio::test]
async fn case_052_053_054_055_refusals() {
    let world = world().await;
    let client = &world.client;
    client.put("d/x", "1").await;
    for missing in ["a", "d"] {
        client
            .delete(missing)
            .await
            .is(404, "DoesNotExist", "File does not exist");
    }
    let target = format!("/delete/{}/d/../d/x", client.bucket());
    assert_eq!(world.raw("DELETE", &target, "").await.status, 403);
    let other = Client::new(&client.url, key(2));
    let stolen = client.with_authorization(other.authorization);
    let answer = stolen.delete("d/x").await;
    answer.is(
        401,
        "ValidationError",
        "Address not allowed to write on this path",
    );
    assert_eq!(client.body("d/x").await, "1");
}

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
    assert_eq!(
        request.send().await.unwrap().status(),
        404,
        "gone is gone, as without it"
    );
}
