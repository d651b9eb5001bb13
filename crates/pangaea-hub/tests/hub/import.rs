//! Taking over a stock hub's folder: laid out as its disk driver does, looked at over HTTP.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use gaia::etag::ETag;
use pangaea_hub::import::{Finding, FindingKind, ImportEvent, ImportReport, Originals, import};
use pangaea_hub::{Hub, HubConfig, RunningHub};
use serde_json::json;
use tempfile::TempDir;

use crate::check::whole;
use crate::support::{Client, any_port, key, token, world};

const CHILD_STOCK: &str = "PANGAEA_HUB_TEST_STOCK";
const CHILD_DATA: &str = "PANGAEA_HUB_TEST_DATA";
const CHILD_MOVES: &str = "PANGAEA_HUB_TEST_MOVES";

const EARLY: u64 = 1_500_000_000;

/// An import, in a process of its own. Run as a test it has nothing to do.
#[test]
fn child_import() {
    if let (Some(stock), Some(data)) = (std::env::var_os(CHILD_STOCK), std::env::var_os(CHILD_DATA))
    {
        let originals = if std::env::var_os(CHILD_MOVES).is_some() {
            Originals::Move
        } else {
            Originals::Keep
        };
        import(Path::new(&stock), Path::new(&data), originals, &mut |_| {}).unwrap();
    }
}

/// A stock hub's disk, and a place for the new hub's data.
struct Stock {
    folder: TempDir,
}

impl Stock {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("stock")).unwrap();
        Self { folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("stock")
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn content(&self, path: &str) -> PathBuf {
        self.root().join(key(1).address().as_str()).join(path)
    }

    fn metadata(&self, path: &str) -> PathBuf {
        let bucket = key(1).address();
        self.root()
            .join(".gaia-metadata")
            .join(bucket.as_str())
            .join(path)
    }

    /// Stores a file as the stock hub's disk driver does.
    fn put(&self, path: &str, kind: &str, bytes: &[u8]) {
        self.put_bytes(path, bytes, EARLY);
        let note = json!({ "content-type": kind, "etag": ETag::of(bytes).as_str() });
        write(&self.metadata(path), note.to_string().as_bytes());
    }

    fn put_bytes(&self, path: &str, bytes: &[u8], seconds: u64) {
        let content = self.content(path);
        write(&content, bytes);
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        File::options()
            .write(true)
            .open(content)
            .unwrap()
            .set_modified(time)
            .unwrap();
    }

    fn revoke(&self, bucket: &str, stamp: &str) {
        write(
            &self.root().join(format!("{bucket}-auth/authTimestamp")),
            stamp.as_bytes(),
        );
    }

    fn import(&self, originals: Originals) -> (ImportReport, Vec<Finding>) {
        let mut findings = Vec::new();
        let report = import(&self.root(), &self.data(), originals, &mut |event| {
            if let ImportEvent::Finding(finding) = event {
                findings.push(finding);
            }
        });
        (report.unwrap(), findings)
    }

    async fn hub(&self) -> (RunningHub, Client) {
        let hub = Hub::start(HubConfig::new(self.data(), any_port()))
            .await
            .unwrap();
        let client = Client::new(hub.url(), key(1));
        (hub, client)
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files_below(&entry.path()));
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
    found
}

fn large(seed: u8) -> Vec<u8> {
    (0..300_000_u32).map(|n| (n % 251) as u8 ^ seed).collect()
}

