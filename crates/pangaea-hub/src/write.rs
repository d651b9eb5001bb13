//! Storing and deleting files: headers to conditions, bodies to changes, verdicts to answers.
//!
//! The checks stand in the order of the stock hub, which decides the error that wins. Nothing
//! answers 202 before the change is durable.

use std::time::{SystemTime, UNIX_EPOCH};

use gaia::etag::ETag;
use gaia::limits::{CONTENT_TYPE_BYTES_MAX, MEGABYTE_BYTES};
use gaia::path::{FilePath, PathError};
use gaia::scope::historical_path;
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, IF_MATCH, IF_NONE_MATCH,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde::Serialize;

use crate::auth::Grant;
use crate::blobs::INLINE_BYTES_MAX;
use crate::error::{MISMATCH, Refusal};
use crate::hub::Hub;
use crate::index::{Change, Condition, DeleteChange, FileKey, StoreChange, Verdict};
use crate::respond::{self, Body, header_text};
use crate::upload::{self, Pieces};

const EXISTS: &str = "The entity you are trying to create already exists";
const NOT_STAR: &str = "Misuse of the if-none-match header. Expected to be * on write requests.";
pub(crate) const NOT_ASCII: Refusal =
    Refusal::BadContentType("Invalid content-type: it must be plain ASCII");
pub(crate) const BOTH: &str = "Request should not contain both if-match and if-none-match headers";

#[derive(Serialize)]
struct StoredBody<'a> {
    #[serde(rename = "publicURL")]
    public_url: &'a str,
    etag: &'a str,
}

/// What a store asks for, read from its headers and agreed to.
struct Wanted {
    key: FileKey,
    grant: Grant,
    condition: Condition,
    content_type: String,
    bytes_max: u64,
}

/// `POST /store/{bucket}/{path}`
pub(crate) async fn store(
    hub: &Hub,
    request: Request<Incoming>,
    bucket: &str,
    raw_path: &str,
) -> Result<Response<Body>, Refusal> {
    let (head, body) = request.into_parts();
    let mut pieces = Pieces::new(hub, body);
    let outcome = store_pieces(hub, &head.headers, &mut pieces, bucket, raw_path).await;
    // A client that waits to be told to go on is not sending; it need not be listened to.
    if outcome.is_err() && !head.headers.contains_key(EXPECT) {
        pieces.drain();
    }
    outcome
}

async fn store_pieces(
    hub: &Hub,
    headers: &HeaderMap,
    pieces: &mut Pieces,
    bucket: &str,
    raw_path: &str,
) -> Result<Response<Body>, Refusal> {
    let wanted = agree(hub, headers, bucket, raw_path).await?;
    let too_large = |bytes| too_large(hub, "POST body stream", bytes);
    let received = upload::receive(pieces, hub.blobs(), wanted.bytes_max, too_large).await?;
    let archive_to = archive_path(&wanted.grant, &wanted.key.path)?;
    let etag = received.etag.clone();
    let mismatch = wanted.condition.mismatch();
    let change = StoreChange {
        key: wanted.key,
        condition: wanted.condition,
        grant: wanted.grant,
        archive_to,
        body: received.body,
        size: received.size,
        etag: received.etag,
        digest: received.digest,
        content_type: wanted.content_type,
    };
    let verdict = hub.committer().commit(Change::Store(change)).await?;
    settled(verdict, mismatch)?;
    let prefix = hub.read_prefix(headers);
    let public_url = format!("{prefix}{bucket}/{}", sent_path(raw_path));
    let body = StoredBody {
        public_url: &public_url,
        etag: etag.as_str(),
    };
    Ok(respond::json(StatusCode::ACCEPTED, &body))
}

/// What a verdict means for whoever asked for the change; `mismatch` is said if the condition did
/// not hold.
pub(crate) fn settled(verdict: Verdict, mismatch: &'static str) -> Result<(), Refusal> {
    match verdict {
        Verdict::Done => Ok(()),
        Verdict::ConditionFailed { current } => Err(Refusal::Precondition {
            message: mismatch,
            current,
        }),
        Verdict::NoSuchFile => Err(Refusal::NoSuchFile),
        Verdict::Unauthorized(error) => Err(error.into()),
        Verdict::OverQuota(over) => Err(Refusal::OverQuota(over)),
        Verdict::Undone => Err(Refusal::Undone),
    }
}

