//! The change feed of a bucket: what changed since a cursor, in the order of the changes.
//!
//! A path has one row, that of its file or that of its removal, and the row has the sequence
//! number of the last change. So a path is on one page once, as it is now, and a page is a scan
//! of two short ranges however old the cursor. Waiting for more is not done here.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gaia::address::Address;
use gaia::changes::Cursor;
use gaia::path::FilePath;
use gaia::scope::is_historical;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::layer::{Entry, Slot};
use super::list::{Entries, History, StatEntry, stat_entry, text};
use super::{Index, IndexError};

/// Distinguishes our cursors from other text, and from those of another format to come.
const CURSOR_FORMAT: u8 = 1;

const TAG_BYTES: usize = 12;

/// A page that has grown beyond this is not filled up, so that many followers of buckets with
/// long names stay affordable.
const PAGE_BYTES_ENOUGH: usize = 1024 * 1024;

const FIND_BUCKET: &str = "SELECT id, seq, forgotten_seq FROM buckets WHERE address = ?1";

const FIND_CHANGES: &str = "
SELECT path, etag, size, content_type, modified_ms, seq FROM files
WHERE bucket = ?1 AND seq > ?2
UNION ALL
SELECT path, NULL, NULL, NULL, NULL, seq FROM removals
WHERE bucket = ?1 AND seq > ?2
ORDER BY seq LIMIT ?3";

/// What a follower of one bucket wants next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FeedRequest {
    pub(crate) bucket: Address,
    /// Nothing asks where the feed is now.
    pub(crate) since: Option<Position>,
    pub(crate) entries_max: usize,
    pub(crate) history: History,
}

/// A place in a bucket's history, out of a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position(i64);

#[cfg(test)]
impl Position {
    /// Before the first change.
    pub(super) const START: Self = Self(0);
}

/// What a cursor turns out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Position(Position),
    /// It belongs to another history, or to another bucket.
    Elsewhere,
    /// No hub gave it out.
    Nonsense,
}

/// The answer to a [`FeedRequest`].
#[derive(Debug)]
pub(crate) enum Feed {
    Page(FeedPage),
    /// The position is one of which not everything is known, or that never was.
    Expired,
}

#[derive(Debug)]
pub(crate) struct FeedPage {
    /// The page: `{"entries":[…],"cursor":"…","more":…}`.
    pub(crate) json: Vec<u8>,
    pub(crate) entries: usize,
    pub(crate) cursor: Cursor,
    pub(crate) next: Position,
    pub(crate) more: bool,
}

#[derive(Serialize)]
struct RemovedEntry<'a> {
    exists: bool,
    name: &'a str,
}

/// The row of a bucket, as of the moment of the page.
#[derive(Clone, Copy)]
struct BucketRow {
    id: i64,
    seq: i64,
    forgotten_seq: i64,
}

impl Index {
    /// Reads a cursor of a bucket.
    pub(crate) fn position(&self, bucket: &Address, cursor: &Cursor) -> Found {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(cursor.as_str()) else {
            return Found::Nonsense;
        };
        let Some((&CURSOR_FORMAT, rest)) = bytes.split_first() else {
            return Found::Nonsense;
        };
        let Some((tag, seq)) = rest.split_first_chunk::<TAG_BYTES>() else {
            return Found::Nonsense;
        };
        let Ok(seq) = seq.try_into().map(i64::from_be_bytes) else {
            return Found::Nonsense;
        };
        if *tag == self.cursor_tag(bucket) {
            Found::Position(Position(seq))
        } else {
            Found::Elsewhere
        }
    }

    fn cursor(&self, bucket: &Address, position: Position) -> Result<Cursor, IndexError> {
        let mut bytes = vec![CURSOR_FORMAT];
        bytes.extend_from_slice(&self.cursor_tag(bucket));
        bytes.extend_from_slice(&position.0.to_be_bytes());
        Cursor::parse(&URL_SAFE_NO_PAD.encode(bytes))
            .ok_or(IndexError::Damaged("a cursor cannot be written"))
    }

    /// Binds a cursor to the history of this index and to one bucket of it: a number alone would
    /// be taken for a place in any.
    fn cursor_tag(&self, bucket: &Address) -> [u8; TAG_BYTES] {
        let digest = Sha256::new()
            .chain_update(self.epoch())
            .chain_update(bucket.as_str())
            .finalize();
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&digest[..TAG_BYTES]);
        tag
    }

    /// What changed in a bucket, as of one moment.
    pub(crate) async fn changes(&self, request: FeedRequest) -> Result<Feed, IndexError> {
        let index = self.clone();
        self.read(move |connection| write_page(&index, connection, &request))
            .await
    }
}

