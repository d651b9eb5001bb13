//! A folder of static files, such as the built example in `packages/examples/notes`, served to the
//! browsers of this machine, on a port of its own: what a hub serves must never share an origin with
//! an application. The files are read when it starts, so that no request reaches the disk.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Method;
use hyper::Request;
use hyper::Response;
use hyper::StatusCode;
use hyper::body::Incoming;
use hyper::header;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::error::CliError;

/// All files together; they are held in memory.
const BYTES_MAX: u64 = 256 * 1024 * 1024;
const FILES_MAX: usize = 10_000;
/// Connections at a time; more wait.
const CONNECTIONS_MAX: usize = 256;
/// How long a connection may take to say what it wants.
const HEADER_PATIENCE: Duration = Duration::from_secs(30);
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The files, by the path in a request.
struct Files(BTreeMap<String, File>);

struct File {
    media_type: &'static str,
    content: Bytes,
}

/// Serves `folder` to this machine until the program ends. Returns where.
pub(crate) async fn serve(folder: &Path, port: Option<u16>) -> Result<SocketAddr, CliError> {
    let files = Arc::new(Files::read(folder)?);
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
    let cannot = |error: io::Error| {
        CliError::failed(format!("cannot serve the application at {wanted}: {error}"))
    };
    let listener = TcpListener::bind(wanted).await.map_err(cannot)?;
    let address = listener.local_addr().map_err(cannot)?;
    tokio::spawn(accept(listener, files));
    Ok(address)
}

async fn accept(listener: TcpListener, files: Arc<Files>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files, for example: it passes.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let files = Arc::clone(&files);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let answer = files.answer(&request);
                async move { Ok::<_, Infallible>(answer) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_PATIENCE)
                .serve_connection(TokioIo::new(stream), service);
            // A browser that went away is no error.
            drop(connection.await);
            drop(place);
        });
    }
}

impl Files {
    fn read(folder: &Path) -> Result<Self, CliError> {
        let mut files = BTreeMap::new();
        let mut bytes = 0;
        read_folder(folder, "/", &mut files, &mut bytes)?;
        if !files.contains_key("/index.html") {
            let failure = CliError::failed(format!("{} has no index.html", folder.display()));
            return Err(failure.hint("name the folder that the application was built into"));
        }
        Ok(Self(files))
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if ![Method::GET, Method::HEAD].contains(request.method()) {
            return plain(StatusCode::METHOD_NOT_ALLOWED);
        }
        let Some(file) = self.find(request.uri().path()) else {
            return plain(StatusCode::NOT_FOUND);
        };
        // hyper leaves out the body of an answer to HEAD.
        let mut answer = Response::new(Full::new(file.content.clone()));
        let headers = answer.headers_mut();
        let mut add = |name, value| headers.insert(name, header::HeaderValue::from_static(value));
        add(header::CONTENT_TYPE, file.media_type);
        // Another build is another application: it is asked for every time.
        add(header::CACHE_CONTROL, "no-cache");
        add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        add(header::REFERRER_POLICY, "no-referrer");
        add(header::CONTENT_SECURITY_POLICY, "frame-ancestors 'none'");
        answer
    }

    fn find(&self, path: &str) -> Option<&File> {
        let path = percent_decode_str(path).decode_utf8().ok()?;
        match path.strip_suffix('/') {
            Some(folder) => self.0.get(&format!("{folder}/index.html")),
            None => self.0.get(path.as_ref()),
        }
    }
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(Bytes::from_static(b"there is nothing here\n")));
    *answer.status_mut() = status;
    answer
}

/// Takes in the files of a folder. Links and hidden names are left out: what is served is what lies there.
fn read_folder(
    folder: &Path,
    prefix: &str,
    files: &mut BTreeMap<String, File>,
    bytes: &mut u64,
) -> Result<(), CliError> {
    let cannot = |error: io::Error| CliError::of_file("serve", folder, &error);
    for entry in fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let kind = entry.file_type().map_err(cannot)?;
        let path = format!("{prefix}{name}");
        if name.starts_with('.') {
            continue;
        } else if kind.is_dir() {
            read_folder(&entry.path(), &format!("{path}/"), files, bytes)?;
        } else if kind.is_file() {
            *bytes += entry.metadata().map_err(cannot)?.len();
            if *bytes > BYTES_MAX || files.len() >= FILES_MAX {
                let failure = CliError::failed(format!("{} is too large", folder.display()));
                return Err(failure.hint(
                    "an application may have 10,000 files and 256 MiB; is this the folder that it was built into?",
                ));
            }
            let content = fs::read(entry.path())
                .map_err(|error| CliError::of_file("serve", &entry.path(), &error))?;
            let file = File {
                media_type: media_type(&name),
                content: content.into(),
            };
            files.insert(path, file);
        }
    }
    Ok(())
}

/// What browsers insist on, for the files that web applications have.
fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match extension {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "wasm" => "application/wasm",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" | "md" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}