/// Everything that can be said before the body is read.
async fn agree(
    hub: &Hub,
    headers: &HeaderMap,
    bucket: &str,
    raw_path: &str,
) -> Result<Wanted, Refusal> {
    let path = parse_path(raw_path)?;
    let grant = hub.admit(headers, bucket)?;
    if let Ok(path) = &path {
        grant.authorization().may_store(path)?;
    }
    let if_match = header_text(headers, IF_MATCH);
    let if_none_match = header_text(headers, IF_NONE_MATCH);
    let condition = store_condition(if_match.as_deref(), if_none_match.as_deref())?;
    let path = path.map_err(Refusal::BadPath)?;
    let key = FileKey {
        bucket: *grant.authorization().bucket(),
        path,
    };
    let length = content_length(headers);
    if length.is_none_or(|length| length > INLINE_BYTES_MAX as u64) {
        // Only the commit decides, but a large body need not be sent in vain.
        expect_condition(hub, &key, &condition).await?;
        expect_room(hub, &key, &grant, length.unwrap_or(0)).await?;
    }
    let bytes_max = hub.config().max_file_bytes();
    if let Some(length) = length.filter(|length| *length > bytes_max) {
        return Err(too_large(hub, "Content-Length", length));
    }
    expect_plain(headers)?;
    let content_type = content_type(headers.get(CONTENT_TYPE))?;
    Ok(Wanted {
        key,
        grant,
        condition,
        content_type,
        bytes_max,
    })
}

/// `DELETE /delete/{bucket}/{path}`
pub(crate) async fn delete(
    hub: &Hub,
    headers: &HeaderMap,
    bucket: &str,
    raw_path: &str,
) -> Result<Response<Body>, Refusal> {
    let path = parse_path(raw_path)?;
    let grant = hub.admit(headers, bucket)?;
    let path = path.map_err(Refusal::BadPath)?;
    grant.authorization().may_delete(&path)?;
    // The stock hub takes no condition here, and its clients send none.
    let condition = header_text(headers, IF_MATCH).map_or(Condition::Any, |text| tagged(&text));
    let archive_to = archive_path(&grant, &path)?;
    let key = FileKey {
        bucket: *grant.authorization().bucket(),
        path,
    };
    let change = DeleteChange {
        key,
        condition,
        grant,
        archive_to,
    };
    let mismatch = change.condition.mismatch();
    let verdict = hub.committer().commit(Change::Delete(change)).await?;
    settled(verdict, mismatch)?;
    Ok(respond::empty(StatusCode::ACCEPTED))
}

/// Reads the path; a broken URL is refused at once, a path that no file can have only after the
/// token has been looked at.
pub(crate) fn parse_path(raw_path: &str) -> Result<Result<FilePath, PathError>, Refusal> {
    match FilePath::parse_from_url(raw_path) {
        Err(error) if error.is_bad_url() => Err(Refusal::BadUrl),
        parsed => Ok(parsed),
    }
}

/// The condition of a store.
pub(crate) fn store_condition(
    if_match: Option<&str>,
    if_none_match: Option<&str>,
) -> Result<Condition, Refusal> {
    let refuse = |message| {
        Err(Refusal::Precondition {
            message,
            current: None,
        })
    };
    match (if_match, if_none_match) {
        (Some(_), Some(_)) => refuse(BOTH),
        (None, Some(text)) if text.trim() == "*" => Ok(Condition::Missing),
        (None, Some(_)) => refuse(NOT_STAR),
        (Some(text), None) => Ok(tagged(text)),
        (None, None) => Ok(Condition::Any),
    }
}

