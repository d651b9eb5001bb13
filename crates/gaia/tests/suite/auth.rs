//! The check of an `Authorization` header: each refusal with its words, and which one wins.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gaia::address::Address;
use gaia::association::{AssociationToken, Validity};
use gaia::auth::{AuthContext, AuthError, Credentials, HubUrls, authenticate};
use gaia::challenge::{accepted_texts, challenge_text};
use gaia::key::SecretKey;
use gaia::legacy::LegacyToken;
use gaia::scope::{Scope, ScopeKind, Scopes};
use gaia::token::TokenBuilder;
use serde_json::{Value, json};

const SERVER: &str = "hub";
const NOW: u64 = 1_700_000_000;

fn key() -> SecretKey {
    SecretKey::from_bytes(&[1; 32]).unwrap()
}

fn parent() -> SecretKey {
    SecretKey::from_bytes(&[2; 32]).unwrap()
}

/// Signs whatever payload, under whatever header.
fn forge(header: &Value, payload: &Value, key: &SecretKey) -> String {
    let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", encode(header), encode(payload));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).to_bytes());
    format!("{signed}.{signature}")
}

fn payload() -> Value {
    json!({
        "gaiaChallenge": challenge_text(SERVER),
        "iss": key().public().to_hex(),
        "hubUrl": "https://hub/",
        "salt": "00",
    })
}

fn with(changes: &Value) -> String {
    let mut payload = payload();
    for (name, value) in changes.as_object().unwrap() {
        payload[name] = value.clone();
    }
    let header = json!({"typ": "JWT", "alg": "ES256K"});
    format!("bearer v1:{}", forge(&header, &payload, &key()))
}

static BUCKET: LazyLock<Address> = LazyLock::new(|| key().address());

fn ask<'a>(header: &str, change: impl FnOnce(&mut AuthContext<'a>)) -> Result<Address, String> {
    let mut context = AuthContext::new(SERVER, &BUCKET, NOW);
    change(&mut context);
    let direct = authenticate(header, &context);
    // A hub that keeps proven credentials must come to the same result, twice.
    if let Ok(credentials) = Credentials::parse(header)
        && let Ok(proven) = credentials.prove(SERVER)
    {
        assert_eq!(proven.authorize(&context), direct);
        assert_eq!(proven.clone().authorize(&context), direct);
    }
    match direct {
        Ok(authorization) => Ok(*authorization.signer()),
        Err(error) => Err(error.to_string()),
    }
}

fn plain(header: &str) -> Result<Address, String> {
    ask(header, |_| {})
}

fn refused(words: &str) -> Result<Address, String> {
    Err(words.to_owned())
}

const UNREADABLE: &str = "Failed to parse authentication header.";
const BAD_SIGNATURE: &str = "Failed to verify supplied authentication JWT";

#[test]
fn the_header_is_read_as_the_stock_hub_does() {
    let good = with(&json!({}));
    let token = good.strip_prefix("bearer ").unwrap();
    let bucket = key().address();
    for scheme in ["bearer ", "Bearer ", "BEARER ", "bearer\t", "bearerX"] {
        assert_eq!(plain(&format!("{scheme}{token}")), Ok(bucket), "{scheme:?}");
    }
    let legacy = LegacyToken::make(&key(), &challenge_text(SERVER));
    assert_eq!(plain(&legacy.authorization()), Ok(bucket));
    for header in [
        String::new(),
        "bearer".into(),
        "bearer ".into(),
        "beareé".into(),
        "basic dXNlcjpwYXNz".into(),
        format!("bearer  {token}"),
        token.to_owned(),
        good.replace("v1:", "v2:"),
        good.replace("v1:", "V1:"),
        good.replace("v1:", ""),
        format!("{good}.x"),
        format!("{good}{}", "x".repeat(16 * 1024)),
        "bearer e30=".into(),
        with(&json!({"iss": null})),
        with(&json!({"iss": ""})),
        with(&json!({"iss": "02ff"})),
        with(&json!({"scopes": [{"scope": "deleteFileArchival", "domain": "a"}]})),
        with(&json!({"scopes": vec![json!({"scope": "putFile", "domain": "a"}); 9]})),
        with(&json!({"scopes": [{"scope": "putFile"}]})),
        with(&json!({"exp": "soon"})),
    ] {
        assert_eq!(plain(&header), refused(UNREADABLE), "{header:.60}");
    }
}

