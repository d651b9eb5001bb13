//! Revoking tokens.

use serde_json::json;

use crate::support::{Client, World, key, token, world};

const NAME: &str = "AuthTokenTimestampValidationError";

async fn revoke(client: &Client, time: u64) -> u16 {
    let body = json!({"oldestValidTimestamp": time}).to_string();
    client.revoke(&body).await.status
}

fn issued_at(world: &World, seconds: u64) -> Client {
    world.client.with_token(token().issued_at(seconds))
}

/// Every kind of change, and the listing, is refused to this client.
async fn assert_revoked(client: &Client) {
    for answer in [
        client.put("a", "x").await,
        client.delete("a").await,
        client.list(json!({})).await,
        // Unlike at a stock hub: who was revoked cannot revoke the others.
        client.revoke("{\"oldestValidTimestamp\":9000}").await,
    ] {
        assert_eq!((answer.status, answer.text("error")), (401, NAME));
    }
}

#[tokio::test]
async fn case_088_times_that_are_none() {
    let world = world().await;
    for body in [
        "{}",
        "",
        "{\"oldestValidTimestamp\":0}",
        "{\"oldestValidTimestamp\":null}",
    ] {
        let answer = world.client.revoke(body).await;
        answer.is(400, "", "Invalid JSON: missing oldestValidTimestamp");
    }
    for value in ["-1", "\"soon\"", "[]", "\"NaN\"", "true"] {
        let body = format!("{{\"oldestValidTimestamp\":{value}}}");
        let answer = world.client.revoke(&body).await;
        let message = "Invalid JSON: oldestValidTimestamp is not a valid integer";
        answer.is(400, "", message);
    }
    assert_eq!(world.client.put("a", "1").await.status, 202);
}

#[tokio::test]
async fn case_089_another_bucket() {
    let world = world().await;
    let client = &world.client;
    let other = Client::new(&client.url, key(2));
    let stolen = client.with_authorization(other.authorization.clone());
    assert_eq!(revoke(&stolen, 5).await, 401);
    assert_eq!(revoke(&other, 5).await, 202);
    assert_eq!(client.put("a", "1").await.status, 202, "only its own");
}

#[tokio::test]
async fn case_090_the_answer() {
    let world = world().await;
    for value in ["5", "\"6\"", "7.9"] {
        let client = issued_at(&world, 1000);
        let body = format!("{{\"oldestValidTimestamp\":{value}}}");
        let answer = client.revoke(&body).await;
        let want = json!({"status": "success"});
        assert_eq!((answer.status, answer.json), (202, want));
    }
}

#[tokio::test]
async fn case_091_older_and_undated_tokens() {
    let world = world().await;
    world.client.put("a", "1").await;
    assert_eq!(revoke(&world.client, 1000).await, 202);
    assert_revoked(&issued_at(&world, 999)).await;
    assert_revoked(&world.client).await;
    let words = "Gaia bucket requires auth token issued after 1000 but this token";
    for (client, rest) in [
        (issued_at(&world, 999), " was issued 999."),
        (world.client.clone(), " has no creation timestamp."),
    ] {
        let message = format!("{words}{rest} This token may have been revoked by the user.");
        client.put("a", "x").await.is(401, NAME, &message);
    }
    assert_eq!(world.client.body("a").await, "1", "reads go on");
}

#[tokio::test]
async fn case_092_newer_tokens_also_after_a_restart() {
    let mut world = world().await;
    revoke(&world.client, 1000).await;
    for _ in 0..2 {
        for seconds in [1000, 2000, 4_102_444_800] {
            let client = issued_at(&world, seconds);
            assert_eq!(client.put("a", "1").await.status, 202);
            assert_eq!(client.names().await, ["a"]);
            assert_eq!(client.delete("a").await.status, 202);
        }
        assert_revoked(&issued_at(&world, 999)).await;
        assert_revoked(&world.client).await;
        world.restart().await;
    }
}

#[tokio::test]
async fn case_093_a_lower_time_changes_nothing() {
    let mut world = world().await;
    revoke(&world.client, 1000).await;
    for _ in 0..2 {
        assert_eq!(revoke(&issued_at(&world, 5000), 500).await, 202);
        assert_revoked(&issued_at(&world, 999)).await;
        world.restart().await;
        assert_revoked(&issued_at(&world, 999)).await;
    }
    assert_eq!(revoke(&issued_at(&world, 5000), 2000).await, 202);
    assert_revoked(&issued_at(&world, 1999)).await;
}

#[tokio::test]
async fn case_094_beyond_2038() {
    let mut world = world().await;
    revoke(&world.client, 4_102_444_800).await;
    for _ in 0..2 {
        assert_revoked(&issued_at(&world, 4_102_444_799)).await;
        let late = issued_at(&world, 4_102_444_800);
        assert_eq!(late.put("a", "1").await.status, 202);
        world.restart().await;
    }
}

#[tokio::test]
async fn case_095_the_time_can_be_read() {
    let mut world = world().await;
    for _ in 0..2 {
        let client = world.client.clone();
        let (hub, bucket) = (&client.url, client.bucket());
        let read = |name: &str| {
            client
                .http
                .get(format!("{hub}/read/{bucket}-auth/{name}"))
                .send()
        };
        let unknown = key(9).address();
        let other = format!("{hub}/read/{unknown}-auth/authTimestamp");
        assert_eq!(client.http.get(other).send().await.unwrap().status(), 404);
        revoke(&issued_at(&world, 5000), 4_102_444_800).await;
        let response = read("authTimestamp").await.unwrap();
        assert_eq!(response.status(), 200);
        let kind = &response.headers()["content-type"];
        assert_eq!(kind, "text/plain; charset=UTF-8");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        assert_eq!(response.text().await.unwrap(), "4102444800");
        assert_eq!(read("other").await.unwrap().status(), 404);
        world.restart().await;
    }
}

#[tokio::test]
async fn case_096_the_time_cannot_be_written_as_a_file() {
    let world = world().await;
    revoke(&world.client, 1234).await;
    let bucket = world.client.bucket();
    for (method, route) in [("POST", "store"), ("DELETE", "delete")] {
        let target = format!("/{route}/{bucket}-auth/authTimestamp");
        assert_eq!(world.raw(method, &target, "0").await.status, 404);
    }
    assert_revoked(&world.client).await;
}