/// A stock hub compares the header as text; quotes, weak marks and lists are understood here.
pub(crate) fn tagged(text: &str) -> Condition {
    if text.trim() == "*" {
        // Creates as well, as stock does.
        return Condition::Any;
    }
    Condition::Tagged(text.split(',').filter_map(ETag::parse).collect())
}

async fn expect_condition(hub: &Hub, key: &FileKey, condition: &Condition) -> Result<(), Refusal> {
    if *condition == Condition::Any {
        return Ok(());
    }
    let current = hub.index().find_tag(key.clone()).await?;
    match condition {
        Condition::Missing if current.is_some() => Err(Refusal::Precondition {
            message: EXISTS,
            current,
        }),
        Condition::Tagged(tags) if !current.as_ref().is_some_and(|tag| tags.contains(tag)) => {
            Err(Refusal::Precondition {
                message: MISMATCH,
                current,
            })
        }
        Condition::Any | Condition::Missing | Condition::Tagged(_) => Ok(()),
    }
}

/// Refuses what the bucket has no room for. Only the commit decides, as for the condition.
async fn expect_room(hub: &Hub, key: &FileKey, grant: &Grant, bytes: u64) -> Result<(), Refusal> {
    let quota = grant.quota();
    if quota.is_none() {
        return Ok(());
    }
    let place = hub.index().find_place(key.clone()).await?;
    // An archival change keeps what it replaces.
    let replaced = place
        .current
        .filter(|_| !grant.authorization().is_archival());
    let after = place.usage.with(replaced, bytes);
    match quota.over(place.usage, after) {
        Some(over) => Err(Refusal::OverQuota(over)),
        None => Ok(()),
    }
}

impl Condition {
    /// What stock hubs say if it does not hold.
    pub(crate) fn mismatch(&self) -> &'static str {
        match self {
            Self::Missing => EXISTS,
            Self::Any | Self::Tagged(_) => MISMATCH,
        }
    }
}

pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Refuses a body that is not sent as it is.
pub(crate) fn expect_plain(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get(CONTENT_ENCODING) {
        Some(coding) if coding != "identity" => Err(Refusal::ContentEncoding),
        Some(_) | None => Ok(()),
    }
}

/// The type to be stored for the one that a client gave.
pub(crate) fn content_type(value: Option<&HeaderValue>) -> Result<String, Refusal> {
    const UNKNOWN: &str = "application/octet-stream";
    let Some(value) = value else {
        return Ok(UNKNOWN.to_owned());
    };
    if value.len() > CONTENT_TYPE_BYTES_MAX {
        return Err(Refusal::BadContentType(
            "Invalid content-type: it is too long",
        ));
    }
    match value.to_str() {
        Ok("") => Ok(UNKNOWN.to_owned()),
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(NOT_ASCII),
    }
}

pub(crate) fn too_large(hub: &Hub, what: &str, bytes: u64) -> Refusal {
    // Four decimals, as stock prints them.
    let ten_thousandths = bytes.saturating_mul(10_000).div_ceil(MEGABYTE_BYTES);
    let (whole, rest) = (ten_thousandths / 10_000, ten_thousandths % 10_000);
    let number = format!("{whole}.{rest:04}");
    let number = number.trim_end_matches('0').trim_end_matches('.');
    Refusal::TooLarge {
        max_megabytes: hub.config().max_file_megabytes,
        rejected: format!("Rejected {what} of {number} megabytes"),
    }
}

/// Where an archival token's change moves the file that is there.
pub(crate) fn archive_path(grant: &Grant, path: &FilePath) -> Result<Option<FilePath>, Refusal> {
    if !grant.authorization().is_archival() {
        return Ok(None);
    }
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|error| std::io::Error::other(error.to_string()))?;
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    Ok(Some(
        historical_path(path, now_ms, random).map_err(Refusal::BadPath)?,
    ))
}

/// The path as the client spelled it, decoded and without its closing slash: what stock puts
/// into `publicURL`.
fn sent_path(raw_path: &str) -> String {
    let decoded = percent_encoding::percent_decode_str(raw_path).decode_utf8_lossy();
    decoded.strip_suffix('/').unwrap_or(&decoded).to_owned()
}
