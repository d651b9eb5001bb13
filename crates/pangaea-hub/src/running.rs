//! Starting and stopping a hub.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle as ThreadHandle;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;

use crate::admin::Admin;
use crate::auth::Gate;
use crate::blobs::{Blobs, sync_folder};
use crate::commit::Committer;
use crate::config::{ConfigError, ConfigSources, HubConfig, Live, Reloaded};
use crate::control::Control;
use crate::error::HubError;
use crate::folder::{SweepLock, adopt_backup, lock, refuse_half};
use crate::hub::{self, Everywhere, ReadAt};
use crate::index::{INDEX_FILE, Index};
use crate::metrics::{Metrics, SAMPLE_EVERY};
use crate::routes::READ_PREFIX;
use crate::server::Door;
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
    admin_addr: Option<SocketAddr>,
    url: String,
    control: Arc<Control>,
    stop: watch::Sender<bool>,
    finished: JoinHandle<Result<(), HubError>>,
}

/// The parts that outlive the last request.
struct Parts {
    hub: Arc<hub::Hub>,
    commits: ThreadHandle<()>,
    sweeper: JoinHandle<()>,
    /// Held while anything may touch the data folder. The threads that write have it too: a
    /// runtime that ends first takes everything else with it, and they still finish.
    lock: Arc<File>,
}

impl Hub {
    /// Starts a hub on the current tokio runtime and returns once it accepts connections.
    ///
    /// # Errors
    /// See [`HubError`].
    pub async fn start(config: HubConfig) -> Result<RunningHub, HubError> {
        Self::launch(config, None).await
    }

    /// Reads the settings and starts a hub with them, as [`Hub::start`] does. They are read again
    /// when it is told to [reload](RunningHub::reload).
    ///
    /// # Errors
    /// See [`HubError`].
    pub async fn start_from(sources: ConfigSources) -> Result<RunningHub, HubError> {
        let loaded = sources.load()?;
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        Self::launch(loaded.config, Some(sources)).await
    }

