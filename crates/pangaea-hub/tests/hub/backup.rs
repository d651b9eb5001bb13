//! Backups: whole while the hub writes and deletes, only what changed is copied, nothing else is
//! written over, and a backup that is killed leaves the one before.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pangaea_hub::backup::{BackupError, BackupReport, backup};
use pangaea_hub::check::{FolderEvent, Problem};
use pangaea_hub::{Hub, HubConfig};

use crate::check::whole;
use crate::support::{Client, any_port, eventually, key, world};

/// Tells the child process that `child_backup` becomes what to copy, and where to.
const CHILD_FROM: &str = "PANGAEA_HUB_TEST_BACKUP_FROM";
const CHILD_TO: &str = "PANGAEA_HUB_TEST_BACKUP_TO";

/// A backup, in a process of its own. Run as a test it has nothing to do.
#[test]
fn child_backup() {
    if let (Some(from), Some(to)) = (std::env::var_os(CHILD_FROM), std::env::var_os(CHILD_TO)) {
        backup(Path::new(&from), Path::new(&to), &mut |_| {}).unwrap();
    }
}

fn start_child(from: &Path, to: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "backup::child_backup"])
        .env(CHILD_FROM, from)
        .env(CHILD_TO, to)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn backed_up(from: &Path, to: &Path) -> (BackupReport, Vec<Problem>) {
    let mut problems = Vec::new();
    let report = backup(from, to, &mut |event| {
        if let FolderEvent::Problem(problem) = event {
            problems.push(problem);
        }
    });
    (report.unwrap(), problems)
}

/// Text of 200 kB that begins with a number.
fn numbered(number: u32) -> String {
    format!("{number} {}", "x".repeat(200_000))
}

