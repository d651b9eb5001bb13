//! Refusals as the document has them: each is answered as the hub answers it, and status, type
//! and headers are taken from that answer.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use gaia::auth::AuthError;
use gaia::changes::BadChangesRequest;
use gaia::frames::FrameError;
use gaia::path::PathError;
use gaia::replies::ErrorBody;
use http::header::{CONNECTION, CONTENT_TYPE};
use http::{HeaderValue, Response};
use serde_json::{Map, Value, json};

use super::schemas::Schemas;
use crate::config::Quota;
use crate::error::{MISMATCH, Refusal};
use crate::index::IndexError;
use crate::quota::Usage;
use crate::respond::{self, Body};
use crate::routes::Endpoint;
use crate::{batch, fetch, listing, write};

/// What may happen to any request.
fn anywhere() -> Vec<Refusal> {
    let wait = Duration::from_secs(1);
    vec![Refusal::HeadTooLarge, Refusal::TooManyRequests { wait }]
}

/// What may happen where the index or the disk is asked.
fn inside() -> Vec<Refusal> {
    vec![
        Refusal::Busy,
        Refusal::Disk(io::Error::other("any failure")),
    ]
}

fn token() -> Vec<Refusal> {
    let revoked = AuthError::RevokedUndated {
        revoked_before_seconds: 1_700_000_000,
    };
    vec![AuthError::Unreadable.into(), revoked.into()]
}

fn body() -> Vec<Refusal> {
    vec![Refusal::Incomplete, Refusal::TooSlow]
}

fn room() -> Vec<Refusal> {
    vec![Refusal::Index(IndexError::Full)]
}

/// A bucket of which not a byte more is taken.
fn over_quota() -> Option<Refusal> {
    let quota = Quota {
        bytes: Some(0),
        files: None,
    };
    let before = Usage::default();
    let over = quota.over(before, before.with(None, 1));
    over.map(Refusal::OverQuota)
}

/// What may be wrong with a condition of a write.
fn condition(message: &'static str) -> Refusal {
    Refusal::Precondition {
        message,
        current: None,
    }
}

/// The refusals of an endpoint.
fn of(endpoint: Endpoint) -> Vec<Refusal> {
    let shared = match endpoint {
        Endpoint::HubInfo | Endpoint::OpenApi => vec![],
        Endpoint::Store | Endpoint::Batch => vec![inside(), token(), body(), room()],
        Endpoint::Delete => vec![inside(), token(), room()],
        Endpoint::ListFiles => vec![inside(), token(), body()],
        Endpoint::RevokeAll => vec![inside(), token(), body(), room()],
        Endpoint::Read => vec![inside()],
        Endpoint::Changes => vec![inside(), token()],
        Endpoint::Fetch => vec![inside(), body()],
    };
    let mut all = anywhere();
    all.extend(shared.into_iter().flatten());
    all.extend(own(endpoint));
    if endpoint == Endpoint::Store {
        all.extend(over_quota());
    }
    all
}

/// What only this endpoint, or one or two others, refuse.
fn own(endpoint: Endpoint) -> Vec<Refusal> {
    match endpoint {
        Endpoint::HubInfo | Endpoint::OpenApi => vec![],
        Endpoint::Store => vec![
            Refusal::BadUrl,
            Refusal::BadPath(PathError::DotDot),
            condition(MISMATCH),
            condition(write::BOTH),
            Refusal::TooLarge {
                max_megabytes: 1024,
                rejected: "Rejected Content-Length of 1025 megabytes".to_owned(),
            },
            Refusal::ContentEncoding,
            write::NOT_ASCII,
        ],
        Endpoint::Delete => vec![
            Refusal::BadUrl,
            Refusal::BadPath(PathError::DotDot),
            condition(MISMATCH),
            Refusal::NoSuchFile,
        ],
        Endpoint::ListFiles => vec![
            Refusal::BadJson(listing::BAD_PREFIX),
            Refusal::BadJson(listing::BAD_LIMIT),
            Refusal::JsonTooLarge,
        ],
        Endpoint::RevokeAll => vec![
            Refusal::BadJson(listing::NO_TIMESTAMP),
            Refusal::BadJson(listing::BAD_TIMESTAMP),
            Refusal::JsonTooLarge,
        ],
        Endpoint::Read => vec![
            Refusal::BadUrl,
            condition(MISMATCH),
            Refusal::Range { size: 0 },
        ],
        Endpoint::Changes => vec![
            BadChangesRequest::Since.into(),
            BadChangesRequest::Limit.into(),
            BadChangesRequest::Wait.into(),
            Refusal::CursorExpired,
        ],
        Endpoint::Batch => vec![
            FrameError::BadHead.into(),
            batch::BAD_ATOMIC,
            batch::TOO_MANY,
            batch::TOO_LARGE,
            Refusal::ContentEncoding,
            Refusal::MediaType(gaia::batch::MEDIA_TYPE),
        ],
        Endpoint::Fetch => vec![fetch::BAD_JSON, fetch::TOO_MANY, fetch::TOO_LARGE],
    }
}

/// The responses of an endpoint that refuse, by status.
pub(super) fn responses(endpoint: Endpoint, schemas: &mut Schemas) -> Map<String, Value> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for refusal in of(endpoint) {
        let answer = respond::refusal(&refusal);
        let status = answer.status().as_str().to_owned();
        groups.entry(status).or_default().add(&refusal, &answer);
    }
    let body = schemas.answer::<ErrorBody>();
    groups
        .into_iter()
        .map(|(status, group)| (status, group.response(&body)))
        .collect()
}

/// The refusals with one status.
#[derive(Default)]
struct Group {
    words: Vec<String>,
    types: BTreeSet<String>,
    headers: BTreeSet<String>,
    names: BTreeSet<Option<&'static str>>,
}

impl Group {
    fn add(&mut self, refusal: &Refusal, answer: &Response<Body>) {
        let message = refusal.to_string();
        self.words.push(match refusal.name() {
            Some(name) => format!("`{name}`: {message}"),
            None => message,
        });
        self.names.insert(refusal.name());
        let kind = answer.headers().get(CONTENT_TYPE);
        let kind = kind.and_then(essence).unwrap_or_default();
        self.types.insert(kind.to_owned());
        let names = answer.headers().keys();
        let names = names.filter(|name| !matches!(**name, CONTENT_TYPE | CONNECTION));
        self.headers.extend(names.map(ToString::to_string));
    }

    fn response(self, body: &Value) -> Value {
        let mut content = Map::new();
        for kind in self.types {
            let schema = if kind == "text/html" {
                json!({ "type": "string" })
            } else if self.names.contains(&None) {
                body.clone()
            } else {
                let names: Vec<_> = self.names.iter().flatten().collect();
                json!({ "allOf": [
                    body,
                    { "required": ["error"], "properties": { "error": { "enum": names } } },
                ] })
            };
            content.insert(kind, json!({ "schema": schema }));
        }
        let mut words = self.words;
        words.dedup();
        let mut response = json!({ "description": words.join("\n\n"), "content": content });
        if !self.headers.is_empty() {
            let headers = self.headers.into_iter();
            let headers: Map<_, _> = headers
                .map(|name| (name, json!({ "schema": { "type": "string" } })))
                .collect();
            response["headers"] = Value::Object(headers);
        }
        response
    }
}

/// A media type without its parameters.
fn essence(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()?.split(';').next().map(str::trim)
}
