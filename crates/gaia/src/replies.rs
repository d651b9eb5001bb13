//! The small JSON bodies: what a hub answers to a store, a revocation, and when it refuses.

use serde::Deserialize;
use serde::Serialize;

/// The answer to a store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StoreReply {
    /// Where the file can be read; the path in it is not escaped.
    #[serde(rename = "publicURL")]
    pub public_url: String,
    /// The tag of what was stored; hubs older than 2.7 do not send it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

/// The answer to a revocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StatusReply {
    /// `success`.
    pub status: String,
}

impl StatusReply {
    /// The only answer there is.
    #[must_use]
    pub fn success() -> Self {
        Self {
            status: "success".to_owned(),
        }
    }
}

/// The body of a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ErrorBody {
    /// Words for people.
    #[serde(default)]
    pub message: String,
    /// A word for programs, the name of an [`ErrorName`]; absent where the hub itself failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The tag of what is stored now, in the 412 answer of our own hub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
}

impl ErrorBody {
    /// A refusal with a name.
    #[must_use]
    pub fn new(name: ErrorName, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            error: Some(name.as_str().to_owned()),
            etag: None,
        }
    }

    /// A refusal without a name.
    #[must_use]
    pub fn unnamed(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            error: None,
            etag: None,
        }
    }

    /// What all of a hub's own failures look like from outside.
    #[must_use]
    pub fn server_error() -> Self {
        Self::unnamed("Server Error")
    }

    /// Makes what it can of the body of a refusal, which may come from a proxy: HTML and the
    /// like give no message and no name.
    #[must_use]
    pub fn parse(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// The name, if it is a known one.
    #[must_use]
    pub fn name(&self) -> Option<ErrorName> {
        self.error.as_deref().and_then(ErrorName::from_name)
    }
}

/// The names of refusals, each with its HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorName {
    /// 401: the token does not allow this.
    Validation,
    /// 401: the token is older than the last revocation.
    AuthTokenTimestampValidation,
    /// 402: social proofs are missing.
    NotEnoughProof,
    /// 403: no hub stores under such a path.
    BadPath,
    /// 404: nothing is stored there.
    DoesNotExist,
    /// 409: somebody else is writing there just now.
    Conflict,
    /// 410: a cursor of the change feed that is too old, or of another history.
    CursorExpired,
    /// 412: what is stored is not what the request presumed.
    PreconditionFailed,
    /// 413: too large for this hub.
    PayloadTooLarge,
    /// 413: the bucket has no room for this. Stock hubs have no quotas.
    QuotaExceeded,
    /// 429: too many requests in a short time. Stock hubs have no such limit.
    TooManyRequests,
}

impl ErrorName {
    /// Every name.
    pub const ALL: [Self; 11] = [
        Self::Validation,
        Self::AuthTokenTimestampValidation,
        Self::NotEnoughProof,
        Self::BadPath,
        Self::DoesNotExist,
        Self::Conflict,
        Self::CursorExpired,
        Self::PreconditionFailed,
        Self::PayloadTooLarge,
        Self::QuotaExceeded,
        Self::TooManyRequests,
    ];

    /// The name in the body; `DoesNotExist` and `CursorExpired` are the ones without `Error` at
    /// their end.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Validation => "ValidationError",
            Self::AuthTokenTimestampValidation => "AuthTokenTimestampValidationError",
            Self::NotEnoughProof => "NotEnoughProofError",
            Self::BadPath => "BadPathError",
            Self::DoesNotExist => "DoesNotExist",
            Self::Conflict => "ConflictError",
            Self::CursorExpired => "CursorExpired",
            Self::PreconditionFailed => "PreconditionFailedError",
            Self::PayloadTooLarge => "PayloadTooLargeError",
            Self::QuotaExceeded => "QuotaExceededError",
            Self::TooManyRequests => "TooManyRequestsError",
        }
    }

    /// The refusal with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// The HTTP status that it comes with.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::Validation | Self::AuthTokenTimestampValidation => 401,
            Self::NotEnoughProof => 402,
            Self::BadPath => 403,
            Self::DoesNotExist => 404,
            Self::Conflict => 409,
            Self::CursorExpired => 410,
            Self::PreconditionFailed => 412,
            Self::PayloadTooLarge | Self::QuotaExceeded => 413,
            Self::TooManyRequests => 429,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_those_of_the_stock_hub() {
        let json = |body: &ErrorBody| serde_json::to_string(body).unwrap();
        let body = ErrorBody::new(ErrorName::BadPath, "Invalid Path");
        assert_eq!(
            json(&body),
            r#"{"message":"Invalid Path","error":"BadPathError"}"#
        );
        assert_eq!(
            json(&ErrorBody::server_error()),
            r#"{"message":"Server Error"}"#
        );
        let reply = StoreReply {
            public_url: "u".into(),
            etag: Some("t".into()),
        };
        assert_eq!(
            serde_json::to_string(&reply).unwrap(),
            r#"{"publicURL":"u","etag":"t"}"#
        );
        assert_eq!(
            serde_json::to_string(&StatusReply::success()).unwrap(),
            r#"{"status":"success"}"#
        );
    }

    #[test]
    fn refusals_are_understood_and_html_does_no_harm() {
        let body = ErrorBody::parse(br#"{"message":"m","error":"ConflictError","more":1}"#);
        assert_eq!(body.name(), Some(ErrorName::Conflict));
        assert_eq!(ErrorBody::parse(b"<html>").name(), None);
        assert_eq!(ErrorBody::parse(br#"{"error":"NewError"}"#).name(), None);
        for name in ErrorName::ALL {
            assert_eq!(ErrorName::from_name(name.as_str()), Some(name));
            assert!((400..500).contains(&name.status()));
        }
    }
}
