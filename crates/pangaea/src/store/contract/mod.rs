//! What every store must do, as checks that panic when one does not. Each check gets an [`Opener`]
//! on an empty store of its own; dropping a store and opening it again must lose nothing.
//!
//! This is test tooling, behind the feature `testing`.

#![allow(clippy::unwrap_used, reason = "a check fails by panicking")]

mod samples;

use async_trait::async_trait;
use bytes::Bytes;
use gaia::etag::ETag;
use pangaea_core::commit::Commit;
use pangaea_core::commit::Counters;
use pangaea_core::state::Entry;
use pangaea_core::state::Remote;
use pangaea_core::version::ContentHash;
use pangaea_core::version::Hlc;

use self::samples::assert_content;
use self::samples::bytes_of_size;
use self::samples::deleted;
use self::samples::edited;
use self::samples::history_row;
use self::samples::in_sync;
use self::samples::log_row;
use self::samples::of_entries;
use self::samples::path;
use self::samples::setting;
use self::samples::stage;
use crate::body::Body;
use crate::store::HistoryLimit;
use crate::store::INLINE_BYTES_MAX;
use crate::store::RowQuery;
use crate::store::Store;
use crate::store::StoreError;
use crate::store::Transaction;

/// Opens one store, again and again.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait Opener: Sync {
    /// The kind of store under test.
    type Store: Store;

    /// Opens the store; the one that was opened before has been dropped.
    async fn open(&self) -> Self::Store;
}

/// Runs every check, each on a store of its own.
pub async fn run_all<O: Opener>(make: impl Fn() -> O) {
    a_new_store_is_empty(&make()).await;
    what_is_committed_is_loaded(&make()).await;
    later_commits_replace_and_remove(&make()).await;
    what_was_observed_is_not_kept(&make()).await;
    a_failing_transaction_leaves_nothing(&make()).await;
    content_of_every_size_is_kept(&make()).await;
    wrong_content_is_refused(&make()).await;
    staged_files_are_taken_over(&make()).await;
    only_content_that_is_named_survives(&make()).await;
    history_is_newest_first(&make()).await;
    history_ends_at_its_limits(&make()).await;
    the_log_is_newest_first(&make()).await;
    many_entries_come_back_in_order(&make()).await;
}

/// Makes one test of every check for one kind of opener.
#[cfg(test)]
macro_rules! store_contract {
    ($make:expr) => {
        $crate::store::contract::store_contract!($make;
            a_new_store_is_empty
            what_is_committed_is_loaded
            later_commits_replace_and_remove
            what_was_observed_is_not_kept
            a_failing_transaction_leaves_nothing
            content_of_every_size_is_kept
            wrong_content_is_refused
            staged_files_are_taken_over
            only_content_that_is_named_survives
            history_is_newest_first
            history_ends_at_its_limits
            the_log_is_newest_first
            many_entries_come_back_in_order
        );
    };
    ($make:expr; $($check:ident)*) => {
        $(
            #[tokio::test]
            async fn $check() {
                $crate::store::contract::$check(&$make).await;
            }
        )*
    };
}
#[cfg(test)]
pub(crate) use store_contract;

/// Nothing is there before anything was stored, and asking changes nothing.
pub async fn a_new_store_is_empty<O: Opener>(opener: &O) {
    for _ in 0..2 {
        let store = opener.open().await;
        let loaded = store.load().await.unwrap();
        assert!(loaded.entries.is_empty() && loaded.stamps.is_empty());
        assert!(loaded.settings.is_empty());
        assert_eq!(loaded.counters, None);
        assert!(store.history(RowQuery::default()).await.unwrap().is_empty());
        assert!(store.log(RowQuery::default()).await.unwrap().is_empty());
        assert!(store.content(ContentHash::EMPTY).await.unwrap().is_none());
        store
            .prune_history(HistoryLimit {
                replaced_before_ms: 0,
                bytes_max: 0,
            })
            .await
            .unwrap();
        store.collect_garbage(&[]).await.unwrap();
        store.commit(Transaction::default()).await.unwrap();
    }
}

