//! Refusals, waits, listings that cannot be believed, restarts.

use super::*;

#[test]
fn a_401_pauses_and_keeps_everything() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    harness.write(&a, "one");
    let (id, _) = harness.ask();
    harness.answer(
        id,
        Response::Failed(Failure::Unauthorized {
            message: "401".to_owned(),
        }),
    );
    assert_eq!(
        harness.engine.poll_event(),
        Some(Event::Paused {
            message: "401".to_owned()
        })
    );
    harness.now_ms += 24 * 60 * 60 * 1_000;
    harness.write(&path("b.txt"), "two");
    assert!(harness.next().is_none());
    assert_eq!(harness.pending(), 2);
    harness.engine.resume();
    assert!(matches!(harness.ask().1, Request::Push { .. }));
}

#[test]
fn a_refusal_parks_one_and_others_flow() {
    let (mut harness, a, b) = (Harness::new(), path("a.txt"), path("b.txt"));
    harness.write(&a, "too large");
    let (id, _) = harness.ask();
    let problem = Failure::Problem {
        kind: ProblemKind::Refused,
        message: "413".to_owned(),
        tag: None,
    };
    harness.answer(id, Response::Failed(problem));
    harness.write_through(&b, "small");
    harness.now_ms += 24 * 60 * 60 * 1_000;
    assert!(
        harness.next().is_none(),
        "a final refusal is not tried again by itself"
    );
    assert_eq!((harness.engine.status().parked, harness.pending()), (1, 1));
    harness.write(&a, "smaller");
    assert!(
        matches!(harness.ask().1, Request::Push { .. }),
        "an edit is a reason to try again"
    );
}

#[test]
fn a_refusal_is_no_less_final_on_a_hub_whose_listings_tell_no_tags() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    harness.write_through(&a, "small");
    harness.write(&a, "too large");
    let (id, _) = harness.ask();
    let problem = Failure::Problem {
        kind: ProblemKind::Refused,
        message: "413".to_owned(),
        tag: None,
    };
    harness.answer(id, Response::Failed(problem));
    let untagged = ListedFile {
        path: a.clone(),
        tag: None,
    };
    harness.list(vec![untagged]);
    assert_eq!(harness.next(), None, "that says nothing new");
    harness.list(vec![listed(&a, &tag("theirs"))]);
    assert_eq!(harness.ask().1, Request::Fetch { path: a });
}

#[test]
fn a_copy_that_cannot_be_made_parks_its_file() {
    let (mut harness, a) = (Harness::new(), path("a.bin"));
    harness.write(&a, "mine");
    let (id, _) = harness.ask();
    harness.answer(id, Response::ConditionFailed(None));
    let (id, _) = harness.ask();
    harness.answer(id, Response::Fetched(Box::new(remote("theirs", NOW, &[]))));
    let (id, request) = harness.ask();
    assert!(matches!(request, Request::Merge { .. }), "{request:?}");
    let keep = crate::io::Keep::Side(crate::io::Side::Ours);
    let merged = crate::io::Merged {
        keep,
        copy: Some(crate::io::Side::Theirs),
    };
    harness.answer(id, Response::Merged(merged));
    let (id, request) = harness.ask();
    assert!(matches!(request, Request::Apply { .. }), "{request:?}");
    let kind = ProblemKind::Device;
    let problem = Failure::Problem {
        kind,
        message: "full".to_owned(),
        tag: None,
    };
    harness.answer(id, Response::Failed(problem));
    assert!(harness.next().is_none(), "it is not tried for ever");
    assert!(harness.engine.entry(&a).unwrap().problem.is_some());
    assert_eq!(harness.pending(), 1);
}

#[test]
fn many_absences_ask_and_few_are_read() {
    let mut harness = Harness::new();
    let paths: Vec<FilePath> = (0..4)
        .map(|number| path(&format!("{number}.txt")))
        .collect();
    for at in &paths {
        harness.write_through(at, at.as_str());
    }
    harness.list(vec![listed(&paths[0], &tag("0.txt"))]);
    let question = Question::MassDelete {
        missing: 3,
        known: 4,
    };
    assert_eq!(
        harness.engine.status().hub,
        HubState::Halted(question.clone())
    );
    assert!(harness.next().is_none());
    harness.engine.accept(question);
    let (id, request) = harness.ask();
    assert_eq!(request, Request::List);
    harness.answer(id, Response::Listed(vec![listed(&paths[0], &tag("0.txt"))]));
    // Even then each absence is read before it is believed.
    for at in &paths[1..] {
        assert_eq!(harness.ask().1, Request::Fetch { path: at.clone() });
    }
    assert!(harness.next().is_none());
}

