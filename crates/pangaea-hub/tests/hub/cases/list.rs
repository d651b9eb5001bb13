//! Listing.

use gaia::scope::ScopeKind;
use serde_json::{Value, json};

use crate::support::{Answer, Client, World, key, pages, scopes, token, world, world_with};

#[tokio::test]
async fn case_058_names() {
    let world = world().await;
    for path in ["b/x", "b", "a.txt", "a/z", "b/a/c"] {
        world.client.put(path, "1").await;
    }
    // In the order of their bytes, where a stock hub on disk goes folder by folder.
    let want = ["a.txt", "a/z", "b", "b/a/c", "b/x"];
    assert_eq!(world.client.names().await, want);
    let other = Client::new(&world.client.url, key(2));
    assert!(other.names().await.is_empty(), "buckets are apart");
}

#[tokio::test]
async fn case_059_an_empty_bucket() {
    let world = world().await;
    let answer = world.client.list(json!({})).await;
    let want = json!({"entries": [], "page": null});
    assert_eq!((answer.status, answer.json), (202, want));
}

#[tokio::test]
async fn case_060_page_is_null_when_complete() {
    let world = world().await;
    world.client.put("a", "1").await;
    let want = json!({"entries": ["a"], "page": null});
    for body in [json!({}), json!({"page": null}), json!({"page": ""})] {
        let answer = world.client.list(body).await;
        assert_eq!((answer.status, &answer.json), (202, &want));
    }
}

#[tokio::test]
async fn case_061_pages() {
    let world = world_with(|config| config.page_entries = 3).await;
    for number in 0..9 {
        world.client.put(&format!("f{number}"), "1").await;
    }
    let found = pages(&world.client).await;
    let sizes: Vec<usize> = found.iter().map(Vec::len).collect();
    assert_eq!(sizes, [3, 3, 3], "the last page says that it is");
    let all = found.concat();
    let names: Vec<_> = all
        .iter()
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    let want = ["f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8"];
    assert_eq!(names, want);

    // Files that come and go between pages neither repeat an entry nor hide one.
    let first = world.client.list(json!({})).await;
    world.client.put("f00", "1").await;
    world.client.delete("f2").await;
    let second = world.client.list(json!({"page": first.json["page"]})).await;
    assert_eq!(second.json["entries"], json!(["f3", "f4", "f5"]));
}

/// A request written byte by byte to the bucket's listing.
async fn raw_list(world: &World, suffix: &str, body: &str) -> (u16, String) {
    let target = format!("/list-files/{}{suffix}", world.client.bucket());
    let answer = world.raw("POST", &target, body).await;
    (answer.status, answer.body)
}

#[tokio::test]
async fn case_062_stat() {
    let world = world().await;
    let request = world.client.store("a").header("Content-Type", "text/plain");
    request.body("hello").send().await.unwrap();
    let (status, body) = raw_list(&world, "", "{\"stat\":true}").await;
    assert_eq!(status, 202);
    let modified = body.split("lastModifiedDate\":").nth(1).unwrap();
    let modified: u64 = modified.split(',').next().unwrap().parse().unwrap();
    assert!(modified > 1_600_000_000);
    // The order of fields is stock's.
    let want = format!(
        "{{\"entries\":[{{\"exists\":true,\"etag\":\"5d41402abc4b2a76b9719d911017c592\",\
         \"contentLength\":5,\"contentType\":\"text/plain\",\
         \"lastModifiedDate\":{modified},\"name\":\"a\"}}],\"page\":null}}"
    );
    assert_eq!(body, want);
}

#[tokio::test]
async fn case_063_no_body() {
    let world = world().await;
    world.client.put("a", "1").await;
    let want = "{\"entries\":[\"a\"],\"page\":null}";
    assert_eq!(raw_list(&world, "", "").await, (202, want.to_owned()));
}