/// Every part of a transaction comes back, at once and after opening the store again.
pub async fn what_is_committed_is_loaded<O: Opener>(opener: &O) {
    let counters = Counters {
        clock: Hlc::MAX,
        sequence: u64::MAX,
    };
    let (tidy, pending, gone) = (in_sync(b"tidy"), edited(b"edited"), deleted());
    let transaction = Transaction {
        commit: Commit {
            entries: vec![
                (path("b"), pending.clone()),
                (path("a/ü"), tidy.clone()),
                (path("c"), gone.clone()),
            ],
            counters: Some(counters),
            ..Commit::default()
        },
        stamps: vec![
            (path("b"), Some(vec![0, 255])),
            (path("a/ü"), Some(Vec::new())),
        ],
        settings: vec![
            setting("hub", Some("https://hub.example")),
            setting("", Some("")),
        ],
        ..Transaction::default()
    };
    let mut store = opener.open().await;
    store.commit(transaction).await.unwrap();
    for _ in 0..2 {
        let loaded = store.load().await.unwrap();
        let entries = [
            (path("a/ü"), tidy.clone()),
            (path("b"), pending.clone()),
            (path("c"), gone.clone()),
        ];
        assert_eq!(loaded.entries, entries);
        assert_eq!(
            loaded.stamps,
            [(path("a/ü"), vec![]), (path("b"), vec![0, 255])]
        );
        assert_eq!(loaded.counters, Some(counters));
        let settings = [("", ""), ("hub", "https://hub.example")];
        assert_eq!(
            loaded.settings,
            settings.map(|(name, value)| (name.into(), value.into()))
        );
        drop(store);
        store = opener.open().await;
    }
}

/// The last word on a path, a stamp or a setting counts, also within one transaction; blank
/// entries and missing values remove. Counters that are not named stay.
pub async fn later_commits_replace_and_remove<O: Opener>(opener: &O) {
    let store = opener.open().await;
    let counters = Counters {
        clock: Hlc::new(5, 6),
        sequence: 7,
    };
    let first = Transaction {
        commit: Commit {
            entries: vec![(path("a"), edited(b"1")), (path("b"), in_sync(b"2"))],
            counters: Some(counters),
            ..Commit::default()
        },
        stamps: vec![(path("a"), Some(vec![1])), (path("b"), Some(vec![2]))],
        settings: vec![setting("x", Some("1")), setting("y", Some("2"))],
        ..Transaction::default()
    };
    store.commit(first).await.unwrap();
    let second = Transaction {
        commit: Commit {
            entries: vec![
                (path("a"), edited(b"3")),
                (path("a"), edited(b"4")),
                (path("b"), Entry::default()),
                (path("never"), Entry::default()),
            ],
            ..Commit::default()
        },
        stamps: vec![
            (path("a"), Some(vec![3])),
            (path("b"), None),
            (path("never"), None),
        ],
        settings: vec![
            setting("x", Some("3")),
            setting("y", None),
            setting("never", None),
        ],
        ..Transaction::default()
    };
    store.commit(second).await.unwrap();
    drop(store);
    let loaded = opener.open().await.load().await.unwrap();
    assert_eq!(loaded.entries, [(path("a"), edited(b"4"))]);
    assert_eq!(loaded.stamps, [(path("a"), vec![3])]);
    assert_eq!(loaded.settings, [("x".into(), "3".into())]);
    assert_eq!(loaded.counters, Some(counters));
}

