//! Answers: JSON as the stock hub writes it, pages for what stock answers with a page, and the
//! headers that every answer has.

use std::io;

use bytes::Bytes;
use gaia::etag::ETag;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CONNECTION, CONTENT_RANGE, CONTENT_TYPE,
    RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use serde::Serialize;

use crate::error::{Refusal, seconds};

/// The body of every answer.
pub(crate) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// Seconds after which a client should ask a stopping or busy hub again.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("5");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// Why an answer is a refusal: an extension of the answer, for whoever counts and logs.
#[derive(Clone, Debug)]
pub(crate) struct Refused {
    pub(crate) cause: &'static str,
    /// What went wrong inside the hub.
    pub(crate) fault: Option<String>,
}

/// What a refusal says to the client.
#[derive(Serialize)]
struct ErrorBody<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    /// Not in stock answers: the tag that the path has now.
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<&'a str>,
}

pub(crate) fn bytes(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

pub(crate) fn nothing() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A header's text, if it has any: stock takes an empty one for absent.
pub(crate) fn header_text(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let mut values = headers.get_all(name).iter().peekable();
    values.peek()?;
    let texts: Vec<_> = values
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    Some(texts.join(",")).filter(|text| !text.is_empty())
}

/// An answer without a body.
pub(crate) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(nothing());
    *response.status_mut() = status;
    response
}

/// An answer of JSON that has been written already.
pub(crate) fn raw_json(status: StatusCode, json: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(bytes(json));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// An answer of JSON.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    // What is written here is structs of text and numbers, which always can be.
    raw_json(status, serde_json::to_vec(value).unwrap_or_default())
}

/// The answer to a preflight request for the hub's own routes, or for reads.
pub(crate) fn preflight(methods: &'static str, headers: HeaderValue) -> Response<Body> {
    let mut response = empty(StatusCode::NO_CONTENT);
    let answer = response.headers_mut();
    answer.insert(
        ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static(methods),
    );
    answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, headers);
    answer.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("86400"));
    response
}

/// The answer to a request that is refused.
pub(crate) fn refusal(refusal: &Refusal) -> Response<Body> {
    let status = refusal.status();
    let message = refusal.to_string();
    let mut response = match refusal {
        Refusal::BadUrl | Refusal::NoRoute { .. } | Refusal::JsonTooLarge => page(status, &message),
        _ => {
            let etag = current_tag(refusal);
            let error = refusal.name();
            json(
                status,
                &ErrorBody {
                    message: &message,
                    error,
                    etag: etag.map(ETag::as_str),
                },
            )
        }
    };
    if is_passing(status) {
        response
            .headers_mut()
            .insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    match refusal {
        Refusal::TooManyRequests { wait } => {
            let wait = HeaderValue::from(seconds(*wait));
            response.headers_mut().insert(RETRY_AFTER, wait);
        }
        Refusal::Range { size } => {
            if let Ok(range) = HeaderValue::from_str(&format!("bytes */{size}")) {
                response.headers_mut().insert(CONTENT_RANGE, range);
            }
        }
        // What is left of the request is not worth waiting for.
        Refusal::TooSlow | Refusal::Incomplete | Refusal::Stopping => {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    response.extensions_mut().insert(Refused {
        cause: refusal.cause(),
        fault: refusal.fault(),
    });
    response
}

/// Whether the same request may well succeed later.
fn is_passing(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE
    )
}

/// Adds what every answer carries: any page may use the hub, there are no cookies to abuse.
pub(crate) fn finish(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "Content-Type,ETag,Content-Length,Content-Range,Last-Modified,Retry-After",
        ),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The tag that a path has now, if the refusal tells it.
pub(crate) fn current_tag(refusal: &Refusal) -> Option<&ETag> {
    match refusal {
        Refusal::Precondition { current, .. } => current.as_ref(),
        _ => None,
    }
}

/// Notes a refusal in the log, as loudly as it deserves.
pub(crate) fn log(refusal: &Refusal) {
    match refusal {
        Refusal::Index(error) => tracing::error!(%error, "a request failed"),
        Refusal::Disk(error) => tracing::error!(%error, "a request failed at the disk"),
        _ => tracing::debug!(status = refusal.status().as_u16(), "refused a request"),
    }
}

/// A page like those of the stock hub's framework.
fn page(status: StatusCode, message: &str) -> Response<Body> {
    let message = message
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let html = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <title>Error</title>\n</head>\n<body>\n<pre>{message}</pre>\n</body>\n</html>\n"
    );
    let mut response = Response::new(bytes(html));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HTML);
    response
}
