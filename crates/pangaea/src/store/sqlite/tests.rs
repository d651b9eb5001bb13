//! The contract, and what only a store on a disk can get wrong.

use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::time::Instant;

use gaia::path::FilePath;
use pangaea_core::commit::Action;
use pangaea_core::commit::Commit;
use pangaea_core::commit::Counters;
use pangaea_core::media::MediaType;
use pangaea_core::state::Ancestors;
use pangaea_core::state::Entry;
use pangaea_core::state::Local;
use pangaea_core::state::LocalFile;
use pangaea_core::version::Hlc;
use pangaea_core::version::VersionId;
use tempfile::TempDir;

use super::*;
use crate::store::contract;

struct OnDisk(TempDir);

impl OnDisk {
    fn new() -> Self {
        Self(TempDir::new().expect("a folder for a test"))
    }
}

#[async_trait]
impl contract::Opener for OnDisk {
    type Store = SqliteStore;

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(self.0.path()).expect("the store opens")
    }
}

contract::store_contract!(OnDisk::new());

#[tokio::test]
async fn one_process_writes_and_others_may_look() {
    let folder = TempDir::new().unwrap();
    assert!(!SqliteStore::is_at(folder.path()));
    let missing = SqliteStore::open_read_only(folder.path());
    assert!(matches!(missing, Err(StoreError::Missing)), "{missing:?}");

    let writer = SqliteStore::open(folder.path()).unwrap();
    let second = SqliteStore::open(folder.path());
    assert!(matches!(second, Err(StoreError::InUse)), "{second:?}");

    let looking = SqliteStore::open_read_only(folder.path()).unwrap();
    for number in 1..4 {
        writer.commit(numbered(number)).await.unwrap();
        let loaded = looking.load().await.unwrap();
        assert_eq!(
            loaded.counters.map(|counters| counters.sequence),
            Some(number)
        );
        assert_eq!(
            looking.log(RowQuery::default()).await.unwrap().len(),
            loaded.entries.len()
        );
    }
    assert_eq!(looking.staging(), None);
    let refused = looking.commit(numbered(9)).await;
    assert!(matches!(refused, Err(StoreError::ReadOnly)), "{refused:?}");
    let limit = HistoryLimit {
        replaced_before_ms: 0,
        bytes_max: 0,
    };
    assert!(matches!(
        looking.prune_history(limit).await,
        Err(StoreError::ReadOnly)
    ));
    assert!(matches!(
        looking.collect_garbage(&[]).await,
        Err(StoreError::ReadOnly)
    ));
    let adopted = looking
        .adopt(ContentHash::EMPTY, Body::Bytes(Bytes::new()))
        .await;
    assert!(matches!(adopted, Err(StoreError::ReadOnly)));

    drop(writer);
    assert_eq!(looking.load().await.unwrap().entries.len(), 3);
    SqliteStore::open(folder.path()).expect("the lock is free again");
}

