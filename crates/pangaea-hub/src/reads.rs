//! Reading files: `GET` and `HEAD` below the read prefix, open to everybody.
//!
//! Tag, type, length and bytes of an answer come from one row of the index and from a file that
//! never changes, so a replacement in the middle of an answer is not seen in it. What strangers
//! stored is sent so that no browser runs it as a page of this origin.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures_util::stream;
use gaia::address::Address;
use gaia::etag::ETag;
use gaia::path::FilePath;
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
    REFERRER_POLICY,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};

use crate::blobs::BlobId;
use crate::error::Refusal;
use crate::hub::Hub;
use crate::index::{FileKey, StoredBody, Version};
use crate::respond::{self, Body};
use crate::upload::blocking;

/// How much of a blob is read at a time.
const PIECE_BYTES: usize = 256 * 1024;

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
struct Opened {
    version: Version,
    bytes: Source,
}

enum Source {
    Inline(Bytes),
    Blob(File),
}

/// `GET` or `HEAD {read prefix}{bucket}/{path}`
pub(crate) async fn read(hub: &Hub, request: &ReadRequest<'_>) -> Result<Response<Body>, Refusal> {
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
    match open(hub, &FileKey { bucket, path }).await? {
        Some(opened) => answer(request, opened),
        None => Ok(not_found()),
    }
}