#[test]
fn the_algorithm_in_the_header_is_not_asked() {
    for alg in ["HS256", "none", "ES256"] {
        let header = json!({"alg": alg});
        let token = forge(&header, &payload(), &key());
        assert_eq!(
            plain(&format!("bearer v1:{token}")),
            Ok(key().address()),
            "{alg}"
        );
        let (unsigned, _) = token.rsplit_once('.').unwrap();
        let unsigned = format!("bearer v1:{unsigned}.");
        assert_eq!(plain(&unsigned), refused(BAD_SIGNATURE), "{alg}");
    }
    let forged = forge(&json!({}), &payload(), &parent());
    assert_eq!(
        plain(&format!("bearer v1:{forged}")),
        refused(BAD_SIGNATURE)
    );
}

#[test]
fn another_bucket_is_not_opened() {
    let other = parent().address();
    let want = refused("Address not allowed to write on this path");
    let legacy = LegacyToken::make(&key(), &challenge_text(SERVER)).authorization();
    for header in [with(&json!({})), legacy] {
        let bucket = other;
        let context = AuthContext::new(SERVER, &bucket, NOW);
        let error = authenticate(&header, &context).unwrap_err();
        assert_eq!(refused(&error.to_string()), want);
        assert_eq!(error.name(), "ValidationError");
    }
}

#[test]
fn challenge_texts_of_earlier_years_count_and_others_do_not() {
    for text in accepted_texts(SERVER) {
        assert_eq!(
            plain(&with(&json!({ "gaiaChallenge": text }))),
            Ok(key().address())
        );
    }
    let error = plain(&with(&json!({"gaiaChallenge": "x"}))).unwrap_err();
    let texts = json!(accepted_texts(SERVER)).to_string();
    let want = format!("Invalid gaiaChallenge text in supplied JWT: \"x\" not found in {texts}");
    assert_eq!(error, want);
    assert!(plain(&with(&json!({"gaiaChallenge": null}))).is_err());
    let elsewhere = LegacyToken::make(&key(), &challenge_text("elsewhere"));
    let want = refused("Invalid signature or expired authentication token.");
    assert_eq!(plain(&elsewhere.authorization()), want);
}

#[test]
fn tokens_end_when_they_say_so() {
    let bucket = key().address();
    for exp in [
        json!(null),
        json!(0),
        json!(NOW),
        json!(1_700_000_000.5),
        json!(4e12),
    ] {
        assert_eq!(plain(&with(&json!({ "exp": exp }))), Ok(bucket), "{exp}");
    }
    let want = "Expired authentication token: expire time of 1699999999 (secs since epoch)";
    assert_eq!(plain(&with(&json!({"exp": NOW - 1}))), refused(want));
    let want = "Expired authentication token: expire time of 1699999999.5 (secs since epoch)";
    assert_eq!(
        plain(&with(&json!({"exp": 1_699_999_999.5}))),
        refused(want)
    );
}

#[test]
fn revocation_binds_v1_tokens_by_their_date() {
    let at =
        |header: &str, seconds| ask(header, |context| context.revoked_before_seconds = seconds);
    let bucket = key().address();
    let undated = with(&json!({}));
    assert_eq!(at(&undated, None), Ok(bucket));
    assert_eq!(at(&undated, Some(0)), Ok(bucket));
    let want = "Gaia bucket requires auth token issued after 1 but this token has no creation \
                timestamp. This token may have been revoked by the user.";
    assert_eq!(at(&undated, Some(1)), refused(want));
    let dated = with(&json!({"iat": 100}));
    assert_eq!(at(&dated, Some(100)), Ok(bucket));
    let want = "Gaia bucket requires auth token issued after 101 but this token was issued 100. \
                This token may have been revoked by the user.";
    assert_eq!(at(&dated, Some(101)), refused(want));
    assert_eq!(at(&with(&json!({"iat": NOW * 2})), Some(NOW)), Ok(bucket));
    // Beyond 2038, where the stock hub wraps around.
    assert!(at(&dated, Some(4_102_444_800)).is_err());
    // As in the stock hub, a legacy token has no date to compare.
    let legacy = LegacyToken::make(&key(), &challenge_text(SERVER));
    assert_eq!(at(&legacy.authorization(), Some(NOW)), Ok(bucket));

    let mut context = AuthContext::new(SERVER, &bucket, NOW);
    context.revoked_before_seconds = Some(1);
    let error = authenticate(&undated, &context).unwrap_err();
    assert_eq!(error.name(), "AuthTokenTimestampValidationError");
}