/// The remote tree is not stored, and an entry that consists of it alone is not stored at all.
pub async fn what_was_observed_is_not_kept<O: Opener>(opener: &O) {
    let store = opener.open().await;
    let seen = |entry: Entry| Entry {
        remote: Remote::Seen(Some(ETag::of(b"remote"))),
        applying: None,
        suspect: Some(ETag::of(b"older")),
        ..entry
    };
    let entries = vec![
        (path("a"), seen(in_sync(b"1"))),
        (path("b"), seen(Entry::default())),
    ];
    store.commit(of_entries(entries)).await.unwrap();
    assert_eq!(
        store.load().await.unwrap().entries,
        [(path("a"), in_sync(b"1"))]
    );
}

/// A transaction that cannot be carried out to its end leaves no trace (I-10).
pub async fn a_failing_transaction_leaves_nothing<O: Opener>(opener: &O) {
    let store = opener.open().await;
    let counters = Counters {
        clock: Hlc::new(1, 1),
        sequence: 1,
    };
    let before = Transaction {
        commit: Commit {
            entries: vec![(path("a"), edited(b"1"))],
            counters: Some(counters),
            ..Commit::default()
        },
        ..Transaction::default()
    };
    store.commit(before).await.unwrap();
    let good = Bytes::from_static(b"good");
    let failing = Transaction {
        commit: Commit {
            entries: vec![(path("a"), Entry::default()), (path("b"), edited(b"2"))],
            history: vec![history_row("a", 1, b"1", 1)],
            log: vec![log_row("a", 1)],
            counters: Some(Counters {
                clock: Hlc::new(2, 2),
                sequence: 2,
            }),
        },
        contents: vec![
            (ContentHash::of(&good), good.clone()),
            (
                ContentHash::of(b"other"),
                Bytes::from_static(b"not the other"),
            ),
        ],
        stamps: vec![(path("b"), Some(vec![1]))],
        settings: vec![setting("x", Some("1"))],
    };
    let failed = store.commit(failing).await;
    assert!(
        matches!(failed, Err(StoreError::Damaged { .. })),
        "{failed:?}"
    );
    drop(store);
    let store = opener.open().await;
    let loaded = store.load().await.unwrap();
    assert_eq!(loaded.entries, [(path("a"), edited(b"1"))]);
    assert_eq!(loaded.counters, Some(counters));
    assert!(loaded.stamps.is_empty() && loaded.settings.is_empty());
    assert!(store.history(RowQuery::default()).await.unwrap().is_empty());
    assert!(store.log(RowQuery::default()).await.unwrap().is_empty());
    assert!(
        store
            .content(ContentHash::of(&good))
            .await
            .unwrap()
            .is_none()
    );
    store
        .commit(of_entries(vec![(path("c"), edited(b"3"))]))
        .await
        .unwrap();
}

/// Content comes back byte for byte, whatever its size and however often it was put.
pub async fn content_of_every_size_is_kept<O: Opener>(opener: &O) {
    let sizes = [0, 1, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1, 1_000_000];
    let bodies = sizes.map(bytes_of_size);
    let mut store = opener.open().await;
    for bytes in &bodies {
        let hash = ContentHash::of(bytes);
        assert!(store.content(hash).await.unwrap().is_none());
        store.adopt(hash, Body::Bytes(bytes.clone())).await.unwrap();
        store.adopt(hash, Body::Bytes(bytes.clone())).await.unwrap();
    }
    let with_entry = Bytes::from_static(b"in the transaction");
    let hash = ContentHash::of(&with_entry);
    let mut transaction = of_entries(vec![(path("a"), edited(&with_entry))]);
    transaction.contents = vec![(hash, with_entry.clone()), (hash, with_entry.clone())];
    transaction
        .contents
        .extend(bodies.iter().map(|b| (ContentHash::of(b), b.clone())));
    store.commit(transaction).await.unwrap();
    for _ in 0..2 {
        for bytes in bodies.iter().chain([&with_entry]) {
            assert_content(&store, bytes).await;
        }
        drop(store);
        store = opener.open().await;
    }
}

