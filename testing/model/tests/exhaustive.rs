//! Small worlds in full, and planted bugs that must be found in them. Larger worlds:
//! `cargo run -p pangaea-model -- --help`.

use pangaea_model::Bounds;
use pangaea_model::Bug;
use pangaea_model::Found;
use pangaea_model::bounds::Deletes;
use pangaea_model::bounds::EditKind;
use pangaea_model::bounds::FaultKind;
use pangaea_model::explore;

/// No world here is larger.
const STATES_MAX: usize = 1_000_000;

/// Explores a world to its end. It must hold at least so many states: fewer would mean that
/// something cannot happen any more.
fn check(bounds: &Bounds, states_min: usize) -> Found {
    let found = explore(bounds, STATES_MAX);
    if let Some((broken, way)) = &found.broken {
        panic!("{broken}\n{way:#?}\nin {bounds:?}");
    }
    assert!(!found.is_cut, "too large: {bounds:?}");
    assert!(found.states >= states_min, "{} states only", found.states);
    found
}

#[test]
fn three_edits_in_any_order() {
    for (deletes, states_min) in [
        (Deletes::Tombstones, 160_000),
        (Deletes::Conditional, 160_000),
    ] {
        let mut bounds = Bounds::small(deletes);
        (bounds.edits, bounds.faults, bounds.waits) = (3, 0, 0);
        check(&bounds, states_min);
    }
}

#[test]
fn two_edits_and_any_fault_at_any_moment() {
    let mut bounds = Bounds::small(Deletes::Tombstones);
    (bounds.edits, bounds.faults, bounds.waits) = (2, 1, 0);
    let found = check(&bounds, 180_000);
    for fault in FaultKind::ALL {
        let struck = found.struck.get(&fault).copied().unwrap_or(0);
        assert!(struck > 100, "{fault:?} struck {struck} times only");
    }
}

#[test]
fn two_faults_at_any_moment() {
    let mut bounds = Bounds::small(Deletes::Conditional);
    (bounds.edits, bounds.faults, bounds.waits, bounds.looks) = (2, 2, 0, 0);
    check(&bounds, 9_000);
}

#[test]
fn conflicts_of_binary_files_keep_both() {
    let mut bounds = Bounds::small(Deletes::Tombstones);
    bounds.paths = vec!["a.bin"];
    (bounds.edits, bounds.faults, bounds.waits, bounds.looks) = (2, 1, 0, 1);
    bounds.kinds.push(EditKind::Replace);
    check(&bounds, 30_000);
}

#[test]
fn three_devices() {
    let mut bounds = Bounds::small(Deletes::Tombstones);
    (bounds.devices, bounds.edits, bounds.faults) = (3, 2, 0);
    (bounds.waits, bounds.looks) = (0, 1);
    check(&bounds, 30_000);
}

#[test]
fn two_files_with_two_requests_at_a_time() {
    let mut bounds = Bounds::small(Deletes::Tombstones);
    bounds.paths = vec!["a.txt", "b.txt"];
    (bounds.edits, bounds.faults, bounds.in_flight) = (2, 0, 2);
    (bounds.waits, bounds.looks) = (0, 1);
    check(&bounds, 15_000);
}

#[test]
fn every_planted_bug_is_found() {
    for (name, bug) in Bug::ALL {
        let mut bounds = Bounds::small(Deletes::Tombstones);
        (bounds.edits, bounds.faults, bounds.waits) = (2, 1, 0);
        if bug == Bug::UnconditionalRemove {
            (bounds.edits, bounds.faults) = (3, 0);
        }
        bounds.bug = Some(bug);
        let found = explore(&bounds, STATES_MAX);
        assert!(
            found.broken.is_some(),
            "{name} survives {} states",
            found.states
        );
    }
}
