//! Listing.

use serde_json::{Value, json};

use crate::support::{Answer, Client, key, scopes, token, world, world_with};
use gaia::scope::ScopeKind;

#[tokio::test]
async fn case_058_059_060_names() {
    let world = world().await;
    assert_eq!(
        world.client.list(json!({})).await.json,
        json!({"entries": [], "page": null})
    );
    for path in ["b/x", "b", "a.txt", "a/z", "b/a/c"] {
        world.client.put(path, "1").await;
    }
    let want = json!({"entries": ["a.txt", "a/z", "b", "b/a/c", "b/x"], "page": null});
    let answer = world.client.list(json!({"page": null})).await;
    assert_eq!((answer.status, answer.json), (202, want));
    let other = Client::new(&world.client.url, key(2));
    assert!(other.names().await.is_empty(), "buckets are apart");
}

/// All pages of a bucket.
async fn pages(client: &Client) -> Vec<Vec<Value>> {
    let mut pages = Vec::new();
    let mut page = Value::Null;
    loop {
        let answer = client.list(json!({"page": page, "stat": true})).await;
        assert_eq!(answer.status, 202);
        pages.push(answer.json["entries"].as_array().unwrap().clone());
        page = answer.json["page"].clone();
        if page.is_null() {
            return pages;
        }
    }
}

#[tokio::test]
async fn case_061_pages() {
    let world = world_with(|config| config.page_entries = 3).await;
    for number in 0..9 {
        world.client.put(&format!("f{number}"), "1").await;
    }
    let sizes = |pages: &[Vec<Value>]| pages.iter().map(Vec::len).collect::<Vec<_>>();
    let found = pages(&world.client).await;
    assert_eq!(sizes(&found), [3, 3, 3], "the last page says that it is");
    let names: Vec<_> = found
        .concat()
        .iter()
        .map(|entry| entry["name"].clone())
        .collect();
    assert_eq!(
        names,
        ["f0", "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8"]
    );

    // Files that come and go between pages neither repeat an entry nor hide one.
    let first = world.client.list(json!({})).await;
    world.client.put("f00", "1").await;
    world.client.delete("f2").await;
    let second = world.client.list(json!({"page": first.json["page"]})).await;
    assert_eq!(second.json["entries"], json!(["f3", "f4", "f5"]));
}

#[tokio::test]
async fn case_062_071_stat() {
    let world = world().await;
    let request = world
        .client
        .store("a")
        .header("Content-Type", "text/plain")
        .body("hello");
    request.send().await.unwrap();
    world.client.put("b", "").await;
    let route = format!("/list-files/{}", world.client.bucket());
    let answer = world.raw("POST", &route, "{\"stat\":true}").await;
    let modified = answer.body.split("lastModifiedDate\":").nth(1).unwrap();
    let modified: u64 = modified.split(',').next().unwrap().parse().unwrap();
    assert!(modified > 1_600_000_000);
    // The order of fields is stock's.
    let first = format!(
        "{{\"exists\":true,\"etag\":\"5d41402abc4b2a76b9719d911017c592\",\"contentLength\":5,\
         \"contentType\":\"text/plain\",\"lastModifiedDate\":{modified},\"name\":\"a\"}}"
    );
    assert!(answer.body.contains(&first), "{}", answer.body);
    let all: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(all["entries"][1]["contentLength"], 0);
}

#[tokio::test]
async fn case_063_064_065_066_067_bodies() {
    let world = world().await;
    let client = &world.client;
    client.put("a", "1").await;
    let route = format!("/list-files/{}", client.bucket());
    for (target, body, status) in [
        (route.clone(), "", 202),
        (format!("{route}/"), "{}", 202),
        (format!("{route}/b/c"), "{}", 202),
        (route.clone(), "{\"page\":\"abc\"}", 400),
        (route.clone(), "{\"page\":7}", 400),
        (route.clone(), "{", 400),
        (route.clone(), "7", 400),
        (
            route.clone(),
            &format!("{{\"x\":\"{}\"}}", "x".repeat(5000)),
            413,
        ),
        (route.clone(), &"x".repeat(100_000), 413),
    ] {
        let answer = world.raw("POST", &target, body).await;
        assert_eq!(answer.status, status, "{target} {body:.40}");
        if status == 202 {
            assert_eq!(answer.body, "{\"entries\":[\"a\"],\"page\":null}");
        }
    }
}

#[tokio::test]
async fn cursors_of_the_longest_paths_fit_into_a_request() {
    let world = world_with(|config| config.page_entries = 1).await;
    let folder = vec!["ü".repeat(127); 13].join("/");
    for name in ["a", "b"] {
        let path = gaia::path::FilePath::parse(&format!("{folder}/{name}")).unwrap();
        assert!(path.as_str().len() > 3_300);
        assert_eq!(world.client.put(&path.to_url_path(), "1").await.status, 202);
    }
    assert_eq!(pages(&world.client).await.len(), 2);
}

#[tokio::test]
async fn case_068_070_only_the_owner_lists() {
    let world = world().await;
    let client = &world.client;
    let url = format!("{}/list-files/{}", client.url, client.bucket());
    let answer = Answer::of(client.http.post(url).send().await.unwrap()).await;
    answer.is(
        401,
        "ValidationError",
        "Failed to parse authentication header.",
    );
    let other = Client::new(&client.url, key(2));
    let answer = client
        .with_authorization(other.authorization)
        .list(json!({}))
        .await;
    answer.is(
        401,
        "ValidationError",
        "Address not allowed to write on this path",
    );
    client.revoke("{\"oldestValidTimestamp\":5}").await;
    let dated = client.with_token(token().issued_at(9));
    assert!(
        dated.names().await.is_empty(),
        "the revocation is no file of the bucket"
    );
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
}

#[tokio::test]
async fn ten_thousand_files() {
    let world = world().await;
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..50 {
        let client = world.client.clone();
        tasks.spawn(async move {
            for number in 0..200 {
                let path = format!("folder-{}/file-{number:04}.txt", worker % 7);
                let answer = client.put(&format!("{path}-{worker}"), "x").await;
                assert_eq!(answer.status, 202);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let found = pages(&world.client).await;
    assert_eq!(
        found.iter().map(Vec::len).collect::<Vec<_>>(),
        [4096, 4096, 1808]
    );
    let names: Vec<String> = found
        .concat()
        .iter()
        .map(|entry| entry["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(names.is_sorted());
    let distinct: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(distinct.len(), 10_000);
}
