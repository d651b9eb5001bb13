//! What kind of content a file holds: told by its name, or by a look at its first bytes.
//!
//! How a media type travels in a `Content-Type` is [`crate::header`]'s matter; which merge a kind of
//! content gets by default is [`crate::policy`]'s.

mod endings;

use std::fmt;

/// Content above this size is not merged, and its base content is not kept.
pub const MERGEABLE_BYTES_MAX: u64 = 1024 * 1024;
/// How much of a file is looked at when its name says nothing.
pub const SAMPLE_BYTES_MAX: usize = 8 * 1024;

const TEXT_PLAIN: &str = "text/plain";
const OCTET_STREAM: &str = "application/octet-stream";

/// Types outside `text/` whose content is lines of text.
const TEXT_APPLICATIONS: &[&str] = &[
    "application/ecmascript",
    "application/javascript",
    "application/sql",
    "application/toml",
    "application/typescript",
    "application/x-httpd-php",
    "application/x-javascript",
    "application/x-latex",
    "application/x-ndjson",
    "application/x-perl",
    "application/x-sh",
    "application/x-sql",
    "application/x-subrip",
    "application/x-tcl",
    "application/x-tex",
    "application/x-texinfo",
    "application/x-yaml",
    "application/xml",
    "application/yaml",
    "message/rfc822",
];

/// Endings of films that people use for text as well.
const OFTEN_TEXT: &[&str] = &["mts", "ts"];

/// Tells whether content of this size may be merged at all.
pub const fn is_mergeable(size: u64) -> bool {
    size <= MERGEABLE_BYTES_MAX
}

/// A media type such as `text/markdown; charset=utf-8`, without the parameters that are ours.
///
/// The type is lower-case and has the form `type/subtype`; the parameters are as they were written.
/// All characters are printable ASCII.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaType {
    text: String,
    essence_len: usize,
}

impl MediaType {
    /// Tells the type of a file by its path, and by its first bytes when the name says nothing.
    ///
    /// `sample` is the beginning of the content; [`SAMPLE_BYTES_MAX`] bytes of it are looked at.
    pub fn of(path: &str, sample: &[u8]) -> Self {
        let name = path.rsplit('/').next().unwrap_or(path);
        let ending = name
            .rsplit_once('.')
            .filter(|(stem, _)| !stem.is_empty())
            .map(|(_, ending)| ending.to_ascii_lowercase())
            .unwrap_or_default();
        if OFTEN_TEXT.contains(&ending.as_str()) && sample_is_text(sample) {
            return Self::with_charset(TEXT_PLAIN);
        }
        match endings::type_of(&ending) {
            Some(essence) => Self::with_charset(essence),
            None => Self::sniff(sample),
        }
    }

    /// Tells text from other content by its first bytes: UTF-8 without NUL is text.
    pub fn sniff(sample: &[u8]) -> Self {
        if sample_is_text(sample) {
            Self::with_charset(TEXT_PLAIN)
        } else {
            Self::octet_stream()
        }
    }

    /// Returns `application/octet-stream`: content that nothing is known of.
    pub fn octet_stream() -> Self {
        Self::from_parts(OCTET_STREAM, "")
    }

    /// Returns `application/json; charset=utf-8`, which is also what an encrypted file looks like.
    pub fn json() -> Self {
        Self::with_charset("application/json")
    }

    /// Puts a type together; `parameters` is empty or begins with a semicolon.
    pub(crate) fn from_parts(essence: &str, parameters: &str) -> Self {
        let essence = essence.to_ascii_lowercase();
        let essence_len = essence.len();
        Self {
            text: essence + parameters,
            essence_len,
        }
    }

    fn with_charset(essence: &str) -> Self {
        let plain = Self::from_parts(essence, "");
        if plain.is_text() {
            Self::from_parts(essence, "; charset=utf-8")
        } else {
            plain
        }
    }

