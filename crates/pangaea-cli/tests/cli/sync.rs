//! Two folders and a hub.

use crate::kit::HubProcess;
use crate::kit::Place;
use crate::kit::fields;
use crate::kit::parse;
use pangaea_kit::proxy::{Fate, Proxy};

#[test]
fn two_folders_become_equal() {
    let hub = HubProcess::start();
    let place = Place::with_mirrors(&hub.url, &["a", "b"]);
    place.write("a/notes/one.txt", "one");
    place.write("a/empty", "");
    place.write("b/two.bin", [0, 159, 146, 150]);
    let said = place.run(&["sync", "a"]).ok();
    assert!(
        said.contains("Everything is stored") && said.contains("2 files"),
        "{said}"
    );
    place.run(&["sync", "b"]).ok();
    place.run(&["sync", "a"]).ok();
    assert_eq!(place.tree("a").len(), 3);
    assert_eq!(place.tree("a"), place.tree("b"));
    let again = place.run(&["sync", "a", "--json"]).json();
    assert_eq!((&again["sent"], &again["received"]), (&0.into(), &0.into()));
    place.run(&["rm", "b", "notes/one.txt"]).ok();
    place.run(&["sync", "b"]).ok();
    place.run(&["sync", "a"]).ok();
    assert_eq!(place.tree("a"), place.tree("b"));
    assert_eq!(place.tree("a").len(), 2);
}

#[test]
fn without_the_hub_work_waits_and_is_sent_later() {
    let mut hub = HubProcess::start();
    let place = Place::with_mirrors(&hub.url, &["a", "b"]);
    place.run(&["sync", "a"]).ok();
    hub.stop();
    place.write("a/file.txt", "content");
    let said = place.run(&["sync", "a"]).code(3);
    assert!(said.contains("1 change waits here (7 bytes)"), "{said}");
    assert!(said.contains("cannot be reached"), "{said}");
    let status = place.run(&["status", "a", "--json"]).json();
    assert_eq!(status["pending"]["count"], 1);
    assert_eq!(status["last_error"]["kind"], "unreachable");
    assert!(status["last_success"].is_string(), "{status}");
    let words = place.run(&["status", "a"]).ok();
    assert!(words.contains("Nothing is lost"), "{words}");
    let report = place.run(&["sync", "a", "--json"]);
    assert_eq!(report.code, Some(3));
    assert_eq!(parse(&report.out)["state"], "pending");
    hub.start_again();
    place.run(&["sync", "a"]).ok();
    place.run(&["sync", "b"]).ok();
    assert_eq!(place.read("b/file.txt"), "content");
    let status = place.run(&["status", "a", "--json"]).json();
    assert!(status["last_error"].is_null(), "{status}");
}

#[test]
fn reports_for_programs_have_a_fixed_form() {
    let hub = HubProcess::start();
    let place = Place::with_mirrors(&hub.url, &["a"]);
    place.write("a/file.txt", "content");
    let sync = place.run(&["sync", "a", "--json"]).json();
    let names = [
        "conflicts",
        "delayed",
        "error",
        "exit_code",
        "files",
        "next_try",
        "not_synced",
        "parked",
        "pending",
        "received",
        "sent",
        "state",
    ];
    assert_eq!(fields(&sync), names);
    assert_eq!(
        (&sync["state"], &sync["sent"]),
        (&"stored".into(), &1.into())
    );
    let status = place.run(&["status", "a", "--json"]).json();
    let names = [
        "bucket",
        "conflicts",
        "delayed",
        "device",
        "files",
        "folder",
        "hub",
        "in_flight",
        "last_error",
        "last_success",
        "left_out",
        "next_try",
        "not_synced",
        "parked",
        "pending",
        "running",
        "unread",
        "unusable_on_hub",
    ];
    assert_eq!(fields(&status), names);
    assert_eq!(fields(&status["pending"]), ["bytes", "count", "oldest"]);
    assert_eq!(status["running"], serde_json::Value::Null);
}