/// Bytes are compared with the digest that names them when they come in (I-15).
pub async fn wrong_content_is_refused<O: Opener>(opener: &O) {
    let store = opener.open().await;
    for size in [10, INLINE_BYTES_MAX + 1] {
        let hash = ContentHash::of(b"something else");
        let refused = store.adopt(hash, Body::Bytes(bytes_of_size(size))).await;
        assert!(
            matches!(refused, Err(StoreError::Damaged { .. })),
            "{refused:?}"
        );
        assert!(store.content(hash).await.unwrap().is_none());
    }
}

/// Files made in the staging folder become content and are gone from there; unfinished ones are
/// gone after the next opening. A store without such a folder has nothing to show here.
pub async fn staged_files_are_taken_over<O: Opener>(opener: &O) {
    let store = opener.open().await;
    let Some(staging) = store.staging() else {
        return;
    };
    let bodies = [0, 100, INLINE_BYTES_MAX + 1, 300_000].map(bytes_of_size);
    for bytes in &bodies {
        let staged = stage(&staging, "finished", bytes);
        let body = Body::File {
            path: staged.clone(),
            size: bytes.len() as u64,
        };
        store.adopt(ContentHash::of(bytes), body).await.unwrap();
        assert!(!staged.exists());
    }
    let unfinished = stage(&staging, "unfinished", b"half of it");
    std::fs::create_dir(staging.join("folder")).unwrap();
    stage(&staging.join("folder"), "file", b"");
    drop(store);
    let store = opener.open().await;
    assert!(!unfinished.exists());
    assert_eq!(std::fs::read_dir(&staging).unwrap().count(), 0);
    for bytes in &bodies {
        assert_content(&store, bytes).await;
    }
}

/// A collection keeps what an entry, a row of history or the caller names, and drops the rest.
pub async fn only_content_that_is_named_survives<O: Opener>(opener: &O) {
    let store = opener.open().await;
    for large in [0, 2 * INLINE_BYTES_MAX] {
        let bytes = |name: &str| Bytes::from(format!("{name}{}", "x".repeat(large)));
        let [local, base, old, kept, unnamed] =
            ["local", "base", "old", "kept", "unnamed"].map(bytes);
        for content in [&local, &base, &old, &kept, &unnamed] {
            let body = Body::Bytes(content.clone());
            store.adopt(ContentHash::of(content), body).await.unwrap();
        }
        let entry = Entry {
            local: edited(&local).local,
            ..in_sync(&base)
        };
        let mut transaction = of_entries(vec![(path("a"), entry)]);
        transaction.commit.history = vec![history_row("a", 1, &old, 10)];
        store.commit(transaction).await.unwrap();

        store
            .collect_garbage(&[ContentHash::of(&kept)])
            .await
            .unwrap();
        for content in [&local, &base, &old, &kept] {
            assert_content(&store, content).await;
        }
        assert!(
            store
                .content(ContentHash::of(&unnamed))
                .await
                .unwrap()
                .is_none()
        );

        store
            .prune_history(HistoryLimit {
                replaced_before_ms: 11,
                bytes_max: 0,
            })
            .await
            .unwrap();
        store
            .commit(of_entries(vec![(path("a"), deleted())]))
            .await
            .unwrap();
        store.collect_garbage(&[]).await.unwrap();
        for content in [&local, &base, &old, &kept] {
            assert!(
                store
                    .content(ContentHash::of(content))
                    .await
                    .unwrap()
                    .is_none()
            );
        }
        // Collected content can come back.
        store
            .adopt(ContentHash::of(&kept), Body::Bytes(kept.clone()))
            .await
            .unwrap();
        assert_content(&store, &kept).await;
        store.collect_garbage(&[]).await.unwrap();
    }
}