#[test]
fn a_read_alone_does_not_make_an_absence() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    harness.write_through(&a, "one");
    harness.list(vec![listed(&a, &tag("two"))]);
    let (id, request) = harness.ask();
    assert_eq!(request, Request::Fetch { path: a.clone() });
    harness.answer(id, Response::Absent);
    let (id, request) = harness.ask();
    assert_eq!(
        request,
        Request::List,
        "the listing named it: they disagree"
    );
    harness.answer(id, Response::Listed(Vec::new()));
    harness.now_ms += 10_000;
    let (id, _) = harness.ask();
    harness.answer(id, Response::Absent);
    let (_, request) = harness.ask();
    assert!(
        matches!(request, Request::Apply { to: None, .. }),
        "{request:?}"
    );
}

#[test]
fn another_bucket_asks() {
    let (mut harness, identity) = (Harness::new(), path(IDENTITY_PATH));
    harness.write_through(&identity, "id one");
    harness.list(vec![listed(&identity, &tag("id two"))]);
    assert_eq!(
        harness.engine.status().hub,
        HubState::Halted(Question::OtherBucket)
    );
    assert!(harness.next().is_none());
}

#[test]
fn the_wait_that_a_hub_asks_for_is_kept() {
    let (mut harness, a, b) = (Harness::new(), path("a.txt"), path("b.txt"));
    harness.write(&a, "one");
    harness.write(&b, "two");
    let ((first, _), (second, _)) = (harness.ask(), harness.ask());
    harness.answer(first, unreachable_hub(None));
    // The second failure asks for more than the first, and a success does not undo that.
    harness.answer(second, unreachable_hub(Some(30_000)));
    harness.engine.resume();
    harness.now_ms += 29_999;
    assert!(harness.next().is_none());
    let (at, _) = harness.engine.poll_timeout().unwrap();
    assert!((30_000..=31_000).contains(&(at - NOW)), "{}", at - NOW);
    harness.now_ms = at;
    assert!(matches!(harness.ask().1, Request::Push { .. }));
    assert!(
        harness.next().is_none(),
        "one at a time until the hub is well"
    );
}

#[test]
fn a_clock_that_is_set_back_prolongs_no_wait() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    harness.write(&a, "one");
    let (id, _) = harness.ask();
    harness.answer(id, unreachable_hub(Some(30_000)));
    harness.now_ms -= 365 * 24 * 60 * 60 * 1_000;
    assert!(matches!(harness.ask().1, Request::Push { .. }));
}

#[test]
fn a_tombstone_is_swept_when_everybody_had_time_to_see_it() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    harness.write_through(&a, "one");
    harness.engine.handle_local_delete(&a, NOW);
    let (id, request) = harness.ask();
    assert!(matches!(request, Request::Remove { .. }), "{request:?}");
    harness.answer(id, Response::Stored(tag("")));
    harness.list(vec![listed(&a, &tag(""))]);
    assert!(harness.next().is_none(), "too early");
    harness.now_ms += 60_001;
    harness.list(vec![listed(&a, &tag(""))]);
    let (id, request) = harness.ask();
    assert_eq!(
        request,
        Request::Sweep {
            path: a.clone(),
            tag: tag("")
        }
    );
    harness.answer(id, Response::Absent);
    assert!(harness.next().is_none());
    let entry = harness.engine.entry(&a).unwrap();
    assert!(
        matches!(
            entry.base,
            Base::Gone {
                tombstone: None,
                ..
            }
        ),
        "the delete is remembered"
    );
    assert!(matches!(entry.local, Local::Deleted { .. }));
}

#[test]
fn an_edit_while_the_path_is_read_is_not_forgotten() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    let version = harness.write_through(&a, "one");
    harness.list(Vec::new());
    let (id, request) = harness.ask();
    assert_eq!(request, Request::Fetch { path: a.clone() });
    harness.write(&a, "two");
    let mut unchanged = remote("one", 0, &[]);
    unchanged.version = version;
    harness.answer(id, Response::Fetched(Box::new(unchanged)));
    assert!(matches!(harness.ask().1, Request::Push { .. }));
}

#[test]
fn a_restart_goes_on_from_the_store() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    let version = harness.write(&a, "one");
    let commit = harness.engine.take_commit();
    assert!(
        commit
            .log
            .iter()
            .any(|row| row.action == Action::Edited && row.version == version)
    );
    let options = Options::new(harness.engine.device(), 8);
    harness.engine = Engine::load(options, commit.entries, commit.counters);
    let (_, request) = harness.ask();
    let Request::Push { file, .. } = request else {
        panic!("{request:?}")
    };
    assert_eq!(file.version, version);
    // The clock does not go back, even if the wall clock does.
    assert!(harness.engine.handle_local_write(&a, new("two"), 0) > version);
}

