//! The two commands that a person starts with: `up` here, `join` there.

use std::time::Duration;

use pangaea_e2e::device::Device;
use pangaea_e2e::program::Process;
use pangaea_e2e::tree;
use pangaea_e2e::wait_for;
use serde_json::Value;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);

/// Starts `up`; returns it with its link.
fn up(device: &Device) -> (Process, String) {
    let process = device.start("up", &["--poll", "1"]);
    let link = wait_for("a link", LIMIT, || {
        let first = process.stdout();
        let told: Value = serde_json::from_str(first.lines().next()?).ok()?;
        assert_eq!(told["event"], "ready", "{told}");
        Some(told["link"].as_str().unwrap().to_owned())
    });
    (process, link)
}

#[test]
fn up_and_join_as_a_person_does() {
    let temp = TempDir::with_prefix("pangaea-e2e-").unwrap();
    let (a, b) = (Device::new(temp.path(), "a"), Device::new(temp.path(), "b"));
    a.write("was there before.txt", "from a\n");
    let (mut running, link) = up(&a);
    // `up` sends by itself; a join right after it may come before that.
    wait_for("stored", LIMIT, || {
        running.stdout().contains("\"settled\"").then_some(())
    });
    b.write("b has this.txt", "from b\n");
    let place = b.folder.to_str().unwrap();
    b.pangaea(&["--json", "join", &link, place]).expect(0);
    assert_eq!(b.read("was there before.txt").as_deref(), Some("from a\n"));
    wait_for("from b", LIMIT, || a.read("b has this.txt"));
    tree::assert_same_tree(&a.folder, &b.folder);

    let mut joined = b.start("sync", &["--watch", "--poll", "1"]);
    a.write("later.txt", "later\n");
    wait_for("later", LIMIT, || {
        b.read("later.txt").filter(|text| text == "later\n")
    });
    b.remove("later.txt");
    wait_for("the delete", LIMIT, || {
        a.read("later.txt").is_none().then_some(())
    });

    // Everything is stopped and started again: the same hub, the same bucket, the same link.
    assert!(running.kill() && joined.kill());
    a.write("while down a.txt", "a\n");
    b.write("while down b.txt", "b\n");
    let (_running, again) = up(&a);
    assert_eq!(again, link);
    let _joined = b.start("sync", &["--watch", "--poll", "1"]);
    wait_for("while down a", LIMIT, || {
        b.read("while down a.txt").filter(|text| text == "a\n")
    });
    wait_for("while down b", LIMIT, || {
        a.read("while down b.txt").filter(|text| text == "b\n")
    });
    tree::assert_same_tree(&a.folder, &b.folder);
}

#[test]
fn a_secret_is_not_printed_where_it_was_not_asked_for() {
    let temp = TempDir::with_prefix("pangaea-e2e-").unwrap();
    let a = Device::new(temp.path(), "a");
    let (mut running, link) = up(&a);
    let secret = link.rsplit_once("key=").unwrap().1;
    assert_eq!(secret.len(), 64);
    let status = a.ask("status", &[]).to_string() + &a.ask("log", &[]).to_string();
    assert!(!status.contains(secret));
    running.kill();
    assert!(!running.stderr().contains(secret));
    assert_eq!(running.stdout().matches(secret).count(), 1);
    let refused = a.pangaea(&["key", "import", secret]).expect(2);
    assert!(!refused.text().contains(secret) && !refused.stderr.contains(secret));
    let broken = link.replace("#key=", "#kex=");
    let refused = a.pangaea(&["join", &broken, "elsewhere"]).expect(2);
    assert!(!refused.text().contains(secret) && !refused.stderr.contains(secret));
}
