//! The planner's table, row by row: what the device has, what it last had in common with the hub,
//! what the hub has, and the step that follows.

use gaia::etag::ETag;

use super::*;
use crate::media::MediaType;
use crate::policy::Encryption;
use crate::state::Ancestors;
use crate::state::BaseFile;
use crate::state::ContentKind;
use crate::state::Format;
use crate::state::LocalFile;
use crate::state::Signing;
use crate::version::ContentHash;
use crate::version::VersionId;

/// This device, and two others.
const ME: u8 = 1;
const BOB: u8 = 2;
const EVE: u8 = 3;
const OWN: Own = Own {
    device: DeviceId::from_bytes([ME; 8]),
    last: Hlc::from_u64(1_000),
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

#[test]
fn same_and_same_is_nothing() {
    check(NEVER, UNKNOWN, Remote::AsBase, Step::Nothing);
    check(
        file((1, BOB), &[]),
        base((1, BOB), &[]),
        Remote::AsBase,
        Step::Nothing,
    );
    check(
        file((1, BOB), &[]),
        base((1, BOB), &[]),
        Remote::Seen(Some(tag((1, BOB)))),
        Step::Nothing,
    );
    check(
        file((1, BOB), &[]),
        base((1, BOB), &[]),
        remote((1, BOB), &[]),
        Step::Nothing,
    );
    check(
        deleted((2, ME), &[(1, ME)]),
        gone((2, ME), &[], None),
        Remote::AsBase,
        Step::Nothing,
    );
    check(
        deleted((2, ME), &[]),
        gone((2, ME), &[], Some((2, ME))),
        Remote::AsBase,
        Step::Nothing,
    );
}

#[test]
fn changed_and_same_is_a_push_on_condition() {
    let replace = Step::Push(Condition::Replace(tag((1, BOB))));
    check(
        file((2, ME), &[(1, BOB)]),
        base((1, BOB), &[]),
        Remote::AsBase,
        replace.clone(),
    );
    check(
        file((2, ME), &[(1, BOB)]),
        base((1, BOB), &[]),
        remote((1, BOB), &[]),
        replace,
    );
    check(
        file((2, ME), &[]),
        UNKNOWN,
        Remote::AsBase,
        Step::Push(Condition::Create),
    );
    check(
        file((3, ME), &[]),
        gone((2, ME), &[], None),
        Remote::AsBase,
        Step::Push(Condition::Create),
    );
    // A new file over a tombstone.
    let over = Step::Push(Condition::Replace(tag((2, BOB))));
    check(
        file((3, ME), &[]),
        gone((2, BOB), &[], Some((2, BOB))),
        Remote::AsBase,
        over,
    );
}

#[test]
fn a_change_on_the_hub_is_read_and_pulled() {
    check(
        file((1, BOB), &[]),
        base((1, BOB), &[]),
        Remote::Seen(Some(tag((2, BOB)))),
        Step::Fetch,
    );
    check(
        file((1, BOB), &[]),
        base((1, BOB), &[]),
        Remote::Seen(None),
        Step::Fetch,
    );
    let pull = Step::Pull(Reason::Changed);
    check(
        file((1, BOB), &[]),
        base((1, BOB), &[]),
        remote((2, BOB), &[(1, BOB)]),
        pull.clone(),
    );
    check(NEVER, UNKNOWN, remote((2, BOB), &[]), pull.clone());
    // The pull of the base was cut short.
    check(NEVER, base((1, BOB), &[]), Remote::AsBase, Step::Fetch);
    check(
        NEVER,
        base((1, BOB), &[]),
        remote((1, BOB), &[]),
        pull.clone(),
    );
    // Created anew after a delete that this device took over.
    check(
        deleted((2, BOB), &[]),
        gone((2, BOB), &[], None),
        remote((3, BOB), &[]),
        pull.clone(),
    );
    // A successor by a device with a slow clock is a successor all the same.
    check(
        file((5, BOB), &[]),
        base((5, BOB), &[]),
        remote((4, EVE), &[(5, BOB)]),
        pull,
    );
}

#[test]
fn equal_bytes_become_the_base() {
    let mut theirs = remote_file((3, BOB), &[(1, BOB)]);
    if let RemoteBody::File { content: bytes, .. } = &mut theirs.body {
        *bytes = content((2, ME));
    }
    let theirs = Remote::File(Box::new(theirs));
    let same = Step::Rebase(Rebase::Same);
    check(
        file((2, ME), &[(1, BOB)]),
        base((1, BOB), &[]),
        theirs.clone(),
        same.clone(),
    );
    check(file((2, ME), &[]), UNKNOWN, theirs, same);
}

#[test]
fn changed_and_changed_is_a_merge() {
    let merge = Step::Merge(Origins::Base);
    check(
        file((2, ME), &[(1, BOB)]),
        base((1, BOB), &[]),
        remote((3, BOB), &[(1, BOB)]),
        merge.clone(),
    );
    check(file((2, ME), &[]), UNKNOWN, remote((3, BOB), &[]), merge);
}

#[test]
fn the_side_that_saw_the_other_wins_without_a_merge() {
    // "That was me": an earlier version of this device arrived, its answer did not.
    let behind = Step::Rebase(Rebase::Behind);
    check(
        file((3, ME), &[(2, ME)]),
        base((1, BOB), &[]),
        remote((2, ME), &[(1, BOB)]),
        behind.clone(),
    );
    check(
        file((9, ME), &[]),
        base((1, BOB), &[]),
        remote((2, ME), &[(1, BOB)]),
        behind.clone(),
    );
    check(
        deleted((3, ME), &[(2, ME)]),
        UNKNOWN,
        remote((2, ME), &[]),
        behind,
    );
    // Somebody went on from a version of this device whose answer was lost.
    let succeeds = Step::Pull(Reason::Succeeds);
    check(
        file((2, ME), &[(1, BOB)]),
        base((1, BOB), &[]),
        remote((3, BOB), &[(2, ME)]),
        succeeds.clone(),
    );
    check(
        file((2, ME), &[(1, BOB)]),
        base((1, BOB), &[]),
        tombstone((3, BOB), &[(2, ME)]),
        succeeds,
    );
}

#[test]
fn what_this_device_wrote_before_its_storage_was_restored_is_somebody_elses() {
    let (local, known) = (file((900, ME), &[(1, BOB)]), base((1, BOB), &[]));
    check(
        local,
        known,
        remote((1_001, ME), &[]),
        Step::Merge(Origins::Base),
    );
}

#[test]
fn a_delete_goes_out_on_condition() {
    let remove = Step::Remove(tag((1, BOB)));
    check(
        deleted((2, ME), &[(1, BOB)]),
        base((1, BOB), &[]),
        Remote::AsBase,
        remove,
    );
    check(
        deleted((2, ME), &[]),
        UNKNOWN,
        Remote::AsBase,
        Step::Nothing,
    );
}

#[test]
fn an_edit_beats_a_delete_that_did_not_see_it() {
    let kept = Step::Pull(Reason::EditBeatsDelete);
    check(
        deleted((2, ME), &[(1, BOB)]),
        base((1, BOB), &[]),
        remote((3, BOB), &[(1, BOB)]),
        kept,
    );
    let behind = Step::Rebase(Rebase::Behind);
    check(
        file((2, ME), &[(1, BOB)]),
        base((1, BOB), &[]),
        tombstone((3, BOB), &[(1, BOB)]),
        behind,
    );
    let edited = Step::Rebase(Rebase::GoneButEdited);
    check(
        file((2, ME), &[(1, BOB)]),
        base((1, BOB), &[]),
        Remote::Absent,
        edited,
    );
}

#[test]
fn absence_is_read_before_it_is_believed() {
    check(
        file((1, BOB), &[]),
        base((1, BOB), &[]),
        Remote::Missing,
        Step::Fetch,
    );
    let pull = Step::Pull(Reason::Changed);
    check(
        file((1, BOB), &[]),
        base((1, BOB), &[]),
        Remote::Absent,
        pull.clone(),
    );
    check(
        file((1, BOB), &[]),
        base((1, BOB), &[]),
        tombstone((2, BOB), &[(1, BOB)]),
        pull,
    );
    // Nothing was there before either.
    check(NEVER, UNKNOWN, Remote::Missing, Step::Nothing);
    check(
        file((2, ME), &[]),
        UNKNOWN,
        Remote::Missing,
        Step::Push(Condition::Create),
    );
    check(
        file((2, ME), &[]),
        UNKNOWN,
        Remote::Absent,
        Step::Push(Condition::Create),
    );
}

#[test]
fn two_deletes_agree() {
    let both = Step::Rebase(Rebase::BothGone);
    check(
        deleted((2, ME), &[(1, BOB)]),
        base((1, BOB), &[]),
        Remote::Absent,
        both.clone(),
    );
    check(
        deleted((2, ME), &[(1, BOB)]),
        base((1, BOB), &[]),
        tombstone((3, BOB), &[(1, BOB)]),
        both.clone(),
    );
    check(NEVER, UNKNOWN, tombstone((3, BOB), &[]), both);
}

#[test]
fn what_a_delete_saw_does_not_come_back() {
    // A late duplicate of the request that created the file.
    let known = || gone((3, BOB), &[(2, BOB), (1, ME)], None);
    let behind = Step::Rebase(Rebase::Behind);
    check(
        deleted((3, BOB), &[]),
        known(),
        remote((2, BOB), &[]),
        Step::Recheck,
    );
    check_confirmed(
        deleted((3, BOB), &[]),
        known(),
        remote((2, BOB), &[]),
        behind.clone(),
    );
    check_confirmed(
        deleted((3, BOB), &[]),
        known(),
        remote((1, ME), &[]),
        behind.clone(),
    );
    // Its own is known for ever, however long ago it was.
    check_confirmed(
        deleted((9, BOB), &[]),
        gone((9, BOB), &[], None),
        remote((1, ME), &[]),
        behind,
    );
}

#[test]
fn a_new_file_by_a_device_with_a_slow_clock_is_kept() {
    // It never knew of the file that was deleted, and its clock is behind.
    let (local, known) = (deleted((5, BOB), &[]), gone((5, BOB), &[(4, BOB)], None));
    check(
        local.clone(),
        known.clone(),
        remote((3, EVE), &[]),
        Step::Recheck,
    );
    check_confirmed(
        local,
        known,
        remote((3, EVE), &[]),
        Step::Pull(Reason::Changed),
    );
}

#[test]
fn something_older_is_looked_at_again_and_then_kept_beside_the_newer() {
    let (local, known) = (file((5, BOB), &[]), base((5, BOB), &[(4, BOB)]));
    check(
        local.clone(),
        known.clone(),
        remote((2, EVE), &[]),
        Step::Recheck,
    );
    let both = Step::Merge(Origins::Unknown);
    check_confirmed(local.clone(), known.clone(), remote((2, EVE), &[]), both);
    // What the base is known to include is just older.
    let behind = Step::Rebase(Rebase::Behind);
    check_confirmed(
        local.clone(),
        known.clone(),
        remote((4, BOB), &[]),
        behind.clone(),
    );
    // An older delete does not delete.
    check(
        local.clone(),
        known.clone(),
        tombstone((2, EVE), &[]),
        Step::Recheck,
    );
    check_confirmed(local, known, tombstone((2, EVE), &[]), behind);
}

#[test]
fn a_file_without_a_version_succeeds_whatever_was_there_once_it_is_confirmed() {
    let (local, known) = (file((5, BOB), &[]), base((5, BOB), &[]));
    check(local.clone(), known.clone(), foreign((2, 0)), Step::Recheck);
    check_confirmed(
        local,
        known.clone(),
        foreign((2, 0)),
        Step::Pull(Reason::Changed),
    );
    let merge = Step::Merge(Origins::Base);
    check_confirmed(
        file((6, ME), &[(5, BOB)]),
        known.clone(),
        foreign((2, 0)),
        merge,
    );
    let kept = Step::Pull(Reason::EditBeatsDelete);
    check_confirmed(deleted((6, ME), &[(5, BOB)]), known, foreign((2, 0)), kept);
}

#[test]
fn the_same_tag_can_be_another_tombstone() {
    // All empty bodies have one tag: the tombstone of a later delete looks like the one known.
    let mut later = remote_file((4, EVE), &[(3, EVE)]);
    later.tag = tag((2, BOB));
    later.body = RemoteBody::Tombstone;
    let known = gone((2, BOB), &[], Some((2, BOB)));
    let later = Remote::File(Box::new(later));
    check(
        deleted((2, BOB), &[]),
        known.clone(),
        later.clone(),
        Step::Rebase(Rebase::BothGone),
    );
    check(
        file((5, ME), &[(2, BOB)]),
        known,
        later,
        Step::Rebase(Rebase::Behind),
    );
}
