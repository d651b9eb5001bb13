//! Listings: the bodies of `POST /list-files/{address}`, as requests, as answers, and as what a
//! client makes of an answer.
//!
//! An answer may hold `null` entries, page marks of several types, and names that are no paths
//! of ours. None of that fails the page: such entries are set apart, one by one. A path that is
//! missing from a listing proves nothing by itself.

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;

use crate::etag::ETag;
use crate::path::FilePath;
use crate::path::PathError;

/// The body of a request for one page.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListRequest {
    /// The mark that the page before gave, or null for the first page.
    #[serde(default)]
    pub page: Option<PageMark>,
    /// Whether entries shall carry tag, length, type and time.
    #[serde(default, skip_serializing_if = "is_false", deserialize_with = "truthy")]
    pub stat: bool,
    /// Only paths that begin with this text; stock hubs do not know it and list everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Only paths that come after this one in the order of bytes; stock hubs do not know it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Most entries on the page; stock hubs do not know it.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = crate::limits::PAGE_ENTRIES_MAX)))]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
}

/// Where the next page begins. It means something to the hub alone; a client sends it back as it
/// came.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum PageMark {
    /// Text, as the documentation has it.
    Text(String),
    /// A number, as the stock hub on disk has it.
    Number(u64),
}

impl PageMark {
    /// The mark as text, whichever way it came.
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }
}

/// The answer to a request without `stat`.
pub type NamePage = Page<String>;

/// The answer to a request with `stat`.
pub type StatPage = Page<StatEntry>;

/// An answer as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "PageOf{E}"))]
pub struct Page<E> {
    /// The entries; `null` stands for some that were left out.
    pub entries: Vec<Option<E>>,
    /// Where the next page begins, or null when this is the last.
    #[serde(default)]
    pub page: Option<PageMark>,
}

/// An entry with `stat`, in the order of the stock hub.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StatEntry {
    /// Always true in listings.
    #[serde(default = "yes")]
    pub exists: bool,
    /// The tag, as the driver spells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The length in bytes.
    #[serde(rename = "contentLength")]
    pub content_length: u64,
    /// The media type; some drivers do not know it.
    #[serde(
        rename = "contentType",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub content_type: Option<String>,
    /// When it was stored, in whole seconds since 1970.
    #[serde(
        rename = "lastModifiedDate",
        default,
        deserialize_with = "whole_seconds",
        skip_serializing_if = "Option::is_none"
    )]
    pub last_modified_seconds: Option<u64>,
    /// The path inside the bucket.
    pub name: String,
}

/// One page as a client sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<E> {
    /// The entries that name files.
    pub entries: Vec<E>,
    /// The entries that do not, and why: to be reported, never to be acted on.
    pub malformed: Vec<Malformed>,
    /// What to ask for next. Nothing after the last page, nor after an empty one: a stock hub on
    /// disk gives marks for ever.
    pub next: Option<PageMark>,
}

/// A file in a listing with `stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedFile {
    /// Where it is.
    pub path: FilePath,
    /// Its tag; nothing for a file whose upload was cut off.
    pub etag: Option<ETag>,
    /// Its length in bytes.
    pub content_length: u64,
    /// Its media type, if the hub knows.
    pub content_type: Option<String>,
    /// When it was stored, in seconds since 1970, if the hub says.
    pub last_modified_seconds: Option<u64>,
}

/// An entry that names no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The name, as far as there is one.
    pub name: String,
    /// What is wrong with it; nothing if it is not the name but the rest.
    pub reason: Option<PathError>,
}

/// Why an answer is no page at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hub's answer is not a listing; is there a proxy or a sign-in page in between?")]
pub struct NotAListing;

/// Reads a page of an answer without `stat`.
///
/// # Errors
/// [`NotAListing`].
pub fn parse_names(body: &[u8]) -> Result<Listed<FilePath>, NotAListing> {
    collect(body, |name: String| match FilePath::parse(&name) {
        Ok(path) => Ok(path),
        Err(reason) => Err(Malformed {
            name,
            reason: Some(reason),
        }),
    })
}