#[tokio::test]
async fn a_copy_taken_while_open_can_be_looked_at() {
    let folder = TempDir::new().unwrap();
    let copy = TempDir::new().unwrap();
    let writer = SqliteStore::open(folder.path()).unwrap();
    writer.commit(numbered(1)).await.unwrap();
    // What a killed process leaves: rows that are in the journal only.
    for name in ["replica.db", "replica.db-wal"] {
        fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let looking = SqliteStore::open_read_only(copy.path()).unwrap();
    assert_eq!(looking.load().await.unwrap().entries.len(), 1);
    drop(looking);
    let opened = SqliteStore::open(copy.path()).unwrap();
    assert_eq!(opened.load().await.unwrap().entries.len(), 1);
}

#[tokio::test]
async fn newer_and_foreign_databases_are_left_alone() {
    let folder = TempDir::new().unwrap();
    drop(SqliteStore::open(folder.path()).unwrap());
    let set = |name: &str, value: u32| {
        let database = Connection::open(database_of(folder.path())).unwrap();
        database.pragma_update(None, name, value).unwrap();
    };
    let openings = || {
        [
            SqliteStore::open(folder.path()).err(),
            SqliteStore::open_read_only(folder.path()).err(),
        ]
    };
    set("user_version", schema::FORMAT + 1);
    for error in openings() {
        assert!(
            matches!(error, Some(StoreError::Newer { found: 2, known: 1 })),
            "{error:?}"
        );
    }
    set("user_version", schema::FORMAT);
    set("application_id", 42);
    for error in openings() {
        assert!(
            matches!(error, Some(StoreError::Damaged { .. })),
            "{error:?}"
        );
    }
    fs::write(
        database_of(folder.path()),
        "This is a text and no database at all.",
    )
    .unwrap();
    for error in openings() {
        assert!(
            matches!(error, Some(StoreError::Damaged { .. })),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn newer_and_damaged_records_stop_the_loading() {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    store.commit(numbered(1)).await.unwrap();
    let set_record = |record: &[u8]| {
        let database = Connection::open(database_of(folder.path())).unwrap();
        database
            .execute("UPDATE entries SET record = ?1", [record])
            .unwrap();
    };
    set_record(&[3, 0]);
    assert!(matches!(
        store.load().await,
        Err(StoreError::Newer { found: 3, known: 2 })
    ));
    set_record(&[1, 99]);
    assert!(matches!(
        store.load().await,
        Err(StoreError::Damaged { .. })
    ));
}

#[tokio::test]
async fn a_corrupt_file_is_told() {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    for number in 1..200 {
        store.commit(numbered(number)).await.unwrap();
    }
    drop(store);
    let mut bytes = fs::read(database_of(folder.path())).unwrap();
    // All but the first page, which opening reads.
    bytes[4096..].fill(0xa5);
    fs::write(database_of(folder.path()), bytes).unwrap();
    let error = match SqliteStore::open(folder.path()) {
        Ok(store) => store.load().await.err(),
        Err(error) => Some(error),
    };
    assert!(
        matches!(error, Some(StoreError::Damaged { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn changed_bytes_in_the_database_are_noticed() {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    store.commit(numbered(1)).await.unwrap();
    let database = Connection::open(database_of(folder.path())).unwrap();
    assert_eq!(
        database
            .execute("UPDATE content SET bytes = x'00'", ())
            .unwrap(),
        1
    );
    let content = store.content(ContentHash::of(&content_of(1))).await;
    assert!(
        matches!(content, Err(StoreError::Damaged { .. })),
        "{content:?}"
    );
}

#[tokio::test]
async fn a_full_disk_fails_one_transaction_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    store.commit(numbered(1)).await.unwrap();
    let limit_pages = async |pages: u32| {
        let limited = store.writing().unwrap().database.run(move |writer| {
            writer
                .connection
                .pragma_update(None, "max_page_count", pages)
                .ok();
            Ok(())
        });
        limited.await.unwrap();
    };
    limit_pages(1).await;
    let mut large = numbered(2);
    large.contents.extend((0..4_u8).map(|number| {
        let bytes = Bytes::from(vec![number; INLINE_BYTES_MAX]);
        (ContentHash::of(&bytes), bytes)
    }));
    let error = store.commit(large.clone()).await.unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
    assert!(error.to_string().contains("full"), "{error}");
    assert_eq!(store.load().await.unwrap().entries.len(), 1);
    limit_pages(u32::MAX / 4).await;
    store.commit(large).await.unwrap();
    assert_eq!(store.load().await.unwrap().entries.len(), 2);
}

#[test]
fn a_place_that_is_no_folder_is_told() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let error = SqliteStore::open(file.join("replica")).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
    // A folder in the place of the database.
    fs::create_dir_all(folder.path().join("replica/replica.db")).unwrap();
    let error = SqliteStore::open(folder.path().join("replica")).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error:?}");
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_look_inside() {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().unwrap();
    let replica = folder.path().join("a/b");
    drop(SqliteStore::open(&replica).unwrap());
    assert_eq!(
        fs::metadata(replica).unwrap().permissions().mode() & 0o777,
        0o700
    );
}

#[tokio::test]
async fn other_peoples_files_are_copied_and_not_moved() {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(folder.path().join("replica")).unwrap();
    for size in [10, 2 * INLINE_BYTES_MAX] {
        let theirs = folder.path().join("theirs");
        let bytes = vec![7; size];
        fs::write(&theirs, &bytes).unwrap();
        let hash = ContentHash::of(&bytes);
        let body = Body::File {
            path: theirs.clone(),
            size: size as u64,
        };
        store.adopt(hash, body).await.unwrap();
        assert_eq!(fs::read(&theirs).unwrap(), bytes);
        assert_eq!(
            store.content(hash).await.unwrap().map(|body| body.size()),
            Some(size as u64)
        );
    }
    let gone = Body::File {
        path: folder.path().join("gone"),
        size: 1 << 20,
    };
    let error = store.adopt(ContentHash::EMPTY, gone).await;
    assert!(matches!(error, Err(StoreError::Io { .. })), "{error:?}");
}

#[test]
fn a_collection_spares_what_comes_in_meanwhile() {
    let folder = TempDir::new().unwrap();
    let mut content = ContentFolder::new(folder.path());
    content.prepare().unwrap();
    let [early, late] = [Bytes::from_static(b"early"), Bytes::from_static(b"late")];
    let hashes = [ContentHash::of(&early), ContentHash::of(&late)];
    content.adopt_bytes(hashes[0], &early).unwrap();
    content.adopt_bytes(hashes[1], &late).unwrap();
    assert_eq!(content.begin_collection().unwrap().len(), 2);
    content.adopt_bytes(hashes[1], &late).unwrap();
    content.end_collection(&hashes).unwrap();
    assert!(!content.path_of(hashes[0]).exists());
    assert_eq!(fs::read(content.path_of(hashes[1])).unwrap(), late);
}

#[tokio::test]
async fn a_long_log_loses_its_oldest_rows() {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    let row = numbered(1).commit.log.remove(0);
    let log: Vec<_> = (0..u64::from(crate::store::LOG_ROWS_MAX) + 5)
        .map(|at_ms| LogRow {
            at_ms,
            ..row.clone()
        })
        .collect();
    let commit = Commit {
        log,
        ..Commit::default()
    };
    store
        .commit(Transaction {
            commit,
            ..Transaction::default()
        })
        .await
        .unwrap();
    let limit = HistoryLimit {
        replaced_before_ms: 0,
        bytes_max: u64::MAX,
    };
    store.prune_history(limit).await.unwrap();
    let left = store.log(RowQuery::default()).await.unwrap();
    assert_eq!(left.len(), crate::store::LOG_ROWS_MAX as usize);
    assert_eq!(left.last().map(|row| row.at_ms), Some(5));
}

/// Ten thousand entries, as a replica of ordinary size has them. Only a release build is held to
/// the limits.
#[tokio::test]
async fn ten_thousand_entries_load_quickly() {
    let folder = TempDir::new().unwrap();
    let store = SqliteStore::open(folder.path()).unwrap();
    let entries: Vec<_> = (0..10_000_u64)
        .map(|number| {
            let path = format!(
                "folder {}/some file with an ordinary name {number}",
                number % 97
            );
            (
                FilePath::parse(&path).unwrap(),
                numbered(number).commit.entries.remove(0).1,
            )
        })
        .collect();
    let writing = Instant::now();
    for chunk in entries.chunks(1000) {
        let commit = Commit {
            entries: chunk.to_vec(),
            ..Commit::default()
        };
        store
            .commit(Transaction {
                commit,
                ..Transaction::default()
            })
            .await
            .unwrap();
    }
    let writing = writing.elapsed();
    let (mut fastest, mut loaded) = (u128::MAX, 0);
    for _ in 0..5 {
        let start = Instant::now();
        loaded = store.load().await.unwrap().entries.len();
        fastest = fastest.min(start.elapsed().as_micros());
    }
    println!("10,000 entries: written in {writing:?}, loaded in {fastest} µs");
    assert_eq!(loaded, 10_000);
    assert!(cfg!(debug_assertions) || fastest < 25_000, "{fastest} µs");
}

/// A child process commits numbered transactions and reports each; then it is killed. Whatever it
/// reported is there, and nothing is there by half.
#[tokio::test]
async fn what_was_acknowledged_survives_a_kill() {
    const FOLDER: &str = "PANGAEA_TEST_KILLED_STORE";
    const NAME: &str = "store::sqlite::tests::what_was_acknowledged_survives_a_kill";
    if let Some(folder) = std::env::var_os(FOLDER) {
        return commit_until_killed(Path::new(&folder)).await;
    }
    let folder = TempDir::new().unwrap();
    let mut acknowledged = 0;
    for round in 0..12 {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", NAME, "--nocapture"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let newest = kill_after(child, 1 + round * 3);
        assert!(newest > acknowledged, "the child went on");
        acknowledged = newest;
        acknowledged = assert_whole(folder.path(), acknowledged).await;
    }
}

async fn commit_until_killed(folder: &Path) {
    let store = SqliteStore::open(folder).unwrap();
    let last = store
        .load()
        .await
        .unwrap()
        .counters
        .map_or(0, |counters| counters.sequence);
    for number in last + 1.. {
        if number % 3 == 0 {
            let large = large_content_of(number);
            store
                .adopt(ContentHash::of(&large), Body::Bytes(large))
                .await
                .unwrap();
        }
        store.commit(numbered(number)).await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "\nacknowledged {number}").unwrap();
        out.flush().unwrap();
    }
}

/// Kills the child after so many reports; returns the last number that it reported.
fn kill_after(mut child: Child, reports: usize) -> u64 {
    let out = BufReader::new(child.stdout.take().unwrap());
    let mut numbers = out.lines().map_while(Result::ok).filter_map(|line| {
        line.strip_prefix("acknowledged ")
            .and_then(|number| number.parse::<u64>().ok())
    });
    let before = numbers.nth(reports).expect("the child reports");
    child.kill().unwrap();
    let newest = numbers.last().unwrap_or(before);
    child.wait().unwrap();
    newest
}

/// Checks that transactions up to some number are there as wholes; returns that number.
async fn assert_whole(folder: &Path, acknowledged: u64) -> u64 {
    let store = SqliteStore::open(folder).unwrap();
    let loaded = store.load().await.unwrap();
    let newest = loaded.counters.unwrap().sequence;
    assert!(newest >= acknowledged, "{newest} < {acknowledged}");
    let expected: Vec<_> = (1..=newest)
        .flat_map(|number| numbered(number).commit.entries)
        .collect();
    assert_eq!(loaded.entries, expected);
    assert_eq!(loaded.stamps.len() as u64, newest);
    assert_eq!(loaded.settings, [("last".to_owned(), newest.to_string())]);
    assert_eq!(
        store.log(RowQuery::default()).await.unwrap().len() as u64,
        newest
    );
    for number in 1..=newest {
        let hash = ContentHash::of(&content_of(number));
        assert!(store.content(hash).await.unwrap().is_some(), "{number}");
        if number % 3 == 0 {
            let large = large_content_of(number);
            let Some(Body::File { path, .. }) =
                store.content(ContentHash::of(&large)).await.unwrap()
            else {
                panic!("the large content of {number} is not there");
            };
            assert!(fs::read(path).unwrap() == large, "{number}");
        }
    }
    newest
}

fn content_of(number: u64) -> Bytes {
    format!("content {number}").into()
}

fn large_content_of(number: u64) -> Bytes {
    number.to_string().repeat(2 * INLINE_BYTES_MAX).into()
}

/// A transaction with something of everything.
fn numbered(number: u64) -> Transaction {
    let content = content_of(number);
    let hash = ContentHash::of(&content);
    let path = FilePath::parse(&format!("file {number:08}")).unwrap();
    let version = VersionId::from_bytes([7; 16]);
    let entry = Entry {
        local: Local::File(LocalFile {
            content: hash,
            size: content.len() as u64,
            version,
            ancestors: Ancestors::new([VersionId::from_bytes([6; 16])]),
            media_type: MediaType::json(),
            format: None,
        }),
        ..Entry::default()
    };
    let log = LogRow {
        at_ms: number,
        path: path.clone(),
        action: Action::Edited,
        version,
        detail: String::new(),
    };
    Transaction {
        commit: Commit {
            entries: vec![(path.clone(), entry)],
            history: Vec::new(),
            log: vec![log],
            counters: Some(Counters {
                clock: Hlc::ZERO,
                sequence: number,
            }),
        },
        contents: vec![(hash, content)],
        stamps: vec![(path, Some(vec![1, 2, 3]))],
        settings: vec![("last".to_owned(), Some(number.to_string()))],
    }
}
