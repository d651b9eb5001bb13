//! Paths of files inside a bucket, in the one spelling that everything else compares and stores.
//!
//! This is not a path of any file system: what a folder on some platform can hold is decided
//! where folders are handled.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use percent_encoding::AsciiSet;
use percent_encoding::NON_ALPHANUMERIC;

use crate::limits::PATH_BYTES_MAX;
use crate::limits::PATH_SEGMENTS_MAX;
use crate::limits::SEGMENT_BYTES_MAX;

/// What JavaScript's `encodeURIComponent` escapes.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'!')
    .remove(b'~')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// The path of a file inside a bucket, for example `notes/2026/trip.md`.
///
/// It always holds: at least one segment; segments joined by single `/`, none of them empty,
/// `.`, or longer than [`SEGMENT_BYTES_MAX`]; no `..` anywhere, not even inside a name (a stock
/// hub refuses it); no NUL; at most [`PATH_BYTES_MAX`] bytes and [`PATH_SEGMENTS_MAX`] segments.
/// Letters stay as written: no case folding, no Unicode normalisation. Clones are cheap. The
/// order is that of the bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath {
    text: Arc<str>,
}

/// Why a text is not a [`FilePath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// Nothing is left of it.
    #[error("the path is empty; name a file")]
    Empty,
    /// It begins or ends with `/`, or holds `//`.
    #[error("the path has an empty segment; write single slashes, none at the ends")]
    EmptySegment,
    /// A segment is `.`.
    #[error("the path has a segment `.`; leave it out")]
    DotSegment,
    /// It holds `..`, alone or inside a name.
    #[error("the path holds `..`, which Gaia hubs refuse even inside a name; rename the file")]
    DotDot,
    /// It holds a NUL byte.
    #[error("the path holds a NUL byte; rename the file")]
    Nul,
    /// A segment is longer than [`SEGMENT_BYTES_MAX`].
    #[error("a name in the path has {bytes} bytes, the most is 255; shorten it")]
    SegmentTooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// It is longer than [`PATH_BYTES_MAX`].
    #[error("the path has {bytes} bytes, the most is {PATH_BYTES_MAX}; shorten it")]
    TooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// It has more than [`PATH_SEGMENTS_MAX`] segments.
    #[error("the path is {segments} names deep, the most is {PATH_SEGMENTS_MAX}")]
    TooDeep {
        /// How many segments it has.
        segments: usize,
    },
    /// A `%` in a URL is not followed by two hex digits.
    #[error("the URL holds a `%` that is not followed by two hexadecimal digits")]
    BadEscape,
    /// What the escapes of a URL stand for is not UTF-8.
    #[error("the path in the URL is not UTF-8")]
    NotUtf8,
}

impl PathError {
    /// The message that a stock hub gives for such a path, for the body of its 403 answer.
    #[must_use]
    pub fn stock_message(&self) -> &'static str {
        match self {
            Self::TooLong { .. } | Self::SegmentTooLong { .. } => "Path is too long",
            Self::TooDeep { .. } => "Path is too deep",
            Self::Empty
            | Self::EmptySegment
            | Self::DotSegment
            | Self::DotDot
            | Self::Nul
            | Self::BadEscape
            | Self::NotUtf8 => "Invalid Path",
        }
    }

    /// Whether the URL itself is broken, which a stock hub answers with 400 instead of 403.
    #[must_use]
    pub fn is_bad_url(&self) -> bool {
        matches!(self, Self::BadEscape | Self::NotUtf8)
    }
}