#[tokio::test]
async fn everything_arrives_as_it_was() {
    for originals in [Originals::Keep, Originals::Move] {
        let stock = Stock::new();
        stock.put("profile.json", "application/json", b"{}");
        stock.put("notes/ä b.txt", "text/plain; charset=latin1", b"hello");
        stock.put(
            "notes/.history.1600000000000.AbCdEfGhIj.a.txt",
            "text/plain",
            b"old",
        );
        stock.put("empty", "text/html", b"");
        stock.put("large.bin", "image/png", &large(0));
        stock.put("same.bin", "image/png", &large(0));
        stock.revoke(key(1).address().as_str(), "1600000000");
        let (report, findings) = stock.import(originals);
        assert_eq!(findings, []);
        assert_eq!(
            (report.imported, report.known, report.revocations),
            (6, 0, 1)
        );
        let left = files_below(&stock.root());
        assert_eq!(
            left.len(),
            if originals == Originals::Keep { 13 } else { 0 }
        );
        assert!(
            originals == Originals::Keep || fs::read_dir(stock.root()).unwrap().next().is_none()
        );

        assert_eq!(whole(&stock.data()).unreferenced_blobs, 0);
        let (hub, client) = stock.hub().await;
        // Says nothing of when it was made: refused after a revocation.
        let refused = client.list(json!({})).await;
        assert_eq!(
            (refused.status, refused.text("error")),
            (401, "AuthTokenTimestampValidationError")
        );
        let client = client.with_token(token().issued_at(1_600_000_001));
        let listed = client.list(json!({"stat": true})).await;
        let entries = listed.json["entries"].as_array().unwrap();
        let stat = |name: &str, kind: &str, bytes: &[u8]| {
            json!({ "exists": true, "etag": ETag::of(bytes).as_str(), "contentLength": bytes.len(),
                "contentType": kind, "lastModifiedDate": EARLY, "name": name })
        };
        let expected = [
            stat("empty", "text/html", b""),
            stat("large.bin", "image/png", &large(0)),
            stat(
                "notes/.history.1600000000000.AbCdEfGhIj.a.txt",
                "text/plain",
                b"old",
            ),
            stat("notes/ä b.txt", "text/plain; charset=latin1", b"hello"),
            stat("profile.json", "application/json", b"{}"),
            stat("same.bin", "image/png", &large(0)),
        ];
        assert_eq!(entries.as_slice(), expected);
        let response = client.get("large.bin").await;
        assert_eq!(
            response.headers()["last-modified"],
            "Fri, 14 Jul 2017 02:40:00 GMT"
        );
        assert_eq!(response.headers()["etag"], ETag::of(&large(0)).as_str());
        assert!(response.bytes().await.unwrap() == large(0));
        assert_eq!(client.body("notes/%C3%A4%20b.txt").await, "hello");
        hub.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_second_import_brings_what_is_new_and_repeats_nothing() {
    let stock = Stock::new();
    stock.put("a", "text/plain", b"1");
    stock.put("large.bin", "image/png", &large(0));
    stock.import(Originals::Keep);
    stock.put("b", "text/plain", b"2");
    let (report, findings) = stock.import(Originals::Keep);
    assert_eq!((report.imported, report.known, report.replaced), (1, 2, 0));
    assert_eq!(findings, []);

    // Written through the hub since: newer than the disk's.
    let (hub, client) = stock.hub().await;
    client.put("a", "written later").await;
    hub.shutdown().await.unwrap();
    // Written by the stock hub since: newer than what the hub has.
    stock.put("b", "text/plain", b"3");
    stock.put_bytes("b", b"3", EARLY + 60);
    let (report, findings) = stock.import(Originals::Move);
    assert_eq!(
        (report.imported, report.known, report.replaced, report.left),
        (0, 1, 1, 1)
    );
    assert_eq!(findings[0].kind, FindingKind::NotOlder);
    assert!(findings[0].name.ends_with("/a"), "{findings:?}");
    assert!(stock.content("a").exists() && !stock.content("b").exists());
    let (hub, client) = stock.hub().await;
    assert_eq!(client.body("a").await, "written later");
    assert_eq!(client.body("b").await, "3");
    hub.shutdown().await.unwrap();
    whole(&stock.data());
}

#[tokio::test]
async fn what_broke_off_is_taken_as_it_is_and_told() {
    let stock = Stock::new();
    stock.put("torn", "text/plain", b"the whole text");
    stock.put_bytes("torn", b"the wh", EARLY);
    stock.put_bytes("cut", b"never finished", EARLY);
    stock.put("odd", "text/plain\n", b"odd");
    stock.put("unread", "text/plain", b"unread");
    write(&stock.metadata("unread"), b"{\"content-ty");
    let (report, findings) = stock.import(Originals::Keep);
    assert_eq!((report.imported, report.left, report.remarks), (4, 0, 4));
    let kinds: Vec<_> = findings.iter().map(|finding| finding.kind).collect();
    use FindingKind::{NoType, Torn};
    assert_eq!(
        kinds,
        [NoType, NoType, Torn, NoType],
        "cut, odd, torn, unread"
    );
    let (hub, client) = stock.hub().await;
    let torn = client.get("torn").await;
    assert_eq!(torn.headers()["etag"], ETag::of(b"the wh").as_str());
    assert_eq!(torn.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(torn.text().await.unwrap(), "the wh");
    for path in ["cut", "odd", "unread"] {
        assert_eq!(
            client.get(path).await.headers()["content-type"],
            "application/octet-stream"
        );
    }
    hub.shutdown().await.unwrap();
    let (report, _) = stock.import(Originals::Keep);
    assert_eq!((report.imported, report.known), (0, 4));
}

#[cfg(unix)]
#[tokio::test]
async fn what_no_hub_can_have_stays_and_stops_nothing() {
    use std::os::unix::ffi::OsStrExt as _;
    let stock = Stock::new();
    stock.put("good", "text/plain", b"1");
    stock.put("a..b", "text/plain", b"2");
    stock.put("z", "text/plain", b"3");
    let outside = stock.folder.path().join("outside");
    write(&outside.join("secret"), b"secret");
    std::os::unix::fs::symlink(outside.join("secret"), stock.content("link")).unwrap();
    std::os::unix::fs::symlink(&outside, stock.content("linked-folder")).unwrap();
    let bucket = key(2).address();
    std::os::unix::fs::symlink(&outside, stock.root().join(bucket.as_str())).unwrap();
    fs::write(
        stock
            .content(".")
            .join(std::ffi::OsStr::from_bytes(b"\xff")),
        "4",
    )
    .unwrap();
    write(&stock.root().join("lost+found/x"), b"5");
    let pipe = Command::new("mkfifo")
        .arg(stock.content("pipe"))
        .status()
        .unwrap();
    assert!(pipe.success());
    let (report, findings) = stock.import(Originals::Move);
    assert_eq!((report.imported, report.left), (2, 7), "{findings:#?}");
    let mut kinds: Vec<_> = findings
        .iter()
        .map(|finding| format!("{:?}", finding.kind))
        .collect();
    kinds.sort();
    assert_eq!(
        kinds,
        [
            "Link", "Link", "Link", "Name", "Name", "NoBucket", "Special"
        ]
    );
    assert!(outside.join("secret").exists());
    assert!(stock.content("a..b").exists() && stock.metadata("a..b").exists());
    let (hub, client) = stock.hub().await;
    assert_eq!(client.names().await, ["good", "z"]);
    hub.shutdown().await.unwrap();
}

#[tokio::test]
async fn revocations_of_every_kind() {
    let stock = Stock::new();
    let bucket = |number| key(number).address().to_string();
    stock.revoke(&bucket(1), "-192522496");
    stock.revoke(&bucket(2), "0");
    stock.revoke(&bucket(3), "soon");
    let (report, findings) = stock.import(Originals::Keep);
    assert_eq!((report.revocations, report.left, report.remarks), (1, 1, 1));
    let mut kinds: Vec<_> = findings
        .iter()
        .map(|finding| finding.kind.is_left())
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, [false, true]);
    let (hub, client) = stock.hub().await;
    // As it was meant: the year 2100.
    let early = client.with_token(token().issued_at(4_102_444_799));
    assert_eq!(early.put("a", "1").await.status, 401);
    let late = client.with_token(token().issued_at(4_102_444_800));
    assert_eq!(late.put("a", "1").await.status, 202);
    let other = Client::new(hub.url(), key(2));
    assert_eq!(other.put("a", "1").await.status, 202);
    hub.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_hub_that_runs_is_not_imported_into() {
    let world = world().await;
    let stock = Stock::new();
    let refused = import(
        &stock.root(),
        world.folder.path(),
        Originals::Keep,
        &mut |_| {},
    );
    let error = refused.unwrap_err().to_string();
    assert!(error.contains("another hub is using"), "{error}");
    let nowhere = stock.folder.path().join("nowhere");
    let error = import(&nowhere, &stock.data(), Originals::Keep, &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
    assert!(!stock.data().exists());
}

#[tokio::test]
async fn the_hub_may_live_in_the_folder_that_it_takes_over() {
    let stock = Stock::new();
    stock.put("a", "text/plain", b"1");
    stock.put("large.bin", "image/png", &large(0));
    for data in [stock.root(), stock.root().join("hub")] {
        let report = import(&stock.root(), &data, Originals::Keep, &mut |_| {}).unwrap();
        assert_eq!(report.imported, 2);
        let again = import(&stock.root(), &data, Originals::Keep, &mut |_| {}).unwrap();
        assert_eq!((again.imported, again.known), (0, 2));
        whole(&data);
        if data == stock.root() {
            for own in ["blobs", "staging"] {
                fs::remove_dir_all(data.join(own)).unwrap();
            }
            for own in ["index.sqlite3", "hub.lock"] {
                fs::remove_file(data.join(own)).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_killed_import_loses_and_repeats_nothing() {
    for moves in [false, true] {
        let stock = Stock::new();
        for number in 0..400_u16 {
            let path = format!("folder{}/file{number}", number % 7);
            if number % 10 == 0 {
                stock.put(
                    &path,
                    "image/png",
                    &large(u8::try_from(number / 10).unwrap()),
                );
            } else {
                stock.put(&path, "text/plain", format!("text {number}").as_bytes());
            }
        }
        stock.revoke(key(1).address().as_str(), "1000");
        let mut kills = 0;
        for round in 0..200_u64 {
            let mut child = start_child(&stock, moves);
            tokio::time::sleep(Duration::from_millis(10 + 12 * round)).await;
            if child.try_wait().unwrap().is_some() {
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
            if stock.data().join("index.sqlite3").exists() {
                whole(&stock.data());
            }
        }
        assert!(kills > 2, "killed {kills} times");
        let originals = if moves {
            Originals::Move
        } else {
            Originals::Keep
        };
        let (report, findings) = stock.import(originals);
        assert_eq!((report.imported, findings.len()), (0, 0));
        assert_eq!(
            files_below(&stock.root()).len(),
            if moves { 0 } else { 801 }
        );
        assert_eq!(whole(&stock.data()).files, 400);
        let (hub, client) = stock.hub().await;
        let client = client.with_token(token().issued_at(now()));
        assert_eq!(client.names().await.len(), 400);
        assert_eq!(client.body("folder1/file1").await, "text 1");
        let response = client.get("folder3/file10").await;
        assert!(response.bytes().await.unwrap() == large(1));
        hub.shutdown().await.unwrap();
    }
}

fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

fn start_child(stock: &Stock, moves: bool) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "import::child_import"])
        .env(CHILD_STOCK, stock.root())
        .env(CHILD_DATA, stock.data())
        .stdout(Stdio::null());
    if moves {
        command.env(CHILD_MOVES, "yes");
    }
    command.spawn().unwrap()
}
