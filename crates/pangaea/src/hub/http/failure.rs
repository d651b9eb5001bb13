//! What an answer that is no success means for the replica, and its words for a person. No text
//! made here holds an address of a file or a token.

use std::time::SystemTime;

use gaia::replies::ErrorBody;
use gaia::replies::ErrorName;
use http::StatusCode;

use super::platform::Error;
use super::platform::HeaderMap;
use super::platform::header::DATE;
use super::platform::header::RETRY_AFTER;
use super::platform::parse_http_date;
use super::platform::wall_clock;
use crate::hub::HubError;

/// As much of a hub's words is shown.
const WORDS_CHARS_MAX: usize = 300;
/// Longer waits that a hub asks for are cut to this.
const RETRY_AFTER_MS_MAX: u64 = 24 * 60 * 60 * 1000;

/// The request that was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Call {
    /// About the hub as a whole.
    Hub,
    /// A read, which carries no token.
    Read,
    /// A change of one file.
    Change {
        /// The most bytes that the hub said it takes.
        bytes_max: u64,
    },
}

/// An answer that is no success, read to its end.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) retry_after_ms: Option<u64>,
    /// False: the words broke off, or are too long for a hub's.
    pub(super) is_whole: bool,
    pub(super) body: ErrorBody,
}

impl Refusal {
    /// Says what is to be done about the answer.
    pub(super) fn into_error(self, call: Call) -> HubError {
        let words = self.words();
        match self.status {
            StatusCode::UNAUTHORIZED if call == Call::Read => HubError::Refused { message: words },
            StatusCode::UNAUTHORIZED if self.is_trouble_with_revocation() => self.unreachable(),
            StatusCode::UNAUTHORIZED => HubError::Unauthorized { message: words },
            StatusCode::CONFLICT => HubError::Busy { message: words },
            // What the hub says tells how much is used and how much may be.
            StatusCode::PAYLOAD_TOO_LARGE if self.body.name() == Some(ErrorName::QuotaExceeded) => {
                HubError::Refused { message: words }
            }
            StatusCode::PAYLOAD_TOO_LARGE => too_large(call),
            StatusCode::INTERNAL_SERVER_ERROR if self.concerns_one_file(call) => HubError::Busy {
                message: format!("it failed inside the hub ({words})"),
            },
            // A proxy that wants something, a request that came too late, and "later".
            StatusCode::PROXY_AUTHENTICATION_REQUIRED
            | StatusCode::REQUEST_TIMEOUT
            | StatusCode::MISDIRECTED_REQUEST
            | StatusCode::TOO_EARLY
            | StatusCode::TOO_MANY_REQUESTS => self.unreachable(),
            // Nothing that concerns the whole bucket is refused for good: what answers may be
            // something in between, and no file is to be set aside for that.
            // What broke off may have been about a file that is not there, which is no refusal.
            status if status.is_client_error() && self.is_whole && !matches!(call, Call::Hub) => {
                HubError::Refused { message: words }
            }
            _ => self.unreachable(),
        }
    }

    fn unreachable(&self) -> HubError {
        HubError::Unreachable {
            message: format!("the hub cannot do this now: {}", self.words()),
            retry_after_ms: self.retry_after_ms,
        }
    }

    /// The stock hub answers 401 when it cannot ask its own reader whether tokens were revoked.
    fn is_trouble_with_revocation(&self) -> bool {
        self.body.name() != Some(ErrorName::AuthTokenTimestampValidation)
            && self
                .body
                .message
                .to_ascii_lowercase()
                .contains("revocation timestamp")
    }

    /// A stock hub fails with 500 for some paths for ever, for instance where a folder has the
    /// name of the file. Only that file may have to wait then (I-16). A hub that is really unwell
    /// says so with other codes, or without a hub's body.
    fn concerns_one_file(&self, call: Call) -> bool {
        matches!(call, Call::Change { .. }) && !self.body.message.is_empty()
    }

