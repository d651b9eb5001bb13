//! What two people who edit offline expect to find afterwards.

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
    a.write("settings.json", "{\n  \"colour\": \"red\",\n  \"size\": 1\n}\n");
    a.write("line.txt", "same\n");
    a.write("gone.txt", "old\n");
    a.write("kept.txt", "old\n");
    settle(&mut a, &mut b).await;

    a.write("list.txt", "ONE\ntwo\nthree\nfour\nfive\n");
    b.write("list.txt", "one\ntwo\nthree\nfour\nFIVE\n");
    a.write("settings.json", "{\n  \"colour\": \"blue\",\n  \"size\": 1\n}\n");
    b.write("settings.json", "{\n  \"colour\": \"red\",\n  \"size\": 2\n}\n");
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
        assert!(all.iter().any(|content| content == wanted), "{wanted:?} is lost");
    }
    assert_eq!(a.replica.conflicts().len(), 2, "{:?}", a.replica.conflicts());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_round_sends_nothing() {
    let (_world, mut a, _b) = pair().await;
    for number in 0..200 {
        a.write(&format!("d{}/f{number}.txt", number % 7), format!("content {number}\n"));
    }
    a.sync().await;
    let before = a.replica.progress().done;
    a.sync().await;
    assert_eq!(a.replica.progress().done, before);
}
