//! Connections: the accept loop, its limits against slow and greedy clients, and stopping.
//!
//! A client must send its first request soon after it connects and each head in reasonable time;
//! how slowly a body may come is decided in `upload`. Stopping lets requests under way finish.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::hub::Hub;

/// From accepting a connection to the end of its first request's head.
const FIRST_REQUEST_MAX: Duration = Duration::from_secs(10);

/// From one answer to the end of the next request's head, so also how long a connection may idle.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a stopping hub waits for requests under way.
const STOP_TIME_MAX: Duration = Duration::from_secs(10);

/// How long to wait when the system has no more sockets to give.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const HEAD_BYTES_MAX: u32 = 32 * 1024;
const READ_BUFFER_BYTES_MAX: usize = 256 * 1024;
const STREAMS_MAX: u32 = 128;
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const PING_INTERVAL: Duration = Duration::from_secs(20);

/// Serves connections until `stop` changes or its sender goes, then finishes what is under way.
pub(crate) async fn serve(listener: TcpListener, hub: Arc<Hub>, mut stop: watch::Receiver<bool>) {
    let builder = builder();
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(hub.config().connections_max));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.changed() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            accepted = accept(&listener, &permits) => accepted,
        };
        match accepted {
            Ok((stream, permit)) => {
                let hub = Arc::clone(&hub);
                let connection = serve_connection(&builder, &graceful, hub, stream);
                connections.spawn(async move {
                    connection.await;
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
    if timeout(STOP_TIME_MAX, graceful.shutdown()).await.is_err() {
        tracing::warn!("stopped while requests were under way");
    }
    connections.shutdown().await;
}

async fn accept(
    listener: &TcpListener,
    permits: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(permits)
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    // Answers are written whole; waiting to fill packets would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection will be slower than it could be");
    }
    Ok((stream, permit))
}

fn serve_connection(
    builder: &auto::Builder<TokioExecutor>,
    graceful: &GracefulShutdown,
    hub: Arc<Hub>,
    stream: TcpStream,
) -> impl Future<Output = ()> + Send + 'static {
    let spoke = Arc::new(AtomicBool::new(false));
    let heard = Arc::clone(&spoke);
    let service = service_fn(move |request| {
        heard.store(true, Ordering::Relaxed);
        let hub = Arc::clone(&hub);
        async move { Ok::<_, Infallible>(hub.handle(request).await) }
    });
    let connection = builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    let connection = graceful.watch(connection);
    async move {
        tokio::select! {
            result = connection => {
                if let Err(error) = result {
                    tracing::debug!(%error, "a connection ended with an error");
                }
            }
            () = silence(&spoke) => tracing::debug!("closed a connection that said nothing"),
        }
    }
}

/// Ends when a client has not brought a whole request in time. The HTTP library's own timer
/// starts only once it knows which version of HTTP the client speaks.
async fn silence(spoke: &AtomicBool) {
    sleep(FIRST_REQUEST_MAX).await;
    if spoke.load(Ordering::Relaxed) {
        std::future::pending::<()>().await;
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME_MAX)
        .max_buf_size(READ_BUFFER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(HEAD_BYTES_MAX)
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_INTERVAL);
    builder
}
