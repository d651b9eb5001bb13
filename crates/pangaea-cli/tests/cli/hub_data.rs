//! The tasks on a hub's data folder, as a person and a script run them.

use std::fs;
use std::path::PathBuf;

use crate::kit::Place;
use crate::kit::Running;
use crate::kit::parse;

/// A place with a synced folder in `mine` whose hub, in `data`, has stopped.
fn stored() -> Place {
    let place = Place::with_key();
    let hub = ["hub", "--listen", "127.0.0.1:0", "--data", "data"];
    let running = Running::start(&place, &hub);
    let url = running.wait_for("ready")["url"]
        .as_str()
        .expect("a URL")
        .to_owned();
    let init = [
        "init",
        "mine",
        "--hub",
        &url,
        "--key-file",
        "key",
        "--plain",
    ];
    place.run(&init).ok();
    place.write("mine/small.txt", "small");
    place.write("mine/large.bin", "large".repeat(50_000));
    place.run(&["sync", "mine"]).ok();
    assert_eq!(running.interrupt(), Some(0));
    place
}

fn some_blob(place: &Place) -> PathBuf {
    let folders = fs::read_dir(place.path("data/blobs")).expect("blobs");
    let mut files = folders
        .flat_map(|folder| fs::read_dir(folder.expect("an entry").path()).expect("a folder"));
    files.next().expect("a blob").expect("an entry").path()
}

#[test]
fn check_says_what_is_wrong() {
    let place = stored();
    let check = ["hub", "check", "--data", "data"];
    let words = place.run(&check).ok();
    assert!(words.contains("Nothing is wrong."), "{words}");
    let document = place
        .run(&["hub", "check", "--data", "data", "--json"])
        .json();
    assert_eq!(document["event"], "checked");
    assert_eq!(document["report"]["problems"], 0);
    assert!(
        document["report"]["bytes"].as_u64() > Some(250_000),
        "{document}"
    );

    let blob = some_blob(&place);
    let mut bytes = fs::read(&blob).expect("bytes");
    bytes[1000] ^= 1;
    fs::write(&blob, bytes).expect("the blob is written");
    let words = place.run(&check).code(4);
    assert!(
        words.contains("/large.bin: its bytes are not those that were stored"),
        "{words}"
    );
    let lines = place
        .run(&["hub", "check", "--data", "data", "--json"])
        .code(4);
    let lines: Vec<_> = lines.lines().map(parse).collect();
    assert_eq!(lines[0]["kind"], "damaged");
    assert_eq!(lines[0]["path"], "large.bin");
    assert_eq!(lines[1]["report"]["problems"], 1);
}

#[test]
fn a_backup_is_a_hub_of_its_own() {
    let place = stored();
    let backup = ["hub", "backup", "--data", "data", "--to", "copy", "--json"];
    let document = place.run(&backup).json();
    assert_eq!(document["event"], "backed-up");
    assert_eq!(document["report"]["copied_blobs"], 1);
    assert_eq!(place.run(&backup).json()["report"]["kept_blobs"], 1);
    place.run(&["hub", "check", "--data", "copy"]).ok();
    let words = place
        .run(&["hub", "backup", "--data", "data", "--to", "mine"])
        .code(1);
    assert!(words.contains("is no backup"), "{words}");
    let hub = Running::start(
        &place,
        &["hub", "--listen", "127.0.0.1:0", "--data", "copy"],
    );
    let url = hub.wait_for("ready")["url"]
        .as_str()
        .expect("a URL")
        .to_owned();
    place
        .run(&["init", "theirs", "--hub", &url, "--key-file", "key"])
        .ok();
    place.run(&["sync", "theirs"]).ok();
    assert_eq!(place.tree("theirs"), place.tree("mine"));
}

#[test]
fn a_stock_hub_is_taken_over() {
    let place = Place::with_key();
    let key = place
        .run(&["key", "show", "--key-file", "key", "--json"])
        .json();
    let bucket = key["address"].as_str().expect("an address");
    place.write(&format!("stock/{bucket}/notes/a.txt"), "hello");
    let note = r#"{"content-type":"text/plain","etag":"5d41402abc4b2a76b9719d911017c592"}"#;
    place.write(&format!("stock/.gaia-metadata/{bucket}/notes/a.txt"), note);
    place.write(&format!("stock/{bucket}/a..b"), "left");
    let import = ["hub", "import", "stock", "--data", "data"];
    let words = place.run(&import).code(4);
    assert!(words.contains("a..b: left where it is: "), "{words}");
    assert!(words.contains("Imported 1 file (5 bytes)"), "{words}");
    let arguments = [&import[..], &["--move", "--json"]].concat();
    let lines = place.run(&arguments).code(4);
    let lines: Vec<_> = lines.lines().map(parse).collect();
    assert_eq!(lines[0]["kind"], "name");
    assert_eq!(lines[1]["report"]["known"], 1);
    assert!(!place.path(&format!("stock/{bucket}/notes")).exists());
    let hub = Running::start(
        &place,
        &["hub", "--listen", "127.0.0.1:0", "--data", "data"],
    );
    hub.wait_for("ready");
    let words = place.run(&import).code(1);
    assert!(words.contains("another hub is using"), "{words}");
}

#[test]
fn what_is_no_hub_is_not_checked() {
    let place = Place::new();
    let words = place.run(&["hub", "check", "--data", "nothing"]).code(1);
    assert!(words.contains("nothing holds no hub"), "{words}");
    place.run(&["hub", "check"]).code(2);
    place
        .run(&["hub", "--data", "data", "check", "--data", "data"])
        .code(2);
    place.run(&["hub"]).code(2);
}
