//! Reading files: `GET` and `HEAD` below the read prefix, open to everybody.
//!
//! Tag, type, length and bytes of an answer come from one row of the index and from a file that
//! never changes, so a replacement in the middle of an answer is not seen in it. What strangers
//! stored is sent so that no browser runs it as a page of this origin. `conditions` decides
//! whether a client wants the file, `ranges` which parts of it, `blob` reads and verifies bytes.

mod blob;
mod conditions;
mod ranges;

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream;
use gaia::address::Address;
use gaia::path::FilePath;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, ETAG, LAST_MODIFIED, RANGE, REFERRER_POLICY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};

#[cfg(feature = "testing")]
pub(crate) fn wanted_parts(header: &str, size: u64) -> Option<Vec<Range<u64>>> {
    match ranges::wanted(header, size).ok()? {
        ranges::Wanted::Whole => None,
        ranges::Wanted::Part(part) => Some(vec![part]),
        ranges::Wanted::Parts(parts) => Some(parts),
    }
}

#[cfg(feature = "testing")]
pub(crate) fn ask_conditions(headers: &HeaderMap, etag: gaia::etag::ETag, modified_ms: i64) {
    let validators = conditions::Validators::new(etag, modified_ms);
    validators.check(headers);
    validators.allow_part(headers);
}

pub(crate) use self::blob::{BlobReader, next_piece};
use self::conditions::{Outcome, Validators};
use self::ranges::{Multipart, Segment, Wanted};
use crate::blobs::Blobs;
use crate::error::{MISMATCH, Refusal};
use crate::hub::Hub;
use crate::index::{FileKey, Index, StoredBody, Version};
use crate::respond::{self, Body};

/// How often a version is looked up again because its blob was replaced before it was opened.
const TRIES_MAX: usize = 16;

const AUTH_SUFFIX: &str = "-auth";
const AUTH_FILE: &str = "authTimestamp";

/// The headers of a request that matter to a read.
pub(crate) struct ReadRequest<'a> {
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) bucket: &'a str,
    pub(crate) raw_path: &'a str,
}

/// A version whose bytes can no longer go away.
pub(crate) struct Opened {
    pub(crate) version: Arc<Version>,
    pub(crate) bytes: Source,
}

pub(crate) enum Source {
    Inline(Bytes),
    Blob(BlobReader),
}

/// `GET` or `HEAD {read prefix}{bucket}/{path}`
pub(crate) async fn read(hub: &Hub, request: &ReadRequest<'_>) -> Response<Body> {
    let mut response = find(hub, request)
        .await
        .unwrap_or_else(|refusal| respond::refusal(&refusal));
    harden(response.headers_mut());
    response
}

async fn find(hub: &Hub, request: &ReadRequest<'_>) -> Result<Response<Body>, Refusal> {
    let path = match FilePath::parse_from_url(request.raw_path) {
        Ok(path) => path,
        Err(error) if error.is_bad_url() => return Err(Refusal::BadUrl),
        Err(_) => return Ok(text(StatusCode::BAD_REQUEST, "Could not return file")),
    };
    if let Some(owner) = request.bucket.strip_suffix(AUTH_SUFFIX) {
        return Ok(auth_timestamp(hub, owner, &path));
    }
    let Ok(bucket) = Address::parse(request.bucket) else {
        return Ok(not_found());
    };
    let key = FileKey { bucket, path };
    match open_version(hub.index(), hub.blobs(), &key, None).await? {
        Some(opened) => answer(hub, request, opened),
        None => Ok(not_found()),
    }
}

