//! Listing large buckets, and ranges of them.

use serde_json::{Value, json};

use crate::support::{pages, world, world_with};

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
async fn a_prefix_lists_what_begins_with_it() {
    let world = world().await;
    let client = &world.client;
    for path in [
        "a", "a/b", "a/c", "a0", "ab", "b/a", "\u{fc}/x", "\u{fc}/y", "z",
    ] {
        let path = gaia::path::FilePath::parse(path).unwrap();
        assert_eq!(client.put(&path.to_url_path(), "1").await.status, 202);
    }
    for (prefix, want) in [
        ("a", json!(["a", "a/b", "a/c", "a0", "ab"])),
        ("a/", json!(["a/b", "a/c"])),
        ("a/b", json!(["a/b"])),
        ("a/bc", json!([])),
        ("\u{fc}/", json!(["\u{fc}/x", "\u{fc}/y"])),
        ("zz", json!([])),
        ("\u{10ffff}", json!([])),
    ] {
        let answer = client.list(json!({"prefix": prefix})).await;
        assert_eq!(
            (answer.status, &answer.json["entries"]),
            (202, &want),
            "{prefix}"
        );
        assert_eq!(answer.json["page"], Value::Null, "{prefix}");
    }
    let whole = client.list(json!({})).await.json;
    for nothing in [
        json!({"prefix": ""}),
        json!({"prefix": null, "after": null, "limit": null}),
    ] {
        assert_eq!(client.list(nothing).await.json, whole);
    }
}

#[tokio::test]
async fn after_and_limit_cut_a_range_out() {
    let world = world().await;
    let client = &world.client;
    for path in ["a/1", "a/2", "a/3", "b"] {
        client.put(path, "1").await;
    }
    for (request, want) in [
        (json!({"after": "a/1"}), json!(["a/2", "a/3", "b"])),
        (json!({"after": "a/1", "limit": 1}), json!(["a/2"])),
        (
            json!({"after": "a/1x", "prefix": "a/"}),
            json!(["a/2", "a/3"]),
        ),
        // It need not exist, nor begin with the prefix.
        (
            json!({"after": "0", "prefix": "a/", "limit": 2}),
            json!(["a/1", "a/2"]),
        ),
        (json!({"after": "b", "prefix": "a/"}), json!([])),
        (json!({"after": "b"}), json!([])),
        (json!({"limit": 4096}), json!(["a/1", "a/2", "a/3", "b"])),
    ] {
        let answer = client.list(request.clone()).await;
        assert_eq!(
            (answer.status, &answer.json["entries"]),
            (202, &want),
            "{request}"
        );
    }
    let exact = client.list(json!({"prefix": "a/", "limit": 3})).await;
    assert_eq!(
        exact.json["page"],
        Value::Null,
        "nothing with the prefix is left"
    );
}

#[tokio::test]
async fn a_cursor_is_a_place_whatever_else_is_asked() {
    let world = world().await;
    let client = &world.client;
    for path in ["a/1", "a/2", "a/3", "a/4", "b/1", "b/2"] {
        client.put(path, "1").await;
    }
    let list = |request: Value| async move { client.list(request).await.json };
    let first = list(json!({"prefix": "a/", "limit": 2})).await;
    assert_eq!(first["entries"], json!(["a/1", "a/2"]));
    let page = &first["page"];
    // Files come and go in between.
    client.delete("a/2").await;
    client.put("a/0", "1").await;
    client.put("a/25", "1").await;
    for (request, want) in [
        (
            json!({"page": page, "prefix": "a/", "limit": 2}),
            json!(["a/25", "a/3"]),
        ),
        (
            json!({"page": page, "limit": 9}),
            json!(["a/25", "a/3", "a/4", "b/1", "b/2"]),
        ),
        (json!({"page": page, "prefix": "b/"}), json!(["b/1", "b/2"])),
        (json!({"page": page, "prefix": "0"}), json!([])),
        (
            json!({"page": page, "after": "a/3", "limit": 1}),
            json!(["a/4"]),
        ),
        (
            json!({"page": page, "after": "a/0", "limit": 1}),
            json!(["a/25"]),
        ),
    ] {
        assert_eq!(list(request.clone()).await["entries"], want, "{request}");
    }
}

#[tokio::test]
async fn bad_ranges_are_refused_with_words() {
    let world = world_with(|config| config.page_entries = 2).await;
    let client = &world.client;
    let long = "x".repeat(gaia::limits::PATH_BYTES_MAX + 1);
    for (request, about) in [
        (json!({"prefix": 1}), "prefix"),
        (json!({"prefix": ["a"]}), "prefix"),
        (json!({"prefix": long}), "prefix"),
        (json!({"after": false}), "after"),
        (json!({"after": long}), "after"),
        (json!({"limit": 0}), "limit"),
        (json!({"limit": 4097}), "limit"),
        (json!({"limit": -1}), "limit"),
        (json!({"limit": 1.5}), "limit"),
        (json!({"limit": "7"}), "limit"),
    ] {
        let answer = client.list(request).await;
        assert_eq!(answer.status, 400, "{about}");
        let begins = format!("Invalid {about}: it must be ");
        assert!(
            answer.text("message").starts_with(&begins),
            "{:?}",
            answer.json
        );
    }
    // The longest that can be asked for fits, and only that gets the room.
    let longest = &long[1..];
    let request = json!({"prefix": longest, "after": longest, "limit": 1});
    assert_eq!(client.list(request).await.status, 202);
    let padded = json!({"prefix": longest, "x": long.repeat(2)});
    assert_eq!(client.list(padded).await.status, 413);
    // The operator's limit is the last word.
    for path in ["a", "b", "c"] {
        client.put(path, "1").await;
    }
    let answer = client.list(json!({"limit": 3})).await;
    assert_eq!(answer.json["entries"], json!(["a", "b"]));
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
