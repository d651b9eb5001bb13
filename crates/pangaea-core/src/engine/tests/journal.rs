//! The journal as a property: whatever a user does, whatever comes back and whenever power fails, the
//! hub ends up with what was written last, each operation is acknowledged after it was stored and not
//! before, and edits that wait become one.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::commit::Counters;
use crate::state::Entry;
use crate::state::Remote;

const PATHS: [&str; 2] = ["a.txt", "b.txt"];

#[derive(Debug, Clone)]
enum Move {
    Write(usize, u8),
    Delete(usize),
    /// The next request reaches the hub, and its answer comes back.
    Answered,
    /// The hub does it, and the answer is lost.
    AnswerLost,
    /// The hub never hears of it.
    RequestLost,
    /// Power off, power on.
    Restart,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        4 => (0..PATHS.len(), 0..4_u8).prop_map(|(path, text)| Move::Write(path, text)),
        2 => (0..PATHS.len()).prop_map(Move::Delete),
        4 => Just(Move::Answered),
        1 => Just(Move::AnswerLost),
        1 => Just(Move::RequestLost),
        1 => Just(Move::Restart),
    ];
    prop::collection::vec(one, 0..40)
}

/// A hub that nobody else writes to.
#[derive(Default)]
struct Hub {
    files: BTreeMap<FilePath, RemoteFile>,
    writes: usize,
}

impl Hub {
    fn handle(&mut self, request: &Request) -> Response {
        match request {
            Request::List => {
                let files = self.files.iter();
                Response::Listed(files.map(|(path, file)| listed(path, &file.tag)).collect())
            }
            Request::Fetch { path } => match self.files.get(path) {
                Some(file) => Response::Fetched(Box::new(file.clone())),
                None => Response::Absent,
            },
            Request::Push {
                path,
                file,
                format,
                condition,
            } => {
                let there = self.files.get(path).map(|file| file.tag.clone());
                let expected = match condition {
                    Condition::Create => None,
                    Condition::Replace(tag) => Some(tag.clone()),
                };
                if there != expected {
                    return Response::ConditionFailed(there);
                }
                self.writes += 1;
                let tag = tag(&format!("{path} {}", file.version));
                let stored = RemoteFile {
                    tag: tag.clone(),
                    version: file.version,
                    origin: Origin::Header,
                    ancestors: file.ancestors.clone(),
                    body: RemoteBody::File {
                        content: file.content,
                        size: file.size,
                        media_type: file.media_type.clone(),
                        format: *format,
                    },
                };
                self.files.insert(path.clone(), stored);
                Response::Stored(tag)
            }
            Request::Remove { path, tag, .. } => match self.files.get(path) {
                Some(file) if file.tag != *tag => Response::ConditionFailed(Some(file.tag.clone())),
                _ => {
                    self.writes += usize::from(self.files.remove(path).is_some());
                    Response::Absent
                }
            },
            Request::Apply { .. } => Response::Applied,
            Request::Merge { .. } | Request::Sweep { .. } => {
                panic!("nobody else writes, yet there is {request:?}")
            }
        }
    }
}

struct World {
    engine: Engine,
    stored: BTreeMap<FilePath, Entry>,
    counters: Option<Counters>,
    under_way: Option<(RequestId, Request)>,
    hub: Hub,
    now_ms: u64,
}

impl World {
    fn options() -> Options {
        Options {
            in_flight_max: 1,
            ..Options::new(DeviceId::from_bytes([1; 8]), 7)
        }
    }

    /// Stores what there is to store, and holds the journal to its word: what leaves it is on the hub.
    fn store(&mut self) {
        let commit = self.engine.take_commit();
        check_invariants(&self.engine).unwrap();
        for (path, mut entry) in commit.entries {
            entry.remote = Remote::AsBase;
            entry.suspect = None;
            if entry.pending.is_none() {
                let has = self
                    .engine
                    .entry(&path)
                    .and_then(|entry| entry.local.file());
                let on_hub = self.hub.files.get(&path);
                assert_eq!(
                    has.map(|file| file.version),
                    on_hub.map(|file| file.version),
                    "{path} left the journal early"
                );
            }
            self.stored.insert(path, entry);
        }
        self.counters = commit.counters.or(self.counters);
    }

    fn take(&mut self, step: &Move) {
        match step {
            Move::Write(at, text) => {
                let path = path(PATHS[*at]);
                let text = format!("text {text}");
                self.engine
                    .handle_local_write(&path, new(&text), self.now_ms);
            }
            Move::Delete(at) => {
                self.engine
                    .handle_local_delete(&path(PATHS[*at]), self.now_ms);
            }
            Move::Restart => {
                self.under_way = None;
                let stored = self.stored.clone();
                self.engine = Engine::load(Self::options(), stored, self.counters);
                self.engine.handle_round_start();
            }
            Move::Answered | Move::AnswerLost | Move::RequestLost => {
                if let Some((id, request)) = self.under_way.take() {
                    let response = match step {
                        Move::RequestLost => unreachable_hub(None),
                        Move::AnswerLost => {
                            self.hub.handle(&request);
                            unreachable_hub(None)
                        }
                        _ => self.hub.handle(&request),
                    };
                    self.engine.handle_response(id, response, self.now_ms);
                }
            }
        }
        self.now_ms += 1;
        self.store();
        for _ in 0..4 {
            if self.under_way.is_none() {
                self.under_way = self.engine.poll_request(self.now_ms);
            }
            self.store();
        }
    }

    fn pending(&self) -> usize {
        self.engine.status().pending
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_hub_ends_up_with_what_was_written_last(moves in moves()) {
        let mut world = World {
            engine: Engine::load(World::options(), [], None),
            stored: BTreeMap::new(),
            counters: None,
            under_way: None,
            hub: Hub::default(),
            now_ms: NOW,
        };
        let mut wanted: BTreeMap<FilePath, ContentHash> = BTreeMap::new();
        let mut edits = 0;
        for step in &moves {
            world.take(step);
            match step {
                Move::Write(at, text) => {
                    edits += 1;
                    let content = ContentHash::of(format!("text {text}").as_bytes());
                    wanted.insert(path(PATHS[*at]), content);
                }
                Move::Delete(at) => {
                    edits += 1;
                    wanted.remove(&path(PATHS[*at]));
                }
                _ => {}
            }
            // Acknowledged means that it is there, also after power failed (I-1, I-6).
            let local: BTreeMap<FilePath, ContentHash> = world
                .engine
                .entries()
                .iter()
                .filter_map(|(path, entry)| Some((path.clone(), entry.local.file()?.content)))
                .collect();
            prop_assert_eq!(&local, &wanted);
            prop_assert!(world.pending() <= PATHS.len(), "edits that wait are one operation");
        }
        for _ in 0..100 {
            world.now_ms += crate::backoff::WAIT_MS_MAX;
            world.engine.resume();
            world.take(&Move::Answered);
        }
        prop_assert_eq!(world.pending(), 0);
        let on_hub: BTreeMap<FilePath, ContentHash> = world
            .hub
            .files
            .iter()
            .filter_map(|(path, file)| match &file.body {
                RemoteBody::File { content, .. } => Some((path.clone(), *content)),
                RemoteBody::Tombstone => None,
            })
            .collect();
        prop_assert_eq!(on_hub, wanted);
        prop_assert!(world.hub.writes <= edits, "no more writes than edits");
    }
}
