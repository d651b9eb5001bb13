//! Tokens, scopes and whitelists, as far as the hub's routes are concerned.

use gaia::association::{AssociationToken, Validity};
use gaia::challenge::accepted_texts;
use gaia::scope::ScopeKind;
use gaia::token::TokenBuilder;
use pangaea_hub::HubUrlRule;
use serde_json::json;

use crate::support::{Client, key, scopes, token, world, world_with};

const UNREADABLE: &str = "Failed to parse authentication header.";

#[tokio::test]
async fn case_072_074_headers() {
    let world = world().await;
    let client = &world.client;
    let shouted = client.authorization.replacen("bearer", "BEARER", 1);
    assert_eq!(
        client
            .with_authorization(shouted)
            .put("a", "1")
            .await
            .status,
        202
    );
    for wrong in ["", "bearer", "bearer x", "bearer v1:x.y.z", "basic eDp5"] {
        let answer = client.with_authorization(wrong).put("a", "2").await;
        answer.is(401, "ValidationError", UNREADABLE);
    }
    let other = Client::new(&client.url, key(2));
    let answer = client
        .with_authorization(&other.authorization)
        .put("a", "2")
        .await;
    answer.is(
        401,
        "ValidationError",
        "Address not allowed to write on this path",
    );
    let mut broken = client.authorization.clone();
    let last = broken.pop();
    broken.push(if last == Some('A') { 'Q' } else { 'A' });
    assert_eq!(
        client.with_authorization(broken).put("a", "2").await.status,
        401
    );
    assert_eq!(client.body("a").await, "1");
}

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
async fn case_073_legacy_tokens() {
    let world = world().await;
    let texts = accepted_texts("gaia-0");
    let legacy = gaia::legacy::LegacyToken::make(&world.client.key, &texts[0]);
    let client = world.client.with_authorization(legacy.authorization());
    assert_eq!(client.put("a", "1").await.status, 202);
    assert_eq!(client.names().await, ["a"]);
    let garbage = client.with_authorization("bearer e30=");
    garbage
        .put("a", "1")
        .await
        .is(401, "ValidationError", UNREADABLE);
    garbage
        .list(json!({}))
        .await
        .is(401, "ValidationError", UNREADABLE);
}

