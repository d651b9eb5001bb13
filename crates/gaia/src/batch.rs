//! The `batch` acceleration: many conditional stores and deletes in one request.
//!
//! `POST /batch/{address}`, with the owner's token, carries [frames](crate::frames): an
//! [`Operation`] each, followed by the bytes to be stored. The answer is a [`Reply`] with one
//! [`Outcome`] for each operation, in their order. With `?atomic=true` all of them take place or
//! none does.

use serde::Deserialize;
use serde::Serialize;

use crate::frames::FrameHead;
use crate::replies::ErrorBody;

/// The media type of a batch.
pub const MEDIA_TYPE: &str = "application/vnd.pangaea.batch";

/// The status of an operation that was not applied because another one of its atomic batch failed.
pub const STATUS_TOGETHER: u16 = 424;

/// What an operation does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "BatchKind"))]
pub enum Kind {
    /// Stores the bytes that follow.
    Store,
    /// Deletes a file.
    Delete,
}

/// One operation: the first line of a frame of a batch. A member that is not known is an error,
/// because it could be a condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "BatchOperation"))]
pub struct Operation {
    /// What is to be done.
    pub op: Kind,
    /// The file's path as listings name it, not as URLs escape it.
    pub path: String,
    /// The type to be stored; none is `application/octet-stream`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// As the `If-Match` header of a single request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_match: Option<String>,
    /// As the `If-None-Match` header of a single store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_none_match: Option<String>,
    /// How many bytes follow; nothing follows a delete.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub length: u64,
}

impl Operation {
    /// Whether its members fit what it does. A delete knows neither bytes nor a type, and no
    /// condition but `ifMatch`.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        match self.op {
            Kind::Store => true,
            Kind::Delete => {
                self.length == 0 && self.content_type.is_none() && self.if_none_match.is_none()
            }
        }
    }
}

impl FrameHead for Operation {
    fn length(&self) -> u64 {
        self.length
    }
}

/// The answer to a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "BatchReply"))]
pub struct Reply {
    /// One for each operation, in order.
    pub results: Vec<Outcome>,
}

/// What became of one operation: what a single request would have been told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "BatchOutcome"))]
pub struct Outcome {
    /// 202 if it was applied, else the status of the refusal.
    pub status: u16,
    /// Of a store, the tag of what is stored now; of a refusal with 412, the tag that is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// Of a refusal: words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Of a refusal: a word for programs, the name of a [`crate::replies::ErrorName`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Outcome {
    /// The status of an operation that was applied.
    pub const DONE: u16 = 202;

    /// Applied.
    #[must_use]
    pub fn done(etag: Option<String>) -> Self {
        Self {
            status: Self::DONE,
            etag,
            message: None,
            error: None,
        }
    }

    /// The refusal as the body of a single answer.
    #[must_use]
    pub fn into_error_body(self) -> ErrorBody {
        ErrorBody {
            message: self.message.unwrap_or_default(),
            error: self.error,
            etag: self.etag,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(length: &u64) -> bool {
    *length == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_written_plainly_and_unknown_conditions_refused() {
        let delete = Operation {
            op: Kind::Delete,
            path: "a/ü".into(),
            content_type: None,
            if_match: Some("t".into()),
            if_none_match: None,
            length: 0,
        };
        let text = r#"{"op":"delete","path":"a/ü","ifMatch":"t"}"#;
        assert_eq!(serde_json::to_string(&delete).unwrap(), text);
        assert_eq!(serde_json::from_str::<Operation>(text).unwrap(), delete);
        assert!(delete.is_well_formed());
        for other in [
            r#"{"op":"delete","path":"a","length":1}"#,
            r#"{"op":"delete","path":"a","contentType":"b"}"#,
            r#"{"op":"delete","path":"a","ifNoneMatch":"*"}"#,
        ] {
            let operation: Operation = serde_json::from_str(other).unwrap();
            assert!(!operation.is_well_formed(), "{other}");
        }
        for wrong in [
            r#"{"op":"store","path":"a","ifUnmodifiedSince":"x"}"#,
            r#"{"op":"rename","path":"a"}"#,
            r#"{"op":"store"}"#,
            r#"{"op":"store","path":"a","length":-1}"#,
            r#"{"op":"store","path":"a","length":1,"length":2}"#,
        ] {
            assert!(serde_json::from_str::<Operation>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn outcomes_leave_out_what_they_do_not_have() {
        let done = Outcome::done(Some("t".into()));
        let text = r#"{"status":202,"etag":"t"}"#;
        assert_eq!(serde_json::to_string(&done).unwrap(), text);
        let refused: Outcome =
            serde_json::from_str(r#"{"status":412,"message":"m","error":"e","new":1}"#).unwrap();
        assert_eq!(refused.into_error_body().message, "m");
    }
}
