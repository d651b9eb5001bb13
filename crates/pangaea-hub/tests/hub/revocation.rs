//! Revoking tokens.

use serde_json::json;

use crate::support::{Client, key, token, world};

#[tokio::test]
async fn case_088_089_090_requests() {
    let world = world().await;
    let client = &world.client;
    for body in ["{}", "{\"oldestValidTimestamp\":0}", ""] {
        let answer = client.revoke(body).await;
        answer.is(400, "", "Invalid JSON: missing oldestValidTimestamp");
    }
    for value in ["-1", "\"soon\"", "[]"] {
        let answer = client
            .revoke(&format!("{{\"oldestValidTimestamp\":{value}}}"))
            .await;
        answer.is(
            400,
            "",
            "Invalid JSON: oldestValidTimestamp is not a valid integer",
        );
    }
    let other = Client::new(&client.url, key(2));
    let stolen = client.with_authorization(other.authorization);
    assert_eq!(
        stolen.revoke("{\"oldestValidTimestamp\":5}").await.status,
        401
    );
    assert_eq!(client.put("a", "1").await.status, 202);
    let answer = client.revoke("{\"oldestValidTimestamp\":\"5\"}").await;
    assert_eq!(
        (answer.status, answer.json),
        (202, json!({"status": "success"}))
    );
}

#[tokio::test]
async fn case_091_092_093_revocation_persists() {
    let mut world = world().await;
    world.client.put("a", "1").await;
    world.client.revoke("{\"oldestValidTimestamp\":1000}").await;
    for round in 0..2 {
        let undated = &world.client;
        let old = world.client.with_token(token().issued_at(999));
        for client in [undated, &old] {
            let name = "AuthTokenTimestampValidationError";
            for answer in [
                client.put("a", "2").await,
                client.delete("a").await,
                client.list(json!({})).await,
                // Who was revoked cannot revoke others.
                client.revoke("{\"oldestValidTimestamp\":9000}").await,
            ] {
                assert_eq!(
                    (answer.status, answer.text("error")),
                    (401, name),
                    "round {round}"
                );
            }
        }
        let good = world.client.with_token(token().issued_at(1000));
        assert_eq!(good.put("a", "3").await.status, 202);
        let lower = good.revoke("{\"oldestValidTimestamp\":500}").await;
        assert_eq!(lower.status, 202);
        assert_eq!(
            old.put("a", "2").await.status,
            401,
            "a lower time changes nothing"
        );
        world.restart().await;
    }
}

#[tokio::test]
async fn case_094_beyond_2038() {
    let mut world = world().await;
    world
        .client
        .revoke("{\"oldestValidTimestamp\":4102444800}")
        .await;
    for _ in 0..2 {
        let early = world.client.with_token(token().issued_at(4_102_444_799));
        assert_eq!(early.put("a", "1").await.status, 401);
        let late = world.client.with_token(token().issued_at(4_102_444_800));
        assert_eq!(late.put("a", "1").await.status, 202);
        world.restart().await;
    }
}

#[tokio::test]
async fn case_095_096_the_time_can_be_read() {
    let world = world().await;
    let client = &world.client;
    let url = format!("{}/read/{}-auth/authTimestamp", client.url, client.bucket());
    assert_eq!(client.http.get(&url).send().await.unwrap().status(), 404);
    client.revoke("{\"oldestValidTimestamp\":1234}").await;
    let response = client.http.get(&url).send().await.unwrap();
    assert_eq!(
        response.headers()["content-type"],
        "text/plain; charset=UTF-8"
    );
    assert_eq!(response.text().await.unwrap(), "1234");
    let target = format!("/store/{}-auth/authTimestamp", client.bucket());
    assert_eq!(world.raw("POST", &target, "0").await.status, 404);
}

#[tokio::test]
async fn legacy_tokens_are_revoked_too() {
    let world = world().await;
    let text = gaia::challenge::challenge_text("gaia-0");
    let legacy = gaia::legacy::LegacyToken::make(&world.client.key, &text);
    let client = world.client.with_authorization(legacy.authorization());
    assert_eq!(client.put("a", "1").await.status, 202);
    assert_eq!(
        client.revoke("{\"oldestValidTimestamp\":5}").await.status,
        202
    );
    let answer = client.put("a", "2").await;
    assert_eq!(
        (answer.status, answer.text("error")),
        (401, "AuthTokenTimestampValidationError")
    );
}
