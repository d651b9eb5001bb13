//! Conflict copies: who makes one, under which name, and when none is made.

use super::*;
use crate::state::LocalFile;

const KEEP_OURS: Merged = Merged {
    keep: Keep::Side(Side::Ours),
    copy: Some(Side::Theirs),
};

/// A device that wrote `mine` and finds `theirs` on the hub, and its request to merge them.
fn in_conflict(at: &FilePath, theirs: &RemoteFile) -> (Harness, RequestId) {
    let mut harness = Harness::new();
    harness.write(at, "mine");
    let (id, _) = harness.ask();
    harness.answer(id, Response::ConditionFailed(None));
    let id = merging(&mut harness, theirs);
    (harness, id)
}

/// Answers the read that is to come with `theirs`, and returns the merge that follows.
fn merging(harness: &mut Harness, theirs: &RemoteFile) -> RequestId {
    let (id, request) = harness.ask();
    assert!(matches!(request, Request::Fetch { .. }), "{request:?}");
    harness.answer(id, Response::Fetched(Box::new(theirs.clone())));
    let (id, request) = harness.ask();
    assert!(matches!(request, Request::Merge { .. }), "{request:?}");
    id
}

/// Where the copy is made that is to be made now, and of what.
fn copied(harness: &mut Harness) -> (RequestId, FilePath, LocalFile) {
    let (id, request) = harness.ask();
    let Request::Apply {
        path, to: Some(to), ..
    } = request
    else {
        panic!("{request:?}")
    };
    (id, path, to)
}

#[test]
fn a_copy_is_the_version_that_lost_under_a_name_of_its_own() {
    let (a, theirs) = (path("a.bin"), remote("theirs", NOW, &[]));
    let (mut harness, id) = in_conflict(&a, &theirs);
    harness.answer(id, Response::Merged(KEEP_OURS));
    let (_, copy, to) = copied(&mut harness);
    assert_eq!(
        copy,
        crate::conflict::copy_path(&a, &theirs.version).unwrap()
    );
    assert_eq!(to.version, theirs.version);
    assert_eq!(to.content, new("theirs").content);
}

#[test]
fn a_stand_in_for_a_version_is_not_the_name_of_a_copy() {
    let a = path("a.bin");
    let mut theirs = remote("theirs", NOW, &[]);
    theirs.version = VersionId::synthetic(NOW / 1_000, "tag");
    theirs.origin = Origin::Foreign;
    let (mut harness, id) = in_conflict(&a, &theirs);
    harness.answer(id, Response::Merged(KEEP_OURS));
    let (_, _, to) = copied(&mut harness);
    assert_eq!(to.version.device, harness.engine.device());
}

#[test]
fn the_same_bytes_under_another_versions_name_need_no_second_copy() {
    let a = path("a.bin");
    let (mut harness, id) = in_conflict(&a, &remote("theirs", NOW, &[]));
    harness.answer(id, Response::Merged(KEEP_OURS));
    let (id, copy, _) = copied(&mut harness);
    harness.answer(id, Response::Applied);
    let mut again = remote("theirs", NOW + 5_000, &[]);
    again.tag = tag("theirs again");
    let mut requests = Vec::new();
    for _ in 0..30 {
        let Some((id, request)) = harness.next() else {
            harness.now_ms += 60_000;
            continue;
        };
        match request {
            Request::Push { path, .. } if path == copy => {
                harness.answer(id, Response::Stored(tag("copy")));
            }
            Request::Push { .. } => harness.answer(id, Response::ConditionFailed(None)),
            Request::Merge { .. } => harness.answer(id, Response::Merged(KEEP_OURS)),
            Request::Fetch { .. } => {
                harness.answer(id, Response::Fetched(Box::new(again.clone())));
            }
            Request::List => {
                let files = vec![listed(&a, &again.tag), listed(&copy, &tag("copy"))];
                harness.answer(id, Response::Listed(files));
            }
            other => requests.push(other),
        }
        if harness.engine.entry(&a).unwrap().base.version() == Some(again.version) {
            break;
        }
    }
    assert_eq!(requests, [], "no second copy is made");
    let base = harness.engine.entry(&a).unwrap().base.version();
    assert_eq!(base, Some(again.version));
}

#[test]
fn a_conflict_waits_for_the_copies_that_are_on_their_way() {
    let (a, theirs) = (path("a.bin"), remote("theirs", NOW, &[]));
    let copy = crate::conflict::copy_path(&a, &theirs.version).unwrap();
    let mut harness = Harness::new();
    harness.write(&a, "mine");
    let (push, _) = harness.ask();
    harness.answer(push, Response::ConditionFailed(None));
    harness.list(vec![listed(&a, &theirs.tag), listed(&copy, &tag("copy"))]);
    let ((first, request), (second, _)) = (harness.ask(), harness.ask());
    assert_eq!(request, Request::Fetch { path: copy.clone() });
    harness.answer(second, Response::Fetched(Box::new(theirs.clone())));
    assert!(harness.next().is_none(), "it may be what would be made");
    harness.answer(first, Response::Fetched(Box::new(theirs)));
    let (_, pulled, _) = copied(&mut harness);
    assert_eq!(pulled, copy);
}

