//! Starting and stopping a hub.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle as ThreadHandle;

use gaia::limits::PAGE_ENTRIES_MAX;
use http::HeaderValue;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::auth::{Gate, Rules};
use crate::blobs::{Blobs, sync_folder};
use crate::commit::Committer;
use crate::config::{HubConfig, HubUrlRule};
use crate::error::HubError;
use crate::folder::{SweepLock, lock, refuse_half, unmark_backup};
use crate::hub::{self, ReadAt};
use crate::index::{INDEX_FILE, Index, Writer};
use crate::routes::READ_PREFIX;
use crate::{gc, server};

/// Connections that read the index at the same time.
const READERS: usize = 8;

/// The hub server.
#[derive(Debug)]
pub struct Hub;

/// A hub that serves. Dropped, it stops in the background; call [`RunningHub::shutdown`] to know
/// when it has.
#[derive(Debug)]
#[must_use = "a hub stops when this is dropped"]
pub struct RunningHub {
    local_addr: SocketAddr,
    url: String,
    stop: watch::Sender<bool>,
    finished: JoinHandle<Result<(), HubError>>,
}

/// The parts that outlive the last request.
struct Parts {
    hub: Arc<hub::Hub>,
    commits: ThreadHandle<()>,
    sweeper: JoinHandle<()>,
    /// Held while anything may touch the data folder.
    lock: File,
}

impl Hub {
    /// Starts a hub on the current tokio runtime and returns once it accepts connections.
    ///
    /// # Errors
    /// See [`HubError`].
    pub async fn start(config: HubConfig) -> Result<RunningHub, HubError> {
        check(&config)?;
        let listener =
            TcpListener::bind(config.listen)
                .await
                .map_err(|source| HubError::Listen {
                    address: config.listen,
                    source,
                })?;
        let local_addr = listener.local_addr().map_err(|source| HubError::Listen {
            address: config.listen,
            source,
        })?;
        let url = base_url(&config, local_addr);
        let (stop, stopped) = watch::channel(false);
        let base = url.clone();
        let parts = tokio::task::spawn_blocking(move || open(config, local_addr, &base))
            .await
            .map_err(|_| HubError::Fault("opening the data folder"))??;
        tracing::info!(%local_addr, "the hub is serving");
        let finished = tokio::spawn(run(parts, listener, stopped));
        Ok(RunningHub {
            local_addr,
            url,
            stop,
            finished,
        })
    }
}

impl RunningHub {
    /// The address that the hub listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The URL that clients connect to, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Lets requests under way finish, makes everything durable and releases the data folder.
    ///
    /// # Errors
    /// [`HubError::Fault`] when a part of the hub had failed.
    pub async fn shutdown(self) -> Result<(), HubError> {
        self.stop.send_replace(true);
        self.finished
            .await
            .unwrap_or(Err(HubError::Fault("serving")))
    }
}

async fn run(
    parts: Parts,
    listener: TcpListener,
    stop: watch::Receiver<bool>,
) -> Result<(), HubError> {
    let Parts {
        hub,
        commits,
        sweeper,
        lock,
    } = parts;
    server::serve(listener, Arc::clone(&hub), stop).await;
    sweeper.abort();
    // Dropping the last committer ends the writing thread once its queue is empty.
    drop(hub);
    let joined = tokio::task::spawn_blocking(move || commits.join()).await;
    // Closing the file would do, were it not for processes that are being forked elsewhere in
    // the program: they share it for a moment.
    if let Err(error) = lock.unlock() {
        tracing::warn!(%error, "could not unlock the data folder");
    }
    match joined {
        Ok(Ok(())) => {
            tracing::info!("the hub has stopped");
            Ok(())
        }
        Ok(Err(_)) | Err(_) => Err(HubError::Fault("committing")),
    }
}

fn check(config: &HubConfig) -> Result<(), HubError> {
    let wrong = |name, reason| Err(HubError::Setting { name, reason });
    if !(1..=PAGE_ENTRIES_MAX).contains(&config.page_entries) {
        return wrong("page_entries", "it must be between 1 and 4096");
    }
    if config.max_file_megabytes == 0 {
        return wrong("max_file_megabytes", "no file would fit");
    }
    if config.connections_max == 0 {
        return wrong("connections_max", "nobody could connect");
    }
    if config.server_name.is_empty() {
        return wrong("server_name", "tokens need a name to be made for");
    }
    if HeaderValue::from_str(&config.cache_control).is_err() {
        return wrong("cache_control", "it cannot be sent as a header");
    }
    Ok(())
}

/// Opens the data folder and starts everything but the listener.
fn open(config: HubConfig, local_addr: SocketAddr, base_url: &str) -> Result<Parts, HubError> {
    let folder = config.data_dir.clone();
    let failed = |source| HubError::DataDir {
        path: folder.clone(),
        source,
    };
    fs::create_dir_all(&folder).map_err(failed)?;
    if let Ok(Some(parent)) = folder
        .canonicalize()
        .map(|path| path.parent().map(Path::to_owned))
    {
        // The folder itself must be there after a power cut. That its parent cannot be read is
        // no reason to refuse.
        if let Err(error) = sync_folder(&parent) {
            tracing::debug!(%error, "could not sync the folder above the data folder");
        }
    }
    let lock = lock(&folder)?;
    refuse_half(&folder)?;
    unmark_backup(&folder).map_err(failed)?;
    let sweeps = SweepLock::open(&folder).map_err(failed)?;
    let (suspects, suspected) = mpsc::unbounded_channel();
    let blobs = Blobs::open(&folder, suspects).map_err(failed)?;
    let (index, connection) = Index::open(&folder.join(INDEX_FILE), READERS)?;
    let writer = Writer::new(connection, Arc::clone(index.revocations()));
    let (committer, commits) = Committer::start(writer, Arc::clone(&blobs)).map_err(failed)?;
    let sweeper = tokio::spawn(gc::run(
        index.clone(),
        Arc::clone(&blobs),
        sweeps,
        suspected,
    ));
    let gate = Gate::new(rules(&config), Arc::clone(index.revocations()));
    let read_at = read_at(&config, local_addr, base_url);
    let hub = Arc::new(hub::Hub::new(
        config, read_at, gate, index, blobs, committer,
    ));
    Ok(Parts {
        hub,
        commits,
        sweeper,
        lock,
    })
}

fn rules(config: &HubConfig) -> Rules {
    Rules {
        server_name: config.server_name.clone(),
        hub_urls: match &config.hub_urls {
            HubUrlRule::Any => None,
            HubUrlRule::OneOf(urls) => Some(urls.clone()),
        },
        whitelist: config.whitelist.clone(),
        legacy_tokens: config.legacy_tokens,
    }
}

fn base_url(config: &HubConfig, local_addr: SocketAddr) -> String {
    if let Some(url) = &config.public_url {
        return url.trim_end_matches('/').to_owned();
    }
    let mut reachable = local_addr;
    if local_addr.ip().is_unspecified() {
        // Nobody can connect to "all addresses"; from this machine, loopback does.
        reachable.set_ip(match local_addr {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{reachable}")
}

fn read_at(config: &HubConfig, local_addr: SocketAddr, base_url: &str) -> ReadAt {
    if let Some(url) = &config.read_url {
        let slash = if url.ends_with('/') { "" } else { "/" };
        return ReadAt::Prefix(format!("{url}{slash}"));
    }
    let prefix = format!("{base_url}{READ_PREFIX}");
    if config.public_url.is_none() && local_addr.ip().is_unspecified() {
        return ReadAt::RequestHost { fallback: prefix };
    }
    ReadAt::Prefix(prefix)
}
