//! `up` and `join`: two devices from two commands.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::kit::Place;
use crate::kit::Running;

fn up(place: &Place) -> (Running, String, String) {
    let running = Running::start(place, &["up", "first", "--poll", "1"]);
    let ready = running.wait_for("ready");
    let text = |field: &str| ready[field].as_str().expect("text").to_owned();
    (running, text("link"), text("hub"))
}

#[test]
fn a_second_device_joins_and_the_hub_keeps_its_address() {
    let place = Place::new();
    place.write("first/file.txt", "content");
    let (running, link, hub) = up(&place);
    running.wait_for_path("sent", Some("file.txt"));
    place.run(&["join", &link, "second"]).ok();
    assert_eq!(place.read("second/file.txt"), "content");
    place.write("second/back.txt", "back");
    place.run(&["sync", "second"]).ok();
    running.wait_for_path("received", Some("back.txt"));
    assert_eq!(place.tree("first"), place.tree("second"));
    for folder in ["first", "second"] {
        let key = fs::metadata(place.path(&format!("{folder}/.pangaea/key"))).expect("a key");
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(running.interrupt(), Some(0));
    place.write("second/later.txt", "later");
    place.run(&["sync", "second"]).code(3);
    let (running, link_again, hub_again) = up(&place);
    assert_eq!((link_again, hub_again), (link, hub));
    place.run(&["sync", "second"]).ok();
    running.wait_for_path("received", Some("later.txt"));
    let said = place.run(&["up", "first"]).code(1);
    assert!(said.contains("already"), "{said}");
    assert_eq!(running.interrupt(), Some(0));
}

#[test]
fn a_link_need_not_be_an_argument_and_stands_nowhere_else() {
    let place = Place::new();
    let (running, link, _) = up(&place);
    let secret = link.split("key=").nth(1).expect("a key").to_owned();
    place
        .run_with_input(&["join", "-", "second"], &format!("{link}\n"))
        .ok();
    place.write("link", &link);
    let third = place.run(&["join", "@link", "third", "--json", "-vv"]);
    assert!(
        !third.out.contains(&secret) && !third.err.contains(&secret),
        "{third:?}"
    );
    third.ok();
    let said = place.run(&["join", &link, "second"]).code(1);
    assert!(said.contains("already"), "{said}");
    assert_eq!(running.interrupt(), Some(0));
}

#[test]
fn what_is_no_link_and_a_hub_that_is_away_are_told_apart() {
    let place = Place::new();
    let secret = "07".repeat(32);
    let said = place
        .run(&["join", &format!("pangaea:join#key={secret}"), "second"])
        .code(2);
    assert!(!said.contains(&secret), "{said}");
    assert!(!place.path("second").exists());
    let link = format!("pangaea://join?hub=http://127.0.0.1:9#key={secret}");
    place.run(&["join", &link, "second"]).code(3);
    assert!(
        place
            .run(&["status", "second"])
            .ok()
            .contains("127.0.0.1:9")
    );
}

#[test]
fn up_does_not_take_over_the_mirror_of_another_hub() {
    let place = Place::with_mirrors("http://127.0.0.1:9", &["mine"]);
    let said = place.run(&["up", "mine"]).code(1);
    assert!(said.contains("--watch"), "{said}");
}
