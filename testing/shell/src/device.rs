//! A real replica on a real store, with a real HTTP client, in a runtime of its own: dropping that
//! is the nearest thing to a killed process within one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gaia::key::SecretKey;
use gaia::path::FilePath;
use pangaea::body::Body;
use pangaea::hub::http::Features;
use pangaea::hub::http::HttpHub;
use pangaea::hub::http::HttpHubConfig;
use pangaea::replica::BuiltInMerges;
use pangaea::replica::EditError;
use pangaea::replica::Parts;
use pangaea::replica::Replica;
use pangaea::replica::ReplicaError;
use pangaea::replica::RoundEnd;
use pangaea::store::RowQuery;
use pangaea::store::Store;
use pangaea::store::memory::MemoryStore;
use pangaea::store::sqlite::SqliteStore;
use pangaea::time::SystemTime;
use pangaea::time::Time;
use tokio::runtime::Runtime;

use pangaea_kit::random::Random;

/// How long devices wait for something to move on a connection.
pub const IDLE_TIMEOUT_MS: u64 = 500;
const KEY: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90112233445566778899aabbccddeeff01";

pub fn key() -> SecretKey {
    SecretKey::from_hex(KEY).unwrap()
}

/// The clock of all devices. Waiting moves it on instead of taking time.
#[derive(Debug, Default)]
pub struct Clock(AtomicU64);

impl Clock {
    pub fn advance_ms(&self, ms: u64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }
}

/// A device's view of the clock: a little ahead of others.
struct Watch {
    clock: Arc<Clock>,
    ahead_ms: u64,
}

#[async_trait]
impl Time for Watch {
    fn now_ms(&self) -> u64 {
        SystemTime.now_ms() + self.clock.0.load(Ordering::Relaxed) + self.ahead_ms
    }

    async fn sleep_ms(&self, ms: u64) {
        self.clock.advance_ms(ms);
        SystemTime.sleep_ms(1).await;
    }
}

/// Where a device remembers; outlives it.
pub enum Disk {
    Sqlite(PathBuf),
    Ram(MemoryStore),
}

impl Disk {
    fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Sqlite(folder) => {
                std::fs::create_dir_all(folder).unwrap();
                Arc::new(SqliteStore::open(folder).unwrap())
            }
            Self::Ram(store) => Arc::new(store.clone()),
        }
    }
}

pub struct Device {
    pub disk: Disk,
    pub url: String,
    pub features: Features,
    pub clock: Arc<Clock>,
    pub rng: Random,
    ahead_ms: u64,
    running: Option<(Runtime, Replica)>,
}

impl Device {
    pub fn new(
        disk: Disk,
        url: String,
        features: Features,
        clock: Arc<Clock>,
        mut rng: Random,
    ) -> Self {
        let mut device = Self {
            disk,
            url,
            features,
            clock,
            ahead_ms: rng.below(30_000),
            rng,
            running: None,
        };
        device.open();
        device
    }

    /// Ends the device as a kill would: nothing that was under way goes on.
    pub fn close(&mut self) {
        if let Some((runtime, replica)) = self.running.take() {
            drop(runtime);
            drop(replica);
        }
    }

    pub fn open(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let mut config = HttpHubConfig::new(&self.url, key());
        config.features = self.features;
        config.idle_timeout = Duration::from_millis(IDLE_TIMEOUT_MS);
        let mut random = [0; 48];
        random.fill_with(|| self.rng.number().to_le_bytes()[0]);
        let (clock, ahead_ms) = (Arc::clone(&self.clock), self.ahead_ms);
        let parts = Parts {
            store: self.disk.open(),
            hub: Arc::new(HttpHub::new(config).unwrap()),
            time: Arc::new(Watch { clock, ahead_ms }),
            key: key(),
            random,
            merges: Arc::new(BuiltInMerges),
            mirror: None,
        };
        let replica = runtime.block_on(Replica::open(parts)).unwrap();
        self.running = Some((runtime, replica));
    }

    pub fn replica(&mut self) -> &mut Replica {
        &mut self.running.as_mut().unwrap().1
    }

    pub fn read(&self, path: &FilePath) -> Option<Vec<u8>> {
        let (runtime, replica) = self.running.as_ref().unwrap();
        match runtime.block_on(replica.read(path)) {
            Ok(Body::Bytes(bytes)) => Some(bytes.to_vec()),
            Ok(Body::File { path, .. }) => Some(std::fs::read(path).unwrap()),
            Err(EditError::Absent { .. }) => None,
            Err(error) => panic!("I-6: {path} cannot be read: {error}"),
        }
    }

    pub fn write(&mut self, path: &FilePath, content: Vec<u8>) -> Result<(), EditError> {
        let (runtime, replica) = self.running.as_mut().unwrap();
        let written = replica.write(path, Bytes::from(content), None);
        runtime.block_on(written).map(drop)
    }

    pub fn delete(&mut self, path: &FilePath) -> Result<(), EditError> {
        let (runtime, replica) = self.running.as_mut().unwrap();
        runtime.block_on(replica.delete(path)).map(drop)
    }

    /// A whole round.
    pub fn round(&mut self) -> Result<RoundEnd, ReplicaError> {
        let (runtime, replica) = self.running.as_mut().unwrap();
        runtime.block_on(replica.round(&mut |_| {}))
    }

    /// A round that is given up after some time; none then.
    pub fn round_for_ms(&mut self, ms: u64) -> Result<Option<RoundEnd>, ReplicaError> {
        let (runtime, replica) = self.running.as_mut().unwrap();
        runtime.block_on(async {
            let time = Duration::from_millis(ms);
            let round = tokio::time::timeout(time, replica.round(&mut |_| {})).await;
            round.ok().transpose()
        })
    }

    /// One turn of the crank, for those who edit in between.
    pub fn turn(&mut self) -> Result<bool, ReplicaError> {
        let (runtime, replica) = self.running.as_mut().unwrap();
        runtime.block_on(replica.turn())
    }

    /// What the device did, for people.
    pub fn log(&self) -> Vec<String> {
        let (runtime, replica) = self.running.as_ref().unwrap();
        let history = runtime.block_on(replica.history(RowQuery::default()));
        let log = runtime.block_on(replica.log(RowQuery::default()));
        let mut lines: Vec<_> = log
            .unwrap()
            .iter()
            .rev()
            .map(|row| format!("{row:?}"))
            .collect();
        lines.extend(history.unwrap().iter().rev().map(|row| format!("{row:?}")));
        lines
    }

    /// All files of the user with their contents.
    pub fn tree(&self) -> BTreeMap<FilePath, Vec<u8>> {
        let (_, replica) = self.running.as_ref().unwrap();
        let paths: Vec<_> = replica.files().map(|(path, _)| path.clone()).collect();
        let contents = paths.into_iter().map(|path| {
            let content = self.read(&path).unwrap();
            (path, content)
        });
        contents.collect()
    }
}
