//! What buckets hold, as of now: what the database has counted, and what is not in it yet.

use std::collections::BTreeMap;

use gaia::address::Address;
use rusqlite::OptionalExtension as _;

use super::decide::load_bucket;
use super::layer::Slot;
use super::sqlite::unsigned;
use super::{FileKey, Index, IndexError, Place, Stored};
use crate::quota::Usage;

const FIND_PLACE: &str = "
SELECT f.size FROM files f
WHERE f.bucket = (SELECT id FROM buckets WHERE address = ?1) AND f.path = ?2";

impl Index {
    /// What all buckets hold together.
    pub(crate) async fn stored(&self) -> Result<Stored, IndexError> {
        // Before the database is asked: what is merged meanwhile is the same in both.
        let pending = self.pending().usage();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT count(*), coalesce(sum(files), 0), coalesce(sum(bytes), 0) FROM buckets",
            )?;
            let (buckets, files, bytes) =
                statement.query_row((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let mut stored = Stored {
                buckets: unsigned(buckets)?,
                usage: Usage {
                    files: unsigned(files)?,
                    bytes: unsigned(bytes)?,
                },
            };
            for (bucket, usage) in pending {
                let known = load_bucket(connection, &bucket)?;
                if !known.is_made() {
                    stored.buckets += 1;
                }
                let (all, before) = (&mut stored.usage, known.usage);
                all.files = (all.files + usage.files).saturating_sub(before.files);
                all.bytes = (all.bytes + usage.bytes).saturating_sub(before.bytes);
            }
            Ok(stored)
        })
        .await
    }

    /// The buckets that hold the most, the largest first.
    pub(crate) async fn largest(&self, most: u32) -> Result<Vec<(Address, Usage)>, IndexError> {
        let mut found = self.pending().usage();
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT address, files, bytes FROM buckets
                 ORDER BY bytes DESC, files DESC, address LIMIT ?1",
            )?;
            // Those that are pending may stand among them with other numbers.
            let rows_max = u64::from(most).saturating_add(found.len() as u64);
            let mut rows = statement.query([i64::try_from(rows_max).unwrap_or(i64::MAX)])?;
            while let Some(row) = rows.next()? {
                let address = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
                let address = Address::parse(address)
                    .map_err(|_| IndexError::Damaged("a bucket's name is not an address"))?;
                let usage = Usage {
                    files: unsigned(row.get(1)?)?,
                    bytes: unsigned(row.get(2)?)?,
                };
                found.entry(address).or_insert(usage);
            }
            let mut found: Vec<_> = found.into_iter().collect();
            found.sort_by_key(|(address, usage)| {
                (std::cmp::Reverse((usage.bytes, usage.files)), *address)
            });
            found.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            Ok(found)
        })
        .await
    }

    /// What a bucket holds, and the size of one of its files, if it is there.
    pub(crate) async fn find_place(&self, key: FileKey) -> Result<Place, IndexError> {
        let usage = self.pending().usage_of(&key.bucket);
        let entry = self.pending().find(&key);
        self.read(move |connection| {
            let usage = match usage {
                Some(usage) => usage,
                None => load_bucket(connection, &key.bucket)?.usage,
            };
            let current = match entry.map(|entry| entry.slot) {
                Some(Slot::Present { version, .. }) => Some(version.size),
                Some(Slot::Removed { .. }) => None,
                None => {
                    let mut statement = connection.prepare_cached(FIND_PLACE)?;
                    let place = (key.bucket.as_str(), key.path.as_str());
                    let size = statement.query_row(place, |row| row.get(0)).optional()?;
                    size.map(unsigned).transpose()?
                }
            };
            Ok(Place { usage, current })
        })
        .await
    }
}

/// What some buckets hold.
pub(super) type UsageByBucket = BTreeMap<Address, Usage>;
