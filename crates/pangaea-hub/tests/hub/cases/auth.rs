//! Tokens of every kind: what they must be, whose they are, and for which hub.

use gaia::association::{AssociationToken, Validity};
use gaia::challenge::{accepted_texts, challenge_text};
use gaia::key::SecretKey;
use gaia::legacy::LegacyToken;
use gaia::token::TokenBuilder;
use pangaea_hub::HubUrlRule;
use serde_json::{Value, json};

use crate::support::{
    Client, SERVER_NAME, World, claims, forge, forge_with, key, token, vector, world, world_with,
};

const NAME: &str = "ValidationError";
const UNREADABLE: &str = "Failed to parse authentication header.";
const BAD_SIGNATURE: &str = "Failed to verify supplied authentication JWT";

/// Stores, and lists, with another header; both must be refused in these words.
async fn refused(client: &Client, authorization: &str, message: &str) {
    let client = client.with_authorization(authorization);
    client.put("a", "x").await.is(401, NAME, message);
    client.list(json!({})).await.is(401, NAME, message);
}

async fn accepted(client: &Client, authorization: &str) {
    let client = client.with_authorization(authorization);
    let answer = client.put("a", "1").await;
    assert_eq!(answer.status, 202, "{:?}", answer.json);
    assert_eq!(client.names().await, ["a"]);
}

#[tokio::test]
async fn case_072_the_scheme_in_any_case() {
    let world = world().await;
    let client = &world.client;
    for scheme in ["bearer", "Bearer", "BEARER"] {
        let header = client.authorization.replacen("bearer", scheme, 1);
        accepted(client, &header).await;
    }
    for wrong in ["", "bearer", "bearer x", "bearer v1:x.y.z", "basic eDp5"] {
        refused(client, wrong, UNREADABLE).await;
    }
    let naked = client.authorization.replacen("bearer ", "", 1);
    refused(client, &naked, UNREADABLE).await;
}

#[tokio::test]
async fn case_073_legacy_tokens() {
    let world = world().await;
    let client = &world.client;
    for text in accepted_texts(SERVER_NAME) {
        let legacy = LegacyToken::make(&client.key, &text);
        accepted(client, &legacy.authorization()).await;
    }
    for garbage in ["e30=", "bm9uc2Vuc2U=", "%%%", "eyJwdWJsaWNrZXkiOiIwMiJ9"] {
        refused(client, &format!("bearer {garbage}"), UNREADABLE).await;
    }
    let message = "Invalid signature or expired authentication token.";
    let elsewhere = LegacyToken::make(&client.key, &challenge_text("another hub"));
    refused(client, &elsewhere.authorization(), message).await;
    let message = "Address not allowed to write on this path";
    let text = challenge_text(SERVER_NAME);
    let stranger = LegacyToken::make(&key(2), &text);
    refused(client, &stranger.authorization(), message).await;
}

#[tokio::test]
async fn case_074_a_wrong_address_challenge_or_signature() {
    let world = world().await;
    let client = &world.client;
    let other = Client::new(&client.url, key(2));
    let message = "Address not allowed to write on this path";
    refused(client, &other.authorization, message).await;
    let elsewhere = TokenBuilder::new("something else", [1; 16]).sign(&client.key);
    let message = format!(
        "Invalid gaiaChallenge text in supplied JWT: \"something else\" not found in {}",
        json!(accepted_texts(SERVER_NAME))
    );
    refused(client, &elsewhere.unwrap().authorization(), &message).await;
    let (signed, _) = client.authorization.rsplit_once('.').unwrap();
    let (_, signature) = other.authorization.rsplit_once('.').unwrap();
    refused(client, &format!("{signed}.{signature}"), BAD_SIGNATURE).await;
}

#[tokio::test]
async fn case_075_challenges_of_other_years() {
    let world = world().await;
    let with_text = |text: &str| {
        let token = TokenBuilder::new(text, [1; 16]).sign(&world.client.key);
        token.unwrap().authorization()
    };
    let text = |year: &str| {
        format!("[\"gaiahub\",\"{year}\",\"gaia-0\",\"blockstack_storage_please_sign\"]")
    };
    for year in ["0", "2018", "2019"] {
        accepted(&world.client, &with_text(&text(year))).await;
    }
    let late = world.client.with_authorization(with_text(&text("2020")));
    assert_eq!(late.put("a", "x").await.status, 401);
}

