//! Listing a bucket: pages in the byte order of paths, written as JSON straight from the rows.
//!
//! The cursor is the last path of the page before, so files that come and go between two pages
//! never make an entry appear twice or an old one be skipped. A page of some thousand entries
//! is one buffer: no value is allocated for an entry.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gaia::address::Address;
use gaia::path::FilePath;
use gaia::scope::is_historical;
use rusqlite::{Connection, Row, params};
use serde::Serialize;

use super::layer::{Entry, Slot};
use super::pending::Pending;
use super::sqlite::signed;
use super::{Index, IndexError, Version};

/// Distinguishes our cursors from other text, and from those of another format to come.
const CURSOR_FORMAT: u8 = 1;

const FIND_PAGE: &str = "
SELECT f.path, f.etag, f.size, f.content_type, f.modified_ms FROM files f
WHERE f.bucket = (SELECT id FROM buckets WHERE address = ?1) AND f.path >= ?2
ORDER BY f.path";

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
        let pending = Arc::clone(self.pending());
        self.read(move |connection| write_page(&pending, connection, &request))
            .await
    }
}

fn write_page(
    pending: &Pending,
    connection: &Connection,
    request: &ListRequest,
) -> Result<Vec<u8>, IndexError> {
    let first = first_of(request);
    // One more than asked tells whether there is another page.
    let files_max = request.entries_max.saturating_add(1);
    let (moment, newer) = pending.beside(connection, |layers| {
        layers.page(&request.bucket, &first, &request.prefix, files_max)
    })?;
    let mut newer = newer.into_iter().peekable();
    let mut statement = moment.prepare_cached(FIND_PAGE)?;
    let mut rows = statement.query(params![request.bucket.as_str(), first])?;
    let mut page = Page::of(request);
    while let Some(row) = rows.next()? {
        let path = text(row, 0)?;
        if !path.starts_with(&request.prefix) {
            // In the order of bytes, paths with one prefix stand together.
            break;
        }
        let mut is_replaced = false;
        while let Some((newer, entry)) = newer.next_if(|(newer, _)| newer.as_str() <= path) {
            is_replaced = newer.as_str() == path;
            page.newer(&newer, &entry);
        }
        if !is_replaced {
            page.take(path, || stat_entry(path, row))?;
        }
        if page.is_full() {
            break;
        }
    }
    for (path, entry) in newer {
        page.newer(&path, &entry);
    }
    Ok(page.finish())
}

/// A page as it fills up.
struct Page<'a> {
    request: &'a ListRequest,
    entries: Entries,
    taken: usize,
    last: String,
    state: Filling,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Filling {
    /// Every file so far is on it.
    Open,
    /// There is a file behind it.
    Full,
}

impl<'a> Page<'a> {
    fn of(request: &'a ListRequest) -> Self {
        Self {
            request,
            entries: Entries::default(),
            taken: 0,
            last: String::new(),
            state: Filling::Open,
        }
    }

    fn is_full(&self) -> bool {
        self.state == Filling::Full
    }

    /// Takes the next file, of which `stat` tells.
    fn take<'e>(
        &mut self,
        path: &str,
        stat: impl FnOnce() -> Result<StatEntry<'e>, IndexError>,
    ) -> Result<(), IndexError> {
        if self.taken == self.request.entries_max {
            self.state = Filling::Full;
        }
        if self.is_full() {
            return Ok(());
        }
        self.taken += 1;
        self.last.clear();
        self.last.push_str(path);
        if self.request.history == History::Hidden && is_historical(path) {
            return Ok(());
        }
        match self.request.naming {
            Naming::Names => self.entries.entry(&path),
            Naming::Stat => self.entries.entry(&stat()?),
        }
        Ok(())
    }

    /// Takes what has become of the next path, if that is a file.
    fn newer(&mut self, path: &FilePath, entry: &Entry) {
        if let Slot::Present { version, .. } = &entry.slot {
            let path = path.as_str();
            // Only what comes from the database can be damaged.
            self.take(path, || Ok(StatEntry::of(path, version)))
                .unwrap_or_default();
        }
    }

    /// The whole answer.
    fn finish(self) -> Vec<u8> {
        let cursor = self.is_full().then(|| cursor_after(&self.last));
        finish(self.entries, cursor.as_deref())
    }
}

impl<'a> StatEntry<'a> {
    pub(super) fn of(path: &'a str, version: &'a Version) -> Self {
        Self {
            exists: true,
            etag: version.etag.as_str(),
            content_length: signed(version.size),
            content_type: &version.content_type,
            last_modified_date: seconds(version.modified_ms),
            name: path,
        }
    }
}

/// Seconds since 1970, rounded.
fn seconds(ms: i64) -> i64 {
    ms.saturating_add(500).div_euclid(1000)
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
        last_modified_date: seconds(modified_ms),
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
        let plan = plan(&connection, FIND_PAGE, params!["A", "p"]);
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
