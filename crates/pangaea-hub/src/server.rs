//! Connections: the accept loop, TLS, limits against slow and greedy clients, and stopping.
//!
//! A client must send its first request soon after it connects and each head in reasonable time,
//! and take what it asked for; how slowly a body may come is decided in `upload`. Stopping lets
//! requests under way finish.

mod activity;
mod addresses;
mod origin;

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::config::{HubConfig, Live};
use crate::metrics::Metrics;
use crate::respond::Body;
use activity::{Activity, WatchedBody};
use addresses::Addresses;
pub(crate) use addresses::network;
pub(crate) use origin::{ClientAddress, FORWARDED_PROTO};

/// How long after that the last answers may take.
const LAST_WORDS_MAX: Duration = Duration::from_secs(2);

/// How long to wait when the system has no more sockets to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const READ_BUFFER_BYTES_MAX: usize = 256 * 1024;
const STREAMS_MAX: u32 = 128;
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Whoever answers requests.
pub(crate) trait Answers: Send + Sync + 'static {
    /// Answers one request. The extension [`ClientAddress`] is where it comes from.
    fn answer(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<Body>> + Send + '_;

    /// Ends, with an answer that says so, what the hub cannot wait for any longer.
    fn give_up(&self) {}
}

/// Who may connect, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// Clients: with TLS if there is a certificate, and with all limits.
    Public,
    /// Whoever administrates the hub: plain HTTP, and a few connections.
    Admin,
}

/// Connections to the admin service at a time.
const ADMIN_CONNECTIONS_MAX: usize = 64;

/// What all connections of a listener share.
struct Shared<A> {
    answers: Arc<A>,
    live: Arc<Live>,
    door: Door,
    handshakes: Semaphore,
    addresses: Arc<Addresses>,
    metrics: Arc<Metrics>,
}

/// Serves connections until `stop` changes or its sender goes, then finishes what is under way.
pub(crate) async fn serve<A: Answers>(
    listener: TcpListener,
    door: Door,
    answers: Arc<A>,
    live: Arc<Live>,
    metrics: Arc<Metrics>,
    mut stop: watch::Receiver<bool>,
) {
    let config = live.get();
    let permits = Arc::new(Semaphore::new(match door {
        Door::Public => config.connections_max,
        Door::Admin => ADMIN_CONNECTIONS_MAX,
    }));
    let shared = Arc::new(Shared {
        answers,
        live,
        door,
        handshakes: Semaphore::new(config.handshakes_max),
        addresses: Arc::default(),
        metrics,
    });
    drop(config);
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = accept(&listener, &permits) => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                let serving = Arc::clone(&shared).serve(stream, peer, graceful.watcher());
                connections.spawn(async move {
                    serving.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let mut finishing = pin!(graceful.shutdown());
    let limit = shared.live.get().stop.finish;
    if timeout(limit, &mut finishing).await.is_err() {
        shared.answers.give_up();
        if timeout(LAST_WORDS_MAX, finishing).await.is_err() {
            // Their clients see it: the length of an answer, or its last piece, is missing.
            tracing::warn!("stopped while answers were being taken");
        }
    }
    connections.shutdown().await;
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    // Answers are written whole; waiting to fill packets would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection will be slower than it could be");
    }
    Ok((stream, peer, permit))
}

impl<A: Answers> Shared<A> {
    async fn serve(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, watcher: Watcher) {
        let config = self.live.get();
        let peer = peer.ip().to_canonical();
        let max = match self.door {
            Door::Public if !origin::is_trusted(peer, &config.trusted_proxies) => {
                config.connections_per_address_max
            }
            // A proxy brings everybody.
            Door::Public | Door::Admin => usize::MAX,
        };
        let open = (self.door == Door::Public).then(|| {
            self.metrics.accepted.add(1);
            self.metrics.connections.hold()
        });
        let Some(counted) = self.addresses.admit(peer, max) else {
            tracing::debug!(%peer, "closed a connection of an address that has too many");
            return;
        };
        let tls = match self.door {
            Door::Public => self.live.outside().tls.clone(),
            Door::Admin => None,
        };
        match tls {
            None => self.speak(stream, peer, &config, watcher).await,
            Some(tls) => {
                let limit = config.time_limits.handshake;
                match timeout(limit, self.secure(stream, tls)).await {
                    Ok(Ok(stream)) => self.speak(stream, peer, &config, watcher).await,
                    Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
                }
            }
        }
        drop((counted, open));
    }

    /// Shakes hands. Waiting for others counts as time of this one.
    async fn secure(
        &self,
        stream: TcpStream,
        tls: Arc<ServerConfig>,
    ) -> io::Result<tokio_rustls::server::TlsStream<TcpStream>> {
        let _permit = self.handshakes.acquire().await.map_err(io::Error::other)?;
        TlsAcceptor::from(tls).accept(stream).await
    }

    /// Speaks HTTP until either side has had enough.
    async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self: &Arc<Self>,
        stream: S,
        peer: IpAddr,
        config: &HubConfig,
        watcher: Watcher,
    ) {
        let activity = Activity::new(config.time_limits, Arc::clone(&self.metrics));
        let watched = Arc::clone(&activity);
        let shared = Arc::clone(self);
        let service = service_fn(move |request| {
            let answering = watched.begin();
            let shared = Arc::clone(&shared);
            async move {
                let response = shared.answer(request, peer).await;
                let response = response.map(|body| answering.watch(body));
                Ok::<Response<WatchedBody>, Infallible>(response)
            }
        });
        let builder = builder(config);
        let connection = builder.serve_connection(TokioIo::new(stream), service);
        tokio::select! {
            result = watcher.watch(connection) => {
                if let Err(error) = result {
                    tracing::debug!(%error, "a connection ended with an error");
                }
            }
            () = activity.too_quiet() => tracing::debug!("closed a connection of a client that does nothing"),
        }
    }

    async fn answer(&self, mut request: Request<Incoming>, peer: IpAddr) -> Response<Body> {
        if self.door == Door::Public {
            let config = self.live.get();
            let scheme = self.live.outside().scheme();
            let headers = request.headers_mut();
            let client = origin::settle(headers, peer, &config.trusted_proxies, scheme);
            request.extensions_mut().insert(client);
        } else {
            request.extensions_mut().insert(ClientAddress(peer));
        }
        self.answers.answer(request).await
    }
}

fn builder(config: &HubConfig) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.time_limits.idle)
        .max_buf_size(READ_BUFFER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(config.head_bytes_max).unwrap_or(u32::MAX))
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    builder
}
