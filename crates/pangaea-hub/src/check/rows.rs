//! The index as a check reads it: rows as they are, however wrong, and questions about them.

use std::path::{Path, PathBuf};

use gaia::address::Address;
use gaia::etag::ETag;
use gaia::limits::CONTENT_TYPE_BYTES_MAX;
use gaia::path::FilePath;
use http::HeaderValue;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::blobs::BlobId;
use crate::index::{Index, IndexError, LogCopy, Version, Waiting, counts_usage, open_beside};

/// More complaints of the database about itself than this say nothing new.
const COMPLAINTS_MAX: usize = 20;

/// Reads an index that another process may be writing.
pub(super) struct Reader {
    path: PathBuf,
    connection: Connection,
}

/// A file's row, unchecked.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) bucket_id: i64,
    pub(super) bucket: String,
    pub(super) path: String,
    pub(super) size: i64,
    pub(super) etag: String,
    pub(super) content_type: String,
    pub(super) modified_ms: i64,
    pub(super) seq: i64,
    pub(super) digest: Vec<u8>,
    pub(super) body: Option<i64>,
}

/// What there is to check.
pub(super) struct Totals {
    pub(super) buckets: u64,
    pub(super) bytes: u64,
}

/// A rule that rows break together.
pub(super) struct Broken {
    pub(super) bucket: Option<String>,
    pub(super) message: String,
}

/// An inline body.
pub(super) enum Found {
    Bytes(Vec<u8>),
    Nothing,
}

const PAGE: &str = "
SELECT f.bucket, coalesce(k.address, ''), f.path, f.size, f.etag, f.content_type, f.modified_ms,
       f.seq, f.digest, f.body
FROM files f LEFT JOIN buckets k ON k.id = f.bucket
WHERE (f.bucket, f.path) > (?1, ?2)
ORDER BY f.bucket, f.path LIMIT ?3";

/// Each finds what must not be there: a bucket's address, or nothing, and a number.
const RULES: [(&str, &str); 6] = [
    (
        "two files have the same place in the order of changes, number",
        "SELECT k.address, f.seq FROM files f LEFT JOIN buckets k ON k.id = f.bucket
         GROUP BY f.bucket, f.seq HAVING count(*) > 1",
    ),
    (
        "a file comes after the bucket's last change, with number",
        "SELECT k.address, max(f.seq) FROM files f JOIN buckets k ON k.id = f.bucket
         WHERE f.seq > k.seq GROUP BY k.id",
    ),
    (
        "files belong to a bucket that is not there, number",
        "SELECT NULL, f.bucket FROM files f LEFT JOIN buckets k ON k.id = f.bucket
         WHERE k.id IS NULL GROUP BY f.bucket",
    ),
    (
        "several files share the bytes in the index that are one file's, number",
        "SELECT NULL, body FROM files WHERE body IS NOT NULL GROUP BY body HAVING count(*) > 1",
    ),
    (
        "bytes in the index belong to no file; so many bodies:",
        "SELECT NULL, count(*) FROM bodies
         WHERE id NOT IN (SELECT body FROM files WHERE body IS NOT NULL) HAVING count(*) > 0",
    ),
    (
        "a revocation or a count of changes is negative:",
        "SELECT address, min(seq, oldest_valid) FROM buckets WHERE seq < 0 OR oldest_valid < 0",
    ),
];

