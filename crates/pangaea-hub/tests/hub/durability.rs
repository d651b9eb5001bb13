//! Crashes and restarts: what was acknowledged is there, what was not is old or new.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pangaea_hub::{Hub, HubConfig, HubError};
use tokio::task::JoinSet;

use crate::check::{settle, whole};
use crate::support::{Client, any_port, eventually, key, token, world};

/// Names the data folder to the child process that `child_hub` becomes.
const CHILD_FOLDER: &str = "PANGAEA_HUB_TEST_FOLDER";
const CHILD_URL: &str = "child hub at ";

/// The hub of `a_killed_hub_keeps_its_word`, in a process of its own. Run as a test it has no
/// folder and nothing to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_hub() {
    let Some(folder) = std::env::var_os(CHILD_FOLDER) else {
        return;
    };
    crate::logs::print_failures();
    let hub = Hub::start(HubConfig::new(folder, any_port())).await;
    let hub = hub.unwrap_or_else(|error| panic!("{error}"));
    println!("\n{CHILD_URL}{}", hub.url());
    std::future::pending::<()>().await;
}

/// Starts a hub in a process of its own.
pub fn start_child(folder: &Path) -> (Child, String) {
    let command = Command::new(std::env::current_exe().unwrap());
    start_child_with(command, folder)
}

/// Makes a command that ends with this program's name one that runs a hub.
pub fn hub_of(mut command: Command, folder: &Path) -> Command {
    command
        .args(["--exact", "durability::child_hub", "--nocapture"])
        .env(CHILD_FOLDER, folder);
    command
}

/// Starts a hub with a command that ends with this program's name.
pub fn start_child_with(command: Command, folder: &Path) -> (Child, String) {
    let mut command = hub_of(command, folder);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let url = output
        .lines()
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix(CHILD_URL).map(str::to_owned))
        .unwrap();
    (child, url)
}

/// What one writer knows of its own file.
#[derive(Clone, Default)]
struct Known {
    acknowledged: Option<String>,
    attempted: Option<String>,
}