/// History is told newest first: in the order in which it was written, whatever the clock said.
pub async fn history_is_newest_first<O: Opener>(opener: &O) {
    let store = opener.open().await;
    let rows = [("a", 30), ("b", 20), ("a", 10), ("a", 40)];
    let rows: Vec<_> = rows
        .iter()
        .zip(1_u8..)
        .map(|((name, at_ms), number)| history_row(name, number, &[number], *at_ms))
        .collect();
    for chunk in rows.chunks(3) {
        let commit = Commit {
            history: chunk.to_vec(),
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
    let found = store.history(RowQuery::default()).await.unwrap();
    assert_eq!(found, rows.iter().rev().cloned().collect::<Vec<_>>());
    let query = RowQuery {
        path: Some(path("a")),
        limit: Some(2),
    };
    assert_eq!(
        store.history(query).await.unwrap(),
        [rows[3].clone(), rows[2].clone()]
    );
    let query = RowQuery {
        path: Some(path("none")),
        limit: None,
    };
    assert!(store.history(query).await.unwrap().is_empty());
    let query = RowQuery {
        path: None,
        limit: Some(0),
    };
    assert!(store.history(query).await.unwrap().is_empty());
}

/// History ends at an age, and at a number of bytes counted from the newest row on.
pub async fn history_ends_at_its_limits<O: Opener>(opener: &O) {
    let store = opener.open().await;
    let row = |number: u8, size: usize, at_ms| history_row("a", number, &vec![number; size], at_ms);
    let rows = vec![
        row(1, 5, 10),
        row(2, 100, 20),
        row(3, 0, 30),
        row(4, 7, 40),
        row(5, 3, 50),
    ];
    let commit = Commit {
        history: rows.clone(),
        ..Commit::default()
    };
    store
        .commit(Transaction {
            commit,
            ..Transaction::default()
        })
        .await
        .unwrap();
    let newest = |count: usize| rows.iter().rev().take(count).cloned().collect::<Vec<_>>();
    for (replaced_before_ms, bytes_max, left) in [
        (0, u64::MAX, 5),
        (10, 115, 5),
        (11, 110, 4),
        (20, 109, 3),
        (20, 10, 3),
        (31, 10, 2),
        (0, 9, 1),
        (u64::MAX, u64::MAX, 0),
    ] {
        let limit = HistoryLimit {
            replaced_before_ms,
            bytes_max,
        };
        store.prune_history(limit).await.unwrap();
        let found = store.history(RowQuery::default()).await.unwrap();
        assert_eq!(found, newest(left), "{limit:?}");
    }
}

/// The log is told newest first, with everything that was written into it.
pub async fn the_log_is_newest_first<O: Opener>(opener: &O) {
    let store = opener.open().await;
    let rows = vec![log_row("a", 3), log_row("b", 2), log_row("a", 1)];
    let commit = Commit {
        log: rows.clone(),
        ..Commit::default()
    };
    store
        .commit(Transaction {
            commit,
            ..Transaction::default()
        })
        .await
        .unwrap();
    drop(store);
    let store = opener.open().await;
    let found = store.log(RowQuery::default()).await.unwrap();
    assert_eq!(found, rows.iter().rev().cloned().collect::<Vec<_>>());
    let query = RowQuery {
        path: Some(path("a")),
        limit: Some(1),
    };
    assert_eq!(store.log(query).await.unwrap(), [rows[2].clone()]);
    // A short log survives the dropping of history.
    store
        .prune_history(HistoryLimit {
            replaced_before_ms: 9,
            bytes_max: 0,
        })
        .await
        .unwrap();
    assert_eq!(store.log(RowQuery::default()).await.unwrap().len(), 3);
}

/// A thousand entries in one transaction come back by path.
pub async fn many_entries_come_back_in_order<O: Opener>(opener: &O) {
    let store = opener.open().await;
    let entries: Vec<_> = (0..1000)
        .rev()
        .map(|number| (path(&format!("folder/{number:04}")), in_sync(&[7])))
        .collect();
    store.commit(of_entries(entries.clone())).await.unwrap();
    let loaded = store.load().await.unwrap().entries;
    assert!(loaded.iter().eq(entries.iter().rev()));
}