/// Takes hold of the bytes of the version that was `found`, or of the current one.
pub(crate) async fn open_version(
    index: &Index,
    blobs: &Arc<Blobs>,
    key: &FileKey,
    mut found: Option<Arc<Version>>,
) -> Result<Option<Opened>, Refusal> {
    for _ in 0..TRIES_MAX {
        let version = match found.take() {
            Some(version) => version,
            None => match index.find(key).await? {
                Some(version) => version,
                None => return Ok(None),
            },
        };
        let bytes = match &version.body {
            StoredBody::Inline(_) if !version.is_whole => {
                let id = version.digest;
                let message = format!("bytes in the index are damaged: they are not {id}");
                return Err(io::Error::other(message).into());
            }
            StoredBody::Inline(bytes) => Source::Inline(bytes.clone()),
            StoredBody::Blob(id) => match BlobReader::open(blobs, *id, version.size).await {
                Ok(file) => Source::Blob(file),
                // Replaced and swept since the look-up: the index has a newer version.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            },
        };
        return Ok(Some(Opened { version, bytes }));
    }
    Err(io::Error::other("the index names a blob that is not there").into())
}

fn answer(hub: &Hub, request: &ReadRequest<'_>, opened: Opened) -> Result<Response<Body>, Refusal> {
    let Opened { version, bytes } = opened;
    let validators = Validators::new(version.etag.clone(), version.modified_ms);
    match validators.check(request.headers) {
        Outcome::Send => {}
        Outcome::Unchanged => {
            let mut response = respond::empty(StatusCode::NOT_MODIFIED);
            describe(hub, response.headers_mut(), &version, &validators)?;
            response.headers_mut().remove(CONTENT_TYPE);
            return Ok(response);
        }
        Outcome::Failed => {
            return Err(Refusal::Precondition {
                message: MISMATCH,
                current: Some(version.etag.clone()),
            });
        }
    }
    let wanted = match request.headers.get(RANGE).map(HeaderValue::to_str) {
        // A range of a HEAD has no meaning.
        Some(Ok(text))
            if *request.method == Method::GET && validators.allow_part(request.headers) =>
        {
            ranges::wanted(text, version.size)?
        }
        Some(_) | None => Wanted::Whole,
    };
    let mut response = respond::empty(StatusCode::OK);
    describe(hub, response.headers_mut(), &version, &validators)?;
    let (length, segments) = select(wanted, &version, &mut response)?;
    response.headers_mut().insert(CONTENT_LENGTH, length.into());
    if *request.method != Method::HEAD {
        *response.body_mut() = body(bytes, segments);
    }
    Ok(response)
}

/// Turns what is wanted into the pieces of a body, and says in the head of the answer what they
/// are.
fn select(
    wanted: Wanted,
    version: &Version,
    response: &mut Response<Body>,
) -> Result<(u64, Vec<Segment>), Refusal> {
    let size = version.size;
    match wanted {
        Wanted::Whole => Ok((size, vec![Segment::File(0..size)])),
        Wanted::Part(part) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let range = header(&ranges::content_range(&part, size))?;
            response.headers_mut().insert(CONTENT_RANGE, range);
            Ok((part.end - part.start, vec![Segment::File(part)]))
        }
        Wanted::Parts(parts) => {
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let sent_type = sent_type(&version.content_type);
            let multipart = Multipart::new(parts, &sent_type, size)?;
            let kind = header(&multipart.content_type)?;
            response.headers_mut().insert(CONTENT_TYPE, kind);
            Ok((multipart.length, multipart.segments))
        }
    }
}

/// The headers that belong to the version, whatever part of it is sent.
fn describe(
    hub: &Hub,
    headers: &mut HeaderMap,
    version: &Version,
    validators: &Validators,
) -> Result<(), Refusal> {
    let modified = validators.last_modified(SystemTime::now());
    headers.insert(CONTENT_TYPE, header(&sent_type(&version.content_type))?);
    // Raw, as the stock reader sends it.
    headers.insert(ETAG, header(version.etag.as_str())?);
    headers.insert(LAST_MODIFIED, header(&modified)?);
    headers.insert(CACHE_CONTROL, header(&hub.config().cache_control)?);
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    Ok(())
}

