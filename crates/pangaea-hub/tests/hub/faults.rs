//! Disks that lose, refuse or fill up: clients see an error and never wrong bytes, and when the
//! cause goes away, everything works again by itself.

use std::fs;
use std::path::PathBuf;

use pangaea_hub::{Hub, HubConfig};

use crate::check::{checked, settle, whole};
use crate::support::{World, any_port, eventually, world};

fn the_blob(world: &World) -> PathBuf {
    let name = world.blobs().pop().unwrap();
    world
        .folder
        .path()
        .join("blobs")
        .join(&name[..2])
        .join(name)
}

/// Bytes whose last piece is not the first.
fn long() -> Vec<u8> {
    (0..1_000_000_u32).map(|n| (n % 251) as u8).collect()
}

#[tokio::test]
async fn a_damaged_blob_is_not_sent_to_its_end() {
    let world = world().await;
    world.client.put("long", long()).await;
    let blob = the_blob(&world);
    for at in [0, 999_999] {
        let mut damaged = long();
        damaged[at] ^= 1;
        fs::write(&blob, damaged).unwrap();
        let response = world.client.get("long").await;
        assert_eq!(response.headers()["content-length"], "1000000");
        assert!(response.bytes().await.is_err(), "flipped at {at}");
    }
    fs::write(&blob, &long()[..900_000]).unwrap();
    let response = world.client.get("long").await;
    assert_eq!(response.status(), 500);
    assert_eq!(
        response.text().await.unwrap(),
        r#"{"message":"Server Error"}"#
    );
    // Storing it again mends it.
    assert_eq!(world.client.put("again", long()).await.status, 202);
    assert!(world.client.get("long").await.bytes().await.unwrap() == long());
    whole(world.folder.path());
}

#[tokio::test]
async fn a_blob_that_is_gone_is_an_error_until_it_is_back() {
    let world = world().await;
    world.client.put("long", long()).await;
    world.client.put("small", "1").await;
    let blobs = world.folder.path().join("blobs");
    let aside = world.folder.path().join("aside");
    fs::rename(&blobs, &aside).unwrap();
    let response = world.client.get("long").await;
    assert_eq!(response.status(), 500);
    assert_eq!(
        response.text().await.unwrap(),
        r#"{"message":"Server Error"}"#
    );
    let refused = world.client.put("more", long()).await;
    assert_eq!(
        (refused.status, refused.text("message")),
        (500, "Server Error")
    );
    assert_eq!(world.client.body("small").await, "1");
    fs::rename(&aside, &blobs).unwrap();
    assert!(world.client.get("long").await.bytes().await.unwrap() == long());
    assert_eq!(world.client.put("more", long()).await.status, 202);
    assert_eq!(world.staged(), 0);
}

#[tokio::test]
async fn damaged_bytes_in_the_index_are_not_sent() {
    let mut world = world().await;
    world.client.put("small", "small").await;
    world.client.put("other", "other").await;
    world.hub.take().unwrap().shutdown().await.unwrap();
    let index = world.folder.path().join("index.sqlite3");
    let connection = rusqlite::Connection::open(&index).unwrap();
    let changed = connection.execute(
        "UPDATE bodies SET data = CAST('smalk' AS BLOB) WHERE data = CAST('small' AS BLOB)",
        (),
    );
    assert_eq!(changed, Ok(1));
    drop(connection);
    world.start_again().await;
    let response = world.client.get("small").await;
    assert_eq!(response.status(), 500);
    assert_eq!(
        response.text().await.unwrap(),
        r#"{"message":"Server Error"}"#
    );
    assert_eq!(world.client.body("other").await, "other");
}

/// What is in the log is as good as stored, whatever becomes of the database in the meantime.
#[tokio::test]
async fn a_locked_index_delays_nobody_and_what_it_lacks_outlives_the_hub() {
    let mut world = world().await;
    let large = "large".repeat(50_000);
    world.client.put("a", "1").await;
    let index = world.folder.path().join("index.sqlite3");
    let connection = rusqlite::Connection::open(&index).unwrap();
    connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    for number in 0..20 {
        assert_eq!(
            world.client.put(&format!("f{number:02}"), "2").await.status,
            202
        );
    }
    assert_eq!(world.client.put("large", large.clone()).await.status, 202);
    assert_eq!(world.client.delete("f00").await.status, 202);
    assert_eq!(
        world
            .client
            .put_if("f01", "3", "If-None-Match", "*")
            .await
            .status,
        412
    );
    let names = world.client.names().await;
    assert_eq!(names.len(), 21);
    assert_eq!(names[..2], ["a", "f01"]);
    assert_eq!(world.client.body("f01").await, "2");
    assert_eq!(world.client.get("f00").await.status(), 404);
    // The hub cannot bring it into the database, and says so at the end.
    world.hub.take().unwrap().shutdown().await.unwrap();
    let lacks = "SELECT count(*) FROM files WHERE path LIKE 'f%'";
    let found: i64 = connection.query_row(lacks, (), |row| row.get(0)).unwrap();
    assert_eq!(found, 0);
    assert_eq!(checked(world.folder.path()).1, []);
    connection.execute_batch("ROLLBACK").unwrap();
    drop(connection);
    world.start_again().await;
    assert_eq!(world.client.names().await, names);
    assert_eq!(world.client.body("large").await, large);
}

