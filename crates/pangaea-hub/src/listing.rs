//! The two routes with a JSON body: `list-files` and `revoke-all`.

use gaia::limits::{PAGE_ENTRIES_MAX, PATH_BYTES_MAX, REQUEST_BODY_BYTES_MAX};
use http::{HeaderMap, Response, StatusCode};
use hyper::body::Incoming;
use serde_json::Value;

use crate::auth::Grant;
use crate::error::Refusal;
use crate::hub::Hub;
use crate::index::{Change, Condition, History, ListRequest, Naming, RevokeChange, parse_cursor};
use crate::respond::{self, Body};
use crate::upload::Pieces;
use crate::write;

/// A cursor holds a path, and `prefix` and `after` are such, so a page of a bucket with very long
/// paths needs a longer body than stock allows; nothing else may use the room.
const BODY_BYTES_MAX: usize = REQUEST_BODY_BYTES_MAX + 4 * PATH_BYTES_MAX;

pub(crate) const BAD_PREFIX: &str = "Invalid prefix: it must be text, no longer than a path";
const BAD_AFTER: &str = "Invalid after: it must be text, no longer than a path";
pub(crate) const BAD_LIMIT: &str = "Invalid limit: it must be a whole number from 1 to 4096";

pub(crate) const NO_TIMESTAMP: &str = "Invalid JSON: missing oldestValidTimestamp";
pub(crate) const BAD_TIMESTAMP: &str = "Invalid JSON: oldestValidTimestamp is not a valid integer";

/// `POST /list-files/{bucket}`
pub(crate) async fn list_files(
    hub: &Hub,
    headers: &HeaderMap,
    body: Incoming,
    bucket: &str,
) -> Result<Response<Body>, Refusal> {
    let body = read_json(hub, body).await?;
    let wanted = Wanted::read(&body.json)?;
    body.expect_stock_size_beside(wanted.position_bytes)?;
    let grant = hub.admit(headers, bucket)?;
    let page_entries = hub.config().page_entries;
    let request = ListRequest {
        bucket: *grant.authorization().bucket(),
        prefix: wanted.prefix,
        after: wanted.after,
        naming: wanted.naming,
        history: history(&grant),
        entries_max: wanted
            .limit
            .map_or(page_entries, |limit| limit.min(page_entries)),
    };
    let page = hub.index().list(request).await?;
    Ok(respond::raw_json(StatusCode::ACCEPTED, page))
}

/// What a token may see of what archival writes have moved aside.
pub(crate) fn history(grant: &Grant) -> History {
    if grant.authorization().is_archival() {
        History::Hidden
    } else {
        History::Shown
    }
}

/// What a client wants listed.
struct Wanted {
    prefix: String,
    after: String,
    limit: Option<usize>,
    naming: Naming,
    /// The length of those members that say where the page is.
    position_bytes: usize,
}

impl Wanted {
    fn read(json: &Value) -> Result<Self, Refusal> {
        let (page, page_bytes) = match json.get("page") {
            Some(Value::String(text)) if !text.is_empty() => {
                let path = parse_cursor(text).ok_or(Refusal::BadJson("Invalid page"))?;
                (path, text.len())
            }
            Some(Value::Null | Value::Bool(false) | Value::String(_)) | None => (String::new(), 0),
            Some(_) => return Err(Refusal::BadJson("Invalid page")),
        };
        let prefix = path_text(json.get("prefix"), BAD_PREFIX)?;
        let after = path_text(json.get("after"), BAD_AFTER)?;
        let position_bytes = page_bytes + prefix.len() + after.len();
        Ok(Self {
            prefix,
            // Both say where the page begins, so the later one does.
            after: page.max(after),
            limit: limit(json.get("limit"))?,
            naming: if is_true(json.get("stat")) {
                Naming::Stat
            } else {
                Naming::Names
            },
            position_bytes,
        })
    }
}

/// A path or a part of one; empty if there is none.
fn path_text(value: Option<&Value>, bad: &'static str) -> Result<String, Refusal> {
    match value {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) if text.len() <= PATH_BYTES_MAX => Ok(text.clone()),
        Some(_) => Err(Refusal::BadJson(bad)),
    }
}

fn limit(value: Option<&Value>) -> Result<Option<usize>, Refusal> {
    let Some(value) = value.filter(|value| !value.is_null()) else {
        return Ok(None);
    };
    let number = value
        .as_u64()
        .and_then(|number| usize::try_from(number).ok());
    let limit = number.filter(|number| (1..=PAGE_ENTRIES_MAX).contains(number));
    limit.map(Some).ok_or(Refusal::BadJson(BAD_LIMIT))
}

