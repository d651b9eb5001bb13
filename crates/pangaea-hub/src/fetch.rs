//! The `fetch` acceleration: `POST /fetch/{bucket}`, many small files in one answer, open to
//! everybody as single reads are.
//!
//! The answer is made while it is sent, a few files at a time. Each file is of one version, as in
//! `reads`. What the answer is made of is in `gaia::fetch`.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::vec;

use bytes::Bytes;
use futures_util::stream;
use gaia::address::Address;
use gaia::fetch::{AnswerHead, FileHead, MEDIA_TYPE, Request};
use gaia::frames::write_head;
use gaia::limits::{
    FETCH_BYTES_MAX, FETCH_FILE_BYTES_MAX, FETCH_PATHS_MAX, FETCH_REQUEST_BYTES_MAX, PATH_BYTES_MAX,
};
use gaia::path::FilePath;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;

use crate::blobs::Blobs;
use crate::error::Refusal;
use crate::hub::Hub;
use crate::index::{FileKey, Index, Version};
use crate::reads::{self, BlobReader, Opened, Source};
use crate::respond::{self, Body};
use crate::upload::Pieces;
use crate::write;

/// Bytes that are looked up ahead of what is sent.
const AHEAD_BYTES: usize = 256 * 1024;

pub(crate) const TOO_MANY: Refusal = Refusal::TooMuch("A fetch names at most 1000 files");
pub(crate) const TOO_LARGE: Refusal = Refusal::TooMuch("A fetch is at most one megabyte long");
pub(crate) const BAD_JSON: Refusal = Refusal::BadRequest("Invalid JSON: expected {\"paths\":[…]}");
const BAD_PATH: Refusal = Refusal::BadRequest("A path is longer than any file's");

