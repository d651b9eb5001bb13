//! Storing, reading, deleting.

use gaia::etag::ETag;

use crate::support::world;

#[tokio::test]
async fn case_008_first_store() {
    let world = world().await;
    let client = &world.client;
    let answer = client.put("a/b.txt", "hello gaia").await;
    assert_eq!(answer.status, 202, "{:?}", answer.json);
    let url = format!("{}/read/{}/a/b.txt", client.url, client.bucket());
    let etag = ETag::of(b"hello gaia");
    let want = serde_json::json!({"publicURL": url, "etag": etag.as_str()});
    assert_eq!(answer.json, want);
    assert_eq!(client.body("a/b.txt").await, "hello gaia");
    assert_eq!(client.names().await, ["a/b.txt"]);
    assert_eq!(client.delete("a/b.txt").await.status, 202);
    assert_eq!(client.get("a/b.txt").await.status(), 404);
}
