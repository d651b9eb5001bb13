//! Paths: what is refused, and which spellings are one file.

use gaia::path::FilePath;
use tokio::task::JoinSet;

use crate::support::{World, world};

async fn assert_invalid(world: &World, raw_paths: &[&str]) {
    for raw_path in raw_paths {
        let want = (403, "Invalid Path".to_owned());
        assert_eq!(world.raw_store(raw_path, "x").await, want, "{raw_path}");
    }
    assert!(world.client.names().await.is_empty());
}

#[tokio::test]
async fn case_021_two_dots() {
    let world = world().await;
    let forms = [
        "..",
        "../y",
        "x/../y",
        "x/..",
        "%2e%2e/y",
        ".%2E/y",
        "x/%2E%2E/%2E%2E/y",
        "x%2F..%2Fy",
    ];
    assert_invalid(&world, &forms).await;
    for form in forms {
        let target = format!("/read/{}/{form}", world.client.bucket());
        assert_eq!(world.raw("GET", &target, "").await.status, 400, "{form}");
    }
}

#[tokio::test]
async fn case_022_two_dots_inside_a_name() {
    assert_invalid(&world().await, &["a..b", "x/a..", "x/..a", "..."]).await;
}

/// Stores under a spelling and reads under the plain one.
async fn assert_alias(world: &World, spelled: &str, plain: &str) {
    assert_eq!(world.raw_store(spelled, spelled).await.0, 202, "{spelled}");
    assert_eq!(world.client.body(plain).await, spelled);
    assert_eq!(world.client.names().await, [plain]);
}

#[tokio::test]
async fn case_023_an_escaped_slash_is_a_slash() {
    let world = world().await;
    assert_alias(&world, "a%2Fb", "a/b").await;
    assert_alias(&world, "a%2fb", "a/b").await;
    // Escapes are undone once.
    let world = crate::support::world().await;
    assert_eq!(world.raw_store("a%252Fb", "x").await.0, 202);
    assert_eq!(world.client.names().await, ["a%2Fb"]);
}

#[tokio::test]
async fn case_024_names_of_all_kinds() {
    let world = world().await;
    let names = [
        "a b+c.txt",
        "ü/é\u{301}/日本",
        "back\\slash",
        "a%b#c?d",
        "new\nline",
        ".history.x",
        ".gaia-metadata/x",
    ];
    for name in names {
        let path = FilePath::parse(name).unwrap();
        let answer = world.client.put(&path.to_url_path(), name).await;
        assert_eq!(answer.status, 202, "{name}");
        assert!(answer.text("publicURL").ends_with(name), "{name}");
        assert_eq!(world.client.body(&path.to_url_path()).await, name);
    }
    let mut want = names.to_vec();
    want.sort_unstable();
    assert_eq!(world.client.names().await, want);
}

#[tokio::test]
async fn case_025_a_trailing_slash_is_cut() {
    let world = world().await;
    assert_alias(&world, "a/b/", "a/b").await;
    let target = format!("/read/{}/a/b/", world.client.bucket());
    assert_eq!(world.raw("GET", &target, "").await.body, "a/b/");
    let two = world.raw_store("a/b//", "x").await;
    assert_eq!(two, (403, "Invalid Path".to_owned()));
}

#[tokio::test]
async fn case_026_too_long_and_too_deep() {
    let world = world().await;
    let long = vec!["a".repeat(200); 40].join("/");
    let deep = vec!["a"; 120].join("/");
    for (raw_path, message) in [(long, "Path is too long"), (deep, "Path is too deep")] {
        let want = (403, message.to_owned());
        assert_eq!(world.raw_store(&raw_path, "x").await, want);
    }
    assert_eq!(world.raw_store(&vec!["a"; 90].join("/"), "x").await.0, 202);
}

#[tokio::test]
async fn case_027_a_name_of_256_bytes() {
    let world = world().await;
    let want = (403, "Path is too long".to_owned());
    assert_eq!(world.raw_store(&"a".repeat(256), "x").await, want);
    assert_eq!(world.raw_store(&"%C3%BC".repeat(128), "x").await, want);
    assert_eq!(world.raw_store(&"a".repeat(255), "x").await.0, 202);
    assert_eq!(world.client.body(&"a".repeat(255)).await, "x");
}

#[tokio::test]
async fn case_028_nul() {
    assert_invalid(&world().await, &["a%00b", "%00", "a/%00/b"]).await;
}

/// Unlike a stock hub on disk, and like one in a cloud: a name may be a file and a folder.
#[tokio::test]
async fn case_029_a_file_and_a_folder_of_one_name() {
    let world = world().await;
    let paths = ["f", "f/x", "d/x", "d"];
    for path in paths {
        assert_eq!(world.client.put(path, path).await.status, 202, "{path}");
    }
    for path in paths {
        assert_eq!(world.client.body(path).await, path);
    }
    assert_eq!(world.client.delete("f").await.status, 202);
    assert_eq!(world.client.names().await, ["d", "d/x", "f/x"]);
}

#[tokio::test]
async fn case_030_all_spellings_are_one_file() {
    let world = world().await;
    let spellings = [
        "a/b", "/a/b", "//a/b", "a//b", "./a/b", "a/./b", "a/b/", "%61%2Fb",
    ];
    for spelled in spellings {
        assert_alias(&world, spelled, "a/b").await;
    }
    let target = format!("/delete/{}/.//a/b", world.client.bucket());
    assert_eq!(world.raw("DELETE", &target, "").await.status, 202);
    assert!(world.client.names().await.is_empty());

    // Of racing creates under all spellings, one wins.
    let mut tasks = JoinSet::new();
    for spelled in spellings {
        let (address, bucket) = (world.address(), world.client.bucket());
        let authorization = world.client.authorization.clone();
        tasks.spawn(async move {
            let request = format!(
                "POST /store/{bucket}/{spelled} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\
                 authorization: {authorization}\r\nif-none-match: *\r\ncontent-length: 1\r\n\r\nx"
            );
            crate::support::raw(address, request).await.status
        });
    }
    let mut statuses = tasks.join_all().await;
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 412, 412, 412, 412, 412, 412, 412]);
}