    /// Returns the whole text, with parameters.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns `type/subtype` alone.
    pub fn essence(&self) -> &str {
        &self.text[..self.essence_len]
    }

    /// Returns the parameters: empty, or text that begins with a semicolon.
    pub fn parameters(&self) -> &str {
        &self.text[self.essence_len..]
    }

    /// Tells whether the content is text, JSON included.
    pub fn is_text(&self) -> bool {
        let essence = self.essence();
        essence.starts_with("text/")
            || essence.ends_with("+xml")
            || TEXT_APPLICATIONS.contains(&essence)
            || self.is_json()
    }

    /// Tells whether the content is one JSON value.
    pub fn is_json(&self) -> bool {
        let essence = self.essence();
        essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Tells whether the beginning of some content is UTF-8 without NUL; the cut may split a character.
fn sample_is_text(content: &[u8]) -> bool {
    let cut = content.len() > SAMPLE_BYTES_MAX;
    let sample = if cut {
        &content[..SAMPLE_BYTES_MAX]
    } else {
        content
    };
    if sample.contains(&0) {
        return false;
    }
    match std::str::from_utf8(sample) {
        Ok(_) => true,
        // A caller's own sample may end inside a character as well, so an unfinished one at the end
        // always counts as cut.
        Err(error) => error.error_len().is_none() && (cut || error.valid_up_to() > 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(path: &str, sample: &[u8], expected: &str) {
        assert_eq!(MediaType::of(path, sample).as_str(), expected, "{path}");
    }

    #[test]
    fn names_tell() {
        check("a/todo.json", b"", "application/json; charset=utf-8");
        check("notes/a.MD", b"\0", "text/markdown; charset=utf-8");
        check("a.txt", b"", "text/plain; charset=utf-8");
        check("a.png", b"text", "image/png");
        check("a.bin", b"text", "application/octet-stream");
        check("map.geojson", b"", "application/geo+json; charset=utf-8");
        check("drawing.svg", b"", "image/svg+xml; charset=utf-8");
        check("run.sh", b"", "application/x-sh; charset=utf-8");
        check("archive.tar.gz", b"", "application/gzip");
    }

    #[test]
    fn names_that_say_nothing_are_sniffed() {
        check("Makefile", b"all:\n", "text/plain; charset=utf-8");
        check(".gitignore", b"target\n", "text/plain; charset=utf-8");
        check("dir.json/data", b"\0\x01", "application/octet-stream");
        check(
            "data.unknown-thing",
            b"\xff\xfe",
            "application/octet-stream",
        );
        check("empty", b"", "text/plain; charset=utf-8");
        check("main.ts", b"export {}", "text/plain; charset=utf-8");
        check("film.ts", b"\x47\0\0", "video/mp2t");
    }

    #[test]
    fn a_character_cut_by_the_sample_is_still_text() {
        let mut content = vec![b'a'; SAMPLE_BYTES_MAX - 1];
        content.extend_from_slice("é and more".as_bytes());
        assert!(MediaType::sniff(&content).is_text());
        assert!(MediaType::sniff(&content[..SAMPLE_BYTES_MAX]).is_text());
        content[10] = 0;
        assert!(!MediaType::sniff(&content).is_text());
    }

    #[test]
    fn kinds() {
        assert!(MediaType::json().is_json() && MediaType::json().is_text());
        assert!(!MediaType::octet_stream().is_text());
        assert!(is_mergeable(MERGEABLE_BYTES_MAX) && !is_mergeable(MERGEABLE_BYTES_MAX + 1));
        let typed = MediaType::of("a.css", b"");
        assert_eq!(
            (typed.essence(), typed.parameters()),
            ("text/css", "; charset=utf-8")
        );
    }

    proptest! {
        #[test]
        fn any_name_and_content_has_a_type(path: String, sample: Vec<u8>) {
            let media = MediaType::of(&path, &sample);
            prop_assert!(media.essence().contains('/'));
        }
    }
}
