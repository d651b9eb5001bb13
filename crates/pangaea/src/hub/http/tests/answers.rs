//! What each kind of answer leads to.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use gaia::token::ParsedToken;

use super::raw::RawServer;
use super::raw::Reply;
use super::raw::answer;
use super::raw::answer_bytes;
use super::*;

const SIGN_IN_PAGE: &str = "<html>Welcome to the airport. Please accept.</html>";

/// A hub whose every answer but `hub_info` is this one.
fn always(status: &'static str, headers: &'static [(&str, &str)], body: &'static str) -> RawServer {
    RawServer::start(move |asked| match asked.target.as_str() {
        "/hub_info" => Reply::Info,
        _ => answer(status, headers, body),
    })
}

#[tokio::test]
async fn a_captive_portal_is_no_hub() {
    let html = [("Content-Type", "text/html")];
    let portal = RawServer::start(move |_| answer("200 OK", &html, SIGN_IN_PAGE));
    for outcome in every_call(&client(&portal.url)).await {
        let Err(error @ HubError::Unreachable { .. }) = outcome else {
            panic!("{outcome:?}")
        };
        assert!(
            error.to_string().contains("does not answer as a Gaia hub"),
            "{error}"
        );
    }
    assert!(
        portal
            .asked()
            .iter()
            .all(|asked| asked.header("authorization").is_none())
    );
}

#[tokio::test]
async fn a_captive_portal_that_comes_later_is_no_hub_either() {
    let portal = always("200 OK", &[("Content-Type", "text/html")], SIGN_IN_PAGE);
    for outcome in every_call(&client(&portal.url)).await {
        assert!(is_unreachable(&outcome), "{outcome:?}");
    }
    let portal = always("302 Found", &[("Location", "http://portal.invalid/")], "");
    for outcome in every_call(&client(&portal.url)).await {
        assert!(is_unreachable(&outcome), "{outcome:?}");
    }
}

#[tokio::test]
async fn only_a_hubs_challenge_is_signed() {
    for challenge in ["I owe you money", r#"[\"gaiahub\",\"0\",\"x\",\"pay\"]"#] {
        let info = format!(
            r#"{{"challenge_text":"{challenge}","latest_auth_version":"v1","read_url_prefix":"http://x/"}}"#
        );
        let server = RawServer::start(move |_| answer("200 OK", &[], &info));
        let outcome = client(&server.url).list().await;
        assert!(is_unreachable(&outcome), "{outcome:?}");
        assert!(server.lines().is_empty());
    }
}

#[tokio::test]
async fn later_means_later() {
    for (status, headers, expected) in [
        (
            "429 Too Many Requests",
            &[("Retry-After", "17")][..],
            Some(17_000),
        ),
        (
            "503 Service Unavailable",
            &[
                ("Date", "Mon, 23 Nov 2026 10:00:00 GMT"),
                ("Retry-After", "Mon, 23 Nov 2026 10:00:05 GMT"),
            ][..],
            Some(5000),
        ),
        ("503 Service Unavailable", &[][..], None),
        ("500 Internal Server Error", &[][..], None),
        ("502 Bad Gateway", &[("Retry-After", "soon")][..], None),
    ] {
        let server = always(status, headers, "<html>not now</html>");
        for outcome in every_call(&client(&server.url)).await {
            let Err(HubError::Unreachable { retry_after_ms, .. }) = outcome else {
                panic!("{status}: {outcome:?}");
            };
            assert_eq!(retry_after_ms, expected, "{status}");
        }
    }
}

