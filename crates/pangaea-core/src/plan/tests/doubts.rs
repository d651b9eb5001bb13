//! The rows in which what was read may be late, old, or a cache's.

use super::*;

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
fn what_does_not_say_that_it_comes_after_the_base_needs_a_second_answer() {
    let (local, known) = (file((5, BOB), &[]), base((5, BOB), &[]));
    check(
        local.clone(),
        known.clone(),
        remote((9, EVE), &[(8, EVE)]),
        Step::Recheck,
    );
    let pull = Step::Pull(Reason::Changed);
    check_confirmed(local, known, remote((9, EVE), &[(8, EVE)]), pull.clone());
    check(NEVER, UNKNOWN, remote((9, EVE), &[(8, EVE)]), pull);
}

#[test]
fn the_same_tag_can_be_another_tombstone() {
    // All empty bodies have one tag: the tombstone of a later delete looks like the one known.
    let mut later = remote_file((4, EVE), &[(3, EVE)]);
    later.tag = tag((2, BOB));
    later.body = RemoteBody::Tombstone;
    let known = gone((2, BOB), &[], Some((2, BOB)));
    let later = Remote::File(Box::new(later));
    check_confirmed(
        deleted((2, BOB), &[]),
        known.clone(),
        later.clone(),
        Step::Rebase(Rebase::BothGone),
    );
    check_confirmed(
        file((5, ME), &[(2, BOB)]),
        known,
        later,
        Step::Rebase(Rebase::Behind),
    );
}

#[test]
fn the_same_bytes_from_before_a_delete_are_not_what_was_written_again() {
    // Deleted after (2, BOB), then written again with the same bytes as that had.
    let Local::File(mut again) = file((6, ME), &[(5, ME), (2, BOB)]) else {
        unreachable!("a file")
    };
    again.content = content((2, BOB));
    let known = gone((5, ME), &[(2, BOB)], Some((5, ME)));
    let late = remote((2, BOB), &[]);
    check(
        Local::File(again.clone()),
        known.clone(),
        late.clone(),
        Step::Recheck,
    );
    let behind = Step::Rebase(Rebase::Behind);
    check_confirmed(Local::File(again), known, late, behind);
}

#[test]
fn a_file_made_anew_by_who_did_not_know_the_old_one_is_not_merged_by_it() {
    // What the new file lacks was not deleted from it.
    let (local, known) = (file((6, ME), &[(5, BOB)]), base((5, BOB), &[]));
    let unrelated = Step::Merge(Origins::Unknown);
    check_confirmed(local, known, remote((9, EVE), &[]), unrelated);
}

#[test]
fn a_tombstone_that_is_the_base_is_no_news() {
    let known = gone((5, BOB), &[(4, BOB)], Some((5, BOB)));
    let there = tombstone((5, BOB), &[(4, BOB)]);
    let local = deleted((5, BOB), &[(4, BOB)]);
    check(local, known, there, Step::Nothing);
}

#[test]
fn what_may_be_made_of_something_that_was_sent_since_the_base_is_not_merged_by_it() {
    // (6, ME) was sent and has no answer; (7, ME) was made of it, and may bring back what it deleted.
    let (local, known) = (file((7, ME), &[(6, ME), (5, BOB)]), base((5, BOB), &[]));
    let unknown = || Step::Merge(Origins::Unknown);
    let seen = remote((9, EVE), &[(6, ME), (5, BOB)]);
    check(local.clone(), known.clone(), seen, unknown());
    check_confirmed(local.clone(), known.clone(), foreign((9, 0)), unknown());
    // Who names the base alone has not seen it.
    let unseen = || remote((9, EVE), &[(5, BOB)]);
    let merge = Step::Merge(Origins::Base);
    check(local.clone(), known.clone(), unseen(), merge);
    // Unless it was a delete, which leaves nothing to name on some hubs.
    let entry = Entry {
        local,
        base: known,
        remote: unseen(),
        pending: Some(Pending {
            sequence: 1,
            since_ms: 0,
            sent: Sent::Unnamed,
        }),
        ..Entry::default()
    };
    assert_eq!(plan(&entry, OWN), unknown());
}

#[test]
fn of_a_stock_programs_write_and_a_devices_nothing_tells_which_was_first() {
    // EVE's clock is behind, or the hub's is ahead and it was set back: (7, 0) came after (5, BOB), or before.
    let (local, known) = (file((5, BOB), &[]), base((5, BOB), &[]));
    let named = || remote((3, EVE), &[(7, 0)]);
    check(local.clone(), known.clone(), named(), Step::Recheck);
    let both = || Step::Merge(Origins::Unknown);
    check_confirmed(local.clone(), known.clone(), named(), both());
    check_confirmed(local, known, remote((3, EVE), &[(4, 0)]), both());
}

#[test]
fn of_two_writes_by_stock_programs_the_hubs_clock_tells_which_was_first() {
    let (local, known) = (file((5, 0), &[]), base((5, 0), &[]));
    let pull = Step::Pull(Reason::Changed);
    check_confirmed(
        local.clone(),
        known.clone(),
        remote((3, EVE), &[(7, 0)]),
        pull,
    );
    let both = Step::Merge(Origins::Unknown);
    check_confirmed(local, known, remote((3, EVE), &[(4, 0)]), both);
}

#[test]
fn what_a_stock_program_wrote_before_the_base_makes_nothing_newer() {
    // The hub's clock is ahead: by it, (7, 0) is later than the base, which came after (9, 0) there.
    let (local, known) = (file((5, BOB), &[(9, 0)]), base((5, BOB), &[(9, 0)]));
    let set_back = remote((3, EVE), &[(7, 0)]);
    check_confirmed(local, known, set_back, Step::Merge(Origins::Unknown));
}

#[test]
fn what_a_store_has_forgotten_is_somebody_elses() {
    // The replica was restored: between what its store remembers and what it wrote since, another of
    // its lives wrote, on top of a stock program's file that names nothing.
    let (local, known) = (file((5_000, BOB), &[]), base((5_000, BOB), &[]));
    let behind = Step::Rebase(Rebase::Behind);
    let forgotten = Step::Merge(Origins::Unknown);
    for (clock, step) in [
        (900, &behind),
        (1_500, &forgotten),
        (2_500, &behind),
        (3_500, &forgotten),
    ] {
        let own = remote((clock, ME), &[(800, 0)]);
        check_confirmed(local.clone(), known.clone(), own, step.clone());
    }
}

#[test]
fn a_copy_that_somebody_made_of_an_own_version_is_taken() {
    let pull = Step::Pull(Reason::Changed);
    check(NEVER, UNKNOWN, remote((2, ME), &[]), pull);
}