impl FilePath {
    /// Reads a path that must already be in canonical form.
    ///
    /// # Errors
    /// See [`PathError`]; nothing is repaired.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        check(text)?;
        Ok(Self { text: text.into() })
    }

    /// Reads what follows the address in the URL of a request, as it came over the wire.
    ///
    /// Escapes are decoded once. Spellings that a stock hub takes for the same file (`./a`,
    /// `//a`, `b//a`, `b/./a`, `a/`) become one path, so that they cannot be used to get around
    /// a lock, a scope or a condition. `..` and two slashes at the end are refused as there.
    ///
    /// # Errors
    /// See [`PathError`].
    pub fn parse_from_url(raw: &str) -> Result<Self, PathError> {
        // Three bytes of escape may stand for one, and aliases add slashes: a loose bound that
        // keeps the work small, the exact one follows.
        if raw.len() > 4 * PATH_BYTES_MAX {
            return Err(PathError::TooLong { bytes: raw.len() });
        }
        if !escapes_are_whole(raw.as_bytes()) {
            return Err(PathError::BadEscape);
        }
        let decoded = percent_encoding::percent_decode_str(raw)
            .decode_utf8()
            .map_err(|_| PathError::NotUtf8)?;
        let decoded = decoded.strip_suffix('/').unwrap_or(&decoded);
        if decoded.ends_with('/') {
            return Err(PathError::EmptySegment);
        }
        let mut folded = String::with_capacity(decoded.len());
        for segment in decoded.split('/') {
            if segment.is_empty() || segment == "." {
                continue;
            }
            if !folded.is_empty() {
                folded.push('/');
            }
            folded.push_str(segment);
        }
        check(&folded)?;
        Ok(Self {
            text: folded.into(),
        })
    }

    /// The path as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names between the slashes; always at least one.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.text.split('/')
    }

    /// The folder that the file is in, as a path, or nothing at the top of the bucket.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (parent, _) = self.text.rsplit_once('/')?;
        Some(Self {
            text: parent.into(),
        })
    }

    /// The last segment.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.text
            .rsplit_once('/')
            .map_or(&*self.text, |(_, name)| name)
    }

    /// The file name up to its extension; all of it where there is none.
    #[must_use]
    pub fn file_stem(&self) -> &str {
        split_name(self.file_name()).0
    }

    /// What follows the last dot of the file name. `.profile` and `name.` have no extension.
    #[must_use]
    pub fn extension(&self) -> Option<&str> {
        split_name(self.file_name()).1
    }

    /// The same folder with another file name.
    ///
    /// # Errors
    /// See [`PathError`]; a name that holds `/` is an error too.
    pub fn with_file_name(&self, name: &str) -> Result<Self, PathError> {
        if name.contains('/') {
            return Err(PathError::EmptySegment);
        }
        let folder = &self.text[..self.text.len() - self.file_name().len()];
        Self::parse(&format!("{folder}{name}"))
    }

    /// This path, taken as a folder, with a path below it.
    ///
    /// # Errors
    /// See [`PathError`].
    pub fn join(&self, below: &str) -> Result<Self, PathError> {
        Self::parse(&format!("{}/{below}", self.text))
    }

    /// Whether this path lies below `folder` (whole segments; not equal to it).
    #[must_use]
    pub fn is_below(&self, folder: &FilePath) -> bool {
        self.text
            .strip_prefix(&*folder.text)
            .is_some_and(|rest| rest.starts_with('/'))
    }

    /// The path as it goes into a URL: each segment escaped, the slashes kept.
    #[must_use]
    pub fn to_url_path(&self) -> String {
        let mut url = String::with_capacity(self.text.len() + 16);
        for segment in self.segments() {
            if !url.is_empty() {
                url.push('/');
            }
            url.extend(percent_encoding::utf8_percent_encode(segment, ESCAPED));
        }
        url
    }
}

/// Checks everything that [`FilePath`] promises.
fn check(text: &str) -> Result<(), PathError> {
    if text.is_empty() {
        return Err(PathError::Empty);
    }
    if text.len() > PATH_BYTES_MAX {
        return Err(PathError::TooLong { bytes: text.len() });
    }
    if text.contains("..") {
        return Err(PathError::DotDot);
    }
    if text.contains('\0') {
        return Err(PathError::Nul);
    }
    let mut segments = 0;
    for segment in text.split('/') {
        segments += 1;
        if segment.is_empty() {
            return Err(PathError::EmptySegment);
        }
        if segment == "." {
            return Err(PathError::DotSegment);
        }
        if segment.len() > SEGMENT_BYTES_MAX {
            return Err(PathError::SegmentTooLong {
                bytes: segment.len(),
            });
        }
    }
    if segments > PATH_SEGMENTS_MAX {
        return Err(PathError::TooDeep { segments });
    }
    Ok(())
}

