//! Checking a data folder: what is whole is called so, and every kind of damage is found.

use std::fs;
use std::path::{Path, PathBuf};

use pangaea_hub::check::{CheckError, CheckReport, FolderEvent, Problem, ProblemKind, check};
use pangaea_hub::{Hub, HubConfig, IndexError};

use crate::support::{World, any_port, key, world};

/// What a check finds, and all that it calls wrong.
pub fn checked(folder: &Path) -> (CheckReport, Vec<Problem>) {
    let mut problems = Vec::new();
    let report = check(folder, &mut |event| {
        if let FolderEvent::Problem(problem) = event {
            problems.push(problem);
        }
    });
    match report {
        // Killed before there was anything to check.
        Err(CheckError::Index(IndexError::Unsettled)) => (CheckReport::default(), problems),
        report => (report.unwrap(), problems),
    }
}

/// Holds that nothing is wrong.
#[track_caller]
pub fn whole(folder: &Path) -> CheckReport {
    let (report, problems) = checked(folder);
    assert_eq!(problems, []);
    report
}

/// A stopped hub with a small and a large file.
async fn stored() -> World {
    let mut world = world().await;
    world.client.put("notes/small", "small").await;
    world.client.put("large", "large".repeat(50_000)).await;
    world.hub.take().unwrap().shutdown().await.unwrap();
    world
}

fn the_blob(world: &World) -> PathBuf {
    let name = world.blobs().pop().unwrap();
    world
        .folder
        .path()
        .join("blobs")
        .join(&name[..2])
        .join(name)
}

fn change_index(world: &World, sql: &str) {
    let connection = rusqlite::Connection::open(world.folder.path().join("index.sqlite3")).unwrap();
    assert!(connection.execute(sql, ()).unwrap() > 0, "{sql}");
}

/// Has SQLite bring all that it keeps beside the index into it.
pub fn settle(folder: &Path) {
    let connection = rusqlite::Connection::open(folder.join("index.sqlite3")).unwrap();
    let mode: String = connection
        .pragma_update_and_check(None, "journal_mode", "DELETE", |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "delete");
}

/// Holds that one thing is wrong, and that it is this.
#[track_caller]
fn finds(world: &World, kind: ProblemKind, path: Option<&str>, words: &str) {
    let (report, problems) = checked(world.folder.path());
    let [problem] = problems.as_slice() else {
        panic!("{problems:#?}");
    };
    assert_eq!(report.problems, 1);
    assert_eq!((problem.kind, problem.path.as_deref()), (kind, path));
    assert!(problem.message.contains(words), "{problem:?}");
    let bucket = key(1).address().to_string();
    assert!(problem.bucket.is_none() || problem.bucket == Some(bucket));
}

