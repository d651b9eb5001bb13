//! Changes of a folder: announced before they are made, recognised after a crash.

use super::*;

/// What a store holds.
type Stored = (Vec<(FilePath, Entry)>, Option<Counters>);

/// An engine over a folder whose next request puts `text` of another device at `at`, and what is
/// stored at that moment.
fn about_to_pull(at: &FilePath, text: &str) -> (Harness, Stored) {
    pulling(over_a_folder(), at, remote(text, NOW, &[]))
}

fn over_a_folder() -> Harness {
    let mut harness = Harness::new();
    harness.engine.options.local_files = LocalFiles::InFolder;
    harness
}

fn pulling(mut harness: Harness, at: &FilePath, theirs: RemoteFile) -> (Harness, Stored) {
    harness.list(vec![listed(at, &theirs.tag)]);
    let (id, request) = harness.ask();
    assert_eq!(request, Request::Fetch { path: at.clone() });
    harness.answer(id, Response::Fetched(Box::new(theirs)));
    let mut stored = Stored::default();
    let request = loop {
        let request = harness.engine.poll_request(harness.now_ms);
        let commit = harness.engine.take_commit();
        assert!(
            request.is_none() || commit.entries.is_empty(),
            "what is done must be stored before it is asked for"
        );
        stored.0.extend(commit.entries);
        stored.1 = commit.counters.or(stored.1);
        if let Some((_, request)) = request {
            break request;
        }
    };
    assert!(matches!(request, Request::Apply { .. }), "{request:?}");
    (harness, stored)
}

fn restarted(harness: &Harness, (entries, counters): Stored) -> Harness {
    let mut options = harness.engine.options.clone();
    options.seed += 1;
    let entries = entries.into_iter().map(|(path, mut entry)| {
        entry.remote = crate::state::Remote::AsBase;
        (path, entry)
    });
    Harness {
        engine: Engine::load(options, entries, counters),
        now_ms: harness.now_ms,
    }
}

#[test]
fn a_pull_that_a_crash_cut_off_is_no_edit() {
    let a = path("a.txt");
    let (before, stored) = about_to_pull(&a, "theirs");
    let mut after = restarted(&before, stored);
    let version = after.engine.handle_local_write(&a, new("theirs"), NOW);
    assert_eq!(version, remote("theirs", NOW, &[]).version);
    assert_eq!(after.pending(), 0);
    assert!(after.next().is_none());
    let commit_free = after.engine.entry(&a).unwrap();
    assert!(commit_free.is_clean() && commit_free.applying.is_none());
}

#[test]
fn an_edit_after_such_a_crash_is_an_edit() {
    let a = path("a.txt");
    let (before, stored) = about_to_pull(&a, "theirs");
    let mut after = restarted(&before, stored);
    let version = after.engine.handle_local_write(&a, new("mine"), NOW);
    assert_eq!(version.device, after.engine.device());
    assert_eq!(after.pending(), 1);
}

#[test]
fn nothing_is_planned_on_an_announcement_before_the_folder_was_looked_at() {
    let a = path("a.txt");
    let (before, stored) = about_to_pull(&a, "theirs");
    let mut after = restarted(&before, stored);
    let theirs = remote("theirs", NOW, &[]);
    after.list(vec![listed(&a, &theirs.tag)]);
    assert!(after.next().is_none(), "the folder may have it already");
    after.engine.handle_folder_scanned();
    assert_eq!(after.ask().1, Request::Fetch { path: a });
}

#[test]
fn an_edit_that_gave_way_before_a_crash_is_in_history_after_it() {
    let a = path("a.txt");
    let (mut before, mut stored) = about_to_pull(&a, "theirs");
    before.engine.handle_local_write(&a, new("mine"), NOW);
    let mine = before.engine.entry(&a).unwrap().local.clone();
    let entry = &mut stored.0.last_mut().expect("announced").1;
    entry.local = mine;
    entry.pending = Some(Pending {
        sequence: 1,
        since_ms: NOW,
        sent: crate::state::Sent::Nothing,
    });
    let mut after = restarted(&before, stored);
    after.engine.handle_local_write(&a, new("theirs"), NOW);
    let history = after.engine.take_commit().history;
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].content, new("mine").content);
}

/// The user may have made it to what was just put into the folder, and seen deleted there what the
/// base still has.
#[test]
fn an_edit_made_to_either_of_two_versions_is_merged_by_neither() {
    let (a, mut harness) = (path("a.txt"), over_a_folder());
    let first = harness.write_through(&a, "mine");
    let theirs = remote("theirs", NOW + 1, &[first]);
    let (before, stored) = pulling(harness, &a, theirs.clone());
    let mut after = restarted(&before, stored);
    after.engine.handle_local_write(&a, new("edited"), NOW);
    after.engine.handle_folder_scanned();
    let (push, request) = after.ask();
    assert!(matches!(request, Request::Push { .. }), "{request:?}");
    after.answer(push, Response::ConditionFailed(Some(theirs.tag.clone())));
    let (fetch, _) = after.ask();
    after.answer(fetch, Response::Fetched(Box::new(theirs)));
    let (_, request) = after.ask();
    let Request::Merge { base, .. } = request else {
        panic!("{request:?}")
    };
    assert_eq!(base, None);
}

#[test]
fn what_was_announced_for_another_state_is_no_longer_recognised() {
    let (a, mut harness) = (path("a.txt"), over_a_folder());
    harness.write_through(&a, "mine");
    harness.list(Vec::new());
    let (fetch, _) = harness.ask();
    harness.answer(fetch, Response::Absent);
    assert!(harness.next().is_none(), "it is announced first");
    let (delete, request) = harness.ask();
    assert!(
        matches!(request, Request::Apply { to: None, .. }),
        "{request:?}"
    );
    let full = Failure::Problem {
        kind: ProblemKind::Device,
        message: "the disk is full".to_owned(),
        tag: None,
    };
    harness.answer(delete, Response::Failed(full));
    let theirs = remote("theirs", NOW - 5_000, &[]);
    harness.list(vec![listed(&a, &theirs.tag)]);
    let (fetch, _) = harness.ask();
    harness.answer(fetch, Response::Fetched(Box::new(theirs.clone())));
    let (merge, request) = harness.ask();
    assert!(matches!(request, Request::Merge { .. }), "{request:?}");
    let kept = Merged {
        keep: Keep::Side(Side::Ours),
        copy: None,
    };
    harness.answer(merge, Response::Merged(kept));
    harness.engine.handle_local_delete(&a, NOW);
    let base = harness.engine.entry(&a).unwrap().base.version();
    assert_eq!(base, Some(theirs.version), "the delete is the user's");
    assert_eq!(harness.pending(), 1);
}

#[test]
fn a_refusal_of_what_was_replaced_meanwhile_parks_nothing() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    harness.write(&a, "too large");
    let (id, _) = harness.ask();
    harness.write(&a, "small");
    let problem = Failure::Problem {
        kind: ProblemKind::Refused,
        message: "413".to_owned(),
        tag: None,
    };
    harness.answer(id, Response::Failed(problem));
    assert!(matches!(harness.ask().1, Request::Push { .. }));
    assert_eq!(harness.engine.status().parked, 0);
}
