//! Opens the replica of a synced folder with all its parts.

use std::sync::Arc;

use gaia::key::SecretKey;
use gaia::path::FilePath;
use pangaea::hub::http::Features;
use pangaea::hub::http::HttpHub;
use pangaea::hub::http::HttpHubConfig;
use pangaea::hub::http::HttpHubConfigError;
use pangaea::mirror::Mirror;
use pangaea::mirror::MirrorOptions;
use pangaea::replica::BuiltInMerges;
use pangaea::replica::Parts;
use pangaea::replica::Replica;
use pangaea::store::StoreError;
use pangaea::store::sqlite::SqliteStore;
use pangaea::time::SystemTime;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use crate::error::CliError;
use crate::keys;
use crate::output::Output;
use crate::replica_dir::ReplicaDir;

/// With 1, the plain Gaia calls alone are used, whatever a hub announces, for diagnosis.
const PLAIN_HUB_VARIABLE: &str = "PANGAEA_PLAIN_HUB";

/// Threads that drive requests; the work itself is done beside them.
const WORKERS: usize = 2;

/// A replica that this process alone may change, and the parts that commands use beside it.
pub(crate) struct Opened {
    pub(crate) replica: Replica,
    pub(crate) mirror: Arc<Mirror>,
    pub(crate) hub: Arc<HttpHub>,
}

/// Connections that are being made ready.
type PreparedHub = JoinHandle<Result<HttpHub, HttpHubConfigError>>;

/// What asynchronous work runs on.
pub(crate) fn runtime() -> Result<Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .enable_all()
        .build()
        .map_err(|error| CliError::failed(format!("the system gives out no threads: {error}")))
}

/// Runs a command to its end, and leaves what is still going on in the background to itself.
pub(crate) fn run<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    let runtime = runtime()?;
    let result = runtime.block_on(work);
    runtime.shutdown_background();
    result
}

/// Opens the replica of `dir`; the hub is not asked.
pub(crate) async fn open(dir: &ReplicaDir, output: &Output) -> Result<Opened, CliError> {
    open_with(dir, dir.key(output)?).await
}

/// Opens the replica of `dir`; none if another process has it.
pub(crate) async fn open_if_free(
    dir: &ReplicaDir,
    output: &Output,
) -> Result<Option<Opened>, CliError> {
    let key = dir.key(output)?;
    let hub = prepare_hub(dir, &key);
    match SqliteStore::open(dir.store()) {
        Ok(store) => open_on(dir, key, store, hub).await.map(Some),
        Err(StoreError::InUse) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Opens the replica of `dir` with a key that is known already.
pub(crate) async fn open_with(dir: &ReplicaDir, key: SecretKey) -> Result<Opened, CliError> {
    let hub = prepare_hub(dir, &key);
    let store = SqliteStore::open(dir.store())?;
    open_on(dir, key, store, hub).await
}

/// Gets the connections ready beside everything else: reading the system's certificates takes
/// longer than opening a small replica.
fn prepare_hub(dir: &ReplicaDir, key: &SecretKey) -> PreparedHub {
    let config = hub_config(&dir.config.hub, key);
    tokio::task::spawn_blocking(move || HttpHub::new(config))
}

/// How this program uses hubs.
pub(crate) fn hub_config(hub_url: &str, key: &SecretKey) -> HttpHubConfig {
    let mut config = HttpHubConfig::new(hub_url, key.clone());
    if std::env::var_os(PLAIN_HUB_VARIABLE).is_some_and(|value| value == "1") {
        config.features = Features::Ignored;
    }
    config
}

async fn open_on(
    dir: &ReplicaDir,
    key: SecretKey,
    store: SqliteStore,
    hub: PreparedHub,
) -> Result<Opened, CliError> {
    let mirror = Arc::new(Mirror::open(dir.folder(), MirrorOptions::default())?);
    let hub = hub
        .await
        .map_err(|_| CliError::failed("the connections to the hub were cut off inside pangaea"))?;
    let hub = Arc::new(hub?);
    let parts = Parts {
        store: Arc::new(store),
        hub: Arc::clone(&hub) as _,
        time: Arc::new(SystemTime),
        key,
        random: keys::random()?,
        merges: Arc::new(BuiltInMerges),
        mirror: Some(Arc::clone(&mirror)),
    };
    let replica = Replica::open(parts).await?;
    Ok(Opened {
        replica,
        mirror,
        hub,
    })
}

/// Reads a path as people type it.
pub(crate) fn parse_path(text: &str) -> Result<FilePath, CliError> {
    let bare = text.trim_start_matches("./").trim_start_matches('/');
    FilePath::parse(bare)
        .map_err(|error| CliError::usage(format!("`{text}` cannot be the name of a file: {error}")))
}
