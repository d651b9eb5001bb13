//! Reading: headers, conditions, ranges.

use gaia::etag::ETag;
use pangaea_hub::{Hub, HubConfig};
use reqwest::Method;

use crate::support::{Answer, Client, any_port, world, world_with};

async fn get_with(client: &Client, method: Method, headers: &[(&str, &str)]) -> reqwest::Response {
    let url = format!("{}/read/{}/a", client.url, client.bucket());
    let mut request = client.http.request(method, url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.send().await.unwrap()
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

/// The body and the headers of a `GET` that must have this status.
async fn answer(
    client: &Client,
    status: u16,
    headers: &[(&str, &str)],
) -> (String, reqwest::header::HeaderMap) {
    let response = get_with(client, Method::GET, headers).await;
    assert_eq!(response.status(), status, "{headers:?}");
    let headers = response.headers().clone();
    (response.text().await.unwrap(), headers)
}

/// Reads until the date of the file can be told from that of a version of the next second.
async fn settled_date(client: &Client) -> String {
    let date = |response: &reqwest::Response| response.headers()["last-modified"].clone();
    let first = date(&client.get("a").await);
    for _ in 0..300 {
        let now = date(&client.get("a").await);
        if now != first {
            return now.to_str().unwrap().to_owned();
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the date of the file is never given out");
}

#[tokio::test]
async fn an_unchanged_file_is_not_sent_again() {
    let world = world().await;
    let client = &world.client;
    client.put("a", "hello gaia").await;
    let tag = ETag::of(b"hello gaia").as_str().to_owned();
    for value in [
        tag.clone(),
        format!("\"{tag}\""),
        format!("W/\"{tag}\""),
        format!("\"x\", {tag}"),
        format!("\"x\" ,, W/\"{tag}\""),
        "*".to_owned(),
    ] {
        for method in [Method::GET, Method::HEAD] {
            let response = get_with(client, method, &[("If-None-Match", &value)]).await;
            assert_eq!(response.status(), 304, "{value}");
            let headers = response.headers();
            assert_eq!(headers["etag"], tag.as_str());
            assert_eq!(headers["cache-control"], "no-cache");
            assert!(headers.contains_key("last-modified") && headers.contains_key("date"));
            assert!(!headers.contains_key("content-type"));
            assert_eq!(response.text().await.unwrap(), "");
        }
    }
    for value in ["\"other\"", "x, y", "\"\""] {
        answer(client, 200, &[("If-None-Match", value)]).await;
    }
    // Where there is no file, there is nothing that a client could have.
    client.delete("a").await;
    answer(client, 404, &[("If-None-Match", "*")]).await;
}

#[tokio::test]
async fn a_date_will_do_instead_of_a_tag() {
    let world = world().await;
    let client = &world.client;
    client.put("a", "1").await;
    let date = settled_date(client).await;
    let later = "Fri, 31 Dec 2100 23:59:59 GMT";
    for since in [date.as_str(), later] {
        let (body, headers) = answer(client, 304, &[("If-Modified-Since", since)]).await;
        assert_eq!(body, "");
        assert_eq!(headers["last-modified"], date.as_str());
    }
    for (name, value) in [
        ("If-Modified-Since", "Sat, 01 Jan 2000 00:00:00 GMT"),
        ("If-Modified-Since", "lately"),
        ("If-Unmodified-Since", &date),
    ] {
        assert_eq!(answer(client, 200, &[(name, value)]).await.0, "1");
    }
    let old = [("If-Unmodified-Since", "Sat, 01 Jan 2000 00:00:00 GMT")];
    answer(client, 412, &old).await;
    // A tag that has changed counts for more than a date that has not.
    let both = [("If-None-Match", "\"other\""), ("If-Modified-Since", later)];
    answer(client, 200, &both).await;

    // Two versions in one second: nobody was told the date of either.
    let (_, headers) = answer(client, 200, &[]).await;
    client.put("a", "2").await;
    let known = headers["last-modified"].to_str().unwrap();
    assert_eq!(
        answer(client, 200, &[("If-Modified-Since", known)]).await.0,
        "2"
    );
    let (_, headers) = answer(client, 200, &[]).await;
    client.put("a", "3").await;
    let known = headers["last-modified"].to_str().unwrap();
    assert_eq!(
        answer(client, 200, &[("If-Modified-Since", known)]).await.0,
        "3"
    );
}

#[tokio::test]
async fn a_reader_may_insist_on_a_version() {
    let world = world().await;
    let client = &world.client;
    let tag = client.put("a", "1").await.text("etag").to_owned();
    for value in [tag.as_str(), "*", &format!("\"x\", \"{tag}\"")] {
        assert_eq!(answer(client, 200, &[("If-Match", value)]).await.0, "1");
    }
    let (body, _) = answer(client, 412, &[("If-Match", "\"x\"")]).await;
    let json: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(json["error"], "PreconditionFailedError");
    assert_eq!(json["etag"], tag);
}

fn letters(count: usize) -> String {
    let letter = |n: usize| char::from(b'a' + u8::try_from(n % 26).unwrap());
    (0..count).map(letter).collect()
}

#[tokio::test]
async fn parts_of_files() {
    let world = world().await;
    let client = &world.client;
    for (name, size) in [("inline", 1_000), ("blob", 700_000)] {
        let whole = letters(size);
        client.put("a", whole.clone()).await;
        for (range, first, last) in [
            ("bytes=10-19", 10, 19),
            ("bytes=-5", size - 5, size - 1),
            (&*format!("bytes={}-", size - 7), size - 7, size - 1),
            ("bytes=900-9999999999999999999999", 900, size - 1),
            ("bytes=0-0, 9999999-", 0, 0),
        ] {
            let (body, headers) = answer(client, 206, &[("Range", range)]).await;
            assert!(body == whole[first..=last], "{name}: {range}");
            let want = format!("bytes {first}-{last}/{size}");
            assert_eq!(headers["content-range"], want.as_str());
            assert_eq!(headers["content-length"], body.len().to_string().as_str());
            assert_eq!(headers["accept-ranges"], "bytes");
        }
        let (_, headers) = answer(client, 416, &[("Range", "bytes=800000-")]).await;
        let want = format!("bytes */{size}");
        assert_eq!(headers["content-range"], want.as_str());
        for ignored in ["bytes=9-1", "lines=1-2", "bytes=0-,0-", "bytes=x"] {
            let (body, headers) = answer(client, 200, &[("Range", ignored)]).await;
            assert!(body == whole, "{name}: {ignored}");
            assert!(!headers.contains_key("content-range"));
        }
        let response = get_with(client, Method::HEAD, &[("Range", "bytes=0-1")]).await;
        assert_eq!(response.status(), 200, "a part of a head has no meaning");
        assert_eq!(
            response.headers()["content-length"],
            size.to_string().as_str()
        );
    }
    client.put("a", "").await;
    answer(client, 416, &[("Range", "bytes=0-")]).await;
    answer(client, 200, &[("Range", "bytes=-1")]).await;
}

#[tokio::test]
async fn several_parts_at_once() {
    let world = world().await;
    let client = &world.client;
    for size in [1_000, 700_000] {
        let whole = letters(size);
        let request = client.store("a").header("Content-Type", "text/plain");
        request.body(whole.clone()).send().await.unwrap();
        let range = [("Range", "bytes=0-1,500-600,-3")];
        let (body, headers) = answer(client, 206, &range).await;
        assert!(!headers.contains_key("content-range"));
        assert_eq!(headers["content-length"], body.len().to_string().as_str());
        let kind = headers["content-type"].to_str().unwrap();
        let boundary = kind
            .strip_prefix("multipart/byteranges; boundary=")
            .unwrap();
        let mut want = String::new();
        for (first, last) in [(0, 1), (500, 600), (size - 3, size - 1)] {
            want += &format!(
                "--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\
                 Content-Range: bytes {first}-{last}/{size}\r\n\r\n{}\r\n",
                &whole[first..=last]
            );
        }
        want += &format!("--{boundary}--\r\n");
        assert_eq!(body, want);
        let (_, again) = answer(client, 206, &range).await;
        assert_ne!(
            again["content-type"], headers["content-type"],
            "no file can know it"
        );
    }
}

#[tokio::test]
async fn a_part_of_the_version_that_the_client_has() {
    let world = world().await;
    let client = &world.client;
    let tag = client.put("a", "0123456789").await.text("etag").to_owned();
    let date = settled_date(client).await;
    for (only_if, status) in [
        (tag.clone(), 206),
        (format!("\"{tag}\""), 206),
        (date, 206),
        (format!("W/\"{tag}\""), 200),
        ("\"stale\"".to_owned(), 200),
        ("Sat, 01 Jan 2000 00:00:00 GMT".to_owned(), 200),
        ("Fri, 31 Dec 2100 23:59:59 GMT".to_owned(), 200),
    ] {
        for range in ["bytes=2-3", "bytes=99-"] {
            let status = if range == "bytes=99-" && status == 206 {
                416
            } else {
                status
            };
            let headers = [("Range", range), ("If-Range", only_if.as_str())];
            answer(client, status, &headers).await;
        }
    }
    // What need not be sent at all need not be sent in parts.
    let headers = [("Range", "bytes=2-3"), ("If-None-Match", tag.as_str())];
    answer(client, 304, &headers).await;
}

#[tokio::test]
async fn caches_are_told_what_the_operator_wants() {
    let world = world_with(|config| config.cache_control = "public, max-age=7".into()).await;
    let client = &world.client;
    let tag = client.put("a", "1").await.text("etag").to_owned();
    for (status, headers) in [(200, vec![]), (304, vec![("If-None-Match", tag.as_str())])] {
        let (_, headers) = answer(client, status, &headers).await;
        assert_eq!(headers["cache-control"], "public, max-age=7");
    }
    client.delete("a").await;
    let (_, headers) = answer(client, 404, &[]).await;
    assert_eq!(headers["cache-control"], "no-cache", "it may be there soon");
    let mut config = HubConfig::new(world.folder.path().join("other"), any_port());
    config.cache_control = "no\ncache".into();
    let error = Hub::start(config).await.unwrap_err();
    assert!(error.to_string().contains("cache_control"), "{error}");
}

/// A page, a drawing and a script of a stranger cannot act for the origin of the hub: the browser
/// gives each an origin of its own, runs nothing in it and takes nothing for what it is not.
#[tokio::test]
async fn what_strangers_stored_cannot_act_for_the_hub() {
    let world = world().await;
    let client = &world.client;
    let page = "<script>fetch('/hub_info')</script>";
    for kind in [
        "text/html",
        "application/xhtml+xml",
        "image/svg+xml",
        "IMAGE/SVG+XML;charset=utf-8",
        "text/xml",
        "application/javascript",
        "application/pdf",
        "nonsense",
        "image/png",
        "text/plain",
    ] {
        let request = client.store("a").header("Content-Type", kind);
        let tag = Answer::of(request.body(page).send().await.unwrap()).await;
        let tag = tag.text("etag").to_owned();
        for (status, asked) in [
            (200, vec![]),
            (206, vec![("Range", "bytes=0-7")]),
            (206, vec![("Range", "bytes=0-7,10-11")]),
            (304, vec![("If-None-Match", tag.as_str())]),
        ] {
            let (_, headers) = answer(client, status, &asked).await;
            assert_guarded(&headers);
        }
    }
    // No answer of the reading side is without its guard, whatever went wrong.
    answer_is_guarded(client, 416, &[("Range", "bytes=99-")]).await;
    answer_is_guarded(client, 412, &[("If-Match", "x")]).await;
    client.delete("a").await;
    answer_is_guarded(client, 404, &[]).await;
    for (target, status) in [("a%", 400), ("a/../b", 400)] {
        let target = format!("/read/{}/{target}", client.bucket());
        let answer = world.raw("GET", &target, "").await;
        assert_eq!(answer.status, status);
        assert!(answer.head.contains("content-security-policy: sandbox"));
        assert!(answer.head.contains("x-content-type-options: nosniff"));
    }
}

async fn answer_is_guarded(client: &Client, status: u16, headers: &[(&str, &str)]) {
    assert_guarded(&answer(client, status, headers).await.1);
}

#[track_caller]
fn assert_guarded(headers: &reqwest::header::HeaderMap) {
    for (name, want) in [
        ("content-security-policy", "sandbox"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "cross-origin"),
        ("access-control-allow-origin", "*"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(headers[name], want);
    }
    assert!(!headers.contains_key("access-control-allow-credentials"));
}
