//! Listing a bucket: pages in the byte order of paths, written as JSON straight from the rows.
//!
//! The cursor is the last path of the page before, so files that come and go between two pages
//! never make an entry appear twice or an old one be skipped. A page of some thousand entries
//! is one buffer: no value is allocated for an entry.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gaia::address::Address;
use gaia::scope::is_historical;
use rusqlite::{Connection, Row, params};
use serde::Serialize;

use super::{Index, IndexError};

/// Distinguishes our cursors from other text, and from those of another format to come.
const CURSOR_FORMAT: u8 = 1;

/// How an entry is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    /// The path alone.
    Names,
    /// An object with tag, length, type and time.
    Stat,
}

/// One page wanted of one bucket.
#[derive(Clone, Debug)]
pub(crate) struct ListRequest {
    pub(crate) bucket: Address,
    /// The path after which the page begins; empty for the first page.
    pub(crate) after: String,
    pub(crate) naming: Naming,
    pub(crate) history: History,
    pub(crate) entries_max: usize,
}

/// Whether files that archival writes have moved aside are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum History {
    Shown,
    Hidden,
}

/// A stat entry, its fields in the order in which the stock hub writes them.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatEntry<'a> {
    exists: bool,
    etag: &'a str,
    content_length: i64,
    content_type: &'a str,
    last_modified_date: i64,
    name: &'a str,
}

/// Reads the path out of a cursor that [`Index::list`] gave out.
pub(crate) fn parse_cursor(text: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (format, path) = bytes.split_first()?;
    if *format != CURSOR_FORMAT {
        return None;
    }
    String::from_utf8(path.to_vec()).ok()
}

fn cursor_after(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len() + 1);
    bytes.push(CURSOR_FORMAT);
    bytes.extend_from_slice(path.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Index {
    /// One page as the JSON body of an answer: `{"entries":[…],"page":…}`.
    pub(crate) async fn list(&self, request: ListRequest) -> Result<Vec<u8>, IndexError> {
        self.read(move |connection| write_page(connection, &request))
            .await
    }
}

fn write_page(connection: &Connection, request: &ListRequest) -> Result<Vec<u8>, IndexError> {
    // One row more than asked tells whether there is another page.
    let limit = i64::try_from(request.entries_max)
        .unwrap_or(i64::MAX)
        .saturating_add(1);
    let mut statement = connection.prepare_cached(
        "SELECT f.path, f.etag, f.size, f.content_type, f.modified_ms
         FROM files f
         WHERE f.bucket = (SELECT id FROM buckets WHERE address = ?1) AND f.path > ?2
         ORDER BY f.path LIMIT ?3",
    )?;
    let mut rows = statement.query(params![request.bucket.as_str(), request.after, limit])?;
    let mut page = Page::default();
    let mut last = String::new();
    while let Some(row) = rows.next()? {
        let path = text(row, 0)?;
        if page.rows == request.entries_max {
            return Ok(page.finish(Some(&cursor_after(&last))));
        }
        page.rows += 1;
        last.clear();
        last.push_str(path);
        if request.history == History::Hidden && is_historical(path) {
            continue;
        }
        match request.naming {
            Naming::Names => page.entry(&path),
            Naming::Stat => page.entry(&stat_entry(path, row)?),
        }
    }
    Ok(page.finish(None))
}

fn stat_entry<'a>(path: &'a str, row: &'a Row<'_>) -> Result<StatEntry<'a>, IndexError> {
    let modified_ms: i64 = row.get(4)?;
    Ok(StatEntry {
        exists: true,
        etag: text(row, 1)?,
        content_length: row.get(2)?,
        content_type: text(row, 3)?,
        last_modified_date: modified_ms.saturating_add(500).div_euclid(1000),
        name: path,
    })
}

fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, IndexError> {
    Ok(row
        .get_ref(column)?
        .as_str()
        .map_err(rusqlite::Error::from)?)
}

/// The answer as it grows.
struct Page {
    json: Vec<u8>,
    rows: usize,
    entries: usize,
}

impl Default for Page {
    fn default() -> Self {
        let mut json = Vec::with_capacity(16 * 1024);
        json.extend_from_slice(b"{\"entries\":[");
        Self {
            json,
            rows: 0,
            entries: 0,
        }
    }
}

impl Page {
    fn entry(&mut self, entry: &impl Serialize) {
        if self.entries > 0 {
            self.json.push(b',');
        }
        self.entries += 1;
        // Writing text and numbers into memory has no way to fail.
        serde_json::to_writer(&mut self.json, entry).unwrap_or_default();
    }

    fn finish(mut self, cursor: Option<&str>) -> Vec<u8> {
        match cursor {
            Some(cursor) => {
                if self.entries == 0 {
                    // Clients stop at an empty page; a null entry says that more follows.
                    self.json.extend_from_slice(b"null");
                }
                // Base64 needs no escaping.
                write!(self.json, "],\"page\":\"{cursor}\"}}").unwrap_or_default();
            }
            None => self.json.extend_from_slice(b"],\"page\":null}"),
        }
        self.json
    }
}