#[tokio::test]
async fn case_075_076_challenges_and_ends() {
    let world = world().await;
    for text in accepted_texts("gaia-0") {
        let client = world.client.with_token(TokenBuilder::new(text, [1; 16]));
        assert_eq!(client.put("a", "1").await.status, 202);
    }
    let elsewhere = world
        .client
        .with_token(TokenBuilder::new("something else", [1; 16]));
    let answer = elsewhere.put("a", "1").await;
    assert_eq!(answer.status, 401);
    assert!(
        answer
            .text("message")
            .starts_with("Invalid gaiaChallenge text in supplied JWT")
    );
    let ended = world.client.with_token(token().expires_at(1_000));
    let answer = ended.put("a", "1").await;
    assert!(
        answer
            .text("message")
            .starts_with("Expired authentication token")
    );
    let lasting = world.client.with_token(token().expires_at(4_102_444_800));
    assert_eq!(lasting.put("a", "1").await.status, 202);
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

#[tokio::test]
async fn case_081_082_scopes() {
    let world = world().await;
    world.client.put("b/old", "1").await;
    let only = scopes(&[
        (ScopeKind::PutFile, "a.txt"),
        (ScopeKind::PutFilePrefix, "a/"),
    ]);
    let client = world.client.with_token(token().scopes(only));
    for path in ["a.txt", "a/x", "a//x"] {
        assert_eq!(client.put(path, "1").await.status, 202, "{path}");
    }
    let message = format!(
        "Address {} not authorized to write to b by scopes",
        client.bucket()
    );
    client
        .put("b", "1")
        .await
        .is(401, "ValidationError", &message);
    assert_eq!(
        client.delete("b/old").await.status,
        202,
        "deletes are not restricted"
    );

    let only = scopes(&[(ScopeKind::DeleteFilePrefix, "a/")]);
    let client = world.client.with_token(token().scopes(only));
    let message = format!(
        "Address {} not authorized to delete from a.txt by scopes",
        client.bucket()
    );
    client
        .delete("a.txt")
        .await
        .is(401, "ValidationError", &message);
    assert_eq!(client.delete("a/x").await.status, 202);
    assert_eq!(client.put("z", "1").await.status, 202);
}

#[tokio::test]
async fn case_083_archival_scopes() {
    let world = world().await;
    let only = scopes(&[(ScopeKind::PutFileArchivalPrefix, "d/")]);
    let client = world.client.with_token(token().scopes(only));
    for body in [
        "first".to_owned(),
        "second".repeat(20_000),
        "third".to_owned(),
    ] {
        assert_eq!(client.put("d/x", body).await.status, 202);
    }
    let names = world.client.names().await;
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(names[2], "d/x");
    for name in &names[..2] {
        let mut parts = name.strip_prefix("d/.history.").unwrap().splitn(3, '.');
        assert!(parts.next().unwrap().parse::<u64>().unwrap() > 1_600_000_000_000);
        assert_eq!(parts.next().unwrap().len(), 10);
        assert_eq!(parts.next().unwrap(), "x");
    }
    assert_eq!(world.client.body(&names[0]).await, "first");
    assert_eq!(world.client.body(&names[1]).await, "second".repeat(20_000));
    assert_eq!(client.delete("d/x").await.status, 202);
    assert_eq!(world.client.names().await.len(), 3);
    assert_eq!(client.get("d/x").await.status(), 404);
    assert_eq!(client.delete("d/x").await.status, 404);
    let message = format!(
        "Address {} not authorized to modify e by scopes",
        client.bucket()
    );
    client
        .put("e", "1")
        .await
        .is(401, "ValidationError", &message);
    client
        .delete("e")
        .await
        .is(401, "ValidationError", &message);
    // A condition is tested before anything is moved.
    client.put("d/y", "1").await;
    assert_eq!(
        client.put_if("d/y", "2", "If-None-Match", "*").await.status,
        412
    );
    assert_eq!(world.client.body("d/y").await, "1");
}

#[tokio::test]
async fn case_085_whitelist() {
    let listed = key(3);
    let address = listed.address();
    let world = world_with(|config| config.whitelist = Some([address].into())).await;
    let message = format!(
        "Address {} not authorized for writes",
        world.client.bucket()
    );
    world
        .client
        .put("a", "1")
        .await
        .is(401, "ValidationError", &message);
    let child = world.client.key.public();
    let validity = Validity {
        issued_at_seconds: 1,
        expires_at_seconds: 4_102_444_800,
    };
    let voucher = AssociationToken::make(&listed, &child, validity, [1; 16]).unwrap();
    let vouched = world.client.with_token(token().association(&voucher));
    assert_eq!(vouched.put("a", "1").await.status, 202);
    assert_eq!(
        Client::new(&world.client.url, listed)
            .put("a", "1")
            .await
            .status,
        202
    );
}

#[tokio::test]
async fn case_086_hub_url() {
    let rule = HubUrlRule::OneOf(vec!["http://hub.example".into()]);
    let world = world_with(|config| config.hub_urls = rule).await;
    for url in [
        "http://hub.example",
        "http://hub.example/",
        "https://gaia-0",
    ] {
        let client = world.client.with_token(token().hub_url(url));
        assert_eq!(client.put("a", "1").await.status, 202, "{url}");
    }
    let client = world.client.with_token(token().hub_url("http://other"));
    assert_eq!(client.put("a", "1").await.status, 401);
    let message = "Authentication must provide a claimed hub. You may need to update stacks.js.";
    world
        .client
        .put("a", "1")
        .await
        .is(401, "ValidationError", message);
}

#[tokio::test]
async fn case_087_other_versions() {
    let world = world().await;
    let header = world.client.authorization.replace("v1:", "v2:");
    let answer = world.client.with_authorization(header).put("a", "1").await;
    answer.is(401, "ValidationError", UNREADABLE);
}
