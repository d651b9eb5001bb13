//! Listing a bucket: pages in the byte order of paths, written as JSON straight from the rows.
//!
//! The cursor is the last path of the page before, so files that come and go between two pages
//! never make an entry appear twice or an old one be skipped. A page of some thousand entries
//! is one buffer: no value is allocated for an entry.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gaia::address::Address;
use gaia::scope::is_historical;
use rusqlite::{Connection, Row, params};
use serde::Serialize;

use super::{Index, IndexError};

/// Distinguishes our cursors from other text, and from those of another format to come.
const CURSOR_FORMAT: u8 = 1;

const FIND_PAGE: &str = "
SELECT f.path, f.etag, f.size, f.content_type, f.modified_ms FROM files f
WHERE f.bucket = (SELECT id FROM buckets WHERE address = ?1) AND f.path >= ?2
ORDER BY f.path LIMIT ?3";

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
    /// Text that all paths on the page begin with.
    pub(crate) prefix: String,
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
pub(super) struct StatEntry<'a> {
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
        self.settle(Some(&request.bucket)).await?;
        self.read(move |connection| write_page(connection, &request))
            .await
    }
}

fn write_page(connection: &Connection, request: &ListRequest) -> Result<Vec<u8>, IndexError> {
    // One row more than asked tells whether there is another page.
    let limit = i64::try_from(request.entries_max)
        .unwrap_or(i64::MAX)
        .saturating_add(1);
    let mut statement = connection.prepare_cached(FIND_PAGE)?;
    let mut rows = statement.query(params![request.bucket.as_str(), first_of(request), limit])?;
    let mut page = Entries::default();
    let mut taken = 0;
    let mut last = String::new();
    while let Some(row) = rows.next()? {
        let path = text(row, 0)?;
        if !path.starts_with(&request.prefix) {
            // In the order of bytes, paths with one prefix stand together.
            break;
        }
        if taken == request.entries_max {
            return Ok(finish(page, Some(&cursor_after(&last))));
        }
        taken += 1;
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
    Ok(finish(page, None))
}

/// The first text that a path on the page may be. No path holds a NUL, so the least text after
/// another is that with one at its end.
fn first_of(request: &ListRequest) -> String {
    if request.after.is_empty() || request.after < request.prefix {
        request.prefix.clone()
    } else {
        format!("{}\0", request.after)
    }
}

fn finish(mut page: Entries, cursor: Option<&str>) -> Vec<u8> {
    let Some(cursor) = cursor else {
        return page.finish("],\"page\":null}");
    };
    if page.count() == 0 {
        // Clients stop at an empty page; a null entry says that more follows.
        page.entry(&());
    }
    // Base64 needs no escaping.
    page.finish(&format!("],\"page\":\"{cursor}\"}}"))
}

pub(super) fn stat_entry<'a>(path: &'a str, row: &'a Row<'_>) -> Result<StatEntry<'a>, IndexError> {
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

pub(super) fn text<'a>(row: &'a Row<'_>, column: usize) -> Result<&'a str, IndexError> {
    Ok(row
        .get_ref(column)?
        .as_str()
        .map_err(rusqlite::Error::from)?)
}

/// The entries of an answer as it grows: `{"entries":[…`, to be completed.
pub(super) struct Entries {
    json: Vec<u8>,
    count: usize,
}

impl Default for Entries {
    fn default() -> Self {
        let mut json = Vec::with_capacity(16 * 1024);
        json.extend_from_slice(b"{\"entries\":[");
        Self { json, count: 0 }
    }
}

impl Entries {
    pub(super) fn entry(&mut self, entry: &impl Serialize) {
        if self.count > 0 {
            self.json.push(b',');
        }
        self.count += 1;
        // Writing text and numbers into memory has no way to fail.
        serde_json::to_writer(&mut self.json, entry).unwrap_or_default();
    }

    pub(super) fn count(&self) -> usize {
        self.count
    }

    pub(super) fn bytes(&self) -> usize {
        self.json.len()
    }

    pub(super) fn finish(mut self, end: &str) -> Vec<u8> {
        self.json.extend_from_slice(end.as_bytes());
        self.json
    }
}

/// How the database would run a query, step by step.
#[cfg(test)]
pub(super) fn plan(
    connection: &Connection,
    query: &str,
    params: impl rusqlite::Params,
) -> Vec<String> {
    let explain = format!("EXPLAIN QUERY PLAN {query}");
    let mut statement = connection.prepare(&explain).unwrap();
    let rows = statement.query_map(params, |row| row.get("detail"));
    rows.unwrap().map(Result::unwrap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::schema::opened;

    #[test]
    fn every_page_is_a_scan_of_one_range_and_sorts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let connection = opened(&folder.path().join("index"));
        let plan = plan(&connection, FIND_PAGE, params!["A", "p", 1]);
        let step = "SEARCH f USING PRIMARY KEY (bucket=? AND path>?)";
        assert!(plan.iter().any(|line| line == step), "{plan:#?}");
        let wasteful = |line: &String| line.contains("SCAN") || line.contains("TEMP B-TREE");
        assert!(!plan.iter().any(wasteful), "{plan:#?}");
    }

    #[test]
    fn a_page_begins_where_prefix_and_position_agree() {
        let first = |prefix: &str, after: &str| {
            first_of(&ListRequest {
                bucket: Address::parse("1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH").unwrap(),
                prefix: prefix.to_owned(),
                after: after.to_owned(),
                naming: Naming::Names,
                history: History::Shown,
                entries_max: 1,
            })
        };
        assert_eq!(first("", ""), "");
        assert_eq!(first("b/", ""), "b/");
        assert_eq!(first("b/", "a"), "b/");
        assert_eq!(first("b/", "b/"), "b/\0");
        assert_eq!(first("b/", "b/x"), "b/x\0");
        assert_eq!(first("b/", "c"), "c\0");
    }
}