/// `POST /fetch/{bucket}`
pub(crate) async fn fetch(
    hub: &Hub,
    headers: &HeaderMap,
    body: Incoming,
    bucket: &str,
) -> Result<Response<Body>, Refusal> {
    let length = write::content_length(headers).unwrap_or(FETCH_REQUEST_BYTES_MAX as u64);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > FETCH_REQUEST_BYTES_MAX {
        Pieces::new(hub, body).drain();
        return Err(TOO_LARGE);
    }
    let room = hub.fetch_room().reserve(length + AHEAD_BYTES).await?;
    let request = receive(Pieces::new(hub, body)).await?;
    if request.paths.len() > FETCH_PATHS_MAX {
        return Err(TOO_MANY);
    }
    if request.paths.iter().any(|path| path.len() > PATH_BYTES_MAX) {
        return Err(BAD_PATH);
    }
    // A text that is no address is the name of a bucket without files.
    let bucket = Address::parse(bucket).ok();
    let answer = Answer {
        index: hub.index().clone(),
        blobs: Arc::clone(hub.blobs()),
        bucket,
        paths: request.paths.into_iter(),
        found: VecDeque::new(),
        bytes_left: FETCH_BYTES_MAX,
        sending: None,
        is_ended: false,
        _room: room,
    };
    let pieces = stream::try_unfold(answer, |mut answer| async move {
        let piece = answer.next().await?;
        Ok::<_, io::Error>(piece.map(|piece| (Frame::data(piece), answer)))
    });
    let mut response = Response::new(StreamBody::new(pieces).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reads::harden(headers);
    *response.status_mut() = StatusCode::OK;
    Ok(response)
}

async fn receive(mut pieces: Pieces) -> Result<Request, Refusal> {
    let mut text = Vec::new();
    while let Some(piece) = pieces.next().await? {
        if text.len() + piece.len() > FETCH_REQUEST_BYTES_MAX {
            pieces.drain();
            return Err(TOO_LARGE);
        }
        text.extend_from_slice(&piece);
    }
    serde_json::from_slice(&text).map_err(|_| BAD_JSON)
}

/// An answer that is being sent.
struct Answer {
    index: Index,
    blobs: Arc<Blobs>,
    bucket: Option<Address>,
    paths: vec::IntoIter<String>,
    /// Looked up, not yet sent.
    found: VecDeque<(String, Found)>,
    /// How much more of files this answer may hold.
    bytes_left: u64,
    /// A large file in the middle of which the answer is.
    sending: Option<(BlobReader, Range<u64>)>,
    is_ended: bool,
    _room: OwnedSemaphorePermit,
}

/// What a look-up led to.
enum Found {
    Version(FileKey, Arc<Version>),
    Nothing,
    NoPath,
    Failed,
}

impl Answer {
    /// The next bytes to be sent: as many whole frames as are at hand, or a part of a large file.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some((file, part)) = self.sending.take() {
            let (piece, file, rest) = reads::next_piece(file, part).await?;
            self.sending = (!rest.is_empty()).then_some((file, rest));
            return Ok(Some(piece));
        }
        if self.is_ended {
            return Ok(None);
        }
        if self.found.is_empty() {
            self.look_up().await;
        }
        let mut out = Vec::new();
        while self.sending.is_none()
            && out.len() < AHEAD_BYTES
            && let Some((name, found)) = self.found.pop_front()
        {
            self.write_file(name, found, &mut out).await?;
        }
        if self.sending.is_none() && self.found.is_empty() && self.paths.len() == 0 {
            write_head(&AnswerHead::END, &mut out).map_err(io::Error::other)?;
            self.is_ended = true;
        }
        Ok(Some(out.into()))
    }

    /// Looks up the next files, at least one if any is left, as of one moment.
    async fn look_up(&mut self) {
        let mut keys = Vec::new();
        for name in self.paths.as_slice() {
            let path = FilePath::parse(name).ok();
            keys.push(
                path.zip(self.bucket)
                    .map(|(path, bucket)| FileKey { bucket, path }),
            );
        }
        let versions = self.index.find_many(keys, AHEAD_BYTES).await;
        let versions = versions.unwrap_or_else(|error| {
            respond::log(&error.into());
            Vec::new()
        });
        if versions.is_empty() {
            // The others are tried again, after this one.
            self.found
                .extend(self.paths.next().map(|name| (name, Found::Failed)));
        }
        for version in versions {
            let Some(name) = self.paths.next() else {
                return;
            };
            let found = match (version, FilePath::parse(&name), self.bucket) {
                (_, Err(_), _) => Found::NoPath,
                (Some(version), Ok(path), Some(bucket)) => {
                    Found::Version(FileKey { bucket, path }, version)
                }
                (None, _, _) | (_, _, None) => Found::Nothing,
            };
            self.found.push_back((name, found));
        }
    }

    async fn write_file(
        &mut self,
        name: String,
        found: Found,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        let status = match found {
            Found::Version(_, version)
                if version.size > self.bytes_left.min(FETCH_FILE_BYTES_MAX) =>
            {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Found::Version(key, version) => {
                match reads::open_version(&self.index, &self.blobs, &key, Some(version)).await {
                    Ok(Some(opened)) => return self.write_version(name, opened, out),
                    Ok(None) => StatusCode::NOT_FOUND,
                    Err(refusal) => {
                        respond::log(&refusal);
                        StatusCode::INTERNAL_SERVER_ERROR
                    }
                }
            }
            Found::Nothing => StatusCode::NOT_FOUND,
            Found::NoPath => StatusCode::BAD_REQUEST,
            Found::Failed => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let head = FileHead::without_bytes(name, status.as_u16());
        write_head(&AnswerHead::File(head), out).map_err(io::Error::other)
    }

    fn write_version(&mut self, name: String, opened: Opened, out: &mut Vec<u8>) -> io::Result<()> {
        let Opened { version, bytes } = opened;
        // A newer version may have come between look-up and opening.
        if version.size > self.bytes_left.min(FETCH_FILE_BYTES_MAX) {
            let head = FileHead::without_bytes(name, StatusCode::PAYLOAD_TOO_LARGE.as_u16());
            return write_head(&AnswerHead::File(head), out).map_err(io::Error::other);
        }
        self.bytes_left -= version.size;
        let modified_ms = u64::try_from(version.modified_ms).unwrap_or(0);
        let head = FileHead {
            name,
            status: StatusCode::OK.as_u16(),
            etag: Some(version.etag.as_str().to_owned()),
            content_type: Some(reads::sent_type(&version.content_type)),
            last_modified_seconds: Some(modified_ms / 1000),
            length: Some(version.size),
        };
        write_head(&AnswerHead::File(head), out).map_err(io::Error::other)?;
        match bytes {
            Source::Inline(bytes) => out.extend_from_slice(&bytes),
            Source::Blob(file) => self.sending = Some((file, 0..version.size)),
        }
        Ok(())
    }
}
