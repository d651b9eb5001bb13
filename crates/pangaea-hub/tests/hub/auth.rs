//! What the hub adds to the checks of a stock hub: it remembers tokens, and can do without those
//! of the old kind.

use gaia::challenge::challenge_text;
use gaia::legacy::LegacyToken;
use pangaea_hub::LegacyTokens;
use serde_json::json;

use crate::support::{Client, SERVER_NAME, key, token, world, world_with};

#[tokio::test]
async fn a_remembered_token_opens_only_its_own_bucket() {
    let world = world().await;
    let client = &world.client;
    for _ in 0..2 {
        assert_eq!(client.put("a", "1").await.status, 202);
        let other = Client::new(&client.url, key(2)).with_authorization(&client.authorization);
        assert_eq!(other.put("a", "2").await.status, 401);
    }
}

#[tokio::test]
async fn a_token_that_ends_while_it_is_remembered_is_refused() {
    let world = world().await;
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let client = world.client.with_token(token().expires_at(now + 1));
    assert_eq!(client.put("a", "1").await.status, 202);
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    assert_eq!(client.put("a", "2").await.status, 401);
}

fn with_legacy_token(client: &Client) -> Client {
    let legacy = LegacyToken::make(&client.key, &challenge_text(SERVER_NAME));
    client.with_authorization(legacy.authorization())
}

#[tokio::test]
async fn legacy_tokens_are_revoked_too() {
    let world = world().await;
    let client = with_legacy_token(&world.client);
    assert_eq!(client.put("a", "1").await.status, 202);
    let answer = client.revoke("{\"oldestValidTimestamp\":5}").await;
    assert_eq!(answer.status, 202);
    let answer = client.put("a", "2").await;
    let name = "AuthTokenTimestampValidationError";
    assert_eq!((answer.status, answer.text("error")), (401, name));
}

#[tokio::test]
async fn an_operator_can_refuse_all_legacy_tokens() {
    let world = world_with(|config| config.legacy_tokens = LegacyTokens::Refuse).await;
    let client = with_legacy_token(&world.client);
    let message = "This hub takes no tokens of the old kind. You may need to update stacks.js.";
    for answer in [
        client.put("a", "1").await,
        client.put("a", "1").await,
        client.delete("a").await,
        client.list(json!({})).await,
        client.revoke("{\"oldestValidTimestamp\":5}").await,
    ] {
        answer.is(401, "ValidationError", message);
    }
    assert_eq!(world.client.put("a", "1").await.status, 202);
}

/// With several faults, a client is told of the one that a stock hub finds first.
#[tokio::test]
async fn the_first_fault_is_named() {
    let world = world().await;
    let client = &world.client;
    let spoiled = |client: &Client| {
        let (signed, _) = client.authorization.rsplit_once('.').unwrap();
        let other = token().sign(&key(7)).unwrap().authorization();
        let (_, signature) = other.rsplit_once('.').unwrap();
        client.with_authorization(format!("{signed}.{signature}"))
    };
    let message = "Failed to verify supplied authentication JWT";
    let ended = spoiled(&client.with_token(token().expires_at(1)));
    ended
        .put("a", "x")
        .await
        .is(401, "ValidationError", message);
    let stranger = spoiled(&Client::new(&client.url, key(2)));
    let stranger = client.with_authorization(stranger.authorization);
    let message = "Address not allowed to write on this path";
    stranger
        .put("a", "x")
        .await
        .is(401, "ValidationError", message);
    client.revoke("{\"oldestValidTimestamp\":5}").await;
    let answer = stranger.put("a", "x").await;
    let name = "AuthTokenTimestampValidationError";
    assert_eq!((answer.status, answer.text("error")), (401, name));
}
