//! Edits, the journal, and conditions that fail.

use super::*;

#[test]
fn an_edit_during_an_upload_stays_pending() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    harness.write(&a, "one");
    let (id, _) = harness.ask();
    let second = harness.write(&a, "two");
    assert!(harness.next().is_none(), "one request for a path at a time");
    harness.answer(id, Response::Stored(tag("one")));
    assert_eq!(harness.pending(), 1);
    let (id, request) = harness.ask();
    let Request::Push {
        file, condition, ..
    } = request
    else {
        panic!("{request:?}")
    };
    assert_eq!(
        (file.version, condition),
        (second, Condition::Replace(tag("one")))
    );
    harness.answer(id, Response::Stored(tag("two")));
    assert_eq!(harness.pending(), 0);
}

#[test]
fn unsent_edits_of_a_path_become_one_operation() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    harness.write(&a, "one");
    harness.now_ms += 1;
    let last = harness.write(&a, "two");
    assert_eq!(
        (harness.pending(), harness.engine.status().oldest_ms),
        (1, Some(NOW))
    );
    let (id, request) = harness.ask();
    let Request::Push { file, .. } = request else {
        panic!("{request:?}")
    };
    assert_eq!(file.version, last);
    assert!(
        file.ancestors.as_slice().is_empty(),
        "the first never existed for others"
    );
    harness.answer(id, Response::Stored(tag("two")));
    assert!(harness.next().is_none());
}

#[test]
fn a_file_that_came_and_went_unsent_is_nothing() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    harness.write(&a, "one");
    harness.engine.handle_local_delete(&a, NOW);
    assert!(harness.next().is_none());
    assert_eq!(harness.pending(), 0);
}

#[test]
fn the_base_stays_among_the_ancestors_however_many_edits_fail() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    let base = harness.write_through(&a, "base");
    for edit in 0..10 {
        harness.write(&a, &format!("edit {edit}"));
        harness.now_ms += 60 * 60 * 1_000;
        let (id, request) = harness.ask();
        let Request::Push { file, .. } = request else {
            panic!("{request:?}")
        };
        assert!(
            file.ancestors.contains(&base),
            "edit {edit}: {:?}",
            file.ancestors
        );
        harness.answer(id, unreachable_hub(None));
    }
}

#[test]
fn a_412_that_was_my_own_lost_answer_is_success() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    let version = harness.write(&a, "one");
    let (id, _) = harness.ask();
    harness.answer(id, Response::ConditionFailed(Some(tag("one"))));
    let (id, request) = harness.ask();
    assert_eq!(request, Request::Fetch { path: a.clone() });
    let mut mine = remote("one", 0, &[]);
    mine.version = version;
    harness.answer(id, Response::Fetched(Box::new(mine)));
    assert!(harness.next().is_none());
    assert_eq!(harness.pending(), 0);
    assert_eq!(
        harness.engine.entry(&a).unwrap().base.version(),
        Some(version)
    );
}

#[test]
fn a_conflict_copy_that_is_in_conflict_is_no_copy_of_itself() {
    let version = Harness::new().write(&path("a.txt"), "mine");
    let copy = crate::conflict::copy_path(&path("a.txt"), &version).unwrap();
    let mut harness = Harness::new();
    assert_eq!(harness.write(&copy, "mine"), version);
    let (id, _) = harness.ask();
    harness.answer(id, Response::ConditionFailed(None));
    let (id, _) = harness.ask();
    harness.answer(
        id,
        Response::Fetched(Box::new(remote("theirs", NOW + 1, &[]))),
    );
    let (id, request) = harness.ask();
    assert!(matches!(request, Request::Merge { .. }), "{request:?}");
    let merged = Merged {
        keep: Keep::Side(Side::Theirs),
        copy: Some(Side::Ours),
    };
    harness.answer(id, Response::Merged(merged));
    let (_, request) = harness.ask();
    let Request::Apply { path, to, .. } = request else {
        panic!("{request:?}")
    };
    assert_ne!(path, copy);
    assert_eq!(to.map(|file| file.content), Some(new("mine").content));
}

