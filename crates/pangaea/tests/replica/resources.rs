//! What a device does while memory is short or its store is slow.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use gaia::etag::ETag;
use gaia::hub_info::HubInfo;
use gaia::path::FilePath;
use pangaea::body::Body;
use pangaea::hub::Hub;
use pangaea::hub::HubBody;
use pangaea::hub::HubError;
use pangaea::hub::HubListing;
use pangaea::hub::HubOutcome;
use pangaea::hub::HubRead;
use pangaea::hub::http::HttpHub;
use pangaea::replica::RoundEnd;
use pangaea::store::HistoryLimit;
use pangaea::store::Loaded;
use pangaea::store::RowQuery;
use pangaea::store::Store;
use pangaea::store::StoreError;
use pangaea::store::Transaction;
use pangaea::store::memory::MemoryStore;
use pangaea_core::commit::HistoryRow;
use pangaea_core::commit::LogRow;
use pangaea_core::plan::Condition;
use pangaea_core::version::ContentHash;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::devices::World;
use crate::devices::in_memory;

/// A hub that counts how much content is on its way to it.
struct Counting {
    hub: HttpHub,
    bytes: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl Hub for Counting {
    async fn info(&self) -> Result<HubInfo, HubError> {
        self.hub.info().await
    }

    async fn list(&self) -> Result<HubListing, HubError> {
        self.hub.list().await
    }

    async fn read(&self, path: &FilePath) -> Result<Option<HubRead>, HubError> {
        self.hub.read(path).await
    }

    async fn write(
        &self,
        path: &FilePath,
        content_type: &str,
        body: HubBody,
        condition: &Condition,
    ) -> Result<HubOutcome, HubError> {
        let size = match &body {
            HubBody::Bytes(bytes) => bytes.len(),
            HubBody::Stream { .. } => 0,
        };
        let now = self.bytes.fetch_add(size, Ordering::SeqCst) + size;
        self.most.fetch_max(now, Ordering::SeqCst);
        let outcome = self.hub.write(path, content_type, body, condition).await;
        self.bytes.fetch_sub(size, Ordering::SeqCst);
        outcome
    }

    async fn delete(&self, path: &FilePath, tag: &ETag) -> Result<HubOutcome, HubError> {
        self.hub.delete(path, tag).await
    }
}

/// A phone's pictures of a week without a network: all at once they would not fit into memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_files_wait_for_room_in_memory() {
    const SIZE: usize = 15 * 1024 * 1024;
    let world = World::new().await;
    let hub = Arc::new(Counting {
        hub: world.hub_client(),
        bytes: AtomicUsize::new(0),
        most: AtomicUsize::new(0),
    });
    let store = Arc::new(MemoryStore::default());
    let mut device = in_memory(store, Arc::clone(&hub) as Arc<dyn Hub>).await;
    for number in 0..12_u8 {
        let path = FilePath::parse(&format!("{number}.jpg")).unwrap();
        let picture = Bytes::from(vec![number; SIZE]);
        device.write(&path, picture, None).await.unwrap();
    }
    let end = device.round(&mut |_| {}).await.unwrap();
    assert_eq!(end, RoundEnd::Complete);
    let most = hub.most.load(Ordering::SeqCst);
    // Encrypted, and then in letters, each is a third longer.
    assert!(
        (SIZE..64 * 1024 * 1024 * 4 / 3 + SIZE).contains(&most),
        "{most}"
    );
}

/// A store that writes nothing while its gate is closed.
struct Gated {
    store: MemoryStore,
    gate: Semaphore,
}

#[async_trait]
impl Store for Gated {
    async fn load(&self) -> Result<Loaded, StoreError> {
        self.store.load().await
    }

    async fn commit(&self, transaction: Transaction) -> Result<(), StoreError> {
        let _open = self.gate.acquire().await.unwrap();
        self.store.commit(transaction).await
    }

    async fn content(&self, hash: ContentHash) -> Result<Option<Body>, StoreError> {
        self.store.content(hash).await
    }

    async fn adopt(&self, hash: ContentHash, body: Body) -> Result<(), StoreError> {
        self.store.adopt(hash, body).await
    }

    fn staging(&self) -> Option<PathBuf> {
        self.store.staging()
    }

    async fn history(&self, query: RowQuery) -> Result<Vec<HistoryRow>, StoreError> {
        self.store.history(query).await
    }

    async fn log(&self, query: RowQuery) -> Result<Vec<LogRow>, StoreError> {
        self.store.log(query).await
    }

    async fn prune_history(&self, limit: HistoryLimit) -> Result<(), StoreError> {
        self.store.prune_history(limit).await
    }

    async fn collect_garbage(&self, keep: &[ContentHash]) -> Result<(), StoreError> {
        self.store.collect_garbage(keep).await
    }
}

/// Whoever waits for the store may give up, as a browser's page does for each call: what it was about to
/// write is still to be written before anything follows from it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_stored_is_not_sent_whoever_gave_up_waiting() {
    const MOMENT: Duration = Duration::from_millis(200);
    let world = World::new().await;
    let hub = world.hub_client();
    let store = Arc::new(Gated {
        store: MemoryStore::default(),
        gate: Semaphore::new(1),
    });
    let mut device = in_memory(Arc::clone(&store) as Arc<dyn Store>, Arc::new(hub.clone())).await;
    // Content that is there already is no reason to wait.
    let first = FilePath::parse("first.txt").unwrap();
    device
        .write(&first, Bytes::from("text"), None)
        .await
        .unwrap();
    assert_eq!(device.round(&mut |_| {}).await.unwrap(), RoundEnd::Complete);
    let path = FilePath::parse("note.txt").unwrap();
    let closed = store.gate.acquire().await.unwrap();
    let edit = device.write(&path, Bytes::from("text"), None);
    assert!(timeout(MOMENT, edit).await.is_err(), "nothing is stored");
    let turns = async { while device.turn().await.unwrap() {} };
    assert!(timeout(MOMENT, turns).await.is_err(), "nothing is stored");
    assert!(hub.read(&path).await.unwrap().is_none());
    drop(closed);
    assert_eq!(device.round(&mut |_| {}).await.unwrap(), RoundEnd::Complete);
    assert!(hub.read(&path).await.unwrap().is_some());
}
