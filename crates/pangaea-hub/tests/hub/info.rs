//! What the hub says about itself, CORS, and routes that do not exist.

use reqwest::Method;
use serde_json::json;

use crate::support::{Client, key, world, world_with};

#[tokio::test]
async fn case_001_hub_info() {
    let world = world().await;
    let client = &world.client;
    for route in ["/hub_info", "/hub_info/"] {
        let response = client
            .http
            .get(format!("{}{route}", client.url))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        let info: serde_json::Value =
            serde_json::from_str(&response.text().await.unwrap()).unwrap();
        let want = json!({
            "challenge_text": "[\"gaiahub\",\"0\",\"gaia-0\",\"blockstack_storage_please_sign\"]",
            "latest_auth_version": "v1",
            "max_file_upload_size_megabytes": 1024,
            "read_url_prefix": format!("{}/read/", client.url),
            "pangaea": {
                "version": 1,
                "features": [
                    "batch", "fetch", "conditional-delete", "not-modified", "range", "tag-in-412",
                ],
            },
        });
        assert_eq!(info, want);
    }
    let head = client
        .http
        .head(format!("{}/hub_info", client.url))
        .send()
        .await
        .unwrap();
    assert_eq!(
        (head.status().as_u16(), head.text().await.unwrap()),
        (200, String::new())
    );
}

#[tokio::test]
async fn case_002_preflight() {
    let world = world().await;
    let client = &world.client;
    let url = format!("{}/store/{}/a", client.url, client.bucket());
    let response = client
        .http
        .request(Method::OPTIONS, url)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 204);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(
        header("access-control-allow-methods"),
        "DELETE,POST,GET,OPTIONS,HEAD"
    );
    let allowed = "Authorization,Content-Type,If-Match,If-None-Match,x-hiro-product";
    assert_eq!(header("access-control-allow-headers"), allowed);
    assert_eq!(header("access-control-max-age"), "86400");
    assert_eq!(header("access-control-allow-origin"), "*");

    let url = format!("{}/read/{}/a", client.url, client.bucket());
    let request = client.http.request(Method::OPTIONS, url);
    let asked = request.header("access-control-request-headers", "x-anything");
    let response = asked.send().await.unwrap();
    assert_eq!(response.status(), 204);
    assert_eq!(
        response.headers()["access-control-allow-headers"],
        "x-anything"
    );
    assert_eq!(
        response.headers()["access-control-allow-methods"],
        "GET,HEAD,OPTIONS"
    );
}

#[tokio::test]
async fn case_003_004_007_routes_that_do_not_exist() {
    let world = world().await;
    let bucket = world.client.bucket();
    for (method, target) in [
        ("PUT", format!("/store/{bucket}/a")),
        ("GET", format!("/store/{bucket}/a")),
        ("GET", format!("/list-files/{bucket}")),
        ("POST", format!("/store/{bucket}")),
        ("POST", format!("/store/{bucket}/")),
        ("POST", format!("/read/{bucket}/a")),
        ("POST", format!("/store/{bucket}%2Fa/b")),
        ("GET", "/".to_owned()),
        ("GET", "/nothing".to_owned()),
    ] {
        let answer = world.raw(method, &target, "x").await;
        assert_eq!(answer.status, 404, "{method} {target}");
        assert!(answer.head.contains("text/html"), "{}", answer.head);
        assert!(
            answer.body.contains(&format!("Cannot {method} ")),
            "{}",
            answer.body
        );
    }
    let answer = world.raw("GET", "/<script>", "").await;
    assert!(!answer.body.contains("<script>"), "{}", answer.body);
}

#[tokio::test]
async fn case_005_bad_percent_escape() {
    let world = world().await;
    for raw_path in ["a%", "a%2", "a%zz", "%ff%fe"] {
        let (status, _) = world.raw_store(raw_path, "x").await;
        assert_eq!(status, 400, "{raw_path}");
    }
}

#[tokio::test]
async fn case_006_queries_are_ignored() {
    let world = world().await;
    assert_eq!(world.client.put("a?b=c", "x").await.status, 202);
    assert_eq!(world.client.names().await, ["a"]);
    assert_eq!(world.client.body("a?anything").await, "x");
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
