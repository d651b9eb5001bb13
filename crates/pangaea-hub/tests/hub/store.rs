//! Storing, beyond what stock clients do.

use gaia::etag::ETag;

use crate::support::{Answer, world};

#[tokio::test]
async fn encoded_bodies_are_refused() {
    let world = world().await;
    let request = world.client.store("a").header("Content-Encoding", "gzip");
    let answer = Answer::of(request.body("x").send().await.unwrap()).await;
    assert_eq!(answer.status, 415, "stored bytes are what was sent");
    assert!(world.client.names().await.is_empty());
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