/// The same, for indexes that remember what was removed.
const REMOVAL_RULES: [(&str, &str); 5] = [
    (
        "paths are remembered as removed and have a file; so many:",
        "SELECT k.address, count(*) FROM removals r JOIN files f USING (bucket, path)
         LEFT JOIN buckets k ON k.id = r.bucket GROUP BY r.bucket",
    ),
    (
        "a removal comes after the bucket's last change, with number",
        "SELECT k.address, max(r.seq) FROM removals r JOIN buckets k ON k.id = r.bucket
         WHERE r.seq > k.seq GROUP BY k.id",
    ),
    (
        "a removal and another change have the same place in the order of changes, number",
        "SELECT k.address, r.seq FROM removals r LEFT JOIN buckets k ON k.id = r.bucket
         WHERE EXISTS (SELECT 1 FROM files f WHERE f.bucket = r.bucket AND f.seq = r.seq)
            OR EXISTS (SELECT 1 FROM removals o
                       WHERE o.bucket = r.bucket AND o.seq = r.seq AND o.path <> r.path)
         GROUP BY r.bucket, r.seq",
    ),
    (
        "removals belong to a bucket that is not there, number",
        "SELECT NULL, r.bucket FROM removals r LEFT JOIN buckets k ON k.id = r.bucket
         WHERE k.id IS NULL GROUP BY r.bucket",
    ),
    (
        "a removal's number or time, or a count of forgotten ones, is no such thing:",
        "SELECT k.address, min(r.seq, r.removed_ms) FROM removals r
         LEFT JOIN buckets k ON k.id = r.bucket WHERE r.seq < 1 OR r.removed_ms < 0
         UNION ALL
         SELECT address, forgotten_seq FROM buckets
         WHERE forgotten_seq < 0 OR forgotten_seq > seq",
    ),
];