#[tokio::test]
async fn refusals_are_told_in_the_hubs_words() {
    for (status, body, words) in [
        (
            "403 Forbidden",
            r#"{"message":"Invalid Path","error":"BadPathError"}"#,
            "Invalid Path",
        ),
        ("400 Bad Request", "<html>", "400 Bad Request"),
        (
            "402 Payment Required",
            r#"{"message":"Not enough proofs"}"#,
            "Not enough proofs",
        ),
        (
            "413 Payload Too Large",
            r#"{"message":"20971520"}"#,
            "limit of 20 MB",
        ),
    ] {
        let server = always(status, &[], body);
        let error = create(&client(&server.url), "a", "a").await.unwrap_err();
        assert!(
            matches!(error, HubError::Refused { .. }),
            "{status}: {error:?}"
        );
        assert!(error.to_string().contains(words), "{error}");
    }
    let busy = r#"{"message":"Concurrent operation (store) attempted","error":"ConflictError"}"#;
    for (status, body) in [
        ("409 Conflict", busy),
        // What a stock hub says for ever where a folder has the name of the file.
        ("500 Internal Server Error", r#"{"message":"Server Error"}"#),
    ] {
        let server = always(status, &[], body);
        let error = create(&client(&server.url), "a", "a").await.unwrap_err();
        assert!(
            matches!(error, HubError::Busy { .. }),
            "{status}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_it_was_good() {
    const REVOKED: &str = r#"{"message":"This token may have been revoked by the user.","error":"AuthTokenTimestampValidationError"}"#;
    let server = always("401 Unauthorized", &[], REVOKED);
    let hub = client(&server.url);
    // A fresh token: nothing to hope for.
    let error = hub.list().await.unwrap_err();
    assert!(matches!(error, HubError::Unauthorized { .. }), "{error:?}");
    assert!(error.to_string().contains("revoked"), "{error}");
    assert_eq!((server.sessions(), server.lines().len()), (1, 1));
    // Each later call asks the hub anew what it wants; one with an old token tries twice.
    hub.info().await.unwrap();
    assert_eq!(server.sessions(), 2);
    hub.sessions.grow_old().await;
    let error = create(&hub, "a", "a").await.unwrap_err();
    assert!(matches!(error, HubError::Unauthorized { .. }), "{error:?}");
    assert_eq!((server.sessions(), server.lines().len()), (3, 3));
    // A stream cannot be sent twice, so the caller is asked to come again.
    hub.info().await.unwrap();
    hub.sessions.grow_old().await;
    let stream = Box::pin(futures_util::stream::iter([Ok(bytes::Bytes::from_static(
        b"a",
    ))]));
    let body = HubBody::Stream { size: 1, stream };
    let outcome = hub
        .write(&path("a"), "text/plain", body, &Condition::Create)
        .await;
    let Err(HubError::Unreachable {
        retry_after_ms: Some(0),
        ..
    }) = outcome
    else {
        panic!("{outcome:?}");
    };
}

#[tokio::test]
async fn a_hub_whose_reader_is_down_is_unwell() {
    const BODY: &str = r#"{"message":"Error trying to fetch bucket authentication revocation timestamp: connect ECONNREFUSED","error":"ValidationError"}"#;
    let server = always("401 Unauthorized", &[], BODY);
    let hub = client(&server.url);
    for outcome in [
        hub.list().await.map(drop),
        create(&hub, "a", "a").await.map(drop),
    ] {
        assert!(is_unreachable(&outcome), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_token_is_never_repeated() {
    let server = RawServer::start(|asked| match asked.header("authorization") {
        None => Reply::Info,
        Some(token) => answer(
            "403 Forbidden",
            &[],
            &format!(r#"{{"message":"no: {token}"}}"#),
        ),
    });
    let hub = client(&server.url);
    let error = hub.list().await.unwrap_err();
    let header = server.asked()[1]
        .header("authorization")
        .unwrap()
        .to_owned();
    let token = header.strip_prefix("bearer v1:").unwrap();
    for text in [error.to_string(), format!("{error:?}"), format!("{hub:?}")] {
        assert!(
            !text.contains(token) && !text.contains(&token[..40]),
            "{text}"
        );
    }
    assert!(
        error.to_string().contains("no: bearer v1:(the token)"),
        "{error}"
    );
}

#[tokio::test]
async fn a_token_lives_a_day_by_the_hubs_clock() {
    let server = always("202 Accepted", &[], r#"{"entries":[],"page":null}"#);
    client(&server.url).list().await.unwrap();
    let header = server.asked()[1]
        .header("authorization")
        .unwrap()
        .to_owned();
    let token = header.strip_prefix("bearer v1:").unwrap();
    let verified = ParsedToken::parse(token).unwrap().verify().unwrap();
    let claims = verified.claims();
    // The date that the server's hub_info carries.
    let now = 1_795_428_000.0;
    assert_eq!(claims.issued_at_seconds, Some(now));
    assert_eq!(claims.expires_at_seconds, Some(now + 86_400.0));
    assert_eq!(claims.hub_url.as_deref(), Some(server.url.as_str()));
}

#[tokio::test]
async fn a_hub_of_earlier_days_gets_a_legacy_token() {
    let server = RawServer::start(|asked| match asked.target.as_str() {
        "/hub_info" => {
            let info = format!(
                r#"{{"challenge_text":"{}","read_url_prefix":"http://x.invalid/"}}"#,
                raw::CHALLENGE
            );
            answer("200 OK", &[], &info)
        }
        _ => answer("202 Accepted", &[], r#"{"entries":[],"page":null}"#),
    });
    client(&server.url).list().await.unwrap();
    let header = server.asked()[1]
        .header("authorization")
        .unwrap()
        .to_owned();
    assert!(
        header.starts_with("bearer ") && !header.contains(':'),
        "{header}"
    );
}

#[tokio::test]
async fn a_stock_delete_looks_first() {
    let tag = ETag::of(b"mine");
    let server = RawServer::start(|asked| match asked.line() {
        ("HEAD", target) if target.ends_with("/gone") => answer("404 Not Found", &[], ""),
        ("HEAD", target) if target.ends_with("/torn") => {
            Reply::Send(answer_bytes("200 OK", &[("ETag", "undefined")], ""))
        }
        ("HEAD", _) => {
            let tag = ETag::of(b"mine");
            Reply::Send(answer_bytes("200 OK", &[("ETag", tag.as_str())], ""))
        }
        ("DELETE", target) if target.ends_with("/late") => answer(
            "404 Not Found",
            &[],
            r#"{"message":"no","error":"DoesNotExist"}"#,
        ),
        ("DELETE", _) => answer("202 Accepted", &[], ""),
        _ => Reply::Info,
    });
    let hub = client(&server.url);
    assert_eq!(
        hub.delete(&path("a"), &tag).await.unwrap(),
        HubOutcome::Done(None)
    );
    assert_eq!(
        hub.delete(&path("gone"), &tag).await.unwrap(),
        HubOutcome::Absent
    );
    assert_eq!(
        hub.delete(&path("late"), &tag).await.unwrap(),
        HubOutcome::Absent
    );
    let failed = hub.delete(&path("a"), &ETag::of(b"other")).await.unwrap();
    // What a reader says may come from a cache, so it bears out nothing.
    assert_eq!(failed, HubOutcome::ConditionFailed(None));
    let torn = hub.delete(&path("torn"), &tag).await;
    assert!(matches!(torn, Err(HubError::Refused { .. })), "{torn:?}");
    let deletes = server
        .lines()
        .iter()
        .filter(|line| line.starts_with("DELETE"))
        .count();
    assert_eq!(deletes, 2);
}

#[tokio::test]
async fn conditions_go_out_as_the_hub_spelled_its_tag() {
    let server = always(
        "412 Precondition Failed",
        &[],
        r#"{"message":"no","etag":"ABCD"}"#,
    );
    let hub = client(&server.url);
    let quoted = ETag::parse("\"AAAA\"").unwrap();
    let failed = replace(&hub, "a", "a", &quoted).await.unwrap();
    assert_eq!(failed, HubOutcome::ConditionFailed(ETag::parse("abcd")));
    create(&hub, "a", "a").await.unwrap();
    let asked = server.asked();
    assert_eq!(asked[1].header("if-match"), Some("\"AAAA\""));
    assert_eq!(asked[1].header("if-none-match"), None);
    assert_eq!(asked[2].header("if-none-match"), Some("*"));
    assert_eq!(asked[2].header("content-length"), Some("1"));
}

#[tokio::test]
async fn one_failure_is_shared_by_all_who_wait() {
    let asked = AtomicUsize::new(0);
    let server = RawServer::start(move |_| {
        asked.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(std::time::Duration::from_millis(100));
        answer("503 Service Unavailable", &[("Retry-After", "3")], "")
    });
    let hub = client(&server.url);
    let outcomes = futures_util::future::join_all((0..8).map(|_| hub.list())).await;
    for outcome in outcomes {
        let Err(HubError::Unreachable {
            retry_after_ms: Some(3000),
            ..
        }) = outcome
        else {
            panic!("{outcome:?}");
        };
    }
    assert_eq!(server.sessions(), 1);
}
