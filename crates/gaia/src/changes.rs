//! The change feed of our own hub: what `GET /changes/{address}` is asked and what it answers.
//!
//! A client takes a cursor, lists the bucket, then follows: each page names every path that
//! changed since the cursor once, as it is now, and gives the next cursor. Stock hubs have no
//! feed; whether a hub does is said in its `hub_info`. The transfer itself, and waiting, are the
//! business of hub and client.

use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;

use crate::limits::CURSOR_BYTES_MAX;
use crate::limits::PAGE_ENTRIES_MAX;
use crate::listing::Lenient;
use crate::listing::ListedFile;
use crate::listing::Malformed;
use crate::listing::StatEntry;
use crate::listing::collect_entries;
use crate::path::FilePath;

/// The longest that a hub lets a request wait for something to change, in seconds.
pub const WAIT_SECONDS_MAX: u64 = 60;

/// Entries on one page unless the client asks for another number.
pub const CHANGES_ENTRIES_DEFAULT: usize = 1_000;

/// The media type that asks for a stream of events instead of one page.
pub const EVENT_STREAM: &str = "text/event-stream";

/// The event whose data is a [`ChangesPage`].
pub const EVENT_CHANGES: &str = "changes";

/// The last event of a stream whose cursor has expired.
pub const EVENT_EXPIRED: &str = "expired";

/// A place in a bucket's history: text that means something to the hub alone.
///
/// It always holds: between 1 and [`CURSOR_BYTES_MAX`] letters, digits, `-` and `_`, so that it
/// can stand in a URL and in a header as it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Cursor(String);

impl Cursor {
    /// Reads what a hub gave; nothing when no hub can have given it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=CURSOR_BYTES_MAX).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        fits.then(|| Self(text.to_owned()))
    }

    /// The text, to be sent back as it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a cursor"))
    }
}

/// What a client asks for, as the query of the URL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChangesRequest {
    /// The cursor to go on from; without one the answer holds only the cursor of now.
    pub since: Option<Cursor>,
    /// Most entries on the page, from 1 to [`PAGE_ENTRIES_MAX`].
    pub limit: Option<usize>,
    /// How many seconds to wait for something to change, [`WAIT_SECONDS_MAX`] at most.
    pub wait_seconds: u64,
}

/// Why a query asks for nothing that can be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadChangesRequest {
    /// `since` is no cursor.
    #[error("Invalid since: it is not a cursor of this hub; ask without it for a new one")]
    Since,
    /// `limit` is no number in range.
    #[error("Invalid limit: it must be a whole number from 1 to {PAGE_ENTRIES_MAX}")]
    Limit,
    /// `wait` is no number.
    #[error("Invalid wait: it must be a whole number of seconds")]
    Wait,
}

impl ChangesRequest {
    /// The query, without a question mark; empty if there is nothing to say.
    #[must_use]
    pub fn to_query(&self) -> String {
        let since = self.since.as_ref().map(|cursor| format!("since={cursor}"));
        let limit = self.limit.map(|limit| format!("limit={limit}"));
        let wait = (self.wait_seconds > 0).then(|| format!("wait={}", self.wait_seconds));
        let parts: Vec<String> = [since, limit, wait].into_iter().flatten().collect();
        parts.join("&")
    }

    /// Reads a query. Names that mean nothing are skipped, an empty value is none, of several the
    /// last counts, and a longer wait than a hub allows is cut to that.
    ///
    /// # Errors
    /// See [`BadChangesRequest`].
    pub fn parse_query(query: &str) -> Result<Self, BadChangesRequest> {
        let mut request = Self::default();
        let parts = query.split('&').filter_map(|part| part.split_once('='));
        for (name, value) in parts.filter(|(_, value)| !value.is_empty()) {
            match name {
                "since" => {
                    request.since = Some(Cursor::parse(value).ok_or(BadChangesRequest::Since)?);
                }
                "limit" => {
                    let limit = whole(value).and_then(|number| usize::try_from(number).ok());
                    let limit = limit.filter(|limit| (1..=PAGE_ENTRIES_MAX).contains(limit));
                    request.limit = Some(limit.ok_or(BadChangesRequest::Limit)?);
                }
                "wait" => {
                    let seconds = whole(value).ok_or(BadChangesRequest::Wait)?;
                    request.wait_seconds = seconds.min(WAIT_SECONDS_MAX);
                }
                _ => {}
            }
        }
        Ok(request)
    }
}

/// Digits as a number; one that is too large is the largest.
fn whole(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

/// An answer as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "ChangesPage"))]
pub struct ChangesPage<E = ChangeEntry> {
    /// Every path that changed, once, in the order of its last change; `null` stands for some
    /// that were left out.
    pub entries: Vec<Option<E>>,
    /// Where the next page begins.
    pub cursor: Cursor,
    /// Whether there is more to be had at once; true even where nothing on this page is shown.
    #[serde(default)]
    pub more: bool,
}

/// A path as it is now.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum ChangeEntry {
    /// There is no such file any more.
    Removed(RemovedEntry),
    /// The file, as a listing has it.
    File(StatEntry),
}

/// The entry of a path at which there is no file any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RemovedEntry {
    /// Always false.
    #[serde(deserialize_with = "only_false")]
    exists: bool,
    /// The path inside the bucket.
    pub name: String,
}

impl RemovedEntry {
    /// The entry of a path.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            exists: false,
            name: name.into(),
        }
    }
}

fn only_false<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    match bool::deserialize(from)? {
        false => Ok(false),
        true => Err(serde::de::Error::custom("the file exists")),
    }
}

