//! The rules that the engine keeps on top of the planner, one by one, over a tiny hub that the
//! test itself plays: `edits` for what users do, `copies` for conflict copies, `failures` for what hubs do, `folder` for crashes
//! around changes of a folder, `journal` for any sequence of all that as a property.

use gaia::etag::ETag;
use gaia::path::FilePath;

use super::*;
use crate::check::check_invariants;
use crate::commit::Action;
use crate::io::Failure;
use crate::io::Keep;
use crate::io::ListedFile;
use crate::io::Merged;
use crate::io::Response;
use crate::io::Side;
use crate::media::MediaType;
use crate::plan::Condition;
use crate::policy::Encryption;
use crate::state::Ancestors;
use crate::state::Base;
use crate::state::ContentKind;
use crate::state::Format;
use crate::state::FormatWish;
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
        format: None,
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
        ..
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

mod copies;
mod edits;
mod failures;
mod folder;
mod journal;