/// Keeps what a browser shows of this from acting for the hub: it is shown, as stock does, in an
/// origin of its own and without scripts.
pub(crate) fn harden(headers: &mut HeaderMap) {
    const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
    let policy = HeaderValue::from_static("sandbox");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// The stored type, with the charset that the stock reader adds to text without one.
pub(crate) fn sent_type(stored: &str) -> String {
    let parameters = stored.split(';').skip(1);
    let has_charset = parameters
        .map(|parameter| parameter.split('=').next().unwrap_or("").trim())
        .any(|name| name.eq_ignore_ascii_case("charset"));
    if stored.starts_with("text/") && !has_charset {
        format!("{stored}; charset=utf-8")
    } else {
        stored.to_owned()
    }
}

fn body(source: Source, segments: Vec<Segment>) -> Body {
    match (source, segments.as_slice()) {
        (Source::Inline(bytes), [Segment::File(part)]) => respond::bytes(bytes.slice(within(part))),
        (Source::Inline(bytes), _) => {
            let mut whole = Vec::new();
            for segment in segments {
                match segment {
                    Segment::Text(text) => whole.extend_from_slice(&text),
                    Segment::File(part) => whole.extend_from_slice(&bytes[within(&part)]),
                }
            }
            respond::bytes(whole)
        }
        (Source::Blob(file), _) => stream_file(file, segments),
    }
}

/// A part of an inline body. These are small, and parts were cut to their length.
fn within(part: &Range<u64>) -> Range<usize> {
    let [start, end] = [part.start, part.end].map(|at| usize::try_from(at).unwrap_or(0));
    start..end
}

/// Sends parts of a file, a piece at a time, each read off the async threads.
fn stream_file(file: BlobReader, segments: Vec<Segment>) -> Body {
    let segments = VecDeque::from(segments);
    let pieces = stream::try_unfold((file, segments), |(file, mut segments)| async move {
        loop {
            let part = match segments.pop_front() {
                None => return Ok::<_, io::Error>(None),
                Some(Segment::Text(text)) => {
                    return Ok(Some((Frame::data(text), (file, segments))));
                }
                Some(Segment::File(part)) if part.is_empty() => continue,
                Some(Segment::File(part)) => part,
            };
            let (piece, file, rest) = next_piece(file, part).await?;
            segments.push_front(Segment::File(rest));
            return Ok(Some((Frame::data(piece), (file, segments))));
        }
    });
    StreamBody::new(pieces).boxed_unsync()
}

/// The file in which a stock hub keeps a bucket's revocation time, for those who read it.
fn auth_timestamp(hub: &Hub, owner: &str, path: &FilePath) -> Response<Body> {
    let Ok(owner) = Address::parse(owner) else {
        return not_found();
    };
    let oldest_valid = hub.index().revocations().oldest_valid(&owner);
    if path.as_str() != AUTH_FILE || oldest_valid == 0 {
        return not_found();
    }
    let mut response = text(StatusCode::OK, "");
    *response.body_mut() = respond::bytes(oldest_valid.to_string());
    let kind = HeaderValue::from_static("text/plain; charset=UTF-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn not_found() -> Response<Body> {
    text(StatusCode::NOT_FOUND, "File not found")
}

fn text(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = respond::empty(status);
    *response.body_mut() = respond::bytes(Bytes::from_static(text.as_bytes()));
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn header(text: &str) -> Result<HeaderValue, Refusal> {
    HeaderValue::from_str(text).map_err(|error| io::Error::other(error).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bare_text_gets_a_charset() {
        for (stored, sent) in [
            ("text/plain", "text/plain; charset=utf-8"),
            (
                "text/plain; pangaea=\"1.x\"",
                "text/plain; pangaea=\"1.x\"; charset=utf-8",
            ),
            ("text/plain;Charset=latin1", "text/plain;Charset=latin1"),
            ("application/json", "application/json"),
        ] {
            assert_eq!(sent_type(stored), sent);
        }
    }
}
