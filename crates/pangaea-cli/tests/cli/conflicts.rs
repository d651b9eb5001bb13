//! Conflicts: found, shown, settled.

use crate::kit::HubProcess;
use crate::kit::Place;

/// Both devices have another version of `notes.bin`; the copy's name comes along.
fn conflict(hub: &HubProcess) -> (Place, String) {
    let place = Place::with_mirrors(&hub.url, &["a", "b"]);
    place.write("a/notes.bin", [0, 1]);
    place.run(&["sync", "a"]).ok();
    place.run(&["sync", "b"]).ok();
    place.write("a/notes.bin", [0, 2, 2]);
    place.write("b/notes.bin", [0, 3, 3, 3]);
    place.run(&["sync", "b", "--offline"]).code(3);
    place.run(&["sync", "a"]).ok();
    place.run(&["sync", "b"]).ok();
    place.run(&["sync", "a"]).ok();
    assert_eq!(place.tree("a"), place.tree("b"));
    let conflicts = place.run(&["conflicts", "a", "--json"]).json();
    let found = conflicts["conflicts"].as_array().expect("a list");
    assert_eq!(found.len(), 1, "{conflicts}");
    assert_eq!(
        (&found[0]["kind"], &found[0]["path"]),
        (&"copy".into(), &"notes.bin".into())
    );
    let copy = found[0]["copy"].as_str().expect("a copy").to_owned();
    (place, copy)
}

/// Length of a file, which tells the versions apart.
fn length(place: &Place, name: &str) -> u64 {
    std::fs::metadata(place.path(name)).expect("a file").len()
}

fn settle(keep: &str) -> (Place, Vec<(String, u64)>) {
    let hub = HubProcess::start();
    let (place, copy) = conflict(&hub);
    let (ours, theirs) = (
        length(&place, "a/notes.bin"),
        length(&place, &format!("a/{copy}")),
    );
    assert_eq!(ours + theirs, 7);
    place
        .run(&["resolve", "a", "notes.bin", "--keep", keep])
        .ok();
    assert!(place.run(&["conflicts", "a"]).ok().contains("no conflicts"));
    place.run(&["sync", "a"]).ok();
    place.run(&["sync", "b"]).ok();
    assert_eq!(place.tree("a"), place.tree("b"));
    let which = |size: usize| if size as u64 == ours { 0 } else { 1 };
    let left = place
        .tree("a")
        .into_iter()
        .map(|(name, bytes)| (name, which(bytes.len())));
    let left = left.collect();
    (place, left)
}

#[test]
fn keeping_ours_drops_the_copy() {
    let (_place, left) = settle("ours");
    assert_eq!(left, [("notes.bin".to_owned(), 0)]);
}

#[test]
fn keeping_theirs_puts_the_copy_in_place() {
    let (_place, left) = settle("theirs");
    assert_eq!(left, [("notes.bin".to_owned(), 1)]);
}

#[test]
fn keeping_both_gives_the_copy_a_name_of_its_own() {
    let (_place, left) = settle("both");
    assert_eq!(
        left,
        [("notes 2.bin".to_owned(), 1), ("notes.bin".to_owned(), 0)]
    );
}

#[test]
fn the_copy_may_be_named_and_what_is_settled_is_no_conflict() {
    let hub = HubProcess::start();
    let (place, copy) = conflict(&hub);
    let said = place.run(&["conflicts", "a"]).ok();
    assert!(
        said.contains(&copy) && said.contains("pangaea resolve"),
        "{said}"
    );
    place.run(&["resolve", "a", &copy, "--keep", "ours"]).ok();
    let said = place
        .run(&["resolve", "a", &copy, "--keep", "ours"])
        .code(1);
    assert!(said.contains("no conflict"), "{said}");
    place
        .run(&["resolve", "a", "notes.bin", "--keep", "mine"])
        .code(2);
}
