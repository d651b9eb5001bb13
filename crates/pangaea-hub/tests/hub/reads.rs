//! Reading: headers, conditions, ranges.

use gaia::etag::ETag;
use reqwest::Method;

use crate::support::{Client, world};

async fn get_with(client: &Client, method: Method, headers: &[(&str, &str)]) -> reqwest::Response {
    let url = format!("{}/read/{}/a", client.url, client.bucket());
    let mut request = client.http.request(method, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
}

#[tokio::test]
async fn case_009_010_get_and_head() {
    let world = world().await;
    let client = &world.client;
    for body in ["hello gaia".to_owned(), "0123456789".repeat(20_000)] {
        client.put("a", body.clone()).await;
        for method in [Method::GET, Method::HEAD] {
            let response =
                get_with(client, method.clone(), &[("x-hiro-product", "stacksjs")]).await;
            assert_eq!(response.status(), 200);
            let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
            assert_eq!(header("content-type"), "application/octet-stream");
            assert_eq!(header("etag"), ETag::of(body.as_bytes()).as_str());
            assert_eq!(header("content-length"), body.len().to_string());
            assert_eq!(header("cache-control"), "no-cache");
            assert_eq!(header("access-control-allow-origin"), "*");
            assert_eq!(header("x-content-type-options"), "nosniff");
            assert!(header("content-security-policy").starts_with("sandbox"));
            assert!(header("last-modified").ends_with("GMT"));
            let exposed = header("access-control-expose-headers");
            for name in [
                "ETag",
                "Content-Type",
                "Content-Length",
                "Last-Modified",
                "Retry-After",
            ] {
                assert!(exposed.contains(name), "{exposed}");
            }
            let want = if method == Method::GET {
                body.as_str()
            } else {
                ""
            };
            assert!(response.text().await.unwrap() == want);
        }
    }
}

#[tokio::test]
async fn what_is_not_there() {
    let world = world().await;
    let response = world.client.get("a").await;
    assert_eq!(response.status(), 404);
    assert!(response.headers().get("etag").is_none());
    assert_eq!(response.headers()["access-control-allow-origin"], "*");
    assert_eq!(response.text().await.unwrap(), "File not found");
    let target = format!("/read/{}/x/../y", world.client.bucket());
    let answer = world.raw("GET", &target, "").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (400, "Could not return file")
    );
    assert_eq!(world.raw("GET", "/read/nobody/x", "").await.status, 404);
}

#[tokio::test]
async fn an_unchanged_file_is_not_sent_again() {
    let world = world().await;
    world.client.put("a", "hello gaia").await;
    let tag = ETag::of(b"hello gaia").as_str().to_owned();
    for value in [
        tag.clone(),
        format!("\"{tag}\""),
        format!("W/\"{tag}\""),
        format!("\"x\", {tag}"),
    ] {
        let response = get_with(&world.client, Method::GET, &[("If-None-Match", &value)]).await;
        assert_eq!(response.status(), 304, "{value}");
        assert_eq!(response.headers()["etag"], tag.as_str());
        assert_eq!(response.text().await.unwrap(), "");
    }
    let response = get_with(
        &world.client,
        Method::GET,
        &[("If-None-Match", "\"other\"")],
    )
    .await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn parts_of_files() {
    let world = world().await;
    let body: String = (0..100_000)
        .map(|n| char::from(b'a' + (n % 26) as u8))
        .collect();
    for (name, whole) in [("inline", &body[..1000]), ("blob", &body[..])] {
        world.client.put("a", whole.to_owned()).await;
        let size = whole.len();
        let response = get_with(&world.client, Method::GET, &[("Range", "bytes=10-19")]).await;
        assert_eq!(response.status(), 206, "{name}");
        let want = format!("bytes 10-19/{size}");
        assert_eq!(response.headers()["content-range"], want.as_str());
        assert_eq!(response.headers()["content-length"], "10");
        assert_eq!(response.text().await.unwrap(), &whole[10..20]);
        let response = get_with(&world.client, Method::GET, &[("Range", "bytes=-5")]).await;
        assert_eq!(response.text().await.unwrap(), &whole[size - 5..]);
        let response = get_with(&world.client, Method::GET, &[("Range", "bytes=100000-")]).await;
        assert_eq!(response.status(), 416);
        let want = format!("bytes */{size}");
        assert_eq!(response.headers()["content-range"], want.as_str());
        let stale = [("Range", "bytes=0-1"), ("If-Range", "\"stale\"")];
        let response = get_with(&world.client, Method::GET, &stale).await;
        assert_eq!(response.status(), 200);
        let response = get_with(&world.client, Method::HEAD, &[("Range", "bytes=0-1")]).await;
        assert_eq!(
            response.headers()["content-length"],
            size.to_string().as_str()
        );
    }
}

#[tokio::test]
async fn stored_pages_do_not_run_in_a_browser() {
    let world = world().await;
    for (kind, shown) in [
        ("text/html", false),
        ("image/svg+xml", false),
        ("image/png", true),
    ] {
        let request = world.client.store("a").header("Content-Type", kind);
        request.body("<script>").send().await.unwrap();
        let response = world.client.get("a").await;
        let attached = response.headers().get("content-disposition").is_some();
        assert_eq!(attached, !shown, "{kind}");
    }
}