async fn number_in(client: &Client, path: &str) -> u32 {
    let text = client.body(path).await;
    text.split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_during_writes_and_deletes_is_one_moment_of_the_hub() {
    let world = world().await;
    let folder = world.folder.path().to_owned();
    let target = tempfile::tempdir().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let (client, stopped) = (world.client.clone(), Arc::clone(&stop));
    let busy = tokio::spawn(async move {
        let mut number = 0;
        while !stopped.load(Ordering::Relaxed) {
            number += 1;
            // The second never has a higher number than the first.
            assert_eq!(client.put("first", numbered(number)).await.status, 202);
            assert_eq!(client.put("second", numbered(number)).await.status, 202);
            let passing = format!("passing{}", number % 3);
            assert_eq!(client.put(&passing, numbered(number)).await.status, 202);
            assert_eq!(client.delete(&passing).await.status, 202);
        }
        number
    });
    let mut last = 0;
    for _ in 0..8 {
        let to = target.path().join("copy");
        let (from, copy) = (folder.clone(), to.clone());
        let made = tokio::task::spawn_blocking(move || {
            let status = start_child(&from, &copy).wait().unwrap();
            assert!(status.success());
            whole(&copy)
        });
        let report = made.await.unwrap();
        assert_eq!((report.unreferenced_blobs, report.staged), (0, 0));
        if report.files < 2 {
            continue;
        }
        // Looked at in a copy, for a folder that a hub has served from is no backup any more.
        let restored = target.path().join("restored");
        copy_folder(&to, &restored);
        let hub = Hub::start(HubConfig::new(&restored, any_port()))
            .await
            .unwrap();
        let client = Client::new(hub.url(), key(1));
        let first = number_in(&client, "first").await;
        let second = number_in(&client, "second").await;
        assert!(first == second || first == second + 1, "{first} {second}");
        assert!(second >= last);
        last = second;
        hub.shutdown().await.unwrap();
        fs::remove_dir_all(&restored).unwrap();
    }
    stop.store(true, Ordering::Relaxed);
    let written = busy.await.unwrap();
    assert!(last > 1 && written > last, "{last} of {written}");
    // What was kept for the backups goes. Both files have the same bytes now.
    eventually("one blob is left", || world.blobs().len() == 1).await;
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn only_what_changed_is_copied() {
    let world = world().await;
    let (folder, target) = (world.folder.path(), tempfile::tempdir().unwrap());
    let to = target.path().join("copy");
    for number in 0..3 {
        world
            .client
            .put(&format!("f{number}"), numbered(number))
            .await;
    }
    world.client.put("small", "1").await;
    let (report, _) = backed_up(folder, &to);
    assert_eq!(
        (report.files, report.copied_blobs, report.kept_blobs),
        (4, 3, 0)
    );
    assert!(!target.path().join("copy.partial").exists());

    world.client.put("f3", numbered(3)).await;
    world.client.put("small", "2").await;
    world.client.delete("f0").await;
    let (report, _) = backed_up(folder, &to);
    assert_eq!(
        (report.files, report.copied_blobs, report.kept_blobs),
        (4, 1, 2)
    );
    assert_eq!(report.removed_blobs, 1);
    assert_eq!(whole(&to).unreferenced_blobs, 0);

    let hub = Hub::start(HubConfig::new(&to, any_port())).await.unwrap();
    let client = Client::new(hub.url(), key(1));
    assert_eq!(client.names().await, ["f1", "f2", "f3", "small"]);
    assert_eq!(client.body("small").await, "2");
    // It has a life of its own now, which no backup may end.
    let error = backup(folder, &to, &mut |_| {}).unwrap_err();
    assert!(matches!(error, BackupError::NotABackup { .. }), "{error}");
    hub.shutdown().await.unwrap();
    let error = backup(folder, &to, &mut |_| {}).unwrap_err();
    assert!(matches!(error, BackupError::NotABackup { .. }), "{error}");
}

#[tokio::test]
async fn what_is_damaged_is_told_and_the_earlier_copy_of_it_kept() {
    let world = world().await;
    let (folder, target) = (world.folder.path(), tempfile::tempdir().unwrap());
    let to = target.path().join("copy");
    world.client.put("early", numbered(1)).await;
    backed_up(folder, &to);
    world.client.put("late", numbered(2)).await;
    for name in world.blobs() {
        let blob = folder.join("blobs").join(&name[..2]).join(name);
        let mut bytes = fs::read(&blob).unwrap();
        bytes[100_000] ^= 1;
        fs::write(blob, bytes).unwrap();
    }
    world.client.put("later", numbered(3)).await;
    let (report, problems) = backed_up(folder, &to);
    assert_eq!(
        (report.kept_blobs, report.copied_blobs, report.problems),
        (1, 1, 1)
    );
    assert_eq!(problems[0].path.as_deref(), Some("late"));
    let hub = Hub::start(HubConfig::new(&to, any_port())).await.unwrap();
    let client = Client::new(hub.url(), key(1));
    assert_eq!(number_in(&client, "early").await, 1);
    assert_eq!(number_in(&client, "later").await, 3);
    assert_eq!(client.get("late").await.status(), 500);
    hub.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_killed_backup_leaves_the_one_before() {
    let world = world().await;
    let (folder, target) = (world.folder.path(), tempfile::tempdir().unwrap());
    let to = target.path().join("copy");
    for number in 0..20 {
        world
            .client
            .put(&format!("f{number}"), numbered(number))
            .await;
    }
    for round in 0..8 {
        let changed = format!("f{round}");
        world.client.put(&changed, numbered(100 + round)).await;
        let mut child = start_child(folder, &to);
        tokio::time::sleep(Duration::from_millis(u64::from(round) * 10)).await;
        child.kill().unwrap();
        child.wait().unwrap();
        if to.exists() {
            assert_eq!(whole(&to).files, 20);
        }
    }
    backed_up(folder, &to);
    let report = whole(&to);
    assert_eq!(
        (report.files, report.unreferenced_blobs, report.staged),
        (20, 0, 0)
    );
}

#[tokio::test]
async fn nothing_but_a_backup_is_written_to() {
    let world = world().await;
    world.client.put("a", "1").await;
    let (folder, target) = (world.folder.path(), tempfile::tempdir().unwrap());
    let refused = |from: &Path, to: &Path| backup(from, to, &mut |_| {}).unwrap_err();
    let error = refused(target.path(), &target.path().join("copy"));
    assert!(matches!(error, BackupError::NoHub { .. }), "{error}");
    let photos = target.path().join("photos");
    fs::create_dir(&photos).unwrap();
    fs::write(photos.join("cat.jpg"), "cat").unwrap();
    let error = refused(folder, &photos);
    assert!(matches!(error, BackupError::NotABackup { .. }), "{error}");
    for inside in ["", "copy", "blobs/copy"] {
        let error = refused(folder, &folder.join(inside));
        assert!(
            matches!(error, BackupError::Inside { .. }),
            "{inside}: {error}"
        );
    }
    assert!(!folder.join("copy.partial").exists());
}

#[tokio::test]
async fn while_blobs_are_being_copied_none_goes() {
    let world = world().await;
    world.client.put("a", numbered(1)).await;
    let copying = File::open(world.folder.path().join("sweep.lock")).unwrap();
    copying.lock_shared().unwrap();
    world.client.delete("a").await;
    // The sweeper has looked in the meantime, or will yet find it locked.
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.blobs().len(), 1);
    copying.unlock().unwrap();
    eventually("the blob is gone", || world.blobs().is_empty()).await;
}
