//! The `batch` acceleration: `POST /batch/{bucket}`, many stores and deletes in one request and
//! one transaction.
//!
//! The whole batch is read and understood before any of it is applied. Then each operation passes
//! the checks of `write`, and all that pass go to the commit thread together. What a batch is made
//! of is in `gaia::batch`.

use gaia::batch::{Kind, MEDIA_TYPE, Operation, Outcome, Reply};
use gaia::etag::ETag;
use gaia::frames::{Decoder, Piece};
use gaia::limits::{BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX};
use gaia::path::FilePath;
use http::header::{CONTENT_TYPE, EXPECT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::auth::Grant;
use crate::error::Refusal;
use crate::hub::Hub;
use crate::index::{Change, DeleteChange, FileKey, StoreChange, Unit};
use crate::respond::{self, Body};
use crate::upload::{Collector, Pieces, Received};
use crate::write;

/// A batch takes up memory while it comes, so it has to come faster than a single file.
const BYTES_PER_SECOND_MIN: u64 = 8 * 1024;

/// What the operations of a batch take up beside their bytes.
const OVERHEAD_BYTES: usize = 64 * 1024;

pub(crate) const TOO_MANY: Refusal = Refusal::TooMuch("A batch holds at most 1000 operations");
pub(crate) const TOO_LARGE: Refusal = Refusal::TooMuch("A batch holds at most 16 megabytes");
const NOT_WHOLE: Refusal = Refusal::BadRequest("Invalid batch: it ends in the middle");
const BAD_DELETE: Refusal =
    Refusal::BadRequest("Invalid batch: a delete has no bytes, no type and no ifNoneMatch");
pub(crate) const BAD_ATOMIC: Refusal =
    Refusal::BadRequest("Invalid query: atomic is true or false");

/// An operation with what came with it.
struct Asked {
    operation: Operation,
    /// None: the body is larger than any file may be, and was not kept.
    body: Option<Received>,
}

/// What the answer to an operation is made of once its change has a verdict.
struct Expected {
    etag: Option<ETag>,
    mismatch: &'static str,
}

/// `POST /batch/{bucket}`
pub(crate) async fn batch(
    hub: &Hub,
    request: Request<Incoming>,
    bucket: &str,
) -> Result<Response<Body>, Refusal> {
    let (head, body) = request.into_parts();
    let mut pieces = Pieces::new(hub, body).at_least(BYTES_PER_SECOND_MIN);
    let outcome = batch_pieces(hub, &head, &mut pieces, bucket).await;
    // As for a single store.
    if outcome.is_err() && !head.headers.contains_key(EXPECT) {
        pieces.drain();
    }
    outcome
}

async fn batch_pieces(
    hub: &Hub,
    head: &Parts,
    pieces: &mut Pieces,
    bucket: &str,
) -> Result<Response<Body>, Refusal> {
    let grant = hub.admit(&head.headers, bucket)?;
    let unit = unit(head.uri.query())?;
    expect_type(&head.headers)?;
    let length = write::content_length(&head.headers).unwrap_or(BATCH_BYTES_MAX as u64);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    if length > BATCH_BYTES_MAX {
        return Err(TOO_LARGE);
    }
    let room = hub.batch_room().reserve(length + OVERHEAD_BYTES).await?;
    let asked = receive(hub, pieces).await?;
    hub.charge(&grant, asked.len().saturating_sub(1));

    let mut changes = Vec::with_capacity(asked.len());
    let mut expected = Vec::with_capacity(asked.len());
    for one in asked {
        expected.push(match change(hub, &grant, one) {
            Ok((change, expected)) => {
                changes.push(change);
                Ok(expected)
            }
            Err(refusal) => Err(refusal),
        });
    }
    if unit == Unit::All && expected.iter().any(Result::is_err) {
        let undone = |one: Result<Expected, Refusal>| match one {
            Ok(_) => outcome(hub, Err(Refusal::Undone)),
            Err(refusal) => outcome(hub, Err(refusal)),
        };
        return Ok(answer(expected.into_iter().map(undone).collect()));
    }
    let verdicts = hub.committer().commit_all(changes, unit, Some(room));
    let mut verdicts = verdicts.await?.into_iter();
    let results = expected.into_iter().map(|one| {
        let result = one.and_then(|expected| {
            // There is a verdict for every change.
            let verdict = verdicts.next().ok_or(Refusal::Busy)??;
            write::settled(verdict, expected.mismatch)?;
            Ok(expected.etag)
        });
        outcome(hub, result)
    });
    Ok(answer(results.collect()))
}

/// Reads the whole batch.
async fn receive(hub: &Hub, pieces: &mut Pieces) -> Result<Vec<Asked>, Refusal> {
    let bytes_max = hub.config().max_file_bytes();
    let mut decoder = Decoder::<Operation>::new();
    let mut asked: Vec<Asked> = Vec::new();
    let mut current: Option<(Operation, Option<Collector>)> = None;
    while let Some(piece) = pieces.next().await? {
        if pieces.received() > BATCH_BYTES_MAX as u64 {
            return Err(TOO_LARGE);
        }
        let mut input: &[u8] = &piece;
        while let Some(found) = decoder.next(&mut input)? {
            match found {
                Piece::Head(operation) => {
                    if asked.len() == BATCH_OPERATIONS_MAX {
                        return Err(TOO_MANY);
                    }
                    if !operation.is_well_formed() {
                        return Err(BAD_DELETE);
                    }
                    let fits = operation.length <= bytes_max;
                    let collector = fits.then(|| Collector::new(hub.blobs()));
                    current = Some((operation, collector));
                }
                Piece::Bytes(bytes) => {
                    if let Some((_, Some(collector))) = &mut current {
                        collector.push(piece.slice_ref(bytes)).await?;
                    }
                }
            }
            if decoder.is_between_frames()
                && let Some((operation, collector)) = current.take()
            {
                let body = match collector {
                    Some(collector) => Some(collector.finish().await?),
                    None => None,
                };
                asked.push(Asked { operation, body });
            }
        }
    }
    if decoder.is_between_frames() {
        Ok(asked)
    } else {
        Err(NOT_WHOLE)
    }
}

/// The change that an operation asks for, if it may: the checks of `write`, in its order.
fn change(hub: &Hub, grant: &Grant, asked: Asked) -> Result<(Change, Expected), Refusal> {
    let Asked { operation, body } = asked;
    let path = FilePath::parse(&operation.path);
    match operation.op {
        Kind::Store => {
            if let Ok(path) = &path {
                grant.authorization().may_store(path)?;
            }
            let (if_match, if_none_match) = (&operation.if_match, &operation.if_none_match);
            let condition = write::store_condition(if_match.as_deref(), if_none_match.as_deref())?;
            let key = key(grant, path.map_err(Refusal::BadPath)?);
            let body = body.ok_or_else(|| write::too_large(hub, "body", operation.length))?;
            let content_type = stored_type(operation.content_type.as_deref())?;
            let archive_to = write::archive_path(grant, &key.path)?;
            let expected = Expected {
                etag: Some(body.etag.clone()),
                mismatch: condition.mismatch(),
            };
            let change = StoreChange {
                key,
                condition,
                grant: grant.clone(),
                archive_to,
                body: body.body,
                size: body.size,
                etag: body.etag,
                digest: body.digest,
                content_type,
            };
            Ok((Change::Store(change), expected))
        }
        Kind::Delete => {
            let key = key(grant, path.map_err(Refusal::BadPath)?);
            grant.authorization().may_delete(&key.path)?;
            let if_match = operation.if_match.as_deref();
            let condition = write::store_condition(if_match, None)?;
            let archive_to = write::archive_path(grant, &key.path)?;
            let expected = Expected {
                etag: None,
                mismatch: condition.mismatch(),
            };
            let change = DeleteChange {
                key,
                condition,
                grant: grant.clone(),
                archive_to,
            };
            Ok((Change::Delete(change), expected))
        }
    }
}

fn key(grant: &Grant, path: FilePath) -> FileKey {
    let bucket = *grant.authorization().bucket();
    FileKey { bucket, path }
}

/// The type, if it could have come as a header.
fn stored_type(text: Option<&str>) -> Result<String, Refusal> {
    let value = text
        .map(HeaderValue::from_str)
        .transpose()
        .map_err(|_| write::NOT_ASCII)?;
    write::content_type(value.as_ref())
}

fn outcome(hub: &Hub, result: Result<Option<ETag>, Refusal>) -> Outcome {
    let refusal = match result {
        Ok(etag) => return Outcome::done(etag.map(|etag| etag.as_str().to_owned())),
        Err(refusal) => refusal,
    };
    hub.metrics().refused(refusal.cause());
    hub.note(&refusal);
    Outcome {
        status: refusal.status().as_u16(),
        etag: respond::current_tag(&refusal).map(|etag| etag.as_str().to_owned()),
        message: Some(refusal.to_string()),
        error: refusal.name().map(str::to_owned),
    }
}

fn answer(results: Vec<Outcome>) -> Response<Body> {
    respond::json(StatusCode::OK, &Reply { results })
}

fn unit(query: Option<&str>) -> Result<Unit, Refusal> {
    let mut unit = Unit::Each;
    for pair in query.unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        unit = match (name, value) {
            ("atomic", "true") => Unit::All,
            ("atomic", "false") => Unit::Each,
            ("atomic", _) => return Err(BAD_ATOMIC),
            _ => unit,
        };
    }
    Ok(unit)
}

fn expect_type(headers: &HeaderMap) -> Result<(), Refusal> {
    write::expect_plain(headers)?;
    let text = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = text.and_then(|text| text.split(';').next());
    match essence {
        Some(essence) if essence.trim().eq_ignore_ascii_case(MEDIA_TYPE) => Ok(()),
        Some(_) | None => Err(Refusal::MediaType(MEDIA_TYPE)),
    }
}
