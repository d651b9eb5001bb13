//! What the checks store: small values that differ where it matters.

use crate::body::Body;
use crate::store::Store;
use crate::store::Transaction;
use bytes::Bytes;
use gaia::etag::ETag;
use gaia::path::FilePath;
use pangaea_core::commit::Action;
use pangaea_core::commit::Cause;
use pangaea_core::commit::Commit;
use pangaea_core::commit::HistoryRow;
use pangaea_core::commit::LogRow;
use pangaea_core::media::MediaType;
use pangaea_core::policy::Encryption;
use pangaea_core::state::Ancestors;
use pangaea_core::state::Base;
use pangaea_core::state::BaseFile;
use pangaea_core::state::ContentKind;
use pangaea_core::state::Entry;
use pangaea_core::state::Format;
use pangaea_core::state::Local;
use pangaea_core::state::LocalFile;
use pangaea_core::state::Pending;
use pangaea_core::state::Sent;
use pangaea_core::state::Signing;
use pangaea_core::version::ContentHash;
use pangaea_core::version::VersionId;
use std::path::PathBuf;

pub(super) async fn assert_content(store: &impl Store, expected: &Bytes) {
    let body = store.content(ContentHash::of(expected)).await.unwrap();
    let body = body.expect("the store has the content");
    assert_eq!(body.size(), expected.len() as u64);
    let bytes = match body {
        Body::Bytes(bytes) => bytes,
        Body::File { path, .. } => std::fs::read(path).unwrap().into(),
    };
    assert!(
        bytes == expected,
        "{} bytes came back changed",
        expected.len()
    );
}

pub(super) fn stage(folder: &std::path::Path, name: &str, bytes: &[u8]) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, bytes).unwrap();
    file
}

pub(super) fn path(text: &str) -> FilePath {
    FilePath::parse(text).unwrap()
}

pub(super) fn setting(name: &str, value: Option<&str>) -> (String, Option<String>) {
    (name.to_owned(), value.map(str::to_owned))
}

pub(super) fn bytes_of_size(size: usize) -> Bytes {
    (0..size).map(|at| (at % 251).to_le_bytes()[0]).collect()
}

pub(super) fn of_entries(entries: Vec<(FilePath, Entry)>) -> Transaction {
    let commit = Commit {
        entries,
        ..Commit::default()
    };
    Transaction {
        commit,
        ..Transaction::default()
    }
}

pub(super) fn version(number: u8) -> VersionId {
    VersionId::from_bytes([number; 16])
}

pub(super) fn edited(content: &[u8]) -> Entry {
    Entry {
        local: Local::File(LocalFile {
            content: ContentHash::of(content),
            size: content.len() as u64,
            version: version(3),
            ancestors: Ancestors::new([version(2)]),
            media_type: MediaType::json(),
            format: None,
        }),
        pending: Some(Pending {
            sequence: 1,
            since_ms: 2,
            sent: Sent::Unnamed,
        }),
        ..Entry::default()
    }
}

pub(super) fn in_sync(content: &[u8]) -> Entry {
    Entry {
        base: Base::File(BaseFile {
            tag: ETag::of(content),
            version: version(3),
            ancestors: Ancestors::new([version(2)]),
            content: ContentHash::of(content),
            format: Format {
                encryption: Encryption::Ecies,
                signing: Signing::Unsigned,
                kind: ContentKind::Text,
            },
        }),
        pending: None,
        ..edited(content)
    }
}

pub(super) fn deleted() -> Entry {
    let (version, ancestors) = (version(9), Ancestors::new([version(3)]));
    let local = Local::Deleted {
        version,
        ancestors: ancestors.clone(),
    };
    let base = Base::Gone {
        version,
        ancestors,
        tombstone: None,
        since_ms: 4,
    };
    Entry {
        local,
        base,
        ..Entry::default()
    }
}

pub(super) fn history_row(name: &str, number: u8, content: &[u8], replaced_ms: u64) -> HistoryRow {
    HistoryRow {
        path: path(name),
        version: version(number),
        content: ContentHash::of(content),
        size: content.len() as u64,
        media_type: MediaType::octet_stream(),
        replaced_ms,
        cause: Cause::Lost,
    }
}

pub(super) fn log_row(name: &str, at_ms: u64) -> LogRow {
    LogRow {
        at_ms,
        path: path(name),
        action: Action::PulledDelete,
        version: version(1),
        detail: format!("detail {at_ms}"),
    }
}