#[test]
fn the_hub_may_want_to_be_named() {
    let valid = ["http://other:3000".to_owned()];
    let at = |url: Value| {
        let header = with(&json!({ "hubUrl": url }));
        ask(&header, |context| context.hub_urls = HubUrls::OneOf(&valid))
    };
    let bucket = key().address();
    for url in [
        "https://hub",
        "https://hub/",
        "http://other:3000",
        "http://other:3000/",
    ] {
        assert_eq!(at(json!(url)), Ok(bucket), "{url}");
    }
    let want = "Authentication must provide a claimed hub. You may need to update stacks.js.";
    assert_eq!(at(json!(null)), refused(want));
    assert_eq!(at(json!("")), refused(want));
    for url in ["https://hub//", "HTTPS://hub", "https://evil"] {
        let claimed = url.strip_suffix('/').unwrap_or(url);
        let want = format!(
            "Auth token's claimed hub url '{claimed}' not found in this hubs set: \
             [\"http://other:3000\",\"https://hub\"]"
        );
        assert_eq!(at(json!(url)), refused(&want));
    }
}

fn vouch(by: &SecretKey, validity: (u64, u64)) -> AssociationToken {
    let validity = Validity {
        issued_at_seconds: validity.0,
        expires_at_seconds: validity.1,
    };
    AssociationToken::make(by, &key().public(), validity, [0; 16]).unwrap()
}

#[test]
fn a_whitelist_holds_buckets_or_those_who_vouch_for_them() {
    let only = |address| BTreeSet::from([address]);
    let at = |header: &str, list: &BTreeSet<Address>| {
        ask(header, |context| context.whitelist = Some(list))
    };
    let bare = with(&json!({}));
    let vouched = with(&json!({"associationToken": vouch(&parent(), (0, NOW)).as_str()}));
    let (bucket, parent) = (key().address(), parent().address());
    assert_eq!(at(&bare, &only(bucket)), Ok(bucket));
    assert_eq!(at(&vouched, &only(parent)), Ok(parent));
    let want = format!("Address {bucket} not authorized for writes");
    assert_eq!(at(&bare, &only(parent)), refused(&want));
    // Vouched for, it is the parent who counts, and no longer the bucket itself.
    let want = format!("Address {parent} not authorized for writes");
    assert_eq!(at(&vouched, &only(bucket)), refused(&want));
    assert!(at(&bare, &BTreeSet::new()).is_err());
    let legacy = LegacyToken::make(&key(), &challenge_text(SERVER));
    assert_eq!(at(&legacy.authorization(), &only(bucket)), Ok(bucket));
}

#[test]
fn association_tokens_are_checked_in_full() {
    let with_token = |token: &str| plain(&with(&json!({ "associationToken": token })));
    let header = json!({"typ": "JWT", "alg": "ES256K"});
    let association = |changes: Value, signer: &SecretKey| {
        let mut payload = json!({
            "childToAssociate": key().public().to_hex(),
            "iss": parent().public().to_hex(),
            "exp": NOW,
        });
        for (name, value) in changes.as_object().unwrap() {
            payload[name] = value.clone();
        }
        with_token(&forge(&header, &payload, signer))
    };
    let parent = parent();
    assert_eq!(association(json!({}), &parent), Ok(parent.address()));
    assert_eq!(with_token(""), Ok(key().address()));
    let child = parent.public();
    let bucket = key().address();
    for (got, words) in [
        (
            with_token("x"),
            "Failed to decode association token in JWT".to_owned(),
        ),
        (
            association(json!({"iss": null}), &parent),
            "Must provide `iss` claim in association JWT.".into(),
        ),
        (
            association(json!({"childToAssociate": null}), &parent),
            "Must provide `childToAssociate` claim in association JWT.".into(),
        ),
        (
            association(json!({"exp": null}), &parent),
            "Must provide `exp` claim in association JWT.".into(),
        ),
        (
            association(json!({}), &key()),
            "Failed to verify association JWT: invalid issuer".into(),
        ),
        (
            association(json!({"exp": NOW - 1}), &parent),
            "Expired association token: expire time of 1699999999 (secs since epoch)".into(),
        ),
        (
            association(json!({"childToAssociate": child.to_hex()}), &parent),
            format!("Association token child key {child} does not match {bucket}"),
        ),
    ] {
        assert_eq!(got, Err(words));
    }
}

