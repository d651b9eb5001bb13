//! The rows in which everybody tells the truth in time.

use super::*;

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
        remote((3, BOB), &[(2, BOB)]),
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
    // A late duplicate of what a program without versions has replaced since.
    check_confirmed(
        file((9, ME), &[(5, BOB)]),
        base((5, BOB), &[]),
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
        remote((3, BOB), &[(2, ME), (1, BOB)]),
        succeeds.clone(),
    );
    check(
        file((2, ME), &[(1, BOB)]),
        base((1, BOB), &[]),
        tombstone((3, BOB), &[(2, ME), (1, BOB)]),
        succeeds,
    );
}

#[test]
fn what_this_device_wrote_before_its_storage_was_restored_is_somebody_elses() {
    let (local, known) = (file((900, ME), &[(1, BOB)]), base((1, BOB), &[]));
    let merge = Step::Merge(Origins::Base);
    check(
        local.clone(),
        known.clone(),
        remote((1_001, ME), &[(1, BOB)]),
        merge.clone(),
    );
    // Also when the device has given out later time stamps since.
    check(local, known, remote((800, ME), &[(1, BOB)]), merge);
    let pull = Step::Pull(Reason::Changed);
    check(NEVER, UNKNOWN, remote((800, ME), &[(1, BOB)]), pull);
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