/// Writes its file again and again until the hub is gone.
async fn write_until_gone(client: Client, path: String, round: usize, known: Known) -> Known {
    let mut known = known;
    for number in 0.. {
        let length = if number % 4 == 3 { 100_000 } else { 100 };
        let body = format!("{path} {round} {number} ").repeat(length / 10);
        known.attempted = Some(body.clone());
        let Ok(response) = client.store(&path).body(body.clone()).send().await else {
            return known;
        };
        assert_eq!(response.status(), 202);
        known.acknowledged = Some(body);
    }
    known
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_hub_keeps_its_word() {
    let folder = tempfile::tempdir().unwrap();
    let mut files: BTreeMap<String, Known> = (0..8)
        .map(|number| (format!("f{number}"), Known::default()))
        .collect();
    for round in 0..12 {
        let (mut child, url) = start_child(folder.path());
        let mut writers = JoinSet::new();
        for (path, known) in files.clone() {
            let client = Client::new(&url, key(1));
            writers.spawn(async move {
                let known = write_until_gone(client, path.clone(), round, known).await;
                (path, known)
            });
        }
        tokio::time::sleep(Duration::from_millis(40 + 23 * round as u64)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        files.extend(writers.join_all().await);
        // Before anything is repaired by a start: leftovers at most.
        whole(folder.path());

        let hub = Hub::start(HubConfig::new(folder.path(), any_port()))
            .await
            .unwrap();
        let client = Client::new(hub.url(), key(1));
        for (path, known) in &mut files {
            check_file(&client, path, known).await;
        }
        hub.shutdown().await.unwrap();
        let swept = whole(folder.path());
        assert_eq!((swept.staged, swept.foreign), (0, 0));
    }
    assert!(
        files.values().all(|known| known.acknowledged.is_some()),
        "nothing was written"
    );
}

/// The file is what was acknowledged last, or what was attempted after it.
async fn check_file(client: &Client, path: &str, known: &mut Known) {
    let response = client.get(path).await;
    let found = match response.status().as_u16() {
        404 => None,
        status => {
            assert_eq!(status, 200, "{path}");
            let tag = response.headers()["etag"].to_str().unwrap().to_owned();
            let body = response.text().await.unwrap();
            assert_eq!(tag, gaia::etag::ETag::of(body.as_bytes()).as_str());
            Some(body)
        }
    };
    assert!(
        found == known.acknowledged || found == known.attempted,
        "{path}"
    );
    known.acknowledged = found;
}

#[tokio::test]
async fn a_revocation_that_was_answered_outlives_a_killed_hub() {
    let folder = tempfile::tempdir().unwrap();
    let (mut child, url) = start_child(folder.path());
    let client = Client::new(&url, key(1));
    let oldest = serde_json::json!({ "oldestValidTimestamp": 1000 }).to_string();
    assert_eq!(client.put("a", "1").await.status, 202);
    assert_eq!(client.revoke(&oldest).await.status, 202);
    child.kill().unwrap();
    child.wait().unwrap();
    let hub = Hub::start(HubConfig::new(folder.path(), any_port()))
        .await
        .unwrap();
    let client = Client::new(hub.url(), key(1));
    for (issued_at, status) in [(999, 401), (1000, 202)] {
        let client = client.with_token(token().issued_at(issued_at));
        assert_eq!(client.put("a", "2").await.status, status, "{issued_at}");
    }
    assert_eq!(client.put("a", "3").await.status, 401, "without a date");
    assert_eq!(client.body("a").await, "2");
    hub.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_restart_changes_nothing() {
    let mut world = world().await;
    let large = "large".repeat(50_000);
    world.client.put("small", "1").await;
    world.client.put("large", large.clone()).await;
    let before = world.client.list(serde_json::json!({"stat": true})).await;
    world.restart().await;
    let after = world.client.list(serde_json::json!({"stat": true})).await;
    assert_eq!(before.json, after.json);
    assert!(world.client.body("large").await == large);
}

#[tokio::test]
async fn a_start_sweeps_what_a_crash_left() {
    let mut world = world().await;
    world.client.put("large", "large".repeat(50_000)).await;
    world.hub.take().unwrap().shutdown().await.unwrap();
    let orphan = "ab".repeat(32);
    std::fs::write(world.folder.path().join("blobs/ab").join(&orphan), "x").unwrap();
    std::fs::write(world.folder.path().join("blobs/ab/notes.txt"), "not ours").unwrap();
    std::fs::write(world.folder.path().join("staging/0"), "half").unwrap();
    world.start_again().await;
    assert_eq!(world.staged(), 0);
    eventually("the orphan is gone", || !world.blobs().contains(&orphan)).await;
    assert_eq!(world.blobs().len(), 2, "the used one, and what is not ours");
    assert_eq!(world.client.body("large").await.len(), 250_000);
}

#[tokio::test]
async fn one_hub_at_a_time() {
    let mut world = world().await;
    let second = Hub::start(HubConfig::new(world.folder.path(), any_port())).await;
    assert!(matches!(second, Err(HubError::InUse { .. })), "{second:?}");
    assert_eq!(world.client.put("a", "1").await.status, 202);
    // A hub that is only dropped lets go soon after.
    drop(world.hub.take());
    for _ in 0..100 {
        match Hub::start(HubConfig::new(world.folder.path(), any_port())).await {
            Ok(hub) => return hub.shutdown().await.unwrap(),
            Err(error) => assert!(matches!(error, HubError::InUse { .. }), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the dropped hub keeps its folder");
}

/// A runtime that ends takes all tasks with it, but not the threads that write.
#[test]
fn a_hub_whose_runtime_is_gone_keeps_its_folder_until_it_has_written() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let hub = loop {
            let config = HubConfig::new(folder.path(), any_port());
            match runtime.block_on(Hub::start(config)) {
                Ok(hub) => break hub,
                Err(error) => assert!(matches!(error, HubError::InUse { .. }), "{error}"),
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let client = Client::new(hub.url(), key(1));
        let path = format!("a{round}");
        let answer = runtime.block_on(client.put(&path, "1"));
        assert_eq!(answer.status, 202, "{:?}", answer.json);
        drop(runtime);
    }
}

#[tokio::test]
async fn an_index_of_a_newer_hub_is_left_alone() {
    let world = world().await;
    let path = world.folder.path().to_owned();
    world.hub.unwrap().shutdown().await.unwrap();
    let connection = rusqlite::Connection::open(path.join("index.sqlite3")).unwrap();
    connection.pragma_update(None, "user_version", 99).unwrap();
    let error = Hub::start(HubConfig::new(path, any_port()))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("has format 99"), "{error}");
}

#[tokio::test]
async fn stopping_lets_requests_finish() {
    let mut world = world().await;
    let client = world.client.clone();
    let pieces = futures_util::stream::unfold(0, |number| async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        (number < 20).then(|| (Ok::<_, std::io::Error>("x".repeat(10_000)), number + 1))
    });
    let body = reqwest::Body::wrap_stream(pieces);
    let upload = tokio::spawn(async move { client.put("a", body).await.status });
    eventually("the upload is being staged", || world.staged() == 1).await;
    world.hub.take().unwrap().shutdown().await.unwrap();
    assert_eq!(upload.await.unwrap(), 202);
    world.start_again().await;
    assert_eq!(world.client.body("a").await.len(), 200_000);
}

#[tokio::test]
async fn half_a_data_folder_is_not_served_and_nothing_of_it_removed() {
    let mut world = world().await;
    world.client.put("large", "large".repeat(50_000)).await;
    world.hub.take().unwrap().shutdown().await.unwrap();
    let folder = world.folder.path().to_owned();
    settle(&folder);
    let index = folder.join("index.sqlite3");
    let aside = folder.join("aside");
    let refused = async |missing: &str| {
        let error = Hub::start(HubConfig::new(&folder, any_port()))
            .await
            .unwrap_err();
        let words = format!("{missing} is gone from the data folder");
        assert!(error.to_string().contains(&words), "{error}");
    };
    std::fs::rename(&index, &aside).unwrap();
    refused("index.sqlite3").await;
    // As a disk that is full or a careless hand leaves it.
    std::fs::write(&index, "").unwrap();
    refused("index.sqlite3").await;
    std::fs::rename(&aside, &index).unwrap();
    let blobs = folder.join("blobs");
    std::fs::rename(&blobs, &aside).unwrap();
    refused("blobs").await;
    std::fs::rename(&aside, &blobs).unwrap();
    world.start_again().await;
    assert_eq!(world.client.body("large").await.len(), 250_000);
}