/// One page as a client sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// What changed, in the order of the changes.
    pub entries: Vec<Change>,
    /// The entries that name no file, and why: to be reported, never to be acted on.
    pub malformed: Vec<Malformed>,
    /// Where to go on.
    pub cursor: Cursor,
    /// Whether there is more to be had at once.
    pub more: bool,
}

/// A path that changed, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The file was written.
    Stored(ListedFile),
    /// The file was removed or renamed.
    Removed(FilePath),
}

/// Why an answer is no page at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the hub's answer is not a page of changes; is there a proxy or a sign-in page in between?"
)]
pub struct NotChanges;

/// Reads a page: the body of an answer, or the data of an [`EVENT_CHANGES`].
///
/// # Errors
/// [`NotChanges`].
pub fn parse_page(body: &[u8]) -> Result<Changes, NotChanges> {
    let page: ChangesPage<Lenient<ChangeEntry>> =
        serde_json::from_slice(body).map_err(|_| NotChanges)?;
    let (entries, malformed) = collect_entries(page.entries, |entry| match entry {
        ChangeEntry::File(entry) => ListedFile::try_from(entry).map(Change::Stored),
        ChangeEntry::Removed(entry) => match FilePath::parse(&entry.name) {
            Ok(path) => Ok(Change::Removed(path)),
            Err(reason) => Err(Malformed {
                name: entry.name,
                reason: Some(reason),
            }),
        },
    });
    Ok(Changes {
        entries,
        malformed,
        cursor: page.cursor,
        more: page.more,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etag::ETag;
    use crate::path::PathError;

    fn cursor(text: &str) -> Cursor {
        Cursor::parse(text).unwrap()
    }

    #[test]
    fn a_page_survives_byte_for_byte() {
        let text = concat!(
            r#"{"entries":[{"exists":true,"etag":"d41d8cd98f00b204e9800998ecf8427e","#,
            r#""contentLength":0,"contentType":"text/plain","lastModifiedDate":1600000000,"#,
            r#""name":"a/b"},{"exists":false,"name":"c"}],"cursor":"AQ-_x","more":true}"#
        );
        let page: ChangesPage = serde_json::from_str(text).unwrap();
        let removed = ChangeEntry::Removed(RemovedEntry::new("c"));
        assert_eq!(page.entries[1], Some(removed));
        assert_eq!(serde_json::to_string(&page).unwrap(), text);
        let changes = parse_page(text.as_bytes()).unwrap();
        let file = ListedFile {
            path: FilePath::parse("a/b").unwrap(),
            etag: Some(ETag::of(b"")),
            content_length: 0,
            content_type: Some("text/plain".into()),
            last_modified_seconds: Some(1_600_000_000),
        };
        let removed = FilePath::parse("c").unwrap();
        assert_eq!(
            changes.entries,
            [Change::Stored(file), Change::Removed(removed)]
        );
        assert_eq!((changes.cursor, changes.more), (cursor("AQ-_x"), true));
    }

    #[test]
    fn what_is_new_or_odd_does_not_spoil_the_page() {
        let text = r#"{"entries":[null,{"exists":false,"name":"gone","why":1},{"exists":false},5,
            {"exists":false,"name":"a/../b"},{"exists":true,"name":"no-length"},
            {"exists":true,"name":"ok","contentLength":3,"new":[]}],"cursor":"c","later":{}}"#;
        let changes = parse_page(text.as_bytes()).unwrap();
        let [Change::Removed(gone), Change::Stored(ok)] = changes.entries.as_slice() else {
            panic!("{:?}", changes.entries);
        };
        assert_eq!((gone.as_str(), ok.path.as_str()), ("gone", "ok"));
        let odd: Vec<_> = changes
            .malformed
            .iter()
            .map(|entry| (entry.name.as_str(), entry.reason))
            .collect();
        let want = [
            ("", None),
            ("", None),
            ("a/../b", Some(PathError::DotDot)),
            ("no-length", None),
        ];
        assert_eq!(odd, want);
        assert!(!changes.more);
        for body in [
            "",
            "<html>",
            r#"{"entries":[]}"#,
            r#"{"entries":[],"cursor":""}"#,
            r#"{"entries":[],"cursor":"a b"}"#,
        ] {
            assert_eq!(parse_page(body.as_bytes()), Err(NotChanges), "{body}");
        }
    }

    #[test]
    fn queries_are_read_as_they_are_written() {
        let read = ChangesRequest::parse_query;
        let whole = ChangesRequest {
            since: Some(cursor("AQ")),
            limit: Some(7),
            wait_seconds: 30,
        };
        assert_eq!(whole.to_query(), "since=AQ&limit=7&wait=30");
        assert_eq!(read(&whole.to_query()), Ok(whole));
        assert_eq!(ChangesRequest::default().to_query(), "");
        for nothing in ["", "x=1", "since=&limit=&wait=", "since", "wait=0"] {
            assert_eq!(read(nothing), Ok(ChangesRequest::default()), "{nothing}");
        }
        let waits = |query| read(query).map(|request| request.wait_seconds);
        assert_eq!(waits("wait=61"), Ok(WAIT_SECONDS_MAX));
        assert_eq!(waits("wait=99999999999999999999999"), Ok(WAIT_SECONDS_MAX));
        for (query, error) in [
            ("since=a%20b", BadChangesRequest::Since),
            ("limit=0", BadChangesRequest::Limit),
            ("limit=4097", BadChangesRequest::Limit),
            ("limit=-1", BadChangesRequest::Limit),
            ("limit=1.5", BadChangesRequest::Limit),
            ("wait=soon", BadChangesRequest::Wait),
            ("wait=-1", BadChangesRequest::Wait),
        ] {
            assert_eq!(read(query), Err(error), "{query}");
        }
        let long = "c".repeat(CURSOR_BYTES_MAX + 1);
        assert_eq!(Cursor::parse(&long), None);
    }
}