    /// The hub's own words if it has any, and the code.
    fn words(&self) -> String {
        let said: String = self
            .body
            .message
            .chars()
            .map(|letter| if letter.is_control() { ' ' } else { letter })
            .take(WORDS_CHARS_MAX)
            .collect();
        let code = self.status.as_u16();
        match (said.trim(), self.status.canonical_reason()) {
            ("", Some(reason)) => format!("{code} {reason}"),
            ("", None) => format!("code {code}"),
            (said, _) => format!("{said} ({code})"),
        }
    }
}

impl HubError {
    /// The same failure, for another call that shares it.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Unreachable {
                message,
                retry_after_ms,
            } => Self::Unreachable {
                message: message.clone(),
                retry_after_ms: *retry_after_ms,
            },
            Self::Busy { message } => Self::Busy {
                message: message.clone(),
            },
            Self::Unauthorized { message } => Self::Unauthorized {
                message: message.clone(),
            },
            Self::Refused { message } => Self::Refused {
                message: message.clone(),
            },
            Self::Source { message } => Self::Source {
                message: message.clone(),
            },
        }
    }
}

/// A file above the hub's limit.
pub(super) fn too_large(call: Call) -> HubError {
    let limit = match call {
        Call::Change { bytes_max } => format!(" of {}", megabytes(bytes_max)),
        Call::Hub | Call::Read => String::new(),
    };
    HubError::Refused {
        message: format!(
            "the file is larger than its limit{limit}; make it smaller, or use a hub that takes it"
        ),
    }
}

/// An answer that no Gaia hub gives.
pub(super) fn not_a_hub(what: &str) -> HubError {
    unreachable(format!(
        "this address does not answer as a Gaia hub ({what}); is there a sign-in page of the \
         network in between (captive portal), or is the address wrong?"
    ))
}

pub(super) fn unreachable(message: impl Into<String>) -> HubError {
    HubError::Unreachable {
        message: message.into(),
        retry_after_ms: None,
    }
}

/// How long the hub asks to wait: seconds, or a date that counts from the hub's own.
pub(super) fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(seconds.saturating_mul(1000).min(RETRY_AFTER_MS_MAX));
    }
    let until = parse_http_date(text)?;
    let now = http_date(headers).unwrap_or_else(wall_clock);
    let wait_ms = until.duration_since(now).unwrap_or_default().as_millis();
    Some(
        u64::try_from(wait_ms)
            .unwrap_or(u64::MAX)
            .min(RETRY_AFTER_MS_MAX),
    )
}

/// The time by the hub's clock.
pub(super) fn http_date(headers: &HeaderMap) -> Option<SystemTime> {
    parse_http_date(headers.get(DATE)?.to_str().ok()?)
}

/// What went wrong on the way, in the words of the innermost cause, which knows best.
pub(super) fn of_transport(error: &Error) -> HubError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    // The outermost text would name the address of the file.
    let cause = if std::error::Error::source(error).is_some() {
        cause.to_string()
    } else {
        "no further cause".to_owned()
    };
    unreachable(if error.is_connect() {
        format!("the hub cannot be reached ({cause})")
    } else if error.is_timeout() {
        format!("the hub did not answer in time ({cause})")
    } else {
        format!("the connection to the hub broke ({cause})")
    })
}

