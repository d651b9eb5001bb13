//! `pangaea hub` as an operator meets it: settings, mistakes in them, and reloading.

use std::fs::File;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;
use std::time::Instant;

use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

use crate::kit::Place;
use crate::kit::Ran;
use crate::kit::Running;

#[test]
fn check_config_prints_what_holds_and_starts_nothing() {
    let place = Place::new();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/hub.toml");
    let check = [
        "hub",
        "--config",
        example,
        "--data",
        "data",
        "--check-config",
    ];
    let mut command = place.command(&check);
    command
        .env("PANGAEA_HUB_LIMITS_PAGE_ENTRIES", "7")
        .env("PANGAEA_HUB_ADMIN_TOKEN", "correct-horse-battery");
    let ran = Ran::of(&mut command, "");
    assert!(!format!("{ran:?}").contains("horse"), "{ran:?}");
    let out = ran.ok();
    for line in [
        "address = \"127.0.0.1:3000\"\n",
        "data_dir = \"data\"  # --data\n",
        "page_entries = 7  # environment variable PANGAEA_HUB_LIMITS_PAGE_ENTRIES\n",
        "token = \"***\"",
    ] {
        assert!(out.contains(line), "{line} in {out}");
    }
    assert!(!place.path("data").exists());
    let document = place.run(&[&check[..], &["--json"]].concat()).json();
    assert_eq!(document["config"]["storage"]["data_dir"], "data");
}

#[test]
fn print_openapi_prints_the_documents_that_are_in_docs() {
    let place = Place::new();
    let hub = include_str!("../../../../docs/hub-api.json");
    let admin = include_str!("../../../../docs/hub-admin-api.json");
    for (option, committed) in [
        ("--print-openapi", hub),
        ("--print-openapi=hub", hub),
        ("--print-openapi=admin", admin),
    ] {
        let printed = place.run(&["hub", option]).json();
        let committed: serde_json::Value = serde_json::from_str(committed).unwrap();
        assert_eq!(printed, committed, "{option}");
    }
}

#[test]
fn check_config_says_all_that_is_wrong() {
    let place = Place::new();
    place.write(
        "hub.toml",
        "[listen]\nadress = \"x\"\n[limits]\npage_entries = 0\n",
    );
    let check = ["hub", "--config", "hub.toml", "--check-config"];
    let said = place.run(&check).code(2);
    assert!(
        said.contains("hub.toml:2: there is no setting listen.adress"),
        "{said}"
    );
    assert!(
        said.contains("hub.toml:4: limits.page_entries takes"),
        "{said}"
    );
    // A hub does not start with it either.
    assert_eq!(place.run(&check[..3]).code(2), said);
    place.write("hub.toml", "");
    let said = place.run(&check).code(2);
    assert!(said.contains("storage.data_dir is not set"), "{said}");
    let said = place.run(&["hub", "--config", "nowhere.toml"]).code(2);
    assert!(
        said.contains("nowhere.toml: cannot read the configuration file"),
        "{said}"
    );
}

#[test]
fn a_second_hub_on_the_same_folder_is_refused_and_disturbs_nothing() {
    let place = Place::new();
    let hub = ["hub", "--listen", "127.0.0.1:0", "--data", "data"];
    let first = Running::start(&place, &hub);
    let address = first.wait_for("ready")["listen"].clone();
    let address = address.as_str().expect("an address");
    let said = place.run(&hub).code(1);
    let words = "another hub is using the data folder data; stop it first";
    assert!(said.contains(words), "{said}");
    assert!(TcpStream::connect(address).is_ok());
    assert_eq!(first.interrupt(), Some(0));
    let second = Running::start(&place, &hub);
    second.wait_for("ready");
    assert_eq!(second.interrupt(), Some(0));
}

#[test]
fn a_hang_up_reloads_the_file_and_a_mistake_in_it_ends_nothing() {
    let place = Place::new();
    let settings = "[listen]\naddress = \"127.0.0.1:0\"\n[storage]\ndata_dir = \"data\"\n";
    place.write("hub.toml", settings);
    let log = File::create(place.path("log")).expect("a file for the log");
    let mut command = place.command(&["hub", "--config", "hub.toml"]);
    let hub = Running::of(command.stderr(log));
    assert_eq!(hub.wait_for("ready")["data"], "data");
    place.write("hub.toml", "[listen]\naddress = 3\n");
    hang_up(&hub);
    wait_for_text(&place, "the settings stay as they are");
    wait_for_text(&place, "hub.toml:2: listen.address takes");
    place.write(
        "hub.toml",
        format!("{settings}[limits]\npage_entries = 9\n"),
    );
    hang_up(&hub);
    wait_for_text(&place, "changed=[\"limits.page_entries\"]");
    assert_eq!(hub.interrupt(), Some(0));
}

fn hang_up(hub: &Running) {
    send(hub, Signal::HUP);
}

fn send(hub: &Running, signal: Signal) {
    let pid = i32::try_from(hub.pid()).expect("a process id");
    let pid = Pid::from_raw(pid).expect("a process id");
    kill_process(pid, signal).expect("a signal");
}

/// Waits until the log says something.
#[track_caller]
fn wait_for_text(place: &Place, text: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !place.read("log").contains(text) {
        assert!(Instant::now() < deadline, "{text} in {}", place.read("log"));
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_request_to_end_finishes_what_is_under_way_and_refuses_what_takes_too_long() {
    let place = Place::new();
    let hub = Running::of(
        place
            .command(&["hub", "--listen", "127.0.0.1:0", "--data", "data"])
            .env("PANGAEA_HUB_LIMITS_STOP_SECONDS", "2"),
    );
    let ready = hub.wait_for("ready");
    let address = ready["listen"].as_str().expect("an address");
    let begin = || {
        let mut stream = TcpStream::connect(address).expect("a connection");
        let head = "POST /list-files/1BoatSLRHtKNngkdXEeobR76b53LETtpyT HTTP/1.1\r\nhost: hub\r\n\
                    content-length: 2\r\n\r\n{";
        stream.write_all(head.as_bytes()).expect("half a request");
        stream
    };
    let (mut slow, mut dead) = (begin(), begin());
    // The heads have to arrive before the signal.
    std::thread::sleep(Duration::from_millis(300));
    send(&hub, Signal::TERM);
    std::thread::sleep(Duration::from_millis(300));
    slow.write_all(b"}").expect("the rest of it");
    let mut answer = String::new();
    slow.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.ends_with("}"), "{answer}");
    let mut answer = String::new();
    dead.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(
        answer.to_lowercase().contains("retry-after: 5\r\n"),
        "{answer}"
    );
    assert_eq!(hub.ended(), Some(0));
}
