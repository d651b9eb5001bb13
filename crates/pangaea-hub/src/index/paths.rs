//! Which paths the database may have: a filter that is asked before the database is.
//!
//! Most files that are stored for the first time are at paths that never were, and a search for
//! what is not there costs as many pages as one that finds something. A Bloom filter (Bloom,
//! "Space/time trade-offs in hash coding with allowable errors", 1970) answers that in memory: its
//! "no" is certain, its "perhaps" is not. Every path that is decided on is added by whoever decides;
//! those from before are added by a thread of their own after the start, and until it is done
//! everything may be there. Nothing is taken out until the next start.

use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use gaia::address::Address;
use gaia::path::FilePath;
use rusqlite::Connection;

use super::IndexError;
use super::sqlite::{open_reader, unsigned};

/// With so many bits for each path, and so many of them set, one in 400 is wrongly said to be
/// perhaps there.
const BITS_PER_PATH: u64 = 16;
const BITS_SET: u64 = 4;

/// Paths that there is room for; with more, wrong answers become more frequent.
const PATHS_MIN: u64 = 1_000_000;
const PATHS_MAX: u64 = 32_000_000;

/// Rows that are read at a time. In between, what was written meanwhile can leave SQLite's log.
const PAGE_ROWS: u32 = 10_000;

/// The filter, and the thread that fills it.
#[derive(Debug)]
pub(super) struct Paths {
    filter: Arc<Filter>,
    filling: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Filter {
    /// Nobody outside knows which paths collide.
    random: RandomState,
    words: Box<[AtomicU64]>,
    is_complete: AtomicBool,
    is_unwanted: AtomicBool,
}

impl Paths {
    /// A filter for the database at `path`.
    pub(super) fn start(path: &Path) -> Result<Self, IndexError> {
        let connection = open_reader(path)?;
        let filter = Arc::new(Filter::new(count(&connection)?));
        let filling = Arc::clone(&filter);
        let thread = std::thread::Builder::new()
            .name("pangaea-hub-paths".into())
            .spawn(move || {
                if let Err(error) = filling.fill(&connection) {
                    // Nothing is wrong but that stores of new files take a little longer.
                    tracing::warn!(%error, "could not read which paths there are");
                }
            })?;
        Ok(Self {
            filter,
            filling: Some(thread),
        })
    }

    /// Notes that the database may have a path from now on.
    pub(super) fn add(&self, bucket: &Address, path: &FilePath) {
        self.filter.add(bucket, path.as_str());
    }

    /// Whether the database may have a path.
    pub(super) fn may_have(&self, bucket: &Address, path: &FilePath) -> bool {
        self.filter.may_have(bucket, path.as_str())
    }
}

impl Drop for Paths {
    fn drop(&mut self) {
        self.filter.is_unwanted.store(true, Ordering::Relaxed);
        if let Some(filling) = self.filling.take() {
            // What went wrong there has been said there.
            drop(filling.join());
        }
    }
}

impl Filter {
    fn new(files: u64) -> Self {
        let paths = files.saturating_mul(2).clamp(PATHS_MIN, PATHS_MAX);
        let words = paths * BITS_PER_PATH / u64::from(u64::BITS);
        Self {
            random: RandomState::new(),
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            is_complete: AtomicBool::new(false),
            is_unwanted: AtomicBool::new(false),
        }
    }

    /// The bits of a path: the word of each, and which it is.
    fn bits(&self, bucket: &Address, path: &str) -> impl Iterator<Item = (&AtomicU64, u64)> {
        let bits = self.words.len() as u64 * u64::from(u64::BITS);
        let hash = self.random.hash_one((bucket.as_str(), path));
        // Two hashes make as many as are needed (Kirsch and Mitzenmacher, "Less hashing, same
        // performance", 2006).
        let step = hash.rotate_left(32) | 1;
        (0..BITS_SET).filter_map(move |number| {
            let bit = hash.wrapping_add(step.wrapping_mul(number)) % bits;
            let word = usize::try_from(bit / u64::from(u64::BITS)).ok()?;
            Some((self.words.get(word)?, 1 << (bit % u64::from(u64::BITS))))
        })
    }

    fn add(&self, bucket: &Address, path: &str) {
        for (word, mask) in self.bits(bucket, path) {
            word.fetch_or(mask, Ordering::Relaxed);
        }
    }

    fn may_have(&self, bucket: &Address, path: &str) -> bool {
        // Together with the store below: what was added before is seen.
        if !self.is_complete.load(Ordering::Acquire) {
            return true;
        }
        let mut bits = self.bits(bucket, path);
        bits.all(|(word, mask)| word.load(Ordering::Relaxed) & mask != 0)
    }