/// Reads a page of an answer with `stat`.
///
/// # Errors
/// [`NotAListing`].
pub fn parse_stat(body: &[u8]) -> Result<Listed<ListedFile>, NotAListing> {
    collect::<StatEntry, _>(body, ListedFile::try_from)
}

impl TryFrom<StatEntry> for ListedFile {
    type Error = Malformed;

    fn try_from(entry: StatEntry) -> Result<Self, Malformed> {
        match FilePath::parse(&entry.name) {
            Ok(path) => Ok(Self {
                path,
                etag: entry.etag.as_deref().and_then(ETag::parse),
                content_length: entry.content_length,
                content_type: entry.content_type,
                last_modified_seconds: entry.last_modified_seconds,
            }),
            Err(reason) => Err(Malformed {
                name: entry.name,
                reason: Some(reason),
            }),
        }
    }
}

fn collect<W, E>(
    body: &[u8],
    convert: impl Fn(W) -> Result<E, Malformed>,
) -> Result<Listed<E>, NotAListing>
where
    W: for<'de> Deserialize<'de>,
{
    // Nearly every page is sound, and then need not be buffered entry by entry.
    let page: Page<Lenient<W>> = match serde_json::from_slice::<Page<W>>(body) {
        Ok(page) => Page {
            entries: page
                .entries
                .into_iter()
                .map(|entry| entry.map(Lenient::Good))
                .collect(),
            page: page.page,
        },
        Err(_) => serde_json::from_slice(body).map_err(|_| NotAListing)?,
    };
    let next = page.page.filter(|_| !page.entries.is_empty());
    let (entries, malformed) = collect_entries(page.entries, convert);
    Ok(Listed {
        entries,
        malformed,
        next,
    })
}

/// Converts the entries of a page and sets apart those that name no file.
pub(crate) fn collect_entries<W, E>(
    wire: Vec<Option<Lenient<W>>>,
    convert: impl Fn(W) -> Result<E, Malformed>,
) -> (Vec<E>, Vec<Malformed>) {
    let mut entries = Vec::with_capacity(wire.len());
    let mut malformed = Vec::new();
    for entry in wire.into_iter().flatten() {
        let converted = match entry {
            Lenient::Good(entry) => convert(entry),
            Lenient::Bad(value) => Err(Malformed {
                name: name_of(&value),
                reason: None,
            }),
        };
        match converted {
            Ok(entry) => entries.push(entry),
            Err(entry) => malformed.push(entry),
        }
    }
    (entries, malformed)
}

/// An entry of the expected form, or whatever else stands there.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum Lenient<E> {
    Good(E),
    Bad(serde_json::Value),
}