#[test]
fn an_answer_that_nobody_waits_for_changes_nothing() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    harness.write(&a, "one");
    let (id, _) = harness.ask();
    harness.answer(id, Response::Stored(tag("one")));
    harness.engine.take_commit();
    harness.answer(id, Response::Stored(tag("other")));
    harness.answer(RequestId(99), Response::Absent);
    assert!(harness.engine.take_commit().is_empty());
    assert_eq!(
        harness.engine.entry(&a).unwrap().base.tag(),
        Some(&tag("one"))
    );
}

#[test]
fn a_delete_of_what_was_perhaps_sent_leaves_the_journal_after_a_restart() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    harness.write(&a, "one");
    let (id, _) = harness.ask();
    let busy = Failure::Busy {
        message: "busy".to_owned(),
    };
    harness.answer(id, Response::Failed(busy));
    harness.engine.handle_local_delete(&a, NOW);
    let commit = harness.engine.take_commit();
    let options = Options::new(harness.engine.device(), 8);
    harness.engine = Engine::load(options, commit.entries, commit.counters);
    assert_eq!(harness.pending(), 1);
    // Only a listing tells whether it arrived.
    let (id, request) = harness.ask();
    assert_eq!(request, Request::List);
    harness.answer(id, Response::Listed(Vec::new()));
    assert!(harness.next().is_none());
    assert_eq!(harness.pending(), 0);
}

#[test]
fn a_wait_that_is_asked_for_after_the_clock_was_set_back_is_kept() {
    let (mut harness, a, b) = (Harness::new(), path("a.txt"), path("b.txt"));
    harness.write(&a, "one");
    harness.write(&b, "two");
    let ((first, _), (second, _)) = (harness.ask(), harness.ask());
    harness.answer(first, unreachable_hub(Some(30_000)));
    harness.now_ms -= 365 * 24 * 60 * 60 * 1_000;
    harness.answer(second, unreachable_hub(Some(30_000)));
    harness.engine.resume();
    harness.now_ms += 29_999;
    assert!(harness.next().is_none());
    harness.now_ms += 1;
    assert!(matches!(harness.ask().1, Request::Push { .. }));
}

fn damaged(read: &RemoteFile, kind: ProblemKind) -> Response {
    Response::Failed(Failure::Problem {
        kind,
        message: "odd bytes".to_owned(),
        tag: Some(read.tag.clone()),
    })
}

#[test]
fn damaged_bytes_are_read_again_before_they_are_set_aside() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    let theirs = remote("theirs", NOW, &[]);
    harness.list(vec![listed(&a, &theirs.tag)]);
    let (id, _) = harness.ask();
    harness.answer(id, damaged(&theirs, ProblemKind::Damaged));
    assert_eq!(harness.engine.status().parked, 0);
    harness.now_ms += 5_000;
    let (id, request) = harness.ask();
    assert_eq!(request, Request::Fetch { path: a });
    harness.answer(id, damaged(&theirs, ProblemKind::Damaged));
    assert_eq!(harness.engine.status().parked, 1);
}

/// A hub without tags in listings has every path read at every look, also one that holds an upload
/// of this device that was cut off.
#[test]
fn an_upload_that_was_cut_off_is_sent_again() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    let first = harness.write_through(&a, "first");
    harness.write(&a, "second");
    let (id, _) = harness.ask();
    harness.answer(id, unreachable_hub(None));
    harness.now_ms += 60_000;
    let untagged = ListedFile {
        path: a.clone(),
        tag: None,
    };
    harness.list(vec![untagged.clone()]);
    let (id, request) = harness.ask();
    assert_eq!(request, Request::Fetch { path: a.clone() });
    let mut torn = remote("first", 0, &[]);
    torn.version = first;
    harness.answer(id, damaged(&torn, ProblemKind::Damaged));
    let (id, request) = harness.ask();
    let Request::Push { condition, .. } = request else {
        panic!("{request:?}")
    };
    assert_eq!(condition, Condition::Replace(tag("first")));
    harness.answer(id, Response::Stored(tag("second")));
    assert_eq!((harness.engine.status().parked, harness.pending()), (0, 0));
}

#[test]
fn what_could_not_be_read_and_is_gone_is_in_nobodys_way() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    let theirs = remote("theirs", NOW, &[]);
    harness.list(vec![listed(&a, &theirs.tag)]);
    let (id, _) = harness.ask();
    harness.answer(id, damaged(&theirs, ProblemKind::Newer));
    assert_eq!(harness.engine.status().parked, 1);
    harness.list(vec![]);
    assert!(harness.next().is_none());
    assert_eq!(harness.engine.status().parked, 0);
}