/// Such a database is none that a hub has made; nothing is lost to it all the same.
#[tokio::test]
async fn what_the_index_does_not_take_is_kept_until_it_does() {
    let mut world = world().await;
    let index = world.folder.path().join("index.sqlite3");
    let connection = rusqlite::Connection::open(index).unwrap();
    let trigger = "CREATE TRIGGER t BEFORE INSERT ON files WHEN NEW.path = 'poison'
                   BEGIN SELECT RAISE(ABORT, 'poison'); END";
    connection.execute_batch(trigger).unwrap();
    for path in ["a", "poison", "b"] {
        assert_eq!(world.client.put(path, path).await.status, 202);
    }
    assert_eq!(world.client.names().await, ["a", "b", "poison"]);
    let health = format!("{}/health", world.client.url);
    assert_eq!(reqwest::get(health).await.unwrap().status(), 503);
    world.hub.take().unwrap().shutdown().await.unwrap();
    let refused = Hub::start(HubConfig::new(world.folder.path(), any_port())).await;
    assert!(refused.unwrap_err().to_string().contains("poison"));
    connection.execute_batch("DROP TRIGGER t").unwrap();
    drop(connection);
    world.start_again().await;
    assert_eq!(world.client.names().await, ["a", "b", "poison"]);
    assert_eq!(world.client.body("poison").await, "poison");
}

#[tokio::test]
async fn a_damaged_index_is_told_at_the_start() {
    let mut world = world().await;
    world.hub.take().unwrap().shutdown().await.unwrap();
    settle(world.folder.path());
    fs::write(
        world.folder.path().join("index.sqlite3"),
        "no database ".repeat(100),
    )
    .unwrap();
    let error = Hub::start(HubConfig::new(world.folder.path(), any_port()))
        .await
        .unwrap_err();
    let error = error.to_string();
    assert!(
        error.contains("index is damaged") && error.contains("backup"),
        "{error}"
    );
}

/// The disk is full for files of this process that grow beyond a limit, until the limit goes.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    use crate::durability::start_child_with;
    use crate::support::{Client, key};
    use std::process::Command;
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    // 512 KiB, in blocks of 512 bytes; and an error instead of a signal.
    command
        .args(["-c", r#"trap "" XFSZ; ulimit -S -f 1024; exec "$0" "$@""#])
        .arg(std::env::current_exe().unwrap());
    let (mut child, url) = start_child_with(command, folder.path());
    let client = Client::new(&url, key(1));
    assert_eq!(client.put("small", "1").await.status, 202);
    let response = client.store("long").body(long()).send().await.unwrap();
    assert_eq!(response.status(), 507);
    assert!(response.headers().contains_key("retry-after"));
    let text = response.text().await.unwrap();
    assert_eq!(
        text,
        r#"{"message":"The hub has no room left; try again later"}"#
    );
    eventually("the staged file is gone", || {
        fs::read_dir(folder.path().join("staging")).unwrap().count() == 0
    })
    .await;
    // The index grows until it may not.
    let mut stored = 0;
    let refused = loop {
        let answer = client
            .put(&format!("f{stored:03}"), "x".repeat(20_000))
            .await;
        if answer.status != 202 {
            break answer;
        }
        stored += 1;
        assert!(stored < 200, "the index is larger than it may be");
    };
    assert!(refused.status >= 500, "{refused:?}");
    assert!(!refused.text("message").contains("sqlite"), "{refused:?}");
    assert_eq!(client.get(&format!("f{stored:03}")).await.status(), 404);
    assert_eq!(client.names().await.len(), stored + 1);

    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap());
    let unlimited = rustix::process::Rlimit {
        current: None,
        maximum: None,
    };
    rustix::process::prlimit(pid, rustix::process::Resource::Fsize, unlimited).unwrap();
    assert_eq!(client.put("after", "x".repeat(20_000)).await.status, 202);
    assert_eq!(client.put("long", long()).await.status, 202);
    assert!(client.get("long").await.bytes().await.unwrap() == long());
    child.kill().unwrap();
    child.wait().unwrap();
    let report = whole(folder.path());
    assert_eq!(report.files, stored as u64 + 3);
}
