//! The planner's table, row by row, in `rows` and `doubts`; this file builds the entries: what the device has, what it last had in common with the hub,
//! what the hub has, and the step that follows.

use gaia::etag::ETag;

use super::*;
use crate::media::MediaType;
use crate::policy::Encryption;
use crate::state::Ancestors;
use crate::state::ContentKind;
use crate::state::Format;
use crate::state::LocalFile;
use crate::state::Pending;
use crate::state::Signing;
use crate::version::ContentHash;
use crate::version::VersionId;

/// This device, and two others.
const ME: u8 = 1;
const BOB: u8 = 2;
const EVE: u8 = 3;
const OWN: Own = Own {
    device: DeviceId::from_bytes([ME; 8]),
    stored: Hlc::from_u64(1_000),
    given: Some((Hlc::from_u64(2_000), Hlc::from_u64(3_000))),
};

/// A version by its place in time and its author. Its content and tag are its own too.
type V = (u64, u8);

fn version((clock, author): V) -> VersionId {
    VersionId::new(Hlc::from_u64(clock), DeviceId::from_bytes([author; 8]))
}

fn versions(list: &[V]) -> Ancestors {
    Ancestors::new(list.iter().copied().map(version))
}

fn content(of: V) -> ContentHash {
    ContentHash::of(format!("content {of:?}").as_bytes())
}

fn tag(of: V) -> ETag {
    ETag::of(format!("stored {of:?}").as_bytes())
}

const FORMAT: Format = Format {
    encryption: Encryption::Ecies,
    signing: Signing::Unsigned,
    kind: ContentKind::Bytes,
};

fn file(of: V, ancestors: &[V]) -> Local {
    Local::File(LocalFile {
        content: content(of),
        size: 1,
        version: version(of),
        ancestors: versions(ancestors),
        media_type: MediaType::octet_stream(),
        format: None,
    })
}

fn deleted(of: V, ancestors: &[V]) -> Local {
    Local::Deleted {
        version: version(of),
        ancestors: versions(ancestors),
    }
}

fn base(of: V, ancestors: &[V]) -> Base {
    Base::File(BaseFile {
        tag: tag(of),
        version: version(of),
        ancestors: versions(ancestors),
        content: content(of),
        format: FORMAT,
    })
}

fn gone(of: V, ancestors: &[V], tombstone: Option<V>) -> Base {
    Base::Gone {
        version: version(of),
        ancestors: versions(ancestors),
        tombstone: tombstone.map(tag),
        since_ms: 0,
    }
}

fn remote_file(of: V, ancestors: &[V]) -> RemoteFile {
    let body = RemoteBody::File {
        content: content(of),
        size: 1,
        media_type: MediaType::octet_stream(),
        format: FORMAT,
    };
    RemoteFile {
        tag: tag(of),
        version: version(of),
        origin: Origin::Header,
        ancestors: versions(ancestors),
        body,
    }
}

fn remote(of: V, ancestors: &[V]) -> Remote {
    Remote::File(Box::new(remote_file(of, ancestors)))
}

/// Written by a program that knows no versions.
fn foreign(of: V) -> Remote {
    let file = RemoteFile {
        origin: Origin::Foreign,
        ..remote_file(of, &[])
    };
    Remote::File(Box::new(file))
}

fn tombstone(of: V, ancestors: &[V]) -> Remote {
    let file = RemoteFile {
        body: RemoteBody::Tombstone,
        ..remote_file(of, ancestors)
    };
    Remote::File(Box::new(file))
}

/// At first sight.
#[track_caller]
fn check(local: Local, base: Base, remote: Remote, expected: Step) {
    let entry = Entry {
        local,
        base,
        remote,
        ..Entry::default()
    };
    assert_eq!(plan(&entry, OWN), expected);
}

/// When the hub told of the same in two answers.
#[track_caller]
fn check_confirmed(local: Local, base: Base, remote: Remote, expected: Step) {
    let Remote::File(file) = &remote else {
        unreachable!("only a file can be confirmed")
    };
    let suspect = Some(file.tag.clone());
    let entry = Entry {
        local,
        base,
        remote,
        suspect,
        ..Entry::default()
    };
    assert_eq!(plan(&entry, OWN), expected);
}

const NEVER: Local = Local::Never;
const UNKNOWN: Base = Base::Unknown;

mod doubts;
mod rows;
