//! Listing large buckets.

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