fn megabytes(bytes: u64) -> String {
    const MEGABYTE: u64 = gaia::limits::MEGABYTE_BYTES;
    match (bytes / MEGABYTE, bytes % MEGABYTE * 10 / MEGABYTE) {
        (whole, 0) => format!("{whole} MB"),
        (whole, tenths) => format!("{whole}.{tenths} MB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const CHANGE: Call = Call::Change {
        bytes_max: 20 * 1024 * 1024,
    };

    fn error(status: u16, body: &str, call: Call) -> HubError {
        let status = StatusCode::from_u16(status).unwrap();
        let refusal = Refusal {
            status,
            retry_after_ms: Some(7),
            is_whole: true,
            body: ErrorBody::parse(body.as_bytes()),
        };
        refusal.into_error(call)
    }

    #[test]
    fn what_breaks_off_is_no_refusal() {
        let refusal = Refusal {
            status: StatusCode::NOT_FOUND,
            retry_after_ms: None,
            is_whole: false,
            body: ErrorBody::default(),
        };
        let error = refusal.into_error(CHANGE);
        assert!(matches!(error, HubError::Unreachable { .. }), "{error}");
    }

    #[test]
    fn each_code_has_its_class() {
        let later = |error: HubError| {
            matches!(
                error,
                HubError::Unreachable {
                    retry_after_ms: Some(7),
                    ..
                }
            )
        };
        for status in [302, 407, 408, 425, 429, 500, 502, 503, 504, 511] {
            for call in [Call::Hub, Call::Read, CHANGE] {
                assert!(later(error(status, "<html>", call)), "{status} {call:?}");
            }
        }
        for status in [400, 402, 403, 404, 405, 413, 414, 418, 431] {
            for call in [Call::Read, CHANGE] {
                let error = error(status, r#"{"message":"no"}"#, call);
                assert!(
                    matches!(error, HubError::Refused { .. }),
                    "{status} {error:?}"
                );
            }
        }
        for status in [400, 403, 404, 405, 418] {
            assert!(later(error(status, "<html>", Call::Hub)), "{status}");
        }
        assert!(matches!(error(409, "", CHANGE), HubError::Busy { .. }));
        let failed = r#"{"message":"Server Error"}"#;
        assert!(matches!(error(500, failed, CHANGE), HubError::Busy { .. }));
        assert!(later(error(500, failed, Call::Hub)));
        assert!(later(error(503, failed, CHANGE)));
    }

    #[test]
    fn a_lost_sign_in_is_told_from_trouble_inside_the_hub() {
        let trouble = r#"{"message":"Error trying to fetch bucket authentication revocation timestamp: x","error":"ValidationError"}"#;
        assert!(matches!(
            error(401, trouble, CHANGE),
            HubError::Unreachable { .. }
        ));
        let revoked = r#"{"message":"revoked, see revocation timestamp","error":"AuthTokenTimestampValidationError"}"#;
        for body in [
            revoked,
            r#"{"message":"Expired authentication token"}"#,
            "<html>",
        ] {
            assert!(
                matches!(error(401, body, CHANGE), HubError::Unauthorized { .. }),
                "{body}"
            );
        }
        assert!(matches!(
            error(401, "", Call::Read),
            HubError::Refused { .. }
        ));
    }

    #[test]
    fn words_are_cut_and_cleaned() {
        let long = format!(r#"{{"message":"a\u0007b\n{}"}}"#, "x".repeat(1000));
        let text = error(403, &long, CHANGE).to_string();
        assert!(text.starts_with("the hub refuses this: a b xxx"), "{text}");
        assert!(text.ends_with(" (403)") && text.len() < 400, "{text}");
        assert_eq!(
            error(403, "", CHANGE).to_string(),
            "the hub refuses this: 403 Forbidden"
        );
        let text = error(413, "", CHANGE).to_string();
        assert!(text.contains("larger than its limit of 20 MB;"), "{text}");
        let full = r#"{"message":"The bucket is full","error":"QuotaExceededError"}"#;
        assert_eq!(
            error(413, full, CHANGE).to_string(),
            "the hub refuses this: The bucket is full (413)"
        );
        assert_eq!(megabytes(1_572_864), "1.5 MB");
    }

    #[test]
    fn waits_are_read_in_both_forms() {
        let mut headers = HeaderMap::new();
        assert_eq!(retry_after_ms(&headers), None);
        headers.insert(
            DATE,
            HeaderValue::from_static("Mon, 23 Nov 2026 10:00:00 GMT"),
        );
        for (text, expected) in [
            ("120", Some(120_000)),
            ("0", Some(0)),
            ("999999999999", Some(RETRY_AFTER_MS_MAX)),
            ("Mon, 23 Nov 2026 10:01:30 GMT", Some(90_000)),
            ("Mon, 23 Nov 2026 09:00:00 GMT", Some(0)),
            ("soon", None),
            ("-5", None),
        ] {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
            assert_eq!(retry_after_ms(&headers), expected, "{text}");
        }
    }
}