    /// Adds what the database has. What is written meanwhile is added by whoever decided it.
    fn fill(&self, connection: &Connection) -> Result<(), IndexError> {
        let mut last_id = 0;
        loop {
            let buckets = buckets_after(connection, last_id)?;
            for (id, address) in &buckets {
                self.fill_bucket(connection, *id, address)?;
            }
            let Some((id, _)) = buckets.last() else {
                break;
            };
            last_id = *id;
        }
        let is_whole = !self.is_unwanted.load(Ordering::Relaxed);
        self.is_complete.store(is_whole, Ordering::Release);
        Ok(())
    }

    fn fill_bucket(
        &self,
        connection: &Connection,
        id: i64,
        address: &Address,
    ) -> Result<(), IndexError> {
        // In the order of changes, because the rows of that index are small.
        let mut find = connection.prepare_cached(
            "SELECT seq, path FROM files WHERE bucket = ?1 AND (seq, path) > (?2, ?3)
             ORDER BY seq, path LIMIT ?4",
        )?;
        let mut last = (i64::MIN, String::new());
        while !self.is_unwanted.load(Ordering::Relaxed) {
            let mut rows = find.query((id, last.0, &last.1, PAGE_ROWS))?;
            let mut count = 0;
            while let Some(row) = rows.next()? {
                let path = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
                self.add(address, path);
                count += 1;
                if count == PAGE_ROWS {
                    last = (row.get(0)?, path.to_owned());
                }
            }
            if count < PAGE_ROWS {
                break;
            }
        }
        Ok(())
    }
}

fn buckets_after(connection: &Connection, id: i64) -> Result<Vec<(i64, Address)>, IndexError> {
    let mut find = connection
        .prepare_cached("SELECT id, address FROM buckets WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let mut rows = find.query((id, PAGE_ROWS))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let address = row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?;
        let address = Address::parse(address)
            .map_err(|_| IndexError::Damaged("a bucket's name is not an address"))?;
        found.push((row.get(0)?, address));
    }
    Ok(found)
}

/// How many files there are.
fn count(connection: &Connection) -> Result<u64, IndexError> {
    let sum = "SELECT coalesce(sum(files), 0) FROM buckets";
    unsigned(connection.query_row(sum, (), |row| row.get(0))?)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use gaia::key::SecretKey;

    use super::super::schema::opened;
    use super::*;

    fn address(number: u8) -> Address {
        SecretKey::from_bytes(&[number; 32]).unwrap().address()
    }

    fn path(text: &str) -> FilePath {
        FilePath::parse(text).unwrap()
    }

    /// A database of two buckets, with more files than are read at a time, some of them with the
    /// number of another.
    fn database(file: &Path) {
        let connection = opened(file);
        for number in 1..=2 {
            let insert = "INSERT INTO buckets (address, files) VALUES (?1, 12000)";
            connection
                .execute(insert, [address(number).as_str()])
                .unwrap();
            let files = "
                WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 12000)
                INSERT INTO files
                SELECT ?1, 'f' || n, 1, 't', 'text/plain', 0, n / 7, zeroblob(32), NULL FROM n";
            connection.execute(files, [number]).unwrap();
        }
    }

    fn filled(file: &Path) -> Paths {
        let paths = Paths::start(file).unwrap();
        let began = Instant::now();
        while !paths.filter.is_complete.load(Ordering::Acquire) {
            assert!(began.elapsed() < Duration::from_secs(60), "never filled");
            std::thread::sleep(Duration::from_millis(1));
        }
        paths
    }

    #[test]
    fn what_is_there_is_never_denied_and_most_of_what_is_not_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("index");
        database(&file);
        let paths = filled(&file);
        for bucket in [address(1), address(2)] {
            for number in 1..=12_000 {
                assert!(paths.may_have(&bucket, &path(&format!("f{number}"))));
            }
        }
        let strange = (0..10_000).map(|number| path(&format!("g{number}")));
        let wrong = strange.filter(|path| paths.may_have(&address(1), path));
        assert!(wrong.count() < 10);
        assert!(!paths.may_have(&address(3), &path("f1")));
        paths.add(&address(3), &path("f1"));
        assert!(paths.may_have(&address(3), &path("f1")));
    }

    #[test]
    fn until_all_is_known_everything_may_be_there() {
        let filter = Filter::new(0);
        assert!(filter.may_have(&address(1), "f"));
        filter.is_complete.store(true, Ordering::Release);
        assert!(!filter.may_have(&address(1), "f"));
    }

    #[test]
    fn a_filter_with_as_many_paths_as_it_is_for_is_wrong_as_rarely_as_is_said() {
        let (filter, bucket) = (Filter::new(0), address(1));
        for number in 0..PATHS_MIN {
            filter.add(&bucket, &number.to_string());
        }
        filter.is_complete.store(true, Ordering::Release);
        let strange = PATHS_MIN..PATHS_MIN + 100_000;
        let wrong = strange.filter(|number| filter.may_have(&bucket, &number.to_string()));
        let wrong = wrong.count();
        assert!((150..350).contains(&wrong), "{wrong} of 100,000");
    }
}