#[tokio::test]
async fn what_is_whole_is_called_so_while_a_hub_runs_and_when_it_has_stopped() {
    let mut world = world().await;
    world.client.put("notes/small", "small").await;
    world.client.put("large", "large".repeat(50_000)).await;
    let running = whole(world.folder.path());
    world.hub.take().unwrap().shutdown().await.unwrap();
    let stopped = whole(world.folder.path());
    assert_eq!(running, stopped);
    assert_eq!(
        (stopped.buckets, stopped.files, stopped.bytes),
        (1, 2, 250_005)
    );
    assert_eq!((stopped.unreferenced_blobs, stopped.staged), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_at_work_is_not_called_damaged() {
    let world = world().await;
    let (client, folder) = (world.client.clone(), world.folder.path().to_owned());
    let busy = tokio::spawn(async move {
        for number in 0..400 {
            let path = format!("f{}", number % 5);
            client.put(&path, format!("{number}").repeat(40_000)).await;
            if number % 3 == 0 {
                client.delete(&path).await;
            }
        }
    });
    let mut checks = 0;
    while !busy.is_finished() {
        let folder = folder.clone();
        let found = tokio::task::spawn_blocking(move || checked(&folder)).await;
        assert_eq!(found.unwrap().1, []);
        checks += 1;
    }
    busy.await.unwrap();
    assert!(checks > 3, "{checks} checks while the hub was at work");
}

#[tokio::test]
async fn a_flipped_bit_of_a_blob_is_found() {
    let world = stored().await;
    let blob = the_blob(&world);
    let mut bytes = fs::read(&blob).unwrap();
    bytes[200_000] ^= 1;
    fs::write(&blob, &bytes).unwrap();
    finds(
        &world,
        ProblemKind::Damaged,
        Some("large"),
        "the digest differs",
    );
    bytes.truncate(1000);
    fs::write(&blob, &bytes).unwrap();
    finds(
        &world,
        ProblemKind::Damaged,
        Some("large"),
        "1000 bytes instead of 250000",
    );
    fs::remove_file(&blob).unwrap();
    finds(
        &world,
        ProblemKind::Missing,
        Some("large"),
        "its bytes are gone",
    );
    fs::create_dir(&blob).unwrap();
    finds(
        &world,
        ProblemKind::Unreadable,
        Some("large"),
        "cannot be read",
    );
    fs::remove_dir_all(world.folder.path().join("blobs")).unwrap();
    let (_, problems) = checked(world.folder.path());
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[1].message.contains("the folder of blobs is gone"));
}

#[tokio::test]
async fn damage_in_the_index_is_found() {
    for (sql, kind, path, words) in [
        (
            "UPDATE bodies SET data = x'00'",
            ProblemKind::Damaged,
            Some("notes/small"),
            "1 bytes instead of 5",
        ),
        (
            "UPDATE bodies SET data = CAST('smalk' AS BLOB)",
            ProblemKind::Damaged,
            Some("notes/small"),
            "the digest differs",
        ),
        (
            "DELETE FROM bodies",
            ProblemKind::Missing,
            Some("notes/small"),
            "not in the index",
        ),
        (
            "UPDATE files SET etag = '00000000000000000000000000000000' WHERE path = 'large'",
            ProblemKind::Damaged,
            Some("large"),
            "its tag is 0000",
        ),
        (
            "UPDATE files SET path = 'a//b' WHERE path = 'large'",
            ProblemKind::Index,
            Some("a//b"),
            "empty segment",
        ),
        (
            "UPDATE files SET content_type = char(10) WHERE path = 'large'",
            ProblemKind::Index,
            Some("large"),
            "content type",
        ),
        (
            "UPDATE files SET seq = 99 WHERE path = 'large'",
            ProblemKind::Index,
            None,
            "after the bucket's last change",
        ),
        (
            "UPDATE files SET seq = 1",
            ProblemKind::Index,
            None,
            "the same place",
        ),
        (
            "INSERT INTO bodies (data) VALUES (x'01')",
            ProblemKind::Index,
            None,
            "belong to no file",
        ),
        (
            "UPDATE buckets SET oldest_valid = -1",
            ProblemKind::Index,
            None,
            "negative",
        ),
    ] {
        let world = stored().await;
        change_index(&world, sql);
        finds(&world, kind, path, words);
    }
}

#[tokio::test]
async fn damage_in_what_is_remembered_of_removals_is_found() {
    for (sql, words) in [
        (
            "UPDATE removals SET path = 'large'",
            "have a file; so many: 1",
        ),
        (
            "UPDATE removals SET seq = 99",
            "a removal comes after the bucket's last change, with number 99",
        ),
        (
            "UPDATE removals SET seq = 2",
            "a removal and another change have the same place in the order of changes, number 2",
        ),
        (
            "INSERT INTO removals SELECT bucket, 'other', seq, removed_ms FROM removals",
            "a removal and another change have the same place in the order of changes, number 4",
        ),
        (
            "UPDATE removals SET bucket = 77",
            "removals belong to a bucket that is not there, number 77",
        ),
        ("UPDATE removals SET seq = 0", "no such thing: 0"),
        ("UPDATE removals SET removed_ms = -1", "no such thing: -1"),
        ("UPDATE buckets SET forgotten_seq = 99", "no such thing: 99"),
    ] {
        let mut world = stored().await;
        world.start_again().await;
        assert_eq!(world.client.put("gone", "x").await.status, 202);
        assert_eq!(world.client.delete("gone").await.status, 202);
        world.hub.take().unwrap().shutdown().await.unwrap();
        whole(world.folder.path());
        change_index(&world, sql);
        finds(&world, ProblemKind::Index, None, words);
    }
}

#[tokio::test]
async fn a_torn_database_is_found() {
    let world = stored().await;
    settle(world.folder.path());
    let index = world.folder.path().join("index.sqlite3");
    let mut bytes = fs::read(&index).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0x5a);
    fs::write(&index, &bytes).unwrap();
    let (_, problems) = checked(world.folder.path());
    assert!(
        problems
            .iter()
            .any(|problem| problem.kind == ProblemKind::Database),
        "{problems:?}"
    );
    fs::write(
        &index,
        "this is no database, but long enough to be looked at as one, one hopes",
    )
    .unwrap();
    let (_, problems) = checked(world.folder.path());
    assert_eq!(problems[0].kind, ProblemKind::Database, "{problems:?}");
}

#[tokio::test]
async fn leftovers_are_no_damage_and_a_check_changes_nothing() {
    let world = stored().await;
    let orphan = "ab".repeat(32);
    let folder = world.folder.path();
    fs::write(folder.join("blobs/ab").join(&orphan), "x").unwrap();
    fs::write(folder.join("blobs/ab/notes.txt"), "not ours").unwrap();
    fs::write(folder.join("staging/0"), "half").unwrap();
    let report = whole(folder);
    assert_eq!(
        (report.unreferenced_blobs, report.unreferenced_bytes),
        (1, 1)
    );
    assert_eq!((report.staged, report.foreign), (1, 1));
    assert!(folder.join("blobs/ab").join(&orphan).exists());
    assert!(folder.join("staging/0").exists());
    let hub = Hub::start(HubConfig::new(folder, any_port()))
        .await
        .unwrap();
    hub.shutdown().await.unwrap();
    assert_eq!(whole(folder).staged, 0);
}

#[test]
fn a_folder_without_a_hub_is_no_whole_one() {
    let folder = tempfile::tempdir().unwrap();
    let error = check(folder.path(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, CheckError::NoHub { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