/// Finds the current version and takes hold of its bytes.
async fn open(hub: &Hub, key: &FileKey) -> Result<Option<Opened>, Refusal> {
    for _ in 0..TRIES_MAX {
        let Some(version) = hub.index().find(key.clone()).await? else {
            return Ok(None);
        };
        let bytes = match &version.body {
            StoredBody::Inline(bytes) => Source::Inline(bytes.clone()),
            StoredBody::Blob(id) => match open_blob(hub, *id, version.size).await {
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

async fn open_blob(hub: &Hub, id: BlobId, size: u64) -> io::Result<File> {
    let blobs = hub.blobs().clone();
    blocking(move || {
        let file = blobs.open_blob(id)?;
        if file.metadata()?.len() == size {
            return Ok(file);
        }
        Err(io::Error::other(
            "a blob does not have the length that the index knows",
        ))
    })
    .await
}

fn answer(request: &ReadRequest<'_>, opened: Opened) -> Result<Response<Body>, Refusal> {
    let Opened { version, bytes } = opened;
    let size = version.size;
    let mut response = respond::empty(StatusCode::OK);
    describe(response.headers_mut(), &version)?;
    if is_unchanged(request.headers, &version.etag) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response.headers_mut().remove(CONTENT_TYPE);
        return Ok(response);
    }
    let mut part = 0..size;
    if *request.method == Method::GET
        && let Some(range) = wanted_range(request.headers, &version.etag, size)?
    {
        let text = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        response.headers_mut().insert(CONTENT_RANGE, header(&text)?);
        part = range;
    }
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, (part.end - part.start).into());
    if *request.method != Method::HEAD {
        *response.body_mut() = body(bytes, part);
    }
    Ok(response)
}

/// The headers that belong to the version, whatever part of it is sent.
fn describe(headers: &mut HeaderMap, version: &Version) -> Result<(), Refusal> {
    let modified_ms = u64::try_from(version.modified_ms).unwrap_or(0);
    let modified = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(modified_ms));
    headers.insert(CONTENT_TYPE, header(&sent_type(&version.content_type))?);
    // Raw, as the stock reader sends it.
    headers.insert(ETAG, header(version.etag.as_str())?);
    headers.insert(LAST_MODIFIED, header(&modified)?);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    harden(headers);
    if !is_inert(&version.content_type) {
        headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    Ok(())
}

/// Keeps a browser from running what is sent.
fn harden(headers: &mut HeaderMap) {
    const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
    let policy = HeaderValue::from_static("sandbox; default-src 'none'");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// The stored type, with the charset that the stock reader adds to text without one.
fn sent_type(stored: &str) -> String {
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

/// Whether a browser shows this type without running anything in it.
fn is_inert(content_type: &str) -> bool {
    let essence = content_type
        .split(';')
        .next()
        .unwrap_or("")
        .trim()
        .to_ascii_lowercase();
    match essence.as_str() {
        "text/plain" | "application/json" | "application/octet-stream" => true,
        "image/svg+xml" => false,
        other => ["image/", "audio/", "video/", "font/"]
            .iter()
            .any(|kind| other.starts_with(kind)),
    }
}

fn is_unchanged(headers: &HeaderMap, etag: &ETag) -> bool {
    headers
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|text| {
            text.split(',')
                .any(|one| one.trim() == "*" || ETag::parse(one).as_ref() == Some(etag))
        })
}

/// The one range asked for. Several, or text that is no range, are answered with the whole.
fn wanted_range(
    headers: &HeaderMap,
    etag: &ETag,
    size: u64,
) -> Result<Option<Range<u64>>, Refusal> {
    let Some(text) = headers.get(RANGE).and_then(|value| value.to_str().ok()) else {
        return Ok(None);
    };
    if let Some(only_if) = headers.get(IF_RANGE) {
        let tag = only_if.to_str().ok().and_then(ETag::parse);
        if tag.as_ref() != Some(etag) {
            return Ok(None);
        }
    }
    let Some((first, last)) = text
        .trim()
        .strip_prefix("bytes=")
        .filter(|ranges| !ranges.contains(','))
        .and_then(|range| range.trim().split_once('-'))
    else {
        return Ok(None);
    };
    let range = match (first.parse::<u64>(), last.parse::<u64>()) {
        (Ok(first), Ok(last)) if first > last => return Ok(None),
        (Ok(first), Ok(last)) => first..size.min(last.saturating_add(1)),
        (Ok(first), Err(_)) if last.is_empty() => first..size,
        (Err(_), Ok(count)) if first.is_empty() => size.saturating_sub(count)..size,
        _ => return Ok(None),
    };
    if range.start >= range.end {
        return Err(Refusal::Range { size });
    }
    Ok(Some(range))
}

fn body(source: Source, part: Range<u64>) -> Body {
    match source {
        Source::Inline(bytes) => {
            // Inline bodies are small; the range was cut to their length.
            let [start, end] = [part.start, part.end].map(|at| usize::try_from(at).unwrap_or(0));
            respond::bytes(bytes.slice(start..end))
        }
        Source::Blob(file) => stream_file(file, part),
    }
}

/// Sends a part of a file, a piece at a time, each read off the async threads.
fn stream_file(file: File, part: Range<u64>) -> Body {
    let pieces = stream::try_unfold((file, part), |(file, part)| async move {
        if part.is_empty() {
            return Ok::<_, io::Error>(None);
        }
        let Range { start, end } = part;
        let (piece, file) = blocking(move || read_piece(file, start..end)).await?;
        let rest = start + piece.len() as u64..end;
        Ok(Some((Frame::data(piece), (file, rest))))
    });
    StreamBody::new(pieces).boxed_unsync()
}

fn read_piece(mut file: File, part: Range<u64>) -> io::Result<(Bytes, File)> {
    let length = usize::try_from(part.end - part.start).map_or(PIECE_BYTES, |n| n.min(PIECE_BYTES));
    let mut piece = vec![0; length];
    file.seek(SeekFrom::Start(part.start))?;
    file.read_exact(&mut piece)?;
    Ok((piece.into(), file))
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
    harden(headers);
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

    #[test]
    fn pages_and_vector_images_are_not_shown() {
        for kind in [
            "text/plain; charset=utf-8",
            "IMAGE/png",
            "video/mp4",
            "application/json",
        ] {
            assert!(is_inert(kind), "{kind}");
        }
        for kind in [
            "text/html",
            "image/svg+xml",
            "application/pdf",
            "",
            "text/xml",
        ] {
            assert!(!is_inert(kind), "{kind}");
        }
    }

    #[test]
    fn ranges() {
        let range = |text: &str, size| {
            let mut headers = HeaderMap::new();
            headers.insert(RANGE, HeaderValue::from_str(text).unwrap());
            wanted_range(&headers, &ETag::of(b""), size).map_err(|refusal| refusal.status())
        };
        let unsatisfiable = Err(StatusCode::RANGE_NOT_SATISFIABLE);
        assert_eq!(range("bytes=0-0", 10), Ok(Some(0..1)));
        assert_eq!(range("bytes=2-99", 10), Ok(Some(2..10)));
        assert_eq!(range("bytes=2-", 10), Ok(Some(2..10)));
        assert_eq!(range("bytes=-3", 10), Ok(Some(7..10)));
        assert_eq!(range("bytes=-30", 10), Ok(Some(0..10)));
        assert_eq!(range("bytes=10-", 10), unsatisfiable);
        assert_eq!(range("bytes=-0", 10), unsatisfiable);
        assert_eq!(range("bytes=0-", 0), unsatisfiable);
        for whole in [
            "bytes=0-1,4-5",
            "bytes=3-2",
            "bytes=-",
            "bytes=a-b",
            "lines=1-2",
        ] {
            assert_eq!(range(whole, 10), Ok(None), "{whole}");
        }
    }
}
