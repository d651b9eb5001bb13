//! A data folder on a file system that is really full, or really read-only: a small one of its
//! own, mounted where only the hub's process sees it. What the hub holds is served, what it cannot
//! keep is refused, and when the cause goes away it works again by itself.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::check::whole;
use crate::durability::{hub_of, start_child_with};
use crate::support::{Client, eventually, key};

/// Room for a hub and some files.
const MOUNT: &str =
    "mount -t tmpfs -o size=16m pangaea-hub-test \"$0\" && echo mounted && exec cat";

/// What to do about a system that does not let tests mount anything.
const NEEDED: &str = "this test mounts a file system in a namespace of its own: run it as root, or \
                      where the system lets every user make namespaces (util-linux has the \
                      commands `unshare`, `nsenter` and `mount`)";

/// A mounted file system, in a namespace that a process holds.
struct Volume {
    holder: Child,
    /// Where it is mounted.
    folder: TempDir,
    /// Whatever is not on it.
    outside: TempDir,
}

/// A hub on a volume.
struct Served {
    child: Child,
    client: Client,
}

impl Volume {
    fn mount() -> Self {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut command = Command::new("unshare");
        command.arg("--mount");
        if !rustix::process::geteuid().is_root() {
            command.arg("--map-root-user");
        }
        let mut holder = command
            .args(["sh", "-c", MOUNT])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{NEEDED}: {error}"));
        let mut line = String::new();
        let mut output = BufReader::new(holder.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n", "{NEEDED}; what went wrong is above");
        Self {
            holder,
            folder,
            outside,
        }
    }

    /// The beginning of a command that runs where the volume is seen.
    fn inside(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.holder.id()));
        command.arg("--mount");
        if !rustix::process::geteuid().is_root() {
            command.args(["--user", "--preserve-credentials"]);
        }
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) {
        let mut command = self.inside();
        let status = command.args(arguments).status().unwrap();
        assert!(status.success(), "{arguments:?}: {status}");
    }

    fn mounted_at(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }

    /// Where this process finds what is on the volume.
    fn seen(&self, name: &str) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        let folder = self.folder.path().strip_prefix("/").unwrap();
        root.join(folder).join(name)
    }

    fn log(&self) -> PathBuf {
        self.outside.path().join("log")
    }

    /// The failures that the hubs have logged, with their causes.
    fn failures(&self) -> Vec<String> {
        let log = fs::read_to_string(self.log()).unwrap();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines
            .filter(|line| line["message"] == "a request failed")
            .map(|line| line["fault"].as_str().unwrap().to_owned())
            .collect()
    }

    fn hub_command(&self) -> Command {
        let log = File::options().create(true).append(true).open(self.log());
        let mut command = self.inside();
        command
            .arg(std::env::current_exe().unwrap())
            .stderr(log.unwrap());
        command
    }

    fn serve(&self) -> Served {
        let (child, url) = start_child_with(self.hub_command(), self.folder.path());
        let client = Client::new(&url, key(1));
        Served { child, client }
    }

    /// Takes up all the room that is left.
    fn fill(&self) {
        let mut filler = File::create(self.seen("filler")).unwrap();
        for size in [64 * 1024, 4096, 1] {
            let piece = vec![0; size];
            loop {
                match filler.write_all(&piece) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    fn empty(&self) {
        // A program that another test is just starting may have the file open for a moment, so
        // that removing it alone frees nothing yet.
        File::create(self.seen("filler")).unwrap();
        fs::remove_file(self.seen("filler")).unwrap();
    }

    /// Makes it read-only for everything that is opened from now on.
    fn turn_read_only(&self) {
        let folder = self.mounted_at();
        self.run(&["mount", "--bind", folder, folder]);
        self.run(&["mount", "-o", "remount,bind,ro", folder]);
    }

    fn turn_back(&self) {
        // The hub may not have closed yet what it has just sent.
        self.run(&["umount", "--lazy", self.mounted_at()]);
    }

    /// Holds that what is on the volume is undamaged.
    fn is_whole(&self) {
        let copy = tempfile::tempdir_in(self.outside.path()).unwrap();
        let from = format!("{}/.", self.mounted_at());
        self.run(&["cp", "-a", &from, copy.path().to_str().unwrap()]);
        whole(copy.path());
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // It ends when its input does; the volume goes with the last process that sees it.
        drop(self.holder.stdin.take());
        self.holder.wait().ok();
    }
}

impl Served {
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Larger than what is kept in the index.
fn large(letter: &str) -> String {
    letter.repeat(1_000_000)
}

async fn holds_all(client: &Client, small: &[String]) {
    assert_eq!(client.body("notes/small").await, "small");
    assert!(client.body("large").await == large("a"));
    let mut names = client.names().await;
    names.retain(|name| name.starts_with('f'));
    assert_eq!(names, small);
    for name in small {
        assert!(client.body(name).await == small_file(), "{name}");
    }
}

fn small_file() -> String {
    "x".repeat(20_000)
}

/// Stores small files until one is refused; the names of those that were not.
async fn store_until_refused(client: &Client) -> Vec<String> {
    let mut stored = Vec::new();
    loop {
        let name = format!("f{:04}", stored.len());
        let response = client.store(&name).body(small_file()).send().await.unwrap();
        let status = response.status().as_u16();
        if status == 202 {
            stored.push(name);
            // What was set aside earlier may be used up, but no more than the volume has.
            assert!(stored.len() < 1000, "there is no room for so many");
            continue;
        }
        assert!([503, 507].contains(&status), "{status}");
        assert!(response.headers().contains_key("retry-after"));
        assert_eq!(client.get(&name).await.status(), 404, "it left nothing");
        return stored;
    }
}

#[tokio::test]
async fn a_full_volume_refuses_what_is_new_serves_what_is_there_and_recovers() {
    let volume = Volume::mount();
    let hub = volume.serve();
    let client = &hub.client;
    assert_eq!(client.put("notes/small", "small").await.status, 202);
    assert_eq!(client.put("large", large("a")).await.status, 202);
    volume.fill();

    let response = client.store("more").body(large("b")).send().await.unwrap();
    assert_eq!(response.status(), 507);
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(
        response.text().await.unwrap(),
        r#"{"message":"The hub has no room left; try again later"}"#
    );
    assert_eq!(client.get("more").await.status(), 404);
    eventually("the staged file is gone", || {
        fs::read_dir(volume.seen("staging")).unwrap().count() == 0
    })
    .await;
    let mut small = store_until_refused(client).await;
    holds_all(client, &small).await;
    let failures = volume.failures();
    assert!(failures.len() >= 2, "{failures:?}");
    for fault in failures {
        let fault = fault.to_lowercase();
        assert!(
            fault.contains("no space left") || fault.contains("no room left"),
            "{fault}"
        );
    }

    volume.empty();
    let next = format!("f{:04}", small.len());
    assert_eq!(client.put(&next, small_file()).await.status, 202);
    small.push(next);
    assert_eq!(client.put("more", large("b")).await.status, 202);
    assert_eq!(client.delete("more").await.status, 202);
    holds_all(client, &small).await;
    hub.kill();
    volume.is_whole();
    holds_all(&volume.serve().client, &small).await;
}

#[tokio::test]
async fn a_hub_that_dies_on_a_full_volume_has_everything_when_there_is_room_again() {
    let volume = Volume::mount();
    let hub = volume.serve();
    assert_eq!(hub.client.put("notes/small", "small").await.status, 202);
    assert_eq!(hub.client.put("large", large("a")).await.status, 202);
    volume.fill();
    let small = store_until_refused(&hub.client).await;
    hub.kill();
    volume.is_whole();
    volume.empty();
    let hub = volume.serve();
    holds_all(&hub.client, &small).await;
    assert_eq!(hub.client.put("more", large("b")).await.status, 202);
}

/// No system lets a file system become read-only while files on it are open for writing, but for
/// one that fails. So the hub keeps what it has open, and cannot open anything anew.
#[tokio::test]
async fn a_volume_that_turns_read_only_refuses_uploads_serves_what_is_there_and_recovers() {
    let volume = Volume::mount();
    let hub = volume.serve();
    let client = &hub.client;
    assert_eq!(client.put("notes/small", "small").await.status, 202);
    assert_eq!(client.put("large", large("a")).await.status, 202);
    volume.turn_read_only();
    let refused = client.put("more", large("b")).await;
    assert_eq!(
        (refused.status, refused.text("message")),
        (500, "Server Error")
    );
    assert_eq!(client.get("more").await.status(), 404);
    // Either way it holds.
    let small: Vec<_> = match client.put("f0000", small_file()).await.status {
        202 => vec!["f0000".to_owned()],
        status => {
            assert!(status >= 500, "{status}");
            vec![]
        }
    };
    holds_all(client, &small).await;
    let failures = volume.failures();
    assert!(!failures.is_empty());
    for fault in failures {
        assert!(fault.to_lowercase().contains("read-only"), "{fault}");
    }

    volume.turn_back();
    assert_eq!(client.put("more", large("b")).await.status, 202);
    assert_eq!(client.put("g", "g").await.status, 202);
    holds_all(client, &small).await;
    hub.kill();
    volume.is_whole();
}

#[tokio::test]
async fn a_hub_does_not_start_on_a_read_only_volume_and_says_why() {
    let volume = Volume::mount();
    let hub = volume.serve();
    assert_eq!(hub.client.put("notes/small", "small").await.status, 202);
    assert_eq!(hub.client.put("large", large("a")).await.status, 202);
    hub.kill();
    volume.turn_read_only();
    let mut refused = hub_of(volume.hub_command(), volume.folder.path());
    assert!(!refused.output().unwrap().status.success());
    let said = fs::read_to_string(volume.log()).unwrap();
    for words in [volume.mounted_at(), "Read-only file system"] {
        assert!(said.contains(words), "{words} in {said}");
    }
    volume.turn_back();
    let hub = volume.serve();
    holds_all(&hub.client, &[]).await;
    assert_eq!(hub.client.put("more", large("b")).await.status, 202);
    hub.kill();
    volume.is_whole();
}
