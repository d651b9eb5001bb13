//! The status page: who sees it, and what is on it.

use pangaea_hub::Quota;
use reqwest::StatusCode;

use crate::metrics::{TOKEN, administrated};
use crate::support::{Client, key};

#[tokio::test]
async fn only_the_token_opens_it_and_a_browser_may_send_it_as_a_password() {
    let world = administrated(|_| {}).await;
    let http = &world.client.http;
    for route in ["/", "/metrics"] {
        let url = world.admin(route);
        let refused = http.get(&url).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::UNAUTHORIZED, "{route}");
        let challenge = refused.headers()["www-authenticate"].to_str().unwrap();
        assert!(challenge.starts_with("Basic realm="), "{challenge}");
        let wrong = http.get(&url).basic_auth("admin", Some("wrong"));
        assert_eq!(wrong.send().await.unwrap().status(), 401);
        let nothing = http.get(&url).basic_auth(TOKEN, Some(""));
        assert_eq!(nothing.send().await.unwrap().status(), 401);
        let right = http.get(&url).basic_auth("anybody", Some(TOKEN));
        assert_eq!(right.send().await.unwrap().status(), 200);
        let right = http.get(&url).bearer_auth(TOKEN);
        assert_eq!(right.send().await.unwrap().status(), 200);
    }
    // What a browser sends by itself changes nothing and shows no settings.
    let url = world.admin("/v1/admin/reload");
    let password = http.post(url).basic_auth("admin", Some(TOKEN));
    assert_eq!(password.send().await.unwrap().status(), 403);
    let url = world.admin("/v1/admin/config");
    let password = http.get(url).basic_auth("admin", Some(TOKEN));
    assert_eq!(password.send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn it_shows_what_there_is_and_nothing_from_elsewhere() {
    let world = administrated(|config| {
        config.server_name = "<b>hub</b>".into();
        let quota = Quota {
            bytes: Some(1 << 20),
            files: None,
        };
        config.quota.buckets.insert(key(2).address(), quota);
    })
    .await;
    let page = async || {
        let request = world.client.http.get(world.admin("/")).bearer_auth(TOKEN);
        request.send().await.unwrap()
    };
    let empty = page().await.text().await.unwrap();
    assert!(empty.contains("Nothing has been stored yet."), "{empty}");

    let token =
        gaia::token::TokenBuilder::new(gaia::challenge::challenge_text("<b>hub</b>"), [7; 16]);
    for (n, size) in [(1, 100_000), (2, 300_000)] {
        let client = Client::new(&world.client.url, key(n)).with_token(token.clone());
        assert_eq!(client.put("Private-Path", vec![0; size]).await.status, 202);
        assert_eq!(client.body("Private-Path").await.len(), size);
    }
    let answer = page().await;
    let headers = answer.headers().clone();
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; style-src 'sha256-"),
        "{policy}"
    );
    assert_eq!(headers["cache-control"], "no-store");
    let html = answer.text().await.unwrap();
    let (first, second) = (key(2).address().to_string(), key(1).address().to_string());
    let at = |text: &str| {
        html.find(text)
            .unwrap_or_else(|| panic!("{text} in {html}"))
    };
    assert!(at(&first) < at(&second), "the larger one first");
    at("<meter min=\"0\" max=\"1048576\"");
    at("of 1.0 MiB");
    at("<th>store<td>2<td>");
    at("&lt;b&gt;hub&lt;/b&gt;");
    at("Ready");
    for hidden in [
        "<b>hub",
        "Private-Path",
        TOKEN,
        "<script",
        "src=",
        "http://",
        "https://",
    ] {
        assert!(!html.contains(hidden), "{hidden} in {html}");
    }
}