fn name_of(entry: &serde_json::Value) -> String {
    match entry.get("name").and_then(serde_json::Value::as_str) {
        Some(name) => name.to_owned(),
        None => String::new(),
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// As JavaScript asks `if (stat)`.
fn truthy<'de, D: Deserializer<'de>>(from: D) -> Result<bool, D::Error> {
    Ok(match serde_json::Value::deserialize(from)? {
        serde_json::Value::Null => false,
        serde_json::Value::Bool(flag) => flag,
        serde_json::Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        serde_json::Value::String(text) => !text.is_empty(),
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => true,
    })
}

/// Some drivers send fractions, and none at all for files they know nothing about.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "float to integer casts saturate, and a time before 1970 becomes 1970"
)]
fn whole_seconds<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    let number: Option<f64> = Option::deserialize(from)?;
    Ok(number.map(|seconds| seconds.round() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_written_as_stock_clients_do() {
        let json = |request: &ListRequest| serde_json::to_string(request).unwrap();
        let mut request = ListRequest::default();
        assert_eq!(json(&request), r#"{"page":null}"#);
        request.stat = true;
        request.page = Some(PageMark::Number(2));
        assert_eq!(json(&request), r#"{"page":2,"stat":true}"#);
    }

    #[test]
    fn requests_are_read_as_stock_hubs_do() {
        for (text, page, stat) in [
            ("{}", None, false),
            (r#"{"page":null,"stat":null,"x":1}"#, None, false),
            (
                r#"{"page":"7","stat":1}"#,
                Some(PageMark::Text("7".into())),
                true,
            ),
            (r#"{"page":7,"stat":"no"}"#, Some(PageMark::Number(7)), true),
        ] {
            let request: ListRequest = serde_json::from_str(text).unwrap();
            assert_eq!((request.page, request.stat), (page, stat), "{text}");
        }
        assert_eq!(
            PageMark::Number(7).to_text(),
            PageMark::Text("7".into()).to_text()
        );
    }

    #[test]
    fn a_stock_answer_with_stat_survives_byte_for_byte() {
        let text = concat!(
            r#"{"entries":[{"exists":true,"etag":"d41d8cd98f00b204e9800998ecf8427e","#,
            r#""contentLength":0,"contentType":"text/plain","lastModifiedDate":1600000000,"#,
            r#""name":"a/b"},null],"page":"1"}"#
        );
        let page: StatPage = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&page).unwrap(), text);
        let listed = parse_stat(text.as_bytes()).unwrap();
        assert_eq!(
            listed.entries,
            [ListedFile {
                path: FilePath::parse("a/b").unwrap(),
                etag: Some(ETag::of(b"")),
                content_length: 0,
                content_type: Some("text/plain".into()),
                last_modified_seconds: Some(1_600_000_000),
            }]
        );
        assert_eq!(listed.next, Some(PageMark::Text("1".into())));
    }

    #[test]
    fn one_bad_entry_does_not_spoil_the_page() {
        let text = r#"{"entries":[null,{"name":"a/../b","contentLength":1},{"name":"c"},5,
            {"name":"ok","contentLength":3,"etag":"undefined","lastModifiedDate":1.5}],"page":null}"#;
        let listed = parse_stat(text.as_bytes()).unwrap();
        assert_eq!(listed.entries.len(), 1);
        assert_eq!(listed.entries[0].etag, None);
        assert_eq!(listed.entries[0].last_modified_seconds, Some(2));
        let names: Vec<_> = listed
            .malformed
            .iter()
            .map(|entry| (entry.name.as_str(), entry.reason))
            .collect();
        let want = [("a/../b", Some(PathError::DotDot)), ("c", None), ("", None)];
        assert_eq!(names, want);
        assert_eq!(listed.next, None);
    }

    #[test]
    fn names_and_the_end_of_paging() {
        let listed = parse_names(br#"{"entries":["a","b//c",null],"page":3}"#).unwrap();
        assert_eq!(listed.entries, [FilePath::parse("a").unwrap()]);
        assert_eq!(listed.malformed[0].reason, Some(PathError::EmptySegment));
        assert_eq!(listed.next, Some(PageMark::Number(3)));
        // Only marks: go on. Nothing: stop, whatever the mark says.
        assert!(
            parse_names(br#"{"entries":[null],"page":3}"#)
                .unwrap()
                .next
                .is_some()
        );
        assert_eq!(
            parse_names(br#"{"entries":[],"page":4}"#).unwrap().next,
            None
        );
        assert_eq!(parse_names(br#"{"entries":[]}"#).unwrap().next, None);
    }

    #[test]
    fn what_is_no_listing_is_said_to_be_none() {
        for body in [
            "",
            "<html>",
            "[]",
            "{}",
            r#"{"entries":{}}"#,
            r#"{"entries":[],"page":{}}"#,
        ] {
            assert_eq!(parse_stat(body.as_bytes()), Err(NotAListing), "{body}");
        }
    }
}
