//! Making a folder a synced one, and every way in which that is refused.

use crate::kit::Place;
use crate::kit::Ran;

/// Nobody listens there.
const NO_HUB: &str = "http://127.0.0.1:9";

fn init(place: &Place, dir: &str) -> Ran {
    place.run(&["init", dir, "--hub", NO_HUB, "--key-file", "key"])
}

#[test]
fn a_folder_is_set_up_without_the_hub_and_keeps_its_files() {
    let place = Place::with_key();
    place.write("mine/notes.txt", "kept");
    let document = place
        .run(&[
            "init",
            "mine",
            "--hub",
            NO_HUB,
            "--key-file",
            "key",
            "--json",
        ])
        .json();
    assert_eq!(document["hub"], NO_HUB);
    assert_eq!(document["device"].as_str().map(str::len), Some(16));
    assert_eq!(place.read("mine/notes.txt"), "kept");
    init(&place, "new/deep").ok();
    assert!(place.path("new/deep/.pangaea").is_dir());
    // The key is referred to, not copied.
    assert!(!place.path("mine/.pangaea/key").exists());
}

#[test]
fn places_that_cannot_be_synced_are_refused() {
    let place = Place::with_key();
    place.write("file", "");
    let said = init(&place, "file").code(1);
    assert!(said.contains("not a folder"), "{said}");
    init(&place, "mine").ok();
    let said = init(&place, "mine").code(1);
    assert!(said.contains("already"), "{said}");
    for inside in ["mine/inner", "mine/a/b/c"] {
        let said = init(&place, inside).code(1);
        assert!(said.contains("inside the synced folder"), "{said}");
        assert!(!place.path(inside).exists());
    }
}

#[test]
fn hubs_and_keys_that_cannot_be_used_are_refused_before_anything_is_made() {
    let place = Place::with_key();
    for hub in ["hub.example", "ftp://hub.example", ""] {
        place
            .run(&["init", "mine", "--hub", hub, "--key-file", "key"])
            .code(2);
    }
    place
        .run(&["init", "mine", "--hub", NO_HUB, "--key-file", "nowhere"])
        .code(1);
    let said = place.run(&["init", "mine", "--hub", NO_HUB]).code(1);
    assert!(said.contains("key new"), "{said}");
    assert!(!place.path("mine").exists());
}

#[test]
fn a_key_inside_the_folder_would_be_synced_and_is_refused() {
    let place = Place::new();
    place.run(&["key", "new", "--key-file", "mine/key"]).ok();
    let said = place
        .run(&["init", "mine", "--hub", NO_HUB, "--key-file", "mine/key"])
        .code(1);
    assert!(said.contains("move it elsewhere"), "{said}");
}

#[test]
fn a_key_in_the_environment_stays_there() {
    let place = Place::with_key();
    let secret = place.read("key");
    let with_key = |arguments: &[&str]| {
        Ran::of(
            place.command(arguments).env("PANGAEA_KEY", secret.trim()),
            "",
        )
    };
    with_key(&["init", "mine", "--hub", NO_HUB]).ok();
    place.write("mine/file", "content");
    with_key(&["sync", "mine", "--offline"]).code(3);
    let said = place.run(&["sync", "mine", "--offline"]).code(1);
    assert!(said.contains("PANGAEA_KEY"), "{said}");
    // Looking needs no key.
    assert_eq!(place.run(&["cat", "mine", "file"]).ok(), "content");
    place.run(&["status", "mine"]).ok();
}

#[test]
fn the_key_of_another_bucket_is_not_used() {
    let place = Place::with_key();
    init(&place, "mine").ok();
    place.run(&["key", "new", "--key-file", "other"]).ok();
    std::fs::rename(place.path("other"), place.path("key")).expect("renamed");
    let said = place.run(&["sync", "mine"]).code(1);
    assert!(said.contains("another bucket"), "{said}");
}

#[test]
fn commands_name_the_folder_that_is_meant() {
    let place = Place::with_key();
    init(&place, "mine").ok();
    place.write("mine/inner/file", "");
    place.write("other/file", "");
    let said = place.run(&["status", "other"]).code(1);
    assert!(
        said.contains("no synced folder") && said.contains("pangaea init"),
        "{said}"
    );
    let said = place.run(&["status", "mine/inner"]).code(1);
    assert!(said.contains("name that one"), "{said}");
    place.run(&["status", "nowhere"]).code(1);
    let error = place.run(&["status", "other", "--json"]);
    assert_eq!(error.out, "");
    assert_eq!(crate::kit::parse(&error.err)["error"]["exit_code"], 1);
}