#[test]
fn a_412_by_somebody_else_is_a_merge() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    harness.write(&a, "mine");
    let (id, _) = harness.ask();
    harness.answer(id, Response::ConditionFailed(None));
    let (id, _) = harness.ask();
    harness.answer(id, Response::Fetched(Box::new(remote("theirs", NOW, &[]))));
    let (_, request) = harness.ask();
    let Request::Merge {
        base, ours, theirs, ..
    } = request
    else {
        panic!("{request:?}")
    };
    assert_eq!(base, None);
    assert_eq!(ours.content, new("mine").content);
    assert_eq!(theirs.content, new("theirs").content);
}

#[test]
fn a_new_file_names_the_tombstone_of_one_that_was_never_here() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    let earlier = VersionId::new(Hlc::new(NOW - 2, 0), BOB);
    let mut tombstone = remote("", NOW - 1, &[earlier]);
    tombstone.body = RemoteBody::Tombstone;
    harness.list(vec![listed(&a, &tombstone.tag)]);
    let (id, request) = harness.ask();
    assert!(matches!(request, Request::Fetch { .. }), "{request:?}");
    harness.answer(id, Response::Fetched(Box::new(tombstone.clone())));
    assert!(harness.next().is_none());

    harness.write(&a, "anew");
    let (_, request) = harness.ask();
    let Request::Push {
        file, condition, ..
    } = request
    else {
        panic!("{request:?}")
    };
    assert_eq!(condition, Condition::Replace(tombstone.tag));
    assert_eq!(file.ancestors.as_slice(), [tombstone.version, earlier]);
}

#[test]
fn an_edit_that_leads_back_while_a_pull_is_under_way_is_an_edit() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    let first = harness.write_through(&a, "one");
    let theirs = remote("two", NOW + 1_000, &[first]);
    harness.list(vec![listed(&a, &theirs.tag)]);
    let (id, _) = harness.ask();
    harness.answer(id, Response::Fetched(Box::new(theirs)));
    let (id, request) = harness.ask();
    assert!(matches!(request, Request::Apply { .. }), "{request:?}");
    harness.write(&a, "three");
    let back = harness.write(&a, "one");
    harness.answer(id, Response::Applied);
    let local = &harness.engine.entry(&a).unwrap().local;
    assert_eq!(local.version(), Some(back));
}

#[test]
fn an_edit_ends_what_was_decided_for_the_state_before_it() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    harness.write(&a, "mine");
    let (id, _) = harness.ask();
    harness.answer(id, Response::ConditionFailed(None));
    let (id, _) = harness.ask();
    let theirs = remote("theirs", NOW, &[]);
    harness.answer(id, Response::Fetched(Box::new(theirs)));
    let (id, request) = harness.ask();
    assert!(matches!(request, Request::Merge { .. }), "{request:?}");
    let merged = Merged {
        keep: Keep::Side(Side::Theirs),
        copy: None,
    };
    harness.answer(id, Response::Merged(merged));
    let edit = harness.write(&a, "mine again");
    // Not the change of the device's copy that the merge led to.
    match harness.ask().1 {
        Request::Merge { ours, .. } => assert_eq!(ours.version, edit),
        request => panic!("{request:?}"),
    }
}

#[test]
fn how_an_application_wants_a_file_held_is_kept_and_is_an_edit() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    let plain = FormatWish {
        encryption: Some(Encryption::Plain),
        ..FormatWish::default()
    };
    let wished = |harness: &mut Harness, text: &str, format| {
        let new = NewContent {
            format,
            ..new(text)
        };
        harness.engine.handle_local_write(&path("a.txt"), new, NOW);
    };
    let pushed = |harness: &mut Harness, text: &str| {
        let (id, request) = harness.ask();
        let Request::Push { format, .. } = request else {
            panic!("{request:?}")
        };
        harness.answer(id, Response::Stored(tag(text)));
        format
    };
    wished(&mut harness, "one", Some(plain));
    let first = pushed(&mut harness, "one");
    assert_eq!(
        (first.encryption, first.kind),
        (Encryption::Plain, ContentKind::Text)
    );
    wished(&mut harness, "two", None);
    assert_eq!(pushed(&mut harness, "two"), first, "as before");
    wished(&mut harness, "two", Some(plain));
    assert_eq!(harness.pending(), 0, "it is so already");
    let sealed = FormatWish {
        encryption: Some(Encryption::Ecies),
        kind: Some(ContentKind::Bytes),
        ..FormatWish::default()
    };
    wished(&mut harness, "two", Some(sealed));
    assert_eq!(harness.pending(), 1, "the same bytes, held otherwise");
    let format = pushed(&mut harness, "two");
    assert_eq!(
        (format.encryption, format.kind),
        (Encryption::Ecies, ContentKind::Bytes)
    );
    assert_eq!(harness.engine.format_for(&a), format);
}