#[test]
fn what_a_user_made_of_a_copy_is_still_that_copy() {
    let a = path("a.bin");
    let (mut harness, id) = in_conflict(&a, &remote("theirs", NOW, &[]));
    harness.answer(id, Response::Merged(KEEP_OURS));
    let (id, copy, _) = copied(&mut harness);
    harness.answer(id, Response::Applied);
    let (push, request) = harness.ask();
    assert_eq!(request.path(), Some(&copy));
    harness.write(&copy, "mine and theirs");
    harness.answer(push, Response::Stored(tag("copy")));
    let is_done = loop {
        match harness.next() {
            Some((id, Request::Merge { .. })) => harness.answer(id, Response::Merged(KEEP_OURS)),
            Some((id, Request::Push { path, .. })) if path == copy => {
                harness.answer(id, Response::Stored(tag("edited")));
            }
            Some((_, Request::Push { path, .. })) => break path == a,
            other => panic!("{other:?}"),
        }
    };
    assert!(is_done);
}

#[test]
fn what_a_user_made_of_a_copy_before_it_was_sent_is_still_that_copy() {
    let a = path("a.bin");
    let (mut harness, id) = in_conflict(&a, &remote("theirs", NOW, &[]));
    harness.answer(id, Response::Merged(KEEP_OURS));
    let (id, copy, _) = copied(&mut harness);
    harness.answer(id, Response::Applied);
    harness.write(&copy, "mine and theirs");
    let mut requests = Vec::new();
    while let Some((id, request)) = harness.next() {
        match &request {
            Request::Merge { .. } => harness.answer(id, Response::Merged(KEEP_OURS)),
            _ if request.path() == Some(&copy) => harness.answer(id, Response::Stored(tag("copy"))),
            _ => {}
        }
        requests.push(request);
    }
    let pushes = requests
        .iter()
        .filter(|it| matches!(it, Request::Push { .. }));
    let pushed: Vec<_> = pushes.filter_map(Request::path).collect();
    assert_eq!(pushed, [&copy, &a], "no second copy is made: {requests:?}");
}

#[test]
fn what_has_a_copy_already_does_not_take_the_path_for_it() {
    let (a, theirs) = (path("a.bin"), remote("theirs", NOW, &[]));
    let keep_theirs = Merged {
        keep: Keep::Side(Side::Theirs),
        copy: Some(Side::Ours),
    };
    let (mut harness, id) = in_conflict(&a, &theirs);
    harness.answer(id, Response::Merged(keep_theirs));
    let (id, _, ours) = copied(&mut harness);
    assert_eq!(ours.content, new("mine").content);
    harness.answer(id, Response::Applied);
    let beside = crate::conflict::copy_path(&a, &theirs.version).unwrap();
    harness.write(&beside, "theirs");
    let taken = loop {
        match harness.ask() {
            (id, Request::Merge { .. }) => harness.answer(id, Response::Merged(keep_theirs)),
            (id, Request::Push { path, .. }) if path != a => {
                harness.answer(id, Response::Stored(tag(path.as_str())));
            }
            (_, Request::Apply { path, to, .. }) if path == a => break to,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(taken.map(|file| file.content), Some(new("theirs").content));
}

/// What is kept names all that what it replaces came from, or whoever has one of those in the base
/// takes it for something unrelated.
#[test]
fn what_is_kept_comes_after_all_that_the_other_came_from() {
    let a = path("a.bin");
    let earlier = VersionId::new(Hlc::new(NOW - 1_000, 0), BOB);
    let (mut harness, id) = in_conflict(&a, &remote("theirs", NOW, &[earlier]));
    harness.answer(
        id,
        Response::Merged(Merged {
            copy: None,
            ..KEEP_OURS
        }),
    );
    let (_, request) = harness.ask();
    let Request::Push { file, .. } = request else {
        panic!("{request:?}")
    };
    assert!(file.ancestors.contains(&earlier), "{:?}", file.ancestors);
}

#[test]
fn what_is_kept_beside_the_file_does_not_take_its_place_too() {
    let (a, theirs) = (path("a.bin"), remote("theirs", NOW, &[]));
    let mut harness = Harness::new();
    harness.write_through(
        &path("a (conflict 020202 2023-11-14 22.13.20.000Z).bin"),
        "mine",
    );
    harness.write(&a, "mine");
    let (push, _) = harness.ask();
    harness.answer(push, Response::ConditionFailed(None));
    let id = merging(&mut harness, &theirs);
    harness.answer(id, Response::Merged(KEEP_OURS));
    let (_, at, to) = copied(&mut harness);
    assert_eq!((at, to.content), (a, new("theirs").content));
}

/// What is kept in a copy that the hub has lost is kept no longer once that is believed.
#[test]
fn a_conflict_waits_for_the_copies_that_are_on_their_way_out() {
    let (a, theirs) = (path("a.bin"), remote("theirs", NOW, &[]));
    let gone = path("a (conflict 030303 2023-11-14 22.13.20.000Z).bin");
    let mut harness = Harness::new();
    harness.write_through(&gone, "theirs");
    harness.write(&a, "mine");
    let (push, _) = harness.ask();
    harness.answer(push, Response::ConditionFailed(None));
    let merge = merging(&mut harness, &theirs);
    harness.list(vec![listed(&a, &theirs.tag)]);
    let (fetch, request) = harness.ask();
    assert_eq!(request, Request::Fetch { path: gone.clone() });
    harness.answer(merge, Response::Merged(KEEP_OURS));
    assert!(harness.next().is_none(), "the copy may go");
    harness.answer(fetch, Response::Absent);
    let (apply, request) = harness.ask();
    assert!(
        matches!(&request, Request::Apply { path, to: None, .. } if *path == gone),
        "{request:?}"
    );
    harness.answer(apply, Response::Applied);
    let (merge, request) = harness.ask();
    assert!(matches!(request, Request::Merge { .. }), "{request:?}");
    harness.answer(merge, Response::Merged(KEEP_OURS));
    let (_, copy, kept) = copied(&mut harness);
    assert_ne!(copy, gone);
    assert_eq!(kept.content, new("theirs").content);
}