/// Such a hub never tells that something else is there: what was set aside is read at every look, as all
/// other files are, and nothing is stored while it stays as it is.
#[test]
fn what_cannot_be_read_on_a_hub_whose_listings_tell_no_tags_is_read_at_every_look() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    let theirs = remote("theirs", NOW, &[]);
    let untagged = || ListedFile {
        path: path("a.txt"),
        tag: None,
    };
    harness.list(vec![untagged()]);
    let (id, _) = harness.ask();
    harness.answer(id, damaged(&theirs, ProblemKind::Newer));
    assert!(harness.next().is_none());
    for _ in 0..3 {
        harness.list(vec![untagged()]);
        let (id, request) = harness.ask();
        assert_eq!(request, Request::Fetch { path: a.clone() });
        harness.answer(id, damaged(&theirs, ProblemKind::Newer));
        let commit = harness.engine.take_commit();
        assert!(commit.is_empty(), "{commit:?}");
        assert!(harness.next().is_none());
        assert_eq!(harness.engine.status().parked, 1);
    }
    harness.list(vec![untagged()]);
    let (id, _) = harness.ask();
    harness.answer(id, Response::Fetched(Box::new(theirs)));
    let (_, request) = harness.ask();
    assert!(matches!(request, Request::Apply { .. }), "{request:?}");
    assert_eq!(harness.engine.status().parked, 0);
}

#[test]
fn two_reads_from_one_cache_bear_nothing_out() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    harness.write_through(&a, "first");
    let second = harness.write_through(&a, "second");
    harness.write(&a, "third");
    let cached = remote("cached", NOW - 9_000, &[]);
    for _ in 0..6 {
        let (id, request) = loop {
            match harness.next() {
                // The listing that would tell takes its time.
                Some((_, Request::List)) => {}
                Some(asked) => break asked,
                None => harness.now_ms += 60_000,
            }
        };
        match request {
            Request::Push { .. } => harness.answer(id, Response::ConditionFailed(None)),
            _ => harness.answer(id, Response::Fetched(Box::new(cached.clone()))),
        }
        let base = harness.engine.entry(&a).unwrap().base.version();
        assert_eq!(base, Some(second));
    }
}

#[test]
fn another_life_gives_other_names() {
    let names = [1, 2].map(|seed| {
        let mut options = Options::new(DeviceId::from_bytes([1; 8]), seed);
        options.in_flight_max = 1;
        let ahead = Counters {
            clock: Hlc::new(NOW + 1_000_000, 0),
            sequence: 0,
        };
        let mut engine = Engine::load(options, [], Some(ahead));
        engine.handle_local_write(&path("a.txt"), new("a"), NOW)
    });
    assert_ne!(names[0], names[1]);
}

/// A program that is started again and again must not run ahead of the time (I-13 would still hold,
/// but whoever wrote last would not be who wrote last).
#[test]
fn many_short_lives_do_not_run_ahead_of_the_time() {
    let mut counters = None;
    for life in 0..200 {
        let options = Options::new(DeviceId::from_bytes([1; 8]), u64::MAX - life);
        let mut engine = Engine::load(options, [], counters);
        let now_ms = NOW + life * 20;
        let version = engine.handle_local_write(&path("a.txt"), new("a"), now_ms);
        assert_eq!(version.clock, Hlc::new(now_ms, 0), "life {life}");
        counters = engine.take_commit().counters;
    }
}

#[test]
fn a_hub_that_cannot_list_gets_what_there_is_to_send() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    harness.engine.handle_round_start();
    let (id, request) = harness.ask();
    assert_eq!(request, Request::List);
    harness.write(&a, "mine");
    harness.answer(id, unreachable_hub(None));
    let mut requests = Vec::new();
    for _ in 0..4 {
        harness.now_ms += 24 * 60 * 60 * 1_000;
        let Some((id, request)) = harness.next() else {
            break;
        };
        let answer = match request {
            Request::Push { .. } => Response::Stored(tag("mine")),
            _ => unreachable_hub(None),
        };
        requests.push(request);
        harness.answer(id, answer);
    }
    assert!(matches!(requests[0], Request::Push { .. }), "{requests:?}");
    assert_eq!(requests[1..], [const { Request::List }; 3]);
    assert_eq!(harness.pending(), 0);
    assert!(matches!(
        harness.engine.status().hub,
        HubState::Waiting { .. }
    ));
}

#[test]
fn a_listing_has_its_turn_where_only_that_works() {
    let (mut harness, a) = (Harness::new(), path("a.txt"));
    harness.write(&a, "mine");
    let (id, _) = harness.ask();
    harness.engine.handle_round_start();
    harness.answer(id, unreachable_hub(None));
    harness.now_ms += 24 * 60 * 60 * 1_000;
    assert_eq!(harness.ask().1, Request::List);
}