#[test]
fn a_sync_that_leaves_work_names_the_path_and_the_reason() {
    let hub = HubProcess::start();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let proxy = runtime.block_on(Proxy::listen());
    proxy.forward_to(
        hub.url
            .trim_start_matches("http://")
            .parse()
            .expect("an address"),
    );
    // A hub of another make, which refuses a path that it is busy with.
    proxy.hide("pangaea");
    proxy.decide("POST busy.txt", &[Fate::Status(409); 20]);
    let place = Place::with_mirrors(&proxy.url, &["a"]);
    place.write("a/busy.txt", "content");
    place.write("a/other.txt", "content");

    let ran = place.run(&["sync", "a"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.out.contains("1 change waits here"), "{ran:?}");
    assert!(ran.out.contains("busy.txt: the proxy says 409"), "{ran:?}");
    let status = place.run(&["status", "a", "--json"]).json();
    assert_eq!(status["delayed"][0]["name"], "busy.txt", "{status}");
    assert_eq!(status["pending"]["count"], 1, "{status}");

    proxy.decide("POST busy.txt", &[]);
    let sync = place.run(&["sync", "a", "--json"]).json();
    assert_eq!(sync["state"], "stored", "{sync}");
    assert_eq!(sync["delayed"], serde_json::json!([]), "{sync}");
}

#[test]
fn a_name_that_cannot_be_synced_needs_a_person() {
    let hub = HubProcess::start();
    let place = Place::with_mirrors(&hub.url, &["a"]);
    place.write("a/good.txt", "good");
    place.write("a/two..dots.txt", "bad");
    let said = place.run(&["sync", "a"]).code(4);
    assert!(said.contains("two..dots.txt"), "{said}");
    let status = place.run(&["status", "a", "--json"]).json();
    assert_eq!(status["not_synced"][0]["name"], "two..dots.txt");
    assert_eq!(status["pending"]["count"], 0);
    assert_eq!(place.read("a/two..dots.txt"), "bad");
}

#[test]
fn many_deletes_are_asked_about() {
    let hub = HubProcess::start();
    let place = Place::with_mirrors(&hub.url, &["a", "b"]);
    for number in 0..60 {
        place.write(&format!("a/{number}.txt"), number.to_string());
    }
    place.run(&["sync", "a"]).ok();
    place.run(&["sync", "b"]).ok();
    for number in 0..60 {
        std::fs::remove_file(place.path(&format!("a/{number}.txt"))).expect("deleted");
    }
    place.run(&["sync", "a"]).ok();
    let said = place.run(&["sync", "b"]).code(4);
    assert!(said.contains("--accept-deletes"), "{said}");
    assert_eq!(place.tree("b").len(), 60);
    place.run(&["sync", "b", "--accept-deletes"]).ok();
    assert_eq!(place.tree("b").len(), 0);
}

#[test]
fn another_bucket_at_the_same_address_is_asked_about() {
    let hub = HubProcess::start();
    let place = Place::with_mirrors(&hub.url, &["a"]);
    place.write("a/file.txt", "content");
    place.run(&["sync", "a"]).ok();
    // The same folder, told that its hub is another one, where the same key has another bucket.
    let other = HubProcess::start();
    place
        .run(&["init", "c", "--hub", &other.url, "--key-file", "key"])
        .ok();
    place.run(&["sync", "c"]).ok();
    let config = place
        .read("a/.pangaea/config.toml")
        .replace(&hub.url, &other.url);
    place.write("a/.pangaea/config.toml", config);
    let said = place.run(&["sync", "a"]).code(4);
    assert!(said.contains("--accept-new-bucket"), "{said}");
    assert_eq!(place.read("a/file.txt"), "content");
    place.run(&["sync", "a", "--accept-new-bucket"]).ok();
    place.run(&["sync", "c"]).ok();
    assert_eq!(place.read("c/file.txt"), "content");
}

#[test]
fn plain_buckets_hold_files_as_they_are() {
    let hub = HubProcess::start();
    let place = Place::with_key();
    for name in ["a", "b"] {
        let arguments = [
            "init",
            name,
            "--hub",
            &hub.url,
            "--key-file",
            "key",
            "--plain",
        ];
        place.run(&arguments).ok();
    }
    place.write("a/file.txt", "content");
    place.run(&["sync", "a"]).ok();
    place.run(&["sync", "b"]).ok();
    assert_eq!(place.read("b/file.txt"), "content");
    // The bucket has a policy now, which a third device leaves as it is.
    let arguments = [
        "init",
        "c",
        "--hub",
        &hub.url,
        "--key-file",
        "key",
        "--plain",
    ];
    let third = place.run(&arguments);
    assert!(third.err.contains("policies of its own"), "{third:?}");
    let policy = place.run(&["cat", "a", ".pangaea/policy.json"]).ok();
    assert!(policy.contains("plain"), "{policy}");
}