/// Everything is wrong at first; each step mends what the step before was refused for.
#[test]
fn the_first_thing_wrong_is_the_one_that_is_named() {
    let bucket = key().address();
    let list = BTreeSet::new();
    let mut context = AuthContext::new(SERVER, &bucket, NOW);
    context.revoked_before_seconds = Some(1);
    context.hub_urls = HubUrls::OneOf(&[]);
    context.whitelist = Some(&list);
    let mut claims = json!({
        "iss": parent().public().to_hex(), "gaiaChallenge": "x", "exp": 1,
        "associationToken": "x", "hubUrl": "x",
    });
    let mut signer = parent();
    let names = [
        ("iat", json!(1)),
        ("iss", json!(key().public().to_hex())),
        ("hubUrl", json!("https://hub")),
        ("signer", json!(null)),
        ("gaiaChallenge", json!(challenge_text(SERVER))),
        ("exp", json!(0)),
        ("associationToken", json!("")),
    ];
    let mut order = Vec::new();
    for (name, mended) in names {
        let header = format!("bearer v1:{}", forge(&json!({}), &claims, &signer));
        order.push(authenticate(&header, &context).unwrap_err());
        if name == "signer" {
            signer = key();
        } else {
            claims[name] = mended;
        }
    }
    let header = format!("bearer v1:{}", forge(&json!({}), &claims, &signer));
    order.push(authenticate(&header, &context).unwrap_err());
    assert!(
        matches!(
            order.as_slice(),
            [
                AuthError::RevokedUndated { .. },
                AuthError::OtherBucket,
                AuthError::OtherHubUrl { .. },
                AuthError::Signature,
                AuthError::Challenge { .. },
                AuthError::Expired { .. },
                AuthError::Association(_),
                AuthError::NotWhitelisted { .. },
            ]
        ),
        "{order:?}"
    );
}

#[test]
fn scopes_reach_the_authorization() {
    let list = vec![Scope::new(ScopeKind::PutFileArchivalPrefix, "log/")];
    let token = TokenBuilder::new(challenge_text(SERVER), [0; 16])
        .scopes(Scopes::new(list).unwrap())
        .sign(&key())
        .unwrap();
    let bucket = key().address();
    let context = AuthContext::new(SERVER, &bucket, NOW);
    let authorization = authenticate(&token.authorization(), &context).unwrap();
    assert!(authorization.is_archival());
    assert_eq!(*authorization.bucket(), bucket);
    let path = "log/a".parse().unwrap();
    assert_eq!(authorization.may_store(&path), Ok(()));
    assert_eq!(authorization.may_delete(&path), Ok(()));
    let outside = "a".parse().unwrap();
    let want = format!("Address {bucket} not authorized to modify a by scopes");
    for error in [
        authorization.may_store(&outside),
        authorization.may_delete(&outside),
    ] {
        assert_eq!(error.unwrap_err().to_string(), want);
    }
}

#[test]
fn proven_credentials_do_not_move_to_another_hub() {
    let legacy = LegacyToken::make(&key(), &challenge_text(SERVER));
    let proven = Credentials::parse(&legacy.authorization())
        .unwrap()
        .prove(SERVER)
        .unwrap();
    let bucket = key().address();
    let elsewhere = AuthContext::new("elsewhere", &bucket, NOW);
    assert_eq!(
        proven.authorize(&elsewhere),
        Err(AuthError::LegacySignature)
    );
}

#[test]
fn fingerprints_tell_tokens_apart() {
    let one = Credentials::parse(&with(&json!({}))).unwrap();
    let same = Credentials::parse(&with(&json!({})).replace("bearer", "Bearer")).unwrap();
    let two = Credentials::parse(&with(&json!({"salt": "01"}))).unwrap();
    assert_eq!(one.fingerprint(), same.fingerprint());
    assert_ne!(one.fingerprint(), two.fingerprint());
    assert_eq!(format!("{one:?}"), "Credentials(v1)");
}