#[test]
fn a_replica_knows_when_it_has_had_everything() {
    let mut harness = Harness::new();
    assert!(!harness.engine.has_everything(), "nobody was asked");
    harness.engine.handle_round_start();
    let (id, request) = harness.ask();
    assert_eq!(request, Request::List);
    assert!(!harness.engine.has_everything());
    harness.answer(id, Response::Listed(Vec::new()));
    assert!(harness.engine.has_everything());
}

#[test]
fn nobody_without_versions_makes_a_device_send_in_the_clear() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    harness.write(&a, "one");
    let (id, _) = harness.ask();
    harness.answer(id, Response::Stored(tag("one")));
    let mut plain = RemoteFile {
        origin: Origin::Foreign,
        ..remote("two", NOW + 1, &[])
    };
    if let RemoteBody::File { format, .. } = &mut plain.body {
        format.encryption = Encryption::Plain;
    }
    harness.list(vec![listed(&a, &tag("two"))]);
    let (id, request) = harness.ask();
    assert_eq!(request, Request::Fetch { path: a.clone() });
    harness.answer(id, Response::Fetched(Box::new(plain)));
    harness.write(&a, "three");
    assert_eq!(harness.engine.format_for(&a).encryption, Encryption::Ecies);
}

/// Whoever finds it on the hub then must know it for its own, and no other of them was ever there.
#[test]
fn what_was_sent_is_named_however_many_edits_follow() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    let base = harness.write_through(&a, "base");
    let sent = harness.write(&a, "sent");
    let (push, _) = harness.ask();
    for number in 0..20 {
        harness.write(&a, &format!("edit {number}"));
    }
    harness.answer(push, unreachable_hub(None));
    let ancestors = harness.engine.entry(&a).unwrap().local.ancestors();
    assert_eq!(ancestors.as_slice(), [sent, base]);
}

#[test]
fn a_delete_of_what_was_never_sent_remembers_what_was() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    let sent = harness.write(&a, "sent");
    let (push, _) = harness.ask();
    harness.engine.handle_local_delete(&a, NOW);
    harness.answer(push, unreachable_hub(None));
    harness.engine.resume();
    harness.list(Vec::new());
    assert!(harness.next().is_none(), "the hub has nothing");
    harness.write(&a, "again");
    harness.engine.handle_local_delete(&a, NOW);
    let local = harness.engine.entry(&a).unwrap().local.clone();
    assert!(
        local.ancestors().contains(&sent),
        "it may show up yet: {local:?}"
    );
}

/// Another name would make something new of it to who has deleted it since.
#[test]
fn what_is_sent_again_keeps_its_name_also_by_a_clock_that_is_behind() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    let theirs = remote("theirs", NOW + 10 * 365 * 24 * 60 * 60 * 1_000, &[]);
    harness.list(vec![listed(&a, &theirs.tag)]);
    let (fetch, _) = harness.ask();
    harness.answer(fetch, Response::Fetched(Box::new(theirs.clone())));
    let (apply, _) = harness.ask();
    harness.answer(apply, Response::Applied);
    let sent = harness.write(&a, "mine");
    assert!(sent < theirs.version, "no such clock is followed");
    let (push, _) = harness.ask();
    harness.answer(push, unreachable_hub(None));
    harness.engine.resume();
    harness.list(Vec::new());
    let (fetch, request) = harness.ask();
    assert_eq!(request, Request::Fetch { path: a });
    harness.answer(fetch, Response::Absent);
    assert!(harness.next().is_none(), "the absence is stored first");
    let (_, request) = harness.ask();
    let Request::Push {
        file, condition, ..
    } = request
    else {
        panic!("{request:?}")
    };
    assert_eq!((file.version, condition), (sent, Condition::Create));
}
