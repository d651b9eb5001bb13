//! Files and their history, without a hub.

use crate::kit::Place;
use crate::kit::fields;

const NO_HUB: &str = "http://127.0.0.1:9";

fn mirror() -> Place {
    Place::with_mirrors(NO_HUB, &["mine"])
}

#[test]
fn files_are_written_read_listed_and_deleted_without_a_hub() {
    let place = mirror();
    place
        .run_with_input(&["put", "mine", "notes/a.txt"], "first")
        .ok();
    place.write("source", "from a file");
    place.run(&["put", "mine", "./b.txt", "source"]).ok();
    assert_eq!(place.read("mine/notes/a.txt"), "first");
    assert_eq!(place.run(&["cat", "mine", "notes/a.txt"]).ok(), "first");
    assert_eq!(place.run(&["cat", "mine", "b.txt"]).ok(), "from a file");
    assert_eq!(place.run(&["ls", "mine"]).ok(), "b.txt\nnotes/a.txt\n");
    assert_eq!(place.run(&["ls", "mine", "notes/"]).ok(), "notes/a.txt\n");
    let long = place.run(&["ls", "mine", "--long"]).ok();
    assert!(
        long.contains("5 bytes") && long.contains("queued"),
        "{long}"
    );
    place.run(&["ls", "mine", "nowhere"]).code(1);
    place.run(&["rm", "mine", "b.txt"]).ok();
    assert!(!place.path("mine/b.txt").exists());
    place.run(&["rm", "mine", "b.txt"]).code(1);
    place.run(&["cat", "mine", "b.txt"]).code(1);
    // A write that a process before this one may have begun to send is followed by a delete.
    let status = place.run(&["status", "mine", "--json"]).json();
    assert_eq!(status["pending"]["count"], 2);
}

#[test]
fn names_that_no_bucket_holds_are_refused() {
    let place = mirror();
    for name in ["../out", "a/../b", "", "a//b", "/"] {
        place.run_with_input(&["put", "mine", name], "x").code(2);
    }
}

#[test]
fn content_of_any_bytes_comes_back() {
    let place = mirror();
    let large: Vec<u8> = (0..20 * 1024 * 1024_u32)
        .map(|index| (index % 251) as u8)
        .collect();
    place.write("large", &large);
    place.run(&["put", "mine", "large.bin", "large"]).ok();
    assert!(std::fs::read(place.path("mine/large.bin")).expect("the file") == large);
    let listed = place.run(&["ls", "mine", "--json"]).json();
    assert_eq!(listed["files"][0]["size"], large.len());
    place.run_with_input(&["put", "mine", "empty"], "").ok();
    assert_eq!(place.run(&["cat", "mine", "empty"]).ok(), "");
    assert!(
        !place
            .path("mine/.pangaea/outside")
            .read_dir()
            .is_ok_and(|mut left| { left.next().is_some() })
    );
}

#[test]
fn listings_for_programs_say_all_there_is_to_say() {
    let place = mirror();
    place.run_with_input(&["put", "mine", "a.json"], "{}").ok();
    let listed = place.run(&["ls", "mine", "--json"]).json();
    let file = &listed["files"][0];
    let names = [
        "changed", "device", "path", "sha256", "size", "state", "type", "version",
    ];
    assert_eq!(fields(file), names);
    assert_eq!(file["state"], "queued");
    assert_eq!(file["type"], "application/json; charset=utf-8");
}

#[test]
fn earlier_versions_are_kept_and_come_back() {
    let place = mirror();
    for content in ["one", "two", "three"] {
        place
            .run_with_input(&["put", "mine", "a.txt"], content)
            .ok();
    }
    place.run(&["rm", "mine", "a.txt"]).ok();
    let log = place.run(&["log", "mine", "a.txt", "--json"]).json();
    let versions = log["versions"].as_array().expect("versions");
    let sizes: Vec<_> = versions
        .iter()
        .map(|version| version["size"].as_u64())
        .collect();
    assert_eq!(sizes, [Some(5), Some(3), Some(3)]);
    let oldest = versions[2]["version"].as_str().expect("a version");
    place
        .run(&["restore", "mine", "a.txt", "--version", oldest])
        .ok();
    assert_eq!(place.read("mine/a.txt"), "one");
    let said = place
        .run(&["restore", "mine", "a.txt", "--version", "0000"])
        .code(1);
    assert!(said.contains("pangaea log"), "{said}");
    let words = place.run(&["log", "mine", "a.txt"]).ok();
    assert!(
        words.contains("changed here") && words.contains(oldest),
        "{words}"
    );
    assert_eq!(
        place.run(&["log", "mine", "-n", "2"]).ok().lines().count(),
        2
    );
}

#[test]
fn what_changed_in_the_folder_is_seen_before_a_sync() {
    let place = mirror();
    place
        .run_with_input(&["put", "mine", "a.txt"], "known")
        .ok();
    place.write("mine/a.txt", "changed since");
    place.write("mine/b.txt", "new");
    assert_eq!(place.run(&["cat", "mine", "a.txt"]).ok(), "changed since");
    let status = place.run(&["status", "mine", "--json"]).json();
    assert_eq!(status["unread"], 2);
    place.run(&["sync", "mine", "--offline"]).code(3);
    let status = place.run(&["status", "mine", "--json"]).json();
    assert_eq!(
        (&status["unread"], &status["pending"]["count"]),
        (&0.into(), &2.into())
    );
    // Looking at it changed nothing.
    assert_eq!(place.read("mine/a.txt"), "changed since");
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = mirror();
    let large = "line\n".repeat(1_000_000);
    place.run_with_input(&["put", "mine", "a.txt"], &large).ok();
    let mut child = place
        .command(&["cat", "mine", "a.txt"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("the program ends");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
