//! `up` and `join`: two devices from two commands.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::net::TcpStream;
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

/// The answer to one request, head and body.
fn ask(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("a server");
    let text = format!("{request} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(text.as_bytes()).expect("taken");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}

#[test]
fn up_serves_a_web_application_at_one_address_and_nothing_beside_it() {
    let place = Place::new();
    place.write("app/index.html", "<!doctype html>the page");
    place.write("app/lib/code.wasm", "code");
    place.write("app/.hidden", "secret");
    place.write("beside", "secret");
    std::os::unix::fs::symlink(place.path("beside"), place.path("app/link")).expect("a link");
    let start = || {
        let running = Running::start(&place, &["up", "first", "--app", "app", "--poll", "1"]);
        let ready = running.wait_for("ready");
        let text = |field: &str| ready[field].as_str().expect("text").to_owned();
        (running, text("app"), text("link"))
    };
    let (running, app, link) = start();
    let secret = link.split("#key=").nth(1).expect("a key");
    let (site, fragment) = app.split_once('#').expect("the key behind a hash sign");
    assert!(fragment.starts_with("hub=http"), "{fragment}");
    assert!(fragment.ends_with(&format!("&key={secret}")), "{fragment}");
    let address = site
        .strip_prefix("http://")
        .and_then(|rest| rest.strip_suffix('/'))
        .expect("an address");

    for (request, media_type, body) in [
        ("GET /", "text/html", "the page"),
        ("GET /index.html?v=1", "text/html", "the page"),
        ("GET /lib/code.wasm", "application/wasm", "code"),
    ] {
        let answer = ask(address, request);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains(media_type), "{answer}");
        assert!(answer.ends_with(body), "{answer}");
    }
    for request in [
        "GET /../beside",
        "GET /%2e%2e/beside",
        "GET /link",
        "GET /.hidden",
        "GET /lib/",
        "GET /%ff",
        "POST /",
    ] {
        let answer = ask(address, request);
        assert!(answer.starts_with("HTTP/1.1 40"), "{answer}");
        assert!(!answer.contains("secret"), "{answer}");
    }
    assert_eq!(running.interrupt(), Some(0));
    let (running, app_again, _) = start();
    assert_eq!(app_again, app);
    assert_eq!(running.interrupt(), Some(0));

    fs::remove_file(place.path("app/index.html")).expect("removed");
    let said = place.run(&["up", "first", "--app", "app"]).code(1);
    assert!(said.contains("index.html"), "{said}");
}