#[tokio::test]
async fn case_076_the_end_of_a_token() {
    let world = world().await;
    let client = &world.client;
    let ended = client.with_token(token().expires_at(1_000)).authorization;
    let message = "Expired authentication token: expire time of 1000 (secs since epoch)";
    refused(client, &ended, message).await;
    for end in [
        json!(4_102_444_800_u64),
        json!(4_102_444_800.5),
        json!(0),
        Value::Null,
    ] {
        let claims = claims(&client.key, &json!({"exp": end}));
        accepted(client, &forge(&client.key, &claims)).await;
    }
}

/// One half of the signatures that clients make has what other hubs would take for a forgery.
#[tokio::test]
async fn case_077_signatures_with_a_high_s() {
    let world = world().await;
    let key = SecretKey::from_hex(vector("/key1/priv").as_str()).unwrap();
    let client = Client::new(&world.client.url, key);
    let header = format!("bearer v1:{}", vector("/highSToken"));
    accepted(&client, &header).await;
}

#[tokio::test]
async fn case_078_an_issuer_in_its_long_form() {
    const LONG: &str = "0479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798\
                        483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8";
    let world = world().await;
    let mut one = [0; 32];
    one[31] = 1;
    let client = Client::new(&world.client.url, SecretKey::from_bytes(&one).unwrap());
    let header = forge(&client.key, &claims(&client.key, &json!({"iss": LONG})));
    assert_eq!(client.bucket(), "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH");
    accepted(&client, &header).await;
    // The address of the long form is nobody's.
    let route = "/store/1EHNa6Q4Jz2uvNExL497mE43ikXhwF6kZm/a";
    let client = client.with_authorization(header);
    let request = client.request(reqwest::Method::POST, route).body("x");
    let answer = crate::support::Answer::of(request.send().await.unwrap()).await;
    answer.is(401, NAME, "Address not allowed to write on this path");
}

#[tokio::test]
async fn case_079_the_algorithm_is_not_the_clients_choice() {
    let world = world().await;
    let client = &world.client;
    let claims = claims(&client.key, &json!({}));
    for alg in ["HS256", "none", "ES256", "nonsense"] {
        let header = forge_with(&json!({"alg": alg}), &client.key, &claims);
        accepted(client, &header).await;
        let (unsigned, _) = header.rsplit_once('.').unwrap();
        refused(client, &format!("{unsigned}."), BAD_SIGNATURE).await;
        refused(client, unsigned, UNREADABLE).await;
    }
}

#[tokio::test]
async fn case_080_payloads_that_make_no_sense() {
    let world = world().await;
    let client = &world.client;
    let scope = |name: &str| json!({"scope": name, "domain": "a"});
    for change in [
        json!({"scopes": [scope("deleteFileArchival")]}),
        json!({"scopes": [scope("putFile"), scope("nonsense")]}),
        json!({"scopes": vec![scope("putFile"); 9]}),
        json!({"iss": null}),
        json!({"iss": "02ff"}),
    ] {
        let header = forge(&client.key, &claims(&client.key, &change));
        refused(client, &header, UNREADABLE).await;
    }
    let eight = json!({"scopes": vec![scope("putFile"); 8]});
    accepted(client, &forge(&client.key, &claims(&client.key, &eight))).await;
}

fn vouch(parent: &SecretKey, child: &SecretKey, end: u64) -> AssociationToken {
    let validity = Validity {
        issued_at_seconds: 1,
        expires_at_seconds: end,
    };
    AssociationToken::make(parent, &child.public(), validity, [1; 16]).unwrap()
}

const FAR: u64 = 4_102_444_800;