/// `POST /revoke-all/{bucket}`
pub(crate) async fn revoke_all(
    hub: &Hub,
    headers: &HeaderMap,
    body: Incoming,
    bucket: &str,
) -> Result<Response<Body>, Refusal> {
    let body = read_json(hub, body).await?;
    body.expect_stock_size_beside(0)?;
    let oldest_valid = oldest_valid(body.json.get("oldestValidTimestamp"))?;
    let grant = hub.admit(headers, bucket)?;
    let bucket = *grant.authorization().bucket();
    let change = RevokeChange {
        bucket,
        grant,
        oldest_valid,
    };
    let verdict = hub.committer().commit(Change::Revoke(change)).await?;
    write::settled(verdict, Condition::Any.mismatch())?;
    let done = serde_json::json!({ "status": "success" });
    Ok(respond::json(StatusCode::ACCEPTED, &done))
}

struct JsonBody {
    json: Value,
    bytes: usize,
}

impl JsonBody {
    /// Refuses a body that is longer than stock allows, not counting so many bytes of it.
    fn expect_stock_size_beside(&self, bytes: usize) -> Result<(), Refusal> {
        if self.bytes.saturating_sub(bytes) > REQUEST_BODY_BYTES_MAX {
            Err(Refusal::JsonTooLarge)
        } else {
            Ok(())
        }
    }
}

/// Reads a JSON object; no body at all is an empty one.
async fn read_json(hub: &Hub, body: Incoming) -> Result<JsonBody, Refusal> {
    let mut pieces = Pieces::new(hub, body);
    let mut text = Vec::new();
    while let Some(piece) = pieces.next().await? {
        if text.len() + piece.len() > BODY_BYTES_MAX {
            pieces.drain();
            return Err(Refusal::JsonTooLarge);
        }
        text.extend_from_slice(&piece);
    }
    let bytes = text.len();
    if bytes == 0 {
        return Ok(JsonBody {
            json: Value::Null,
            bytes,
        });
    }
    match serde_json::from_slice(&text) {
        Ok(json @ (Value::Object(_) | Value::Array(_))) => Ok(JsonBody { json, bytes }),
        Ok(_) | Err(_) if bytes > REQUEST_BODY_BYTES_MAX => Err(Refusal::JsonTooLarge),
        Ok(_) | Err(_) => Err(Refusal::BadJson("Invalid JSON")),
    }
}

/// What JavaScript takes for true.
fn is_true(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => false,
        Some(Value::Bool(value)) => *value,
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Array(_) | Value::Object(_)) => true,
    }
}

/// Seconds as a number or as the text of one, cut to a whole number as JavaScript's `parseInt`.
fn oldest_valid(value: Option<&Value>) -> Result<u64, Refusal> {
    if !is_true(value) {
        return Err(Refusal::BadJson(NO_TIMESTAMP));
    }
    let text = match value {
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) => text.trim().to_owned(),
        _ => return Err(Refusal::BadJson(BAD_TIMESTAMP)),
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &text[digits..];
    if digits == 0 || rest.starts_with(['e', 'E']) {
        return Err(Refusal::BadJson(BAD_TIMESTAMP));
    }
    text[..digits]
        .parse()
        .map_err(|_| Refusal::BadJson(BAD_TIMESTAMP))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_read_as_stock_reads_them() {
        let read = |text: &str| {
            let value: Value = serde_json::from_str(text).unwrap();
            oldest_valid(Some(&value)).map_err(|refusal| refusal.to_string())
        };
        assert_eq!(read("1700000000"), Ok(1_700_000_000));
        assert_eq!(read("1700000000.9"), Ok(1_700_000_000));
        assert_eq!(read("\"1700000000\""), Ok(1_700_000_000));
        assert_eq!(read("4102444800"), Ok(4_102_444_800));
        for text in ["null", "0", "\"\"", "false"] {
            assert_eq!(read(text), Err(NO_TIMESTAMP.into()), "{text}");
        }
        for text in [
            "-1",
            "\"soon\"",
            "1e300",
            "true",
            "[1]",
            "99999999999999999999999",
        ] {
            assert_eq!(read(text), Err(BAD_TIMESTAMP.into()), "{text}");
        }
        assert_eq!(oldest_valid(None).unwrap_err().to_string(), NO_TIMESTAMP);
    }
}
