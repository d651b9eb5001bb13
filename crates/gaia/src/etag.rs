//! Entity tags: how a hub names the bytes it holds.
//!
//! The tag of a hub on disk is the lower-case hex MD5 of the stored bytes, so both sides can
//! compute it. Other drivers quote it, or send text of their own; [`ETag`] compares them without
//! quotes and still gives back what the hub sent. MD5 serves as a name here, never as a proof.

use std::fmt;
use std::sync::Arc;

use md5::Digest;
use md5::Md5;

/// The tag of a stored version of a file.
///
/// Two tags are equal when they are equal without quotes, without the weak mark `W/`, and, when
/// they are hex digits, without regard to case.
#[derive(Clone)]
pub struct ETag {
    normal: Arc<str>,
    /// What the hub sent, where that differs.
    sent: Option<Arc<str>>,
}

impl ETag {
    /// The tag that a hub on disk gives to these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = ETagHasher::new();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Reads a tag from a header, a reply or a listing. Nothing comes of an empty text, nor of
    /// the word `undefined`, which a stock reader sends for a file whose upload was cut off.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let sent = text.trim();
        let bare = sent.strip_prefix("W/").unwrap_or(sent);
        let bare = bare
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .unwrap_or(bare);
        if bare.is_empty() || bare == "undefined" {
            return None;
        }
        let normal: Arc<str> = if bare.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            bare.to_ascii_lowercase().into()
        } else {
            bare.into()
        };
        let sent = (*normal != *sent).then(|| sent.into());
        Some(Self { normal, sent })
    }

    /// The normal form: no quotes, lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.normal
    }

    /// What goes into `If-Match`: the tag exactly as the hub sent it, because hubs compare text.
    #[must_use]
    pub fn if_match(&self) -> &str {
        self.sent.as_deref().unwrap_or(&self.normal)
    }

    /// Whether this can be the MD5 of the bytes, so that [`ETag::of`] can be compared with it.
    #[must_use]
    pub fn is_md5(&self) -> bool {
        self.normal.len() == 32 && self.normal.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

impl PartialEq for ETag {
    fn eq(&self, other: &Self) -> bool {
        self.normal == other.normal
    }
}

impl Eq for ETag {}

impl PartialOrd for ETag {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ETag {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.normal.cmp(&other.normal)
    }
}

impl std::hash::Hash for ETag {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.normal.hash(state);
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.normal)
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ETag({})", self.normal)
    }
}

/// Computes an [`ETag`] over bytes that arrive in pieces.
#[derive(Clone, Debug, Default)]
pub struct ETagHasher {
    md5: Md5,
}

impl ETagHasher {
    /// Starts over no bytes.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
    }

    /// The tag of all bytes taken.
    #[must_use]
    pub fn finish(self) -> ETag {
        ETag {
            normal: hex::encode(self.md5.finalize()).into(),
            sent: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_tag_is_the_same_tag() {
        let empty = ETag::of(b"");
        assert_eq!(empty.as_str(), "d41d8cd98f00b204e9800998ecf8427e");
        assert!(empty.is_md5());
        for text in [
            "d41d8cd98f00b204e9800998ecf8427e",
            "\"d41d8cd98f00b204e9800998ecf8427e\"",
            "W/\"d41d8cd98f00b204e9800998ecf8427e\"",
            " D41D8CD98F00B204E9800998ECF8427E ",
        ] {
            let tag = ETag::parse(text).unwrap();
            assert_eq!(tag, empty, "{text}");
            assert_eq!(tag.if_match(), text.trim());
        }
    }

    #[test]
    fn tags_that_are_no_hash_keep_their_letters() {
        let azure = ETag::parse("0x8D4BCC2E4835CD0").unwrap();
        assert_eq!(azure.as_str(), "0x8D4BCC2E4835CD0");
        assert!(!azure.is_md5());
        assert_eq!(ETag::parse("\"\""), None);
        assert_eq!(ETag::parse("undefined"), None);
        assert_eq!(ETag::parse("\"").unwrap().as_str(), "\"");
    }

    #[test]
    fn pieces_give_the_tag_of_the_whole() {
        let mut hasher = ETagHasher::new();
        hasher.update(b"hello ");
        hasher.update(b"gaia");
        assert_eq!(hasher.finish(), ETag::of(b"hello gaia"));
    }
}
