//! The rules that the engine keeps on top of the planner, one by one, over a tiny hub that the
//! test itself plays.

use gaia::etag::ETag;
use gaia::path::FilePath;

use super::*;
use crate::check::check_invariants;
use crate::commit::Action;
use crate::io::Failure;
use crate::io::ListedFile;
use crate::io::Response;
use crate::media::MediaType;
use crate::plan::Condition;
use crate::policy::Encryption;
use crate::state::Ancestors;
use crate::state::Base;
use crate::state::ContentKind;
use crate::state::Format;
use crate::state::IDENTITY_PATH;
use crate::state::Local;
use crate::state::Origin;
use crate::state::ProblemKind;
use crate::state::RemoteBody;
use crate::state::RemoteFile;
use crate::state::Signing;
use crate::version::ContentHash;

const NOW: u64 = 1_700_000_000_000;
const BOB: DeviceId = DeviceId::from_bytes([2; 8]);

fn path(text: &str) -> FilePath {
    FilePath::parse(text).unwrap()
}

fn new(text: &str) -> NewContent {
    let content = ContentHash::of(text.as_bytes());
    NewContent {
        content,
        size: text.len() as u64,
        media_type: MediaType::of("a.txt", b""),
    }
}

fn tag(text: &str) -> ETag {
    ETag::of(text.as_bytes())
}

fn listed(path: &FilePath, tag: &ETag) -> ListedFile {
    ListedFile {
        path: path.clone(),
        tag: Some(tag.clone()),
    }
}

fn remote(text: &str, clock: u64, ancestors: &[VersionId]) -> RemoteFile {
    let NewContent {
        content,
        size,
        media_type,
    } = new(text);
    let format = Format {
        encryption: Encryption::Ecies,
        signing: Signing::Unsigned,
        kind: ContentKind::Text,
    };
    RemoteFile {
        tag: tag(text),
        version: VersionId::new(Hlc::new(clock, 0), BOB),
        origin: Origin::Header,
        ancestors: Ancestors::new(ancestors.iter().copied()),
        body: RemoteBody::File {
            content,
            size,
            media_type,
            format,
        },
    }
}

fn unreachable_hub(retry_after_ms: Option<u64>) -> Response {
    Response::Failed(Failure::Unreachable {
        message: "503".to_owned(),
        retry_after_ms,
    })
}

/// An engine, and what it asked for last.
struct Harness {
    engine: Engine,
    now_ms: u64,
}

impl Harness {
    fn new() -> Self {
        let mut options = Options::new(DeviceId::from_bytes([1; 8]), 7);
        options.mass_delete_floor = 2;
        options.tombstone_ms = 60_000;
        Self {
            engine: Engine::load(options, [], None),
            now_ms: NOW,
        }
    }

    /// Stores, and returns the next request.
    fn next(&mut self) -> Option<(RequestId, Request)> {
        self.engine.take_commit();
        check_invariants(&self.engine).unwrap();
        self.engine.poll_request(self.now_ms)
    }

    fn ask(&mut self) -> (RequestId, Request) {
        self.next().expect("something is to be done")
    }

    fn answer(&mut self, id: RequestId, response: Response) {
        self.engine.handle_response(id, response, self.now_ms);
    }

    fn write(&mut self, at: &FilePath, text: &str) -> VersionId {
        self.engine.handle_local_write(at, new(text), self.now_ms)
    }

    /// Writes a file and sees it stored.
    fn write_through(&mut self, at: &FilePath, text: &str) -> VersionId {
        let version = self.write(at, text);
        let (id, request) = self.ask();
        assert!(matches!(request, Request::Push { .. }), "{request:?}");
        self.answer(id, Response::Stored(tag(text)));
        assert!(self.next().is_none());
        version
    }

    /// Lets the engine list, and answers with `files`.
    fn list(&mut self, files: Vec<ListedFile>) {
        self.engine.handle_round_start();
        let (id, request) = self.ask();
        assert_eq!(request, Request::List);
        self.answer(id, Response::Listed(files));
    }

    fn pending(&self) -> usize {
        self.engine.status().pending
    }
}

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
