//! A real proxy in front of a hub. It can answer a request itself, as a hub in trouble or a hub
//! of another make would, and knows what came by.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// It goes to the hub.
    Pass,
    /// It is answered with this status, and the hub does not learn of it.
    Status(u16),
    /// The connection ends.
    Cut,
}

/// A request that came by.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The path, without the query.
    pub path: String,
    /// All of its headers.
    pub headers: HeaderMap,
}

/// A proxy; it ends when this is dropped.
#[derive(Debug)]
pub struct Proxy {
    /// Where it listens.
    pub url: String,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Shared {
    upstream: Mutex<Option<SocketAddr>>,
    fates: Mutex<BTreeMap<String, VecDeque<Fate>>>,
    pages: Mutex<BTreeMap<String, Value>>,
    hidden: Mutex<Vec<&'static str>>,
    seen: Mutex<Vec<Seen>>,
    http: reqwest::Client,
}

impl Proxy {
    /// Listens; [`Proxy::forward_to`] says where to.
    pub async fn listen() -> Self {
        // An error says that there is a provider already.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        let serving = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Self {
            url,
            shared,
            serving,
        }
    }

    /// Sends what passes to this hub from now on.
    pub fn forward_to(&self, hub: SocketAddr) {
        *self.shared.upstream.lock().unwrap() = Some(hub);
    }

    /// Decides about the next requests with a method and an end of the path, `POST a.txt`.
    pub fn decide(&self, requests: &str, fates: &[Fate]) {
        let mut all = self.shared.fates.lock().unwrap();
        all.insert(requests.to_owned(), fates.iter().copied().collect());
    }

    /// Answers a path with JSON, as another service.
    pub fn publish(&self, path: &str, json: Value) {
        let mut pages = self.shared.pages.lock().unwrap();
        pages.insert(path.to_owned(), json);
    }

    /// Leaves a member out of `hub_info`.
    pub fn hide(&self, member: &'static str) {
        self.shared.hidden.lock().unwrap().push(member);
    }

    /// What came by since the last call.
    pub fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.shared.seen.lock().unwrap())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| answer(Arc::clone(&shared), request));
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        // A connection that ends with an error is one that was cut, or a client that is gone.
        tokio::spawn(async move { connection.await.is_ok() });
    }
}

async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> io::Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let (method, path) = (head.method.to_string(), head.uri.path().to_owned());
    shared.seen.lock().unwrap().push(Seen {
        path: path.clone(),
        headers: head.headers.clone(),
    });
    if let Some(json) = shared.pages.lock().unwrap().get(&path) {
        return Ok(in_json(200, json));
    }
    match shared.fate(&method, &path) {
        Fate::Pass => {}
        Fate::Status(status) => {
            let words = json!({"message": format!("the proxy says {status}")});
            return Ok(in_json(status, &words));
        }
        Fate::Cut => return Err(io::Error::other("cut")),
    }
    let upstream = shared.upstream.lock().unwrap().unwrap();
    let url = format!("http://{upstream}{}", head.uri);
    let mut headers = head.headers;
    for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
        headers.remove(name);
    }
    let request = shared.http.request(head.method, url).headers(headers);
    let response = request.body(body).send().await.map_err(io::Error::other)?;
    let (status, mut headers) = (response.status(), response.headers().clone());
    let mut body = response.bytes().await.map_err(io::Error::other)?;
    if path == "/hub_info" {
        body = shared.censor(&body);
    }
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
        headers.remove(name);
    }
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Ok(answer)
}

impl Shared {
    fn fate(&self, method: &str, path: &str) -> Fate {
        let mut fates = self.fates.lock().unwrap();
        let found = fates.iter_mut().find(|(requests, _)| {
            let (wanted, end) = requests.split_once(' ').unwrap();
            method == wanted && path.ends_with(end)
        });
        found
            .and_then(|(_, queue)| queue.pop_front())
            .unwrap_or(Fate::Pass)
    }

    fn censor(&self, info: &[u8]) -> Bytes {
        let mut json: Value = serde_json::from_slice(info).unwrap();
        for member in self.hidden.lock().unwrap().iter() {
            json.as_object_mut().unwrap().remove(*member);
        }
        json.to_string().into()
    }
}

fn in_json(status: u16, json: &Value) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(json.to_string().into()))
        .unwrap()
}
