//! The `fetch` acceleration: many small files in one answer.
//!
//! `POST /fetch/{address}`, open to everybody as reads are, carries a [`Request`] as JSON. The
//! answer is a body of [frames](crate::frames): a [`FileHead`] with the file's bytes for each path,
//! in their order, and [`AnswerHead::End`] last, so that an answer that was cut off is noticed.

use serde::Deserialize;
use serde::Serialize;

use crate::frames::FrameHead;

/// The media type of the answer.
pub const MEDIA_TYPE: &str = "application/vnd.pangaea.files";

/// The body of a request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "FetchRequest"))]
pub struct Request {
    /// The paths as listings name them, not as URLs escape them.
    pub paths: Vec<String>,
}

/// The first line of a frame of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "FetchAnswerHead"))]
pub enum AnswerHead {
    /// One of the paths.
    File(FileHead),
    /// Nothing follows.
    End {
        /// Always true.
        end: bool,
    },
}

impl AnswerHead {
    /// The last frame.
    pub const END: Self = Self::End { end: true };
}

/// What there is to say of a path. Tag, type, length and bytes are those of one version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "FetchFileHead"))]
pub struct FileHead {
    /// The path, as it was asked for.
    pub name: String,
    /// 200 with the file's bytes. Without: 404 if there is no such file, 400 if no file can have
    /// this path, 413 if it must be read by itself because it is too large for this answer, 500 if
    /// the hub cannot read it.
    pub status: u16,
    /// The tag of the stored bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// As a read would tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// When this version was stored, in seconds since 1970.
    #[serde(
        default,
        rename = "lastModifiedDate",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_modified_seconds: Option<u64>,
    /// How many bytes follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
}

impl FileHead {
    /// A path without bytes.
    #[must_use]
    pub fn without_bytes(name: impl Into<String>, status: u16) -> Self {
        Self {
            name: name.into(),
            status,
            ..Self::default()
        }
    }
}

impl FrameHead for AnswerHead {
    fn length(&self) -> u64 {
        match self {
            Self::File(head) => head.length.unwrap_or(0),
            Self::End { .. } => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_written_plainly() {
        let file = AnswerHead::File(FileHead {
            name: "a".into(),
            status: 200,
            etag: Some("t".into()),
            content_type: Some("text/plain".into()),
            last_modified_seconds: Some(7),
            length: Some(0),
        });
        let absent = AnswerHead::File(FileHead::without_bytes("b", 404));
        for (head, text) in [
            (
                file,
                r#"{"name":"a","status":200,"etag":"t","contentType":"text/plain","lastModifiedDate":7,"length":0}"#,
            ),
            (absent, r#"{"name":"b","status":404}"#),
            (AnswerHead::END, r#"{"end":true}"#),
        ] {
            assert_eq!(serde_json::to_string(&head).unwrap(), text);
            assert_eq!(serde_json::from_str::<AnswerHead>(text).unwrap(), head);
        }
        assert!(serde_json::from_str::<AnswerHead>(r#"{"name":"a"}"#).is_err());
    }
}
