//! What the hub says about itself beyond a stock hub.

use serde_json::json;

use crate::support::{Answer, Client, key, world, world_with};

#[tokio::test]
async fn what_the_hub_announces() {
    let world = world().await;
    let url = format!("{}/hub_info", world.client.url);
    let info = Answer::of(world.client.http.get(url).send().await.unwrap()).await;
    let want = json!({
        "version": 1,
        "features": [
            "batch", "fetch", "changes", "conditional-delete", "list-prefix", "not-modified",
            "range", "tag-in-412",
        ],
    });
    assert_eq!(info.json["pangaea"], want);
}

#[tokio::test]
async fn a_hub_on_all_addresses_announces_the_host_that_was_asked() {
    let world = world_with(|config| config.listen = ([0, 0, 0, 0], 0).into()).await;
    let port = world.address().port();
    assert_eq!(world.client.url, format!("http://127.0.0.1:{port}"));
    let client = Client::new(&format!("http://localhost:{port}"), key(1));
    let answer = client.put("a", "x").await;
    let want = format!("http://localhost:{port}/read/{}/a", client.bucket());
    assert_eq!(answer.text("publicURL"), want);
}
