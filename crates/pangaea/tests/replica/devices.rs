//! A hub and devices that share a bucket on it.

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use gaia::key::SecretKey;
use pangaea::hub::http::Features;
use pangaea::hub::http::HttpHub;
use pangaea::hub::http::HttpHubConfig;
use pangaea::mirror::Mirror;
use pangaea::mirror::MirrorOptions;
use pangaea::replica::BuiltInMerges;
use pangaea::replica::Parts;
use pangaea::replica::Replica;
use pangaea::replica::RoundEnd;
use pangaea::store::Store;
use pangaea::store::sqlite::SqliteStore;
use pangaea::time::SystemTime;
use pangaea_hub::Hub;
use pangaea_hub::HubConfig;
use pangaea_hub::RunningHub;

/// A bucket's key.
pub const KEY: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90112233445566778899aabbccddeeff01";

/// A hub in a folder of its own.
pub struct World {
    pub temp: tempfile::TempDir,
    pub hub: Option<RunningHub>,
    pub url: String,
}

impl World {
    pub async fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let config = HubConfig::new(temp.path().join("hub"), "127.0.0.1:0".parse().unwrap());
        let hub = Hub::start(config).await.unwrap();
        let url = hub.url().to_owned();
        Self {
            temp,
            hub: Some(hub),
            url,
        }
    }

    /// Stops the hub, as an operator would.
    pub async fn stop_hub(&mut self) {
        self.hub.take().unwrap().shutdown().await.unwrap();
    }

    /// Starts it again where it was.
    pub async fn start_hub(&mut self) {
        let listen = self
            .url
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .parse()
            .unwrap();
        let config = HubConfig::new(self.temp.path().join("hub"), listen);
        self.hub = Some(Hub::start(config).await.unwrap());
    }

    /// The hub itself, without a replica.
    pub fn hub_client(&self) -> HttpHub {
        let key = SecretKey::from_hex(KEY).unwrap();
        HttpHub::new(hub_config(&self.url, &key)).unwrap()
    }

    /// Opens a device, for the first time or again.
    pub async fn device(&self, name: &str) -> Device {
        let folder = self.temp.path().join(name);
        Device::open(&folder, &self.url).await
    }

    /// Opens a device that keeps its files in its store alone.
    pub async fn folderless(&self, name: &str) -> Replica {
        let folder = self.temp.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        Replica::open(parts(&folder, &self.url, None))
            .await
            .unwrap()
    }
}

/// One device with its folder.
pub struct Device {
    pub folder: PathBuf,
    pub replica: Replica,
}

/// Plain calls alone where the variable of the program asks for them, so that every test can be
/// run in both ways.
fn hub_config(hub_url: &str, key: &SecretKey) -> HttpHubConfig {
    let mut config = HttpHubConfig::new(hub_url, key.clone());
    if std::env::var_os("PANGAEA_PLAIN_HUB").is_some_and(|value| value == "1") {
        config.features = Features::Ignored;
    }
    config
}

/// A device without disk or folder: everything that it has is in memory.
pub async fn in_memory(store: Arc<dyn Store>, hub: Arc<dyn pangaea::hub::Hub>) -> Replica {
    let mut random = [0; 48];
    getrandom(&mut random);
    let parts = Parts {
        store,
        hub,
        time: Arc::new(SystemTime),
        key: SecretKey::from_hex(KEY).unwrap(),
        random,
        merges: Arc::new(BuiltInMerges),
        mirror: None,
    };
    Replica::open(parts).await.unwrap()
}

fn parts(state: &Path, hub_url: &str, mirror: Option<Arc<Mirror>>) -> Parts {
    let key = SecretKey::from_hex(KEY).unwrap();
    let mut random = [0; 48];
    getrandom(&mut random);
    Parts {
        store: Arc::new(SqliteStore::open(state).unwrap()),
        hub: Arc::new(HttpHub::new(hub_config(hub_url, &key)).unwrap()),
        time: Arc::new(SystemTime),
        key,
        random,
        merges: Arc::new(BuiltInMerges),
        mirror,
    }
}

impl Device {
    async fn open(folder: &Path, hub_url: &str) -> Self {
        let state = folder.join(".pangaea");
        std::fs::create_dir_all(&state).unwrap();
        let mirror = Mirror::open(folder, MirrorOptions::default()).unwrap();
        let parts = parts(&state, hub_url, Some(Arc::new(mirror)));
        Self {
            folder: folder.to_owned(),
            replica: Replica::open(parts).await.unwrap(),
        }
    }

    pub async fn round(&mut self) -> RoundEnd {
        self.replica.round(&mut |_| {}).await.unwrap()
    }

    /// A round that leaves nothing behind.
    pub async fn sync(&mut self) {
        let end = self.round().await;
        assert_eq!(
            end,
            RoundEnd::Complete,
            "{:?}",
            self.replica.problems().collect::<Vec<_>>()
        );
    }

    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let file = self.folder.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, content).unwrap();
    }

    pub fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.join(path)).ok()
    }

    pub fn remove(&self, path: &str) {
        std::fs::remove_file(self.folder.join(path)).unwrap();
    }

    /// All files of the folder with their content.
    pub fn tree(&self) -> BTreeMap<String, Vec<u8>> {
        let mut tree = BTreeMap::new();
        collect(&self.folder, &self.folder, &mut tree);
        tree
    }
}

fn collect(root: &Path, folder: &Path, tree: &mut BTreeMap<String, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path == root.join(".pangaea") {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, tree);
        } else {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            tree.insert(name, std::fs::read(&path).unwrap());
        }
    }
}

fn getrandom(bytes: &mut [u8]) {
    use std::io::Read;
    std::fs::File::open("/dev/urandom")
        .unwrap()
        .read_exact(bytes)
        .unwrap();
}

/// Both devices sync until they have seen each other's last words.
pub async fn settle(a: &mut Device, b: &mut Device) {
    a.sync().await;
    b.sync().await;
    a.sync().await;
    b.sync().await;
}
