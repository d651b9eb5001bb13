//! The hub goes away and comes back: work goes on, nothing is forgotten, nobody has to do anything.

use std::fs;
use std::time::Duration;

use pangaea_e2e::device::Device;
use pangaea_e2e::tree;
use pangaea_e2e::wait_for;
use pangaea_e2e::world::World;

/// An edit has travelled by then, with both devices watching and the hub well.
const TRAVEL_LIMIT: Duration = Duration::from_secs(60);
/// After a short outage everything is stored by then: the longest wait between two attempts is
/// still a matter of seconds.
const RECOVERY_LIMIT: Duration = Duration::from_secs(90);

/// How many changes wait, by `status`, taken in or not.
#[track_caller]
fn waiting(device: &Device) -> u64 {
    let status = device.ask("status", &[]);
    status["pending"]["count"].as_u64().unwrap() + status["unread"].as_u64().unwrap()
}

#[test]
fn everything_local_works_while_the_hub_is_down() {
    let mut world = World::new();
    let (a, b) = (world.device("a"), world.device("b"));
    a.write("kept.txt", "kept\n");
    a.write("gone.txt", "gone\n");
    a.sync();
    world.hub.kill();

    let source = world.folder("elsewhere").join("source.txt");
    fs::write(&source, "put while away\n").unwrap();
    a.run("put", &["put/new.txt", source.to_str().unwrap()])
        .expect(0);
    assert_eq!(a.read("put/new.txt").as_deref(), Some("put while away\n"));
    a.run("rm", &["gone.txt"]).expect(0);
    assert_eq!(a.read("gone.txt"), None);
    a.write("edited.txt", "written while away\n");
    let listed = a.ask("ls", &[]).to_string();
    assert!(
        listed.contains("kept.txt") && listed.contains("put/new.txt"),
        "{listed}"
    );
    assert!(!listed.contains("gone.txt"), "{listed}");
    for (path, content) in [("kept.txt", "kept\n"), ("put/new.txt", "put while away\n")] {
        assert_eq!(a.run("cat", &[path]).expect(0).text(), content);
    }
    let log = a.ask("log", &["gone.txt"]);
    assert_eq!(log["log"][0]["action"], "deleted", "{log}");

    let sync = a.run("sync", &[]).expect(3);
    let told = sync.json();
    assert_eq!(told["state"], "pending", "{told}");
    assert_eq!(told["pending"]["count"], 3, "{told}");
    assert_eq!(told["error"]["kind"], "unreachable", "{told}");
    assert!(
        told["error"]["message"].as_str().unwrap().len() > 10,
        "{told}"
    );

    let status = a.ask("status", &[]);
    assert_eq!(status["pending"]["count"], 3, "{status}");
    let bytes = "put while away\n".len() + "written while away\n".len();
    assert_eq!(status["pending"]["bytes"], bytes, "{status}");
    assert!(status["pending"]["oldest"].is_string(), "{status}");
    assert_eq!(status["last_error"]["kind"], "unreachable", "{status}");
    assert!(status["last_success"].is_string(), "{status}");
    let place = a.folder.to_str().unwrap();
    let words = a.pangaea(&["sync", place]).expect(3).text();
    assert!(
        words.contains("3 changes wait") && words.contains("cannot be reached"),
        "{words}"
    );
    let words = a.pangaea(&["status", place]).expect(0).text();
    assert!(
        words.contains("3 changes wait") && words.contains("cannot be reached"),
        "{words}"
    );
    assert!(words.contains(&world.hub.url()), "which hub? {words}");

    // A deleted file can be had back, and is gone from what waits.
    let version = log["versions"][0]["version"].as_str().unwrap();
    a.run("restore", &["gone.txt", "--version", version])
        .expect(0);
    assert_eq!(a.read("gone.txt").as_deref(), Some("gone\n"));

    world.hub.start();
    a.sync();
    b.sync();
    tree::assert_same_tree(&a.folder, &b.folder);
    assert_eq!(b.tree().len(), 4);
    assert_eq!(waiting(&a), 0);
    assert!(a.ask("status", &[])["last_error"].is_null());
}

#[test]
fn a_watching_device_syncs_by_itself_when_the_hub_is_back() {
    let mut world = World::new();
    let (a, b) = (world.device("a"), world.device("b"));
    a.write("first.txt", "first\n");
    let mut watch_a = a.start("sync", &["--watch", "--poll", "1"]);
    let mut watch_b = b.start("sync", &["--watch", "--poll", "1"]);
    let arrives = |device: &Device, path: &str, content: &str, limit| {
        wait_for(path, limit, || {
            device.read(path).filter(|found| found == content)
        });
    };
    arrives(&b, "first.txt", "first\n", TRAVEL_LIMIT);
    // Both ways, by the folder's own events.
    b.write("deep/second.txt", "second\n");
    a.replace("first.txt", "first, edited\n");
    arrives(&a, "deep/second.txt", "second\n", TRAVEL_LIMIT);
    arrives(&b, "first.txt", "first, edited\n", TRAVEL_LIMIT);
    a.remove("deep/second.txt");
    wait_for("the delete", TRAVEL_LIMIT, || {
        (b.read("deep/second.txt").is_none()).then_some(())
    });

    world.hub.kill();
    a.write("away.txt", "written while the hub was away\n");
    b.write("first.txt", "first, edited by b\n");
    for device in [&a, &b] {
        wait_for("the journal has it", TRAVEL_LIMIT, || {
            let status = device.ask("status", &[]);
            let knows_why = status["last_error"]["kind"] == "unreachable";
            (status["pending"]["count"] == 1 && knows_why).then_some(())
        });
    }
    // Another process may look and write meanwhile.
    assert_eq!(
        a.run("cat", &["away.txt"]).expect(0).text(),
        "written while the hub was away\n"
    );
    let source = world.folder("elsewhere").join("source.txt");
    fs::write(&source, "put beside the watcher\n").unwrap();
    a.run("put", &["put.txt", source.to_str().unwrap()])
        .expect(0);

    world.hub.start();
    arrives(
        &b,
        "away.txt",
        "written while the hub was away\n",
        RECOVERY_LIMIT,
    );
    arrives(&b, "put.txt", "put beside the watcher\n", RECOVERY_LIMIT);
    arrives(&a, "first.txt", "first, edited by b\n", RECOVERY_LIMIT);
    for device in [&a, &b] {
        wait_for("nothing waits", RECOVERY_LIMIT, || {
            (waiting(device) == 0).then_some(())
        });
    }
    tree::assert_same_tree(&a.folder, &b.folder);
    assert!(watch_a.is_running() && watch_b.is_running());
    watch_a.kill();
    watch_b.kill();
    a.sync();
    b.sync();
    tree::assert_same_tree(&a.folder, &b.folder);
    assert_eq!(a.tree().len(), 3);
}