fn write_page(
    index: &Index,
    connection: &Connection,
    request: &FeedRequest,
) -> Result<Feed, IndexError> {
    // One entry more than asked tells whether there is more.
    let entries_max = request.entries_max.saturating_add(1);
    let asked = request.since.map(|position| position.0);
    let (moment, (seq, newer)) = index.pending().beside(connection, |layers| {
        let seq = layers.bucket(&request.bucket).map(|part| part.state.seq);
        let newer = asked.map(|seq| layers.since(&request.bucket, seq, entries_max));
        (seq, newer.unwrap_or_default())
    })?;
    let mut bucket = find_bucket(&moment, &request.bucket)?;
    bucket.seq = seq.unwrap_or(bucket.seq);
    let since = asked.unwrap_or(bucket.seq);
    if !(bucket.forgotten_seq..=bucket.seq).contains(&since) {
        return Ok(Feed::Expired);
    }
    let mut statement = moment.prepare_cached(FIND_CHANGES)?;
    // What was changed again is passed over.
    let rows_max = entries_max.saturating_add(newer.len());
    let rows_max = i64::try_from(rows_max).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![bucket.id, since, rows_max])?;
    let replaced: BTreeSet<_> = newer.iter().map(|(path, _)| path.as_str()).collect();
    // From there on the layers know everything, even if the database has it as well by now.
    let newer_from = newer.first().map_or(i64::MAX, |(_, entry)| entry.seq);
    let mut page = Entries::default();
    let (mut taken, mut last, mut more) = (0, since, false);
    let is_enough =
        |taken, page: &Entries| taken == request.entries_max || page.bytes() >= PAGE_BYTES_ENOUGH;
    while let Some(row) = rows.next()? {
        let row_seq: i64 = row.get(5)?;
        if row_seq >= newer_from {
            break;
        }
        if replaced.contains(text(row, 0)?) {
            continue;
        }
        if is_enough(taken, &page) {
            more = true;
            break;
        }
        taken += 1;
        last = row_seq;
        write_entry(&mut page, row, request.history)?;
    }
    for (path, entry) in &newer {
        if more || is_enough(taken, &page) {
            more = true;
            break;
        }
        taken += 1;
        last = entry.seq;
        write_newer(&mut page, path, entry, request.history);
    }
    let next = Position(if more { last } else { bucket.seq });
    let cursor = index.cursor(&request.bucket, next)?;
    let entries = page.count();
    // A cursor needs no escaping.
    let json = page.finish(&format!("],\"cursor\":\"{cursor}\",\"more\":{more}}}"));
    Ok(Feed::Page(FeedPage {
        json,
        entries,
        cursor,
        next,
        more,
    }))
}

/// A bucket that nobody has written to has no row, and nothing has happened in it.
fn find_bucket(connection: &Connection, bucket: &Address) -> Result<BucketRow, IndexError> {
    let mut statement = connection.prepare_cached(FIND_BUCKET)?;
    let found = statement
        .query_row([bucket.as_str()], |row| {
            Ok(BucketRow {
                id: row.get(0)?,
                seq: row.get(1)?,
                forgotten_seq: row.get(2)?,
            })
        })
        .optional()?;
    Ok(found.unwrap_or(BucketRow {
        id: 0,
        seq: 0,
        forgotten_seq: 0,
    }))
}

fn write_entry(page: &mut Entries, row: &Row<'_>, history: History) -> Result<(), IndexError> {
    let path = text(row, 0)?;
    if history == History::Hidden && is_historical(path) {
        return Ok(());
    }
    if row.get_ref(1)? == ValueRef::Null {
        page.entry(&RemovedEntry {
            exists: false,
            name: path,
        });
    } else {
        page.entry(&stat_entry(path, row)?);
    }
    Ok(())
}

/// Writes what is not in the database yet, which is later than all that is.
fn write_newer(page: &mut Entries, path: &FilePath, entry: &Entry, history: History) {
    let name = path.as_str();
    if history == History::Hidden && is_historical(name) {
        return;
    }
    match &entry.slot {
        Slot::Present { version, .. } => page.entry(&StatEntry::of(name, version)),
        Slot::Removed { .. } => page.entry(&RemovedEntry {
            exists: false,
            name,
        }),
    }
}

#[cfg(test)]
mod tests {
    use gaia::key::SecretKey;

    use std::time::Duration;

    use super::*;
    use crate::index::schema::opened;

    #[test]
    fn a_page_is_a_scan_of_two_ranges_and_sorts_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let connection = opened(&folder.path().join("index"));
        let plan = super::super::list::plan(&connection, FIND_CHANGES, params![1, 1, 1]);
        let want = [
            "MERGE (UNION ALL)",
            "LEFT",
            "SEARCH files USING INDEX files_by_seq (bucket=? AND seq>?)",
            "RIGHT",
            "SEARCH removals USING COVERING INDEX removals_by_seq (bucket=? AND seq>?)",
        ];
        assert_eq!(plan, want);
    }

    #[test]
    fn a_cursor_is_of_one_history_and_one_bucket() {
        let folder = tempfile::tempdir().unwrap();
        let open = |name| {
            let folder = folder.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            Index::open(&folder.join("index"), 1, Duration::MAX)
                .unwrap()
                .index
        };
        let (index, other) = (open("one"), open("other"));
        let [bucket, neighbour] =
            [1, 2].map(|n| SecretKey::from_bytes(&[n; 32]).unwrap().address());
        let cursor = index.cursor(&bucket, Position(7)).unwrap();
        assert_eq!(
            index.position(&bucket, &cursor),
            Found::Position(Position(7))
        );
        assert_eq!(index.position(&neighbour, &cursor), Found::Elsewhere);
        assert_eq!(other.position(&bucket, &cursor), Found::Elsewhere);
        for text in ["AQ", "abc", "x", "__________", &cursor.as_str()[1..]] {
            let cursor = Cursor::parse(text).unwrap();
            assert_eq!(index.position(&bucket, &cursor), Found::Nonsense, "{text}");
        }
    }
}