#[tokio::test]
async fn case_084_association_tokens() {
    let world = world().await;
    let client = &world.client;
    let parent = key(3);
    let good = client.with_token(token().association(&vouch(&parent, &client.key, FAR)));
    accepted(client, &good.authorization).await;
    let ended = client.with_token(token().association(&vouch(&parent, &client.key, 1_000)));
    let message = "Expired association token: expire time of 1000 (secs since epoch)";
    refused(client, &ended.authorization, message).await;
    let other = client.with_token(token().association(&vouch(&parent, &key(4), FAR)));
    let message = format!(
        "Association token child key {} does not match {}",
        key(4).public().to_hex(),
        client.bucket()
    );
    refused(client, &other.authorization, &message).await;

    // Forged ones, as no library makes them.
    let child = client.key.public().to_hex();
    let full = json!({"iss": parent.public().to_hex(), "childToAssociate": child, "exp": FAR});
    let without = |name: &str| {
        let mut claims = full.clone();
        claims.as_object_mut().unwrap().remove(name);
        claims
    };
    let no_exp = "Must provide `exp` claim in association JWT.";
    let no_child = "Must provide `childToAssociate` claim in association JWT.";
    let no_issuer = "Must provide `iss` claim in association JWT.";
    let wrong_signer = "Failed to verify association JWT: invalid issuer";
    for (claims_of_parent, signer, message) in [
        (without("exp"), &parent, no_exp),
        (without("childToAssociate"), &parent, no_child),
        (without("iss"), &parent, no_issuer),
        (full.clone(), &key(5), wrong_signer),
    ] {
        let inner = forge(signer, &claims_of_parent).replace("bearer v1:", "");
        let outer = claims(&client.key, &json!({"associationToken": inner}));
        refused(client, &forge(&client.key, &outer), message).await;
    }
}

#[tokio::test]
async fn case_085_whitelist() {
    let listed = key(3);
    let address = listed.address();
    let world = world_with(|config| config.whitelist = Some([address].into())).await;
    let client = &world.client;
    let message = |address| format!("Address {address} not authorized for writes");
    refused(
        client,
        &client.authorization,
        &message(client.key.address()),
    )
    .await;
    let legacy = LegacyToken::make(&client.key, &challenge_text(SERVER_NAME));
    refused(
        client,
        &legacy.authorization(),
        &message(client.key.address()),
    )
    .await;
    let vouched = client.with_token(token().association(&vouch(&listed, &client.key, FAR)));
    accepted(client, &vouched.authorization).await;
    let by_stranger = client.with_token(token().association(&vouch(&key(4), &client.key, FAR)));
    refused(
        client,
        &by_stranger.authorization,
        &message(key(4).address()),
    )
    .await;
    let owner = Client::new(&client.url, listed);
    accepted(&owner, &owner.authorization).await;
    // Reads are for everybody.
    assert_eq!(client.body("a").await, "1");
}

async fn picky_world() -> World {
    let rule = HubUrlRule::OneOf(vec!["http://hub.example".into()]);
    world_with(|config| config.hub_urls = rule).await
}

#[tokio::test]
async fn case_086_hub_url() {
    let world = picky_world().await;
    let client = &world.client;
    let named = |url: &str| client.with_token(token().hub_url(url)).authorization;
    for url in [
        "http://hub.example",
        "http://hub.example/",
        "https://gaia-0",
        "https://gaia-0/",
    ] {
        accepted(client, &named(url)).await;
    }
    for url in [
        "http://other",
        "http://HUB.example",
        "http://hub.example//",
        "http://gaia-0",
    ] {
        let cut = url.strip_suffix('/').unwrap_or(url);
        let message = format!(
            "Auth token's claimed hub url '{cut}' not found in this hubs set: \
             [\"http://hub.example\",\"https://gaia-0\"]"
        );
        refused(client, &named(url), &message).await;
    }
    let message = "Authentication must provide a claimed hub. You may need to update stacks.js.";
    refused(client, &client.authorization, message).await;
}

#[tokio::test]
async fn case_087_other_versions() {
    let world = world().await;
    for version in ["v2:", "V1:", "v:", ":"] {
        let header = world.client.authorization.replace("v1:", version);
        refused(&world.client, &header, UNREADABLE).await;
    }
}
