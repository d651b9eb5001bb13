//! Staying in sync, and what other commands can do meanwhile.

use crate::kit::HubProcess;
use crate::kit::Place;
use crate::kit::Running;

fn watch(place: &Place, dir: &str) -> Running {
    let running = Running::start(place, &["sync", dir, "--watch", "--poll", "1"]);
    running.wait_for("settled");
    running
}

#[test]
fn changes_travel_by_themselves_in_both_directions() {
    let hub = HubProcess::start();
    let place = Place::with_mirrors(&hub.url, &["a", "b"]);
    let (a, b) = (watch(&place, "a"), watch(&place, "b"));
    place.write("a/from-a.txt", "a");
    a.wait_for_path("sent", Some("from-a.txt"));
    b.wait_for_path("received", Some("from-a.txt"));
    place.write("b/from-b.txt", "b");
    a.wait_for_path("received", Some("from-b.txt"));
    std::fs::remove_file(place.path("a/from-b.txt")).expect("deleted");
    a.wait_for_path("sent-delete", Some("from-b.txt"));
    b.wait_for_path("received-delete", Some("from-b.txt"));
    assert_eq!(place.tree("a"), place.tree("b"));
    assert_eq!((a.interrupt(), b.interrupt()), (Some(0), Some(0)));
}

#[test]
fn a_hub_that_tells_of_changes_need_not_be_asked() {
    let hub = HubProcess::start();
    let place = Place::with_mirrors(&hub.url, &["a", "b"]);
    let seldom = ["sync", "b", "--watch", "--poll", "3600"];
    let b = Running::start(&place, &seldom);
    b.wait_for("settled");
    place.write("a/from-a.txt", "a");
    place.run(&["sync", "a"]).ok();
    b.wait_for_path("received", Some("from-a.txt"));
    assert_eq!(b.interrupt(), Some(0));
}

#[test]
fn a_hub_that_goes_and_comes_is_waited_for() {
    let mut hub = HubProcess::start();
    let place = Place::with_mirrors(&hub.url, &["a", "b"]);
    let a = watch(&place, "a");
    hub.stop();
    let waiting = a.wait_for("waiting");
    assert!(waiting["until"].is_string(), "{waiting}");
    place.write("a/file.txt", "content");
    let status = wait_until(&place, |status| status["pending"]["count"] == 1);
    assert_eq!(status["running"]["task"], "watch");
    assert_eq!(status["running"]["pid"], a.pid());
    assert_eq!(status["last_error"]["kind"], "unreachable");
    assert!(status["next_try"].is_string(), "{status}");
    hub.start_again();
    a.wait_for("back");
    a.wait_for_path("sent", Some("file.txt"));
    assert_eq!(a.interrupt(), Some(0));
    place.run(&["sync", "b"]).ok();
    assert_eq!(place.read("b/file.txt"), "content");
    let status = place.run(&["status", "a", "--json"]).json();
    assert!(
        status["running"].is_null() && status["last_error"].is_null(),
        "{status}"
    );
}

fn wait_until(place: &Place, is_so: impl Fn(&serde_json::Value) -> bool) -> serde_json::Value {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    loop {
        let status = place.run(&["status", "a", "--json"]).json();
        if is_so(&status) {
            return status;
        }
        assert!(std::time::Instant::now() < deadline, "{status}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn other_commands_work_beside_it() {
    let hub = HubProcess::start();
    let place = Place::with_mirrors(&hub.url, &["a"]);
    let a = watch(&place, "a");
    for content in ["first", "second"] {
        place
            .run_with_input(&["put", "a", "notes/file.txt"], content)
            .ok();
        a.wait_for_path("sent", Some("notes/file.txt"));
    }
    assert_eq!(place.run(&["cat", "a", "notes/file.txt"]).ok(), "second");
    assert_eq!(place.run(&["ls", "a"]).ok(), "notes/file.txt\n");
    let log = place.run(&["log", "a", "notes/file.txt", "--json"]).json();
    let first = log["versions"][0]["version"]
        .as_str()
        .expect("a version")
        .to_owned();
    place
        .run(&["restore", "a", "notes/file.txt", "--version", &first])
        .ok();
    a.wait_for_path("sent", Some("notes/file.txt"));
    assert_eq!(place.read("a/notes/file.txt"), "first");
    place.run(&["rm", "a", "notes/file.txt"]).ok();
    a.wait_for_path("sent-delete", Some("notes/file.txt"));
    place.run(&["rm", "a", "notes/file.txt"]).code(1);
    assert!(place.run(&["conflicts", "a"]).ok().contains("no conflicts"));
    let said = place.run(&["sync", "a"]).code(1);
    assert!(said.contains("at work on this folder"), "{said}");
    assert_eq!(a.interrupt(), Some(0));
}