/// The same, for indexes in which buckets count what they hold.
const USAGE_RULES: [(&str, &str); 2] = [
    (
        "the bucket's count of files is wrong:",
        "SELECT k.address, k.files FROM buckets k LEFT JOIN files f ON f.bucket = k.id
         GROUP BY k.id HAVING k.files <> count(f.path)",
    ),
    (
        "the bucket's count of bytes is wrong:",
        "SELECT k.address, k.bytes FROM buckets k LEFT JOIN files f ON f.bucket = k.id
         GROUP BY k.id HAVING k.bytes <> coalesce(sum(f.size), 0)",
    ),
];

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, IndexError> {
        let connection = open_beside(path)?;
        let path = path.to_owned();
        Ok(Self { path, connection })
    }

    /// What the log holds that the database lacks.
    pub(super) fn waiting(&self) -> Result<Waiting, IndexError> {
        let log = LogCopy::read(&self.path, &self.connection)?;
        log.waiting(&self.path, &self.connection)
    }

    /// Whether the database knows a bucket.
    pub(super) fn knows(&self, bucket: &Address) -> Result<bool, IndexError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT 1 FROM buckets WHERE address = ?1")?;
        Ok(statement.exists([bucket.as_str()])?)
    }

    /// What the database has to complain about.
    pub(super) fn integrity(&self) -> Result<Vec<String>, IndexError> {
        let mut statement = self.connection.prepare("PRAGMA integrity_check(20)")?;
        let mut rows = statement.query(())?;
        let mut complaints = Vec::new();
        while let Some(row) = rows.next()?
            && complaints.len() < COMPLAINTS_MAX
        {
            let complaint: String = row.get(0)?;
            if complaint != "ok" {
                complaints.push(complaint.replace('\n', "; "));
            }
        }
        Ok(complaints)
    }

    pub(super) fn totals(&self) -> Result<Totals, IndexError> {
        let bytes: f64 = self
            .connection
            .query_row("SELECT total(size) FROM files", (), |row| row.get(0))?;
        let buckets: i64 =
            self.connection
                .query_row("SELECT count(*) FROM buckets", (), |row| row.get(0))?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it scales a progress bar; a cast from a float saturates"
        )]
        let bytes = bytes as u64;
        Ok(Totals {
            buckets: u64::try_from(buckets).unwrap_or(0),
            bytes,
        })
    }

    pub(super) fn broken_invariants(&self) -> Result<Vec<Broken>, IndexError> {
        let mut found = Vec::new();
        let mut rules = RULES.to_vec();
        if self.connection.table_exists(None, "removals")? {
            rules.extend(REMOVAL_RULES);
        }
        if counts_usage(&self.connection)? {
            rules.extend(USAGE_RULES);
        }
        for (words, query) in rules {
            let mut statement = self.connection.prepare(query)?;
            let mut rows = statement.query(())?;
            while let Some(row) = rows.next()?
                && found.len() < COMPLAINTS_MAX
            {
                let number: i64 = row.get(1)?;
                found.push(Broken {
                    bucket: row.get(0)?,
                    message: format!("{words} {number}"),
                });
            }
        }
        let mut statement = self.connection.prepare("SELECT address FROM buckets")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()?
            && found.len() < COMPLAINTS_MAX
        {
            let address: String = row.get(0)?;
            if let Err(error) = Address::parse(&address) {
                let message = error.to_string();
                let bucket = Some(address);
                found.push(Broken { bucket, message });
            }
        }
        Ok(found)
    }

    pub(super) fn page(
        &self,
        after: Option<&(i64, String)>,
        rows_max: usize,
    ) -> Result<Vec<Row>, IndexError> {
        let (bucket, path) = match after {
            Some((bucket, path)) => (*bucket, path.as_str()),
            None => (i64::MIN, ""),
        };
        let limit = i64::try_from(rows_max).unwrap_or(i64::MAX);
        let mut statement = self.connection.prepare_cached(PAGE)?;
        let rows = statement.query_map(params![bucket, path, limit], |row| {
            Ok(Row {
                bucket_id: row.get(0)?,
                bucket: row.get(1)?,
                path: row.get(2)?,
                size: row.get(3)?,
                etag: row.get(4)?,
                content_type: row.get(5)?,
                modified_ms: row.get(6)?,
                seq: row.get(7)?,
                digest: row.get(8)?,
                body: row.get(9)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(super) fn body(&self, row: &Row) -> Result<Found, IndexError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT data FROM bodies WHERE id = ?1")?;
        let bytes = statement
            .query_row([row.body], |found| found.get(0))
            .optional()?;
        Ok(bytes.map_or(Found::Nothing, Found::Bytes))
    }

    /// Whether the row is still the same. A hub at work may have replaced it.
    pub(super) fn is_current(&self, row: &Row) -> Result<bool, IndexError> {
        if self.waiting()?.concerns(&row.bucket, &row.path) {
            return Ok(false);
        }
        let mut statement = self
            .connection
            .prepare_cached("SELECT 1 FROM files WHERE bucket = ?1 AND path = ?2 AND seq = ?3")?;
        Ok(statement.exists(params![row.bucket_id, row.path, row.seq])?)
    }

    /// Whether any file has its bytes in this blob.
    pub(super) fn names(&self, id: BlobId) -> Result<bool, IndexError> {
        Index::is_referenced(&self.connection, id)
    }
}

impl Row {
    /// What the row of a file will be that is in the log only.
    pub(super) fn waiting(bucket: &Address, path: &FilePath, seq: i64, version: &Version) -> Self {
        Self {
            bucket_id: 0,
            bucket: bucket.to_string(),
            path: path.as_str().to_owned(),
            size: i64::try_from(version.size).unwrap_or(i64::MAX),
            etag: version.etag.as_str().to_owned(),
            content_type: version.content_type.clone(),
            modified_ms: version.modified_ms,
            seq,
            digest: version.digest.as_bytes().to_vec(),
            body: None,
        }
    }

    pub(super) fn digest(&self) -> Option<BlobId> {
        <[u8; 32]>::try_from(self.digest.as_slice())
            .ok()
            .map(BlobId::new)
    }

    /// What no hub writes.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if let Err(error) = FilePath::parse(&self.path) {
            faults.push(error.to_string());
        }
        if self.digest().is_none() {
            faults.push("its digest is not one: its bytes cannot be checked".into());
        }
        if self.size < 0 || self.modified_ms < 0 || self.seq < 1 {
            faults.push("its size, time or number in the order of changes is no such thing".into());
        }
        if !ETag::parse(&self.etag).is_some_and(|etag| etag.is_md5()) {
            faults.push(format!("its tag is not one: {}", self.etag));
        }
        if self.content_type.len() > CONTENT_TYPE_BYTES_MAX
            || HeaderValue::from_str(&self.content_type).is_err()
        {
            faults.push("its content type cannot be sent".into());
        }
        faults
    }
}
