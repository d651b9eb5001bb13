//! Paths: what is refused, and which spellings are one file.

use crate::support::world;

#[tokio::test]
async fn case_021_022_two_dots_are_refused() {
    let world = world().await;
    for raw_path in [
        "x/../y",
        "..",
        "%2e%2e/y",
        "a..b",
        "x/%2E%2E/%2E%2E/y",
        "x%2F..%2Fy",
    ] {
        let want = (403, "Invalid Path".to_owned());
        assert_eq!(world.raw_store(raw_path, "x").await, want, "{raw_path}");
    }
    assert!(world.client.names().await.is_empty());
}

#[tokio::test]
async fn case_023_020_025_030_aliases_are_one_file() {
    let world = world().await;
    for (n, raw_path) in ["a/b", "a%2Fb", "/a/b", "a//b", "./a/b", "a/./b", "a/b/"]
        .iter()
        .enumerate()
    {
        assert_eq!(
            world.raw_store(raw_path, &n.to_string()).await.0,
            202,
            "{raw_path}"
        );
        assert_eq!(world.client.body("a/b").await, n.to_string(), "{raw_path}");
    }
    assert_eq!(world.client.names().await, ["a/b"]);
    let (status, message) = world.raw_store("a/b//", "x").await;
    assert_eq!((status, message.as_str()), (403, "Invalid Path"));
    let target = format!("/delete/{}/.//a/b", world.client.bucket());
    assert_eq!(world.raw("DELETE", &target, "").await.status, 202);
    assert!(world.client.names().await.is_empty());
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
    ];
    for name in names {
        let path = gaia::path::FilePath::parse(name).unwrap();
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
async fn case_026_027_028_limits() {
    let world = world().await;
    let long = vec!["a".repeat(200); 40].join("/");
    let deep = vec!["a"; 120].join("/");
    for (raw_path, message) in [
        (long.as_str(), "Path is too long"),
        (deep.as_str(), "Path is too deep"),
        (&"a".repeat(256), "Path is too long"),
        ("a%00b", "Invalid Path"),
    ] {
        let want = (403, message.to_owned());
        assert_eq!(world.raw_store(raw_path, "x").await, want, "{raw_path}");
    }
    assert_eq!(world.raw_store(&"a".repeat(255), "x").await.0, 202);
}

#[tokio::test]
async fn case_029_a_file_and_a_folder_of_one_name() {
    let world = world().await;
    for path in ["f", "f/x", "d/x", "d"] {
        assert_eq!(world.client.put(path, path).await.status, 202, "{path}");
    }
    for path in ["f", "f/x", "d/x", "d"] {
        assert_eq!(world.client.body(path).await, path);
    }
}