#[tokio::test]
async fn case_064_what_follows_the_address_is_ignored() {
    let world = world().await;
    world.client.put("a", "1").await;
    let want = (202, "{\"entries\":[\"a\"],\"page\":null}".to_owned());
    for suffix in ["/", "/b/c", "?prefix=b"] {
        assert_eq!(raw_list(&world, suffix, "{}").await, want, "{suffix}");
    }
}

#[tokio::test]
async fn case_065_a_page_that_no_answer_named() {
    let world = world().await;
    for page in [json!("abc"), json!("1"), json!(7), json!([]), json!(true)] {
        let answer = world.client.list(json!({"page": page})).await;
        assert_eq!(answer.status, 400, "{page}");
    }
}

#[tokio::test]
async fn case_066_bodies_that_are_too_large() {
    let world = world().await;
    let padded = |length: usize| {
        let around = "{\"x\":\"\"}".len();
        format!("{{\"x\":\"{}\"}}", "x".repeat(length - around))
    };
    assert_eq!(raw_list(&world, "", &padded(4096)).await.0, 202);
    for body in [padded(4097), padded(100_000), "x".repeat(100_000)] {
        assert_eq!(raw_list(&world, "", &body).await.0, 413, "{}", body.len());
    }
}

#[tokio::test]
async fn case_067_bodies_that_are_not_json() {
    let world = world().await;
    for body in ["{", "nonsense", "7", "\"text\"", "null", "{} {}"] {
        assert_eq!(raw_list(&world, "", body).await.0, 400, "{body}");
    }
}

#[tokio::test]
async fn case_068_only_the_owner_lists() {
    let world = world().await;
    let client = &world.client;
    let url = format!("{}/list-files/{}", client.url, client.bucket());
    let answer = Answer::of(client.http.post(url).send().await.unwrap()).await;
    let message = "Failed to parse authentication header.";
    answer.is(401, "ValidationError", message);
    let other = Client::new(&client.url, key(2));
    let stolen = client.with_authorization(other.authorization);
    let answer = stolen.list(json!({})).await;
    let message = "Address not allowed to write on this path";
    answer.is(401, "ValidationError", message);
    // Scopes are about writing only.
    let only = scopes(&[(ScopeKind::PutFile, "b")]);
    client.put("a", "1").await;
    let scoped = client.with_token(token().scopes(only));
    assert_eq!(scoped.names().await, ["a"]);
}

#[tokio::test]
async fn case_069_archival_tokens_do_not_see_history() {
    let world = world_with(|config| config.page_entries = 2).await;
    let client = &world.client;
    for path in [".history.1.a.x", ".history.2.a.x", "x"] {
        client.put(path, "1").await;
    }
    let archival = scopes(&[(ScopeKind::PutFileArchivalPrefix, "x")]);
    let restricted = client.with_token(token().scopes(archival));
    let first = restricted.list(json!({})).await;
    assert_eq!(first.json["entries"], json!([null]), "more follows");
    let second = restricted.list(json!({"page": first.json["page"]})).await;
    assert_eq!(second.json, json!({"entries": ["x"], "page": null}));
    assert_eq!(pages(client).await.concat().len(), 3, "the owner sees all");
}

#[tokio::test]
async fn case_070_the_revocation_is_no_file_of_the_bucket() {
    let world = world().await;
    world.client.revoke("{\"oldestValidTimestamp\":5}").await;
    let dated = world.client.with_token(token().issued_at(9));
    assert!(dated.names().await.is_empty());
}

#[tokio::test]
async fn case_071_files_of_zero_bytes() {
    let world = world().await;
    world.client.put("empty", "").await;
    let listed = world.client.list(json!({"stat": true})).await;
    let entry = &listed.json["entries"][0];
    assert_eq!(entry["contentLength"], 0);
    assert_eq!(entry["etag"], "d41d8cd98f00b204e9800998ecf8427e");
    assert_eq!(entry["exists"], Value::Bool(true));
}