    async fn launch(
        config: HubConfig,
        sources: Option<ConfigSources>,
    ) -> Result<RunningHub, HubError> {
        let problems = config.check();
        if !problems.is_empty() {
            return Err(ConfigError::new(problems).into());
        }
        let live = Arc::new(Live::new(config)?);
        let config = live.get();
        let (listener, local_addr) = listen(config.listen).await?;
        let (admin_listener, admin_addr) = match config.admin.listen {
            Some(address) => listen(address)
                .await
                .map(|(one, at)| (Some(one), Some(at)))?,
            None => (None, None),
        };
        let url = base_url(&config, live.outside().scheme(), local_addr);
        let (stop, stopped) = watch::channel(false);
        let (stopping, serving_ends) = watch::channel(false);
        let read_at = read_at(&config, local_addr, &url);
        let control = Arc::new(Control::new(Arc::clone(&live), sources));
        let metrics = Arc::new(Metrics::new());
        let opened = spawn_blocking(move || open(live, read_at, metrics, serving_ends));
        let parts = opened
            .await
            .map_err(|_| HubError::Fault("opening the data folder"))??;
        tracing::info!(%local_addr, "the hub is serving");
        if let Some(at) = admin_addr {
            tracing::info!(%at, "the admin service is serving");
            if !at.ip().is_loopback() {
                tracing::warn!("the admin service is open to the network and not encrypted");
            }
        }
        let doors = Doors {
            control: Arc::clone(&control),
            public: listener,
            admin: admin_listener,
            told: stopped,
            stopping,
        };
        let finished = tokio::spawn(run(parts, doors));
        Ok(RunningHub {
            local_addr,
            admin_addr,
            url,
            control,
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

    /// The address that the admin service listens on, if there is one.
    #[must_use]
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin_addr
    }

    /// The URL that clients connect to, without a slash at its end.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The settings in force.
    #[must_use]
    pub fn config(&self) -> Arc<HubConfig> {
        self.control.live().get()
    }

    /// Tells of every change of settings from now on.
    #[must_use]
    pub fn config_changes(&self) -> watch::Receiver<Arc<HubConfig>> {
        self.control.live().subscribe()
    }

    /// Reads the settings again from where [`Hub::start_from`] got them, and puts those in force
    /// that can change while the hub runs.
    ///
    /// # Errors
    /// All that is wrong with them; then everything stays as it is.
    pub async fn reload(&self) -> Result<Reloaded, ConfigError> {
        self.control.reload().await
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

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), HubError> {
    let failed = |source| HubError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local_addr = listener.local_addr().map_err(failed)?;
    Ok((listener, local_addr))
}

/// What the hub listens on, and how it hears and tells that it is to stop.
struct Doors {
    control: Arc<Control>,
    public: TcpListener,
    admin: Option<TcpListener>,
    /// Turns true, or loses its sender, when the hub is to stop.
    told: watch::Receiver<bool>,
    /// Tells everything that serves clients to stop.
    stopping: watch::Sender<bool>,
}

impl Doors {
    /// Serves until the hub is told to stop and clients have been served. The admin service goes
    /// last: meanwhile it says that the hub is not ready.
    async fn serve(self, hub: &Arc<hub::Hub>) {
        let Self {
            control,
            public,
            admin,
            mut told,
            stopping,
        } = self;
        let (stop_admin, admin_stopping) = watch::channel(false);
        let live = control.live();
        let admin = admin.map(|listener| {
            let answers = Arc::new(Admin::new(Arc::clone(&control), Arc::clone(hub)));
            let (live, metrics) = (Arc::clone(live), Arc::clone(hub.metrics()));
            let door = Door::Admin;
            tokio::spawn(server::serve(
                listener,
                door,
                answers,
                live,
                metrics,
                admin_stopping,
            ))
        });
        let (answers, metrics) = (Arc::clone(hub), Arc::clone(hub.metrics()));
        let ends = stopping.subscribe();
        let serving = server::serve(
            public,
            Door::Public,
            answers,
            Arc::clone(live),
            metrics,
            ends,
        );
        let told = async {
            // That nobody can tell any more tells as much.
            told.wait_for(|told| *told).await.ok();
            hub.leave();
            sleep(live.get().stop.delay).await;
            stopping.send_replace(true);
        };
        tokio::join!(serving, told);
        stop_admin.send_replace(true);
        if let Some(admin) = admin
            && admin.await.is_err()
        {
            tracing::error!("the admin service had gone down");
        }
    }
}

/// Keeps counts for the status page.
async fn sample(metrics: Arc<Metrics>) {
    let mut ticks = tokio::time::interval(SAMPLE_EVERY);
    loop {
        ticks.tick().await;
        metrics.sample();
    }
}

async fn run(parts: Parts, doors: Doors) -> Result<(), HubError> {
    let Parts {
        hub,
        commits,
        sweeper,
        lock,
    } = parts;
    let sampler = tokio::spawn(sample(Arc::clone(hub.metrics())));
    doors.serve(&hub).await;
    sampler.abort();
    sweeper.abort();
    hub.index().close().await;
    // Dropping the last committer ends the writing thread once its queue is empty.
    drop(hub);
    let joined = spawn_blocking(move || commits.join()).await;
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

/// Opens the data folder and starts everything but the listener.
fn open(
    live: Arc<Live>,
    read_at: ReadAt,
    metrics: Arc<Metrics>,
    stopping: watch::Receiver<bool>,
) -> Result<Parts, HubError> {
    let config = live.get();
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
    let lock = Arc::new(lock(&folder)?);
    refuse_half(&folder)?;
    adopt_backup(&folder)?;
    let sweeps = SweepLock::open(&folder).map_err(failed)?;
    let (suspects, suspected) = mpsc::unbounded_channel();
    let blobs = Blobs::open(&folder, suspects).map_err(failed)?;
    let opened = Index::open(&folder.join(INDEX_FILE), READERS, config.removals_kept)?;
    let index = opened.index.clone();
    let (committer, commits) = Committer::start(
        opened,
        Arc::clone(&blobs),
        Arc::clone(&metrics),
        Arc::clone(&lock),
    )
    .map_err(failed)?;
    let sweeper = tokio::spawn(gc::run(
        index.clone(),
        Arc::clone(&blobs),
        sweeps,
        suspected,
        Arc::clone(&metrics),
    ));
    let gate = Gate::new(
        Arc::clone(&live),
        Arc::clone(index.revocations()),
        Arc::clone(&metrics),
    );
    let hub = Arc::new(hub::Hub::new(
        live, read_at, gate, index, blobs, committer, stopping,
    ));
    Ok(Parts {
        hub,
        commits,
        sweeper,
        lock,
    })
}

fn base_url(config: &HubConfig, scheme: &str, local_addr: SocketAddr) -> String {
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
    format!("{scheme}://{reachable}")
}

fn read_at(config: &HubConfig, local_addr: SocketAddr, base_url: &str) -> ReadAt {
    if let Some(url) = &config.read_url {
        let slash = if url.ends_with('/') { "" } else { "/" };
        return ReadAt::Prefix(format!("{url}{slash}"));
    }
    let prefix = format!("{base_url}{READ_PREFIX}");
    if config.public_url.is_some() {
        return ReadAt::Prefix(prefix);
    }
    ReadAt::Own {
        fallback: prefix,
        everywhere: if local_addr.ip().is_unspecified() {
            Everywhere::Yes
        } else {
            Everywhere::No
        },
    }
}
