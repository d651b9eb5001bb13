//! What two people who edit offline expect to find afterwards.

use bytes::Bytes;
use futures_util::StreamExt;
use gaia::path::FilePath;
use pangaea::body::Body;
use pangaea::hub::Hub;
use pangaea::hub::HubBody;
use pangaea::hub::HubOutcome;
use pangaea::replica::EditError;
use pangaea::replica::RoundEnd;
use pangaea::store::RowQuery;
use pangaea_core::engine::HubState;
use pangaea_core::io::Choice;
use pangaea_core::io::Side;
use pangaea_core::plan::Condition;
use pangaea_core::state::ProblemKind;

use crate::devices::Device;
use crate::devices::World;
use crate::devices::settle;

async fn pair() -> (World, Device, Device) {
    let world = World::new().await;
    let (a, b) = (world.device("a").await, world.device("b").await);
    (world, a, b)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_go_from_one_device_to_the_other() {
    let (_world, mut a, mut b) = pair().await;
    a.write("notes/todo.txt", "milk\n");
    a.write("empty", "");
    a.write("picture.bin", vec![7; 3 * 1024 * 1024]);
    a.sync().await;
    b.sync().await;
    assert_eq!(a.tree(), b.tree());
    assert_eq!(b.tree().len(), 3);
    b.remove("empty");
    b.write("notes/todo.txt", "milk\nbread\n");
    settle(&mut b, &mut a).await;
    assert_eq!(a.tree(), b.tree());
    assert_eq!(a.tree().len(), 2);
    assert_eq!(a.read("notes/todo.txt").unwrap(), "milk\nbread\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_edits_are_merged_or_kept() {
    let (_world, mut a, mut b) = pair().await;
    a.write("list.txt", "one\ntwo\nthree\nfour\nfive\n");
    a.write(
        "settings.json",
        "{\n  \"colour\": \"red\",\n  \"size\": 1\n}\n",
    );
    a.write("line.txt", "same\n");
    a.write("gone.txt", "old\n");
    a.write("kept.txt", "old\n");
    settle(&mut a, &mut b).await;

    a.write("list.txt", "ONE\ntwo\nthree\nfour\nfive\n");
    b.write("list.txt", "one\ntwo\nthree\nfour\nFIVE\n");
    a.write(
        "settings.json",
        "{\n  \"colour\": \"blue\",\n  \"size\": 1\n}\n",
    );
    b.write(
        "settings.json",
        "{\n  \"colour\": \"red\",\n  \"size\": 2\n}\n",
    );
    a.write("line.txt", "by a\n");
    b.write("line.txt", "by b\n");
    a.remove("gone.txt");
    a.remove("kept.txt");
    b.write("kept.txt", "edited\n");
    a.write("new.bin", [0, 1, 2]);
    b.write("new.bin", [0, 9, 9]);
    settle(&mut a, &mut b).await;
    settle(&mut a, &mut b).await;

    assert_eq!(a.tree(), b.tree());
    assert_eq!(a.read("list.txt").unwrap(), "ONE\ntwo\nthree\nfour\nFIVE\n");
    let settings = a.read("settings.json").unwrap();
    assert_eq!(settings, "{\n  \"colour\": \"blue\",\n  \"size\": 2\n}\n");
    assert_eq!(a.read("gone.txt"), None);
    assert_eq!(a.read("kept.txt").unwrap(), "edited\n");
    let all: Vec<Vec<u8>> = a.tree().into_values().collect();
    for wanted in [&b"by a\n"[..], b"by b\n", &[0, 1, 2], &[0, 9, 9]] {
        assert!(
            all.iter().any(|content| content == wanted),
            "{wanted:?} is lost"
        );
    }
    assert_eq!(
        a.replica.conflicts().len(),
        2,
        "{:?}",
        a.replica.conflicts()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_round_sends_nothing() {
    let (_world, mut a, _b) = pair().await;
    for number in 0..200 {
        a.write(
            &format!("d{}/f{number}.txt", number % 7),
            format!("content {number}\n"),
        );
    }
    a.sync().await;
    let before = a.replica.progress().done;
    a.sync().await;
    assert_eq!(a.replica.progress().done, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_hub_everything_local_works_and_is_sent_later() {
    let (mut world, mut a, mut b) = pair().await;
    a.write("before.txt", "1\n");
    settle(&mut a, &mut b).await;
    world.stop_hub().await;
    let path = FilePath::parse("note.txt").unwrap();
    a.replica
        .write(&path, Bytes::from_static(b"offline\n"), None)
        .await
        .unwrap();
    assert_eq!(a.read("note.txt").unwrap(), "offline\n");
    a.write("direct.txt", "2\n");
    let RoundEnd::Left(status) = a.round().await else {
        panic!("there is no hub")
    };
    assert_eq!(status.pending, 2);
    assert!(
        matches!(status.hub, HubState::Waiting { .. }),
        "{:?}",
        status.hub
    );

    // The device is switched off and on again; the journal is still there.
    drop(a);
    let mut a = world.device("a").await;
    assert_eq!(a.replica.status().pending, 2);
    world.start_hub().await;
    settle(&mut a, &mut b).await;
    assert_eq!(b.tree(), a.tree());
    assert_eq!(b.tree().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_replaced_can_be_restored() {
    let (_world, mut a, mut b) = pair().await;
    let path = FilePath::parse("note.txt").unwrap();
    a.write("note.txt", "first\n");
    settle(&mut a, &mut b).await;
    b.write("note.txt", "second\n");
    settle(&mut b, &mut a).await;
    let query = RowQuery {
        path: Some(path.clone()),
        limit: None,
    };
    let rows = a.replica.history(query).await.unwrap();
    a.replica.restore(&path, rows[0].version).await.unwrap();
    assert_eq!(a.read("note.txt").unwrap(), "first\n");
    settle(&mut a, &mut b).await;
    assert_eq!(b.read("note.txt").unwrap(), "first\n");
    let Body::Bytes(content) = b.replica.read(&path).await.unwrap() else {
        panic!("it is small")
    };
    assert_eq!(content, "first\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_is_resolved_for_all_devices() {
    let (_world, mut a, mut b) = pair().await;
    a.write("photo.bin", [0, 1]);
    b.write("photo.bin", [0, 2]);
    settle(&mut a, &mut b).await;
    let copies: Vec<String> = a
        .tree()
        .into_keys()
        .filter(|name| name != "photo.bin")
        .collect();
    assert_eq!(copies.len(), 1, "{copies:?}");
    let copy = FilePath::parse(&copies[0]).unwrap();
    let lost = std::fs::read(a.folder.join(&copies[0])).unwrap();
    a.replica
        .resolve(&copy, Choice::Side(Side::Theirs))
        .await
        .unwrap();
    settle(&mut a, &mut b).await;
    assert_eq!(b.tree(), [("photo.bin".to_owned(), lost)].into());
    assert!(b.replica.conflicts().is_empty());
}

/// The copy of what another device wrote is made of what was just read, which the store has not got
/// yet: reading it once more would not help.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conflict_is_settled_in_a_few_steps() {
    let world = World::new().await;
    let mut other = world.folderless("other").await;
    let mut device = world.folderless("device").await;
    let path = FilePath::parse("photo.bin").unwrap();
    for (replica, content) in [(&mut other, &[0, 1]), (&mut device, &[0, 2])] {
        replica
            .write(&path, Bytes::from_static(content), None)
            .await
            .unwrap();
    }
    other.round(&mut |_| {}).await.unwrap();
    let before = device.progress().done;
    device.round(&mut |_| {}).await.unwrap();
    assert_eq!(device.conflicts().len(), 1);
    let steps = device.progress().done - before;
    assert!(steps < 20, "{steps} steps");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_of_half_a_megabyte_is_merged_like_a_small_one() {
    let (_world, mut a, mut b) = pair().await;
    let lines: Vec<String> = (0..20_000)
        .map(|number| format!("line number {number}\n"))
        .collect();
    a.write("long.txt", lines.concat());
    settle(&mut a, &mut b).await;
    let mut by_a = lines.clone();
    by_a[10] = "changed by a\n".to_owned();
    let mut by_b = lines.clone();
    by_b[19_000] = "changed by b\n".to_owned();
    a.write("long.txt", by_a.concat());
    b.write("long.txt", by_b.concat());
    settle(&mut a, &mut b).await;
    let mut both = lines;
    both[10] = "changed by a\n".to_owned();
    both[19_000] = "changed by b\n".to_owned();
    assert_eq!(a.read("long.txt").unwrap(), both.concat());
    assert_eq!(a.tree(), b.tree());
    assert!(
        a.replica.conflicts().is_empty(),
        "{:?}",
        a.replica.conflicts()
    );
}

/// I-6: an application that keeps no folder may read between any two turns.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_pulled_or_merged_can_be_read_before_it_is_stored() {
    let world = World::new().await;
    let (mut a, mut b) = (world.folderless("a").await, world.folderless("b").await);
    let path = FilePath::parse("note.txt").unwrap();
    for (replica, line) in [(&mut a, "by a\n"), (&mut b, "by b\n")] {
        replica.write(&path, Bytes::from(line), None).await.unwrap();
    }
    assert_eq!(a.round(&mut |_| {}).await.unwrap(), RoundEnd::Complete);
    b.begin_round();
    let mut reads = 0;
    while b.turn().await.unwrap() {
        let paths: Vec<_> = b.files().map(|(path, _)| path.clone()).collect();
        for path in paths {
            b.read(&path).await.unwrap();
            reads += 1;
        }
    }
    assert!(reads > 1, "nothing was read between turns");
}

/// I-15: a hub, or whoever has its disk, cannot slip other bytes under a version.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_not_what_their_version_says_are_set_aside() {
    let (world, mut a, mut b) = pair().await;
    a.write("a.txt", "one\n");
    a.sync().await;
    b.sync().await;
    a.write("a.txt", "two\n");
    a.sync().await;

    let hub = world.hub_client();
    let path = FilePath::parse("a.txt").unwrap();
    let stored = hub.read(&path).await.unwrap().unwrap();
    let (tag, content_type) = (stored.tag.unwrap(), stored.content_type);
    let chunks: Vec<_> = stored.body.map(Result::unwrap).collect().await;
    let torn = HubBody::Bytes(chunks.concat()[..40].to_vec().into());
    let condition = Condition::Replace(tag);
    let written = hub.write(&path, &content_type, torn, &condition).await;
    assert!(matches!(written.unwrap(), HubOutcome::Done(_)));

    b.write("other.txt", "goes on\n");
    assert!(matches!(b.round().await, RoundEnd::Left(_)));
    let problems: Vec<_> = b.replica.problems().collect();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].0, &path);
    assert_eq!(problems[0].1.kind, ProblemKind::Damaged, "{problems:?}");
    assert_eq!(b.read("a.txt").as_deref(), Some("one\n"));
    assert!(
        hub.read(&FilePath::parse("other.txt").unwrap())
            .await
            .unwrap()
            .is_some()
    );
}

/// What cannot be read is there all the same: who takes it for deleted writes over it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_damaged_store_cannot_give_is_not_called_absent() {
    let world = World::new().await;
    let mut device = world.folderless("a").await;
    let path = FilePath::parse("note.txt").unwrap();
    device
        .write(&path, Bytes::from("text"), None)
        .await
        .unwrap();
    let state = world.temp.path().join("a/replica.db");
    let store = rusqlite::Connection::open(state).unwrap();
    store.execute_batch("DROP TABLE content").unwrap();
    let error = device.read(&path).await.map(drop).unwrap_err();
    assert!(matches!(error, EditError::Unreadable { .. }), "{error}");
    let other = FilePath::parse("other.txt").unwrap();
    let error = device.read(&other).await.map(drop).unwrap_err();
    assert!(matches!(error, EditError::Absent { .. }), "{error}");
}