/// Whether each `%` is followed by two hex digits.
fn escapes_are_whole(raw: &[u8]) -> bool {
    raw.iter().enumerate().all(|(at, byte)| {
        *byte != b'%'
            || raw
                .get(at + 1..at + 3)
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// Stem and extension of a file name.
fn split_name(name: &str) -> (&str, Option<&str>) {
    match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && !extension.is_empty() => {
            (stem, Some(extension))
        }
        Some(_) | None => (name, None),
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

impl FromStr for FilePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

impl AsRef<str> for FilePath {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

// Order, equality and hash are those of the text, as `Borrow` demands.
impl Borrow<str> for FilePath {
    fn borrow(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strict_parsing_repairs_nothing() {
        let long = "x".repeat(256);
        let longest = "x/".repeat(1_792) + "x";
        let deep = "x/".repeat(90) + "x";
        for (text, want) in [
            ("", PathError::Empty),
            ("/a", PathError::EmptySegment),
            ("a/", PathError::EmptySegment),
            ("a//b", PathError::EmptySegment),
            (".", PathError::DotSegment),
            ("a/./b", PathError::DotSegment),
            ("a/../b", PathError::DotDot),
            ("a..b", PathError::DotDot),
            ("a\0b", PathError::Nul),
            (long.as_str(), PathError::SegmentTooLong { bytes: 256 }),
            (longest.as_str(), PathError::TooLong { bytes: 3_585 }),
            (deep.as_str(), PathError::TooDeep { segments: 91 }),
        ] {
            assert_eq!(FilePath::parse(text), Err(want), "{text:?}");
        }
        for text in [
            "a",
            "a/b.txt",
            "ü b\n/\\+%2F",
            ".history.1.x.y",
            &"x".repeat(255),
        ] {
            assert_eq!(FilePath::parse(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn aliases_in_urls_become_one_path() {
        for raw in [
            "a/b", "./a/b", "//a/b", "a//b", "a/./b", "a%2Fb", "a/b/", "%61/b%2f",
        ] {
            assert_eq!(
                FilePath::parse_from_url(raw).unwrap().as_str(),
                "a/b",
                "{raw}"
            );
        }
        for (raw, want) in [
            ("a//", PathError::EmptySegment),
            ("", PathError::Empty),
            ("/", PathError::Empty),
            (".", PathError::Empty),
            ("%2e%2e/a", PathError::DotDot),
            ("a/..%2fb", PathError::DotDot),
            ("a%", PathError::BadEscape),
            ("a%4", PathError::BadEscape),
            ("a%zz", PathError::BadEscape),
            ("a%ff", PathError::NotUtf8),
            ("a%00", PathError::Nul),
        ] {
            assert_eq!(FilePath::parse_from_url(raw), Err(want), "{raw:?}");
        }
        // Decoded once only.
        assert_eq!(FilePath::parse_from_url("a%252F").unwrap().as_str(), "a%2F");
    }

    #[test]
    fn names_come_apart_and_together() {
        let path = FilePath::parse("d/e/f.tar.gz").unwrap();
        assert_eq!(path.parent().unwrap().as_str(), "d/e");
        assert_eq!(path.parent().unwrap().parent().unwrap().parent(), None);
        assert_eq!((path.file_name(), path.file_stem()), ("f.tar.gz", "f.tar"));
        assert_eq!(path.extension(), Some("gz"));
        assert_eq!(FilePath::parse("a/.profile").unwrap().extension(), None);
        assert_eq!(path.with_file_name("g").unwrap().as_str(), "d/e/g");
        assert!(path.with_file_name("g/h").is_err());
        assert!(path.with_file_name("").is_err());
        let folder = FilePath::parse("d/e").unwrap();
        assert_eq!(folder.join("f.tar.gz").unwrap(), path);
        assert!(path.is_below(&folder));
        assert!(!folder.is_below(&folder));
        assert!(!FilePath::parse("d/ef").unwrap().is_below(&folder));
    }

    #[test]
    fn url_form_escapes_what_would_end_or_bend_a_url() {
        let path = FilePath::parse("a b/c#d?e%/ü").unwrap();
        assert_eq!(path.to_url_path(), "a%20b/c%23d%3Fe%25/%C3%BC");
    }
}
