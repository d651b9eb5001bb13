//! What the hub says about itself, what it tells browsers, and routes that do not exist.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{World, world};

#[tokio::test]
async fn case_001_hub_info() {
    let world = world().await;
    let client = &world.client;
    for route in ["/hub_info", "/hub_info/"] {
        let url = format!("{}{route}", client.url);
        let response = client.http.get(&url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["access-control-allow-origin"], "*");
        let text = response.text().await.unwrap();
        let mut info: Value = serde_json::from_str(&text).unwrap();
        // Stock clients overlook what they do not know.
        assert!(info.as_object_mut().unwrap().remove("pangaea").is_some());
        let want = json!({
            "challenge_text": "[\"gaiahub\",\"0\",\"gaia-0\",\"blockstack_storage_please_sign\"]",
            "latest_auth_version": "v1",
            "max_file_upload_size_megabytes": 1024,
            "read_url_prefix": format!("{}/read/", client.url),
        });
        assert_eq!(info, want);
        let head = client.http.head(&url).send().await.unwrap();
        assert_eq!(head.status(), 200);
        assert_eq!(head.text().await.unwrap(), "");
    }
}

/// The status of a preflight request, and three of its headers.
async fn preflight(world: &World, route: &str, asked: &str) -> (u16, [String; 3]) {
    let url = format!("{}{route}", world.client.url);
    let request = world.client.http.request(Method::OPTIONS, url);
    let request = request
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", asked);
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    let headers =
        ["methods", "headers"].map(|what| header(&format!("access-control-allow-{what}")));
    let [methods, allowed] = headers;
    let age = header("access-control-max-age");
    (response.status().as_u16(), [methods, allowed, age])
}

#[tokio::test]
async fn case_002_preflight() {
    let world = world().await;
    let bucket = world.client.bucket();
    for route in [
        format!("/store/{bucket}/a"),
        format!("/delete/{bucket}/a"),
        format!("/list-files/{bucket}"),
        format!("/revoke-all/{bucket}"),
        "/hub_info".to_owned(),
    ] {
        let (status, [methods, allowed, age]) = preflight(&world, &route, "x-anything").await;
        assert_eq!(status, 204, "{route}");
        assert_eq!(methods, "DELETE,POST,GET,OPTIONS,HEAD");
        assert_eq!(age, "86400");
        for name in ["Authorization", "Content-Type", "If-Match", "If-None-Match"] {
            assert!(allowed.split(',').any(|one| one == name), "{allowed}");
        }
        // The stock client sends it, and browsers would refuse to let it ask a stock hub.
        assert!(
            allowed.split(',').any(|one| one == "x-hiro-product"),
            "{allowed}"
        );
    }
    // Reads, as the stock reader does it: whatever is asked for is allowed.
    let read = format!("/read/{bucket}/a");
    let (status, headers) = preflight(&world, &read, "x-anything, range").await;
    assert_eq!(status, 204);
    assert_eq!(headers, ["GET,HEAD,OPTIONS", "x-anything, range", "86400"]);
}

async fn has_no_route(world: &World, method: &str, target: &str) {
    let answer = world.raw(method, target, "x").await;
    assert_eq!(answer.status, 404, "{method} {target}");
    assert!(answer.head.contains("text/html"), "{}", answer.head);
    let body = &answer.body;
    assert!(body.contains(&format!("Cannot {method} ")), "{body}");
}

#[tokio::test]
async fn case_003_put_and_get_are_no_way_to_store() {
    let world = world().await;
    let target = format!("/store/{}/a", world.client.bucket());
    for method in ["PUT", "GET", "PATCH", "DELETE"] {
        has_no_route(&world, method, &target).await;
    }
}

#[tokio::test]
async fn case_004_a_store_without_a_path() {
    let world = world().await;
    let bucket = world.client.bucket();
    for target in [
        "/store",
        "/store/",
        &format!("/store/{bucket}"),
        &format!("/store/{bucket}/"),
    ] {
        has_no_route(&world, "POST", target).await;
    }
}

#[tokio::test]
async fn case_005_a_broken_percent_escape() {
    let world = world().await;
    for raw_path in ["a%", "a%2", "a%zz", "%ff%fe"] {
        for (method, route) in [("POST", "store"), ("DELETE", "delete"), ("GET", "read")] {
            let target = format!("/{route}/{}/{raw_path}", world.client.bucket());
            let answer = world.raw(method, &target, "").await;
            assert_eq!(answer.status, 400, "{method} {raw_path}");
            assert!(answer.head.contains("text/html"), "{}", answer.head);
        }
    }
}

#[tokio::test]
async fn case_006_queries_are_ignored() {
    let world = world().await;
    assert_eq!(world.client.put("a?b=c", "x").await.status, 202);
    assert_eq!(world.client.names().await, ["a"]);
    assert_eq!(world.client.body("a?anything").await, "x");
    assert_eq!(world.client.delete("a?b").await.status, 202);
}

#[tokio::test]
async fn case_007_routes_that_do_not_exist() {
    let world = world().await;
    let bucket = world.client.bucket();
    for (method, target) in [
        ("GET", format!("/list-files/{bucket}")),
        ("GET", format!("/revoke-all/{bucket}")),
        ("POST", format!("/read/{bucket}/a")),
        ("POST", format!("/store/{bucket}%2Fa/b")),
        ("POST", "/hub_info".to_owned()),
        ("GET", "/nothing".to_owned()),
        ("POST", "/nothing/at/all".to_owned()),
    ] {
        has_no_route(&world, method, &target).await;
    }
    for (target, shown) in [("/a&b\"c", "Cannot GET /a&amp;b"), ("/<script>", "")] {
        let answer = world.raw("GET", target, "").await;
        assert!(!answer.body.contains("<script>"), "{}", answer.body);
        assert!(answer.body.contains(shown), "{}", answer.body);
    }
}
