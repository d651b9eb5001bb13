//! A real proxy in front of a hub. It can answer a request itself, as a hub in trouble or a hub
//! of another make would, and knows what came by.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, HOST, LOCATION, TRANSFER_ENCODING};
use http::request::Parts;
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// It goes to the hub.
    Pass,
    /// It is answered with this status, and the hub does not learn of it.
    Status(u16),
    /// The connection ends.
    Cut,
    /// It goes to the hub; the connection ends instead of an answer.
    LoseAnswer,
    /// It goes to the hub; the connection ends in the middle of the answer's body.
    HalfAnswer,
    /// It goes to the hub after so many milliseconds.
    Delay(u64),
    /// It goes to the hub; the answer's body comes in eight pieces, so many milliseconds apart.
    Slow(u64),
    /// It goes to the hub twice, one after the other; the second answer counts.
    Twice,
    /// A page of a captive portal is the answer, with success.
    Portal,
    /// The answer leads to another place.
    Redirect(&'static str),
    /// A hub that lies: success, in these words, of a write that it threw away.
    Lie(fn(&[u8]) -> Value),
}

/// Decides about requests by method and path. A new connection is asked for as `CONNECT`, and
/// ends at once unless it may [`Fate::Pass`].
pub type Judge = Box<dyn FnMut(&str, &str) -> Fate + Send>;

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

#[derive(Default)]
struct Shared {
    upstream: Mutex<Option<SocketAddr>>,
    fates: Mutex<BTreeMap<String, VecDeque<Fate>>>,
    pages: Mutex<BTreeMap<String, Value>>,
    hidden: Mutex<Vec<&'static str>>,
    seen: Mutex<Vec<Seen>>,
    judge: Mutex<Option<Judge>>,
    /// Reads come this way too: `hub_info` says so.
    own_url: Mutex<Option<String>>,
    http: reqwest::Client,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
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
        // It speaks to a hub of this machine without TLS; reading certificates would take long.
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]);
        let shared = Arc::new(Shared {
            http: http.build().unwrap(),
            ..Shared::default()
        });
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

    /// Has every request judged that nothing else was decided about.
    pub fn judge(&self, judge: Judge) {
        *self.shared.judge.lock().unwrap() = Some(judge);
    }

    /// Has clients read through this proxy, not at the hub's own address.
    pub fn take_reads(&self) {
        *self.shared.own_url.lock().unwrap() = Some(self.url.clone());
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
        if !matches!(shared.fate("CONNECT", ""), Fate::Pass) {
            continue;
        }
        let shared = Arc::clone(&shared);
        let service = service_fn(move |request| answer(Arc::clone(&shared), request));
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        // A connection that ends with an error is one that was cut, or a client that is gone.
        tokio::spawn(async move { connection.await.is_ok() });
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Body>> {
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
    let fate = shared.fate(&method, &path);
    let mut pace_ms = 0;
    match fate {
        Fate::Pass | Fate::LoseAnswer | Fate::HalfAnswer => {}
        Fate::Slow(ms) => pace_ms = ms,
        Fate::Delay(ms) => tokio::time::sleep(Duration::from_millis(ms)).await,
        Fate::Twice => drop(shared.forward(&head, body.clone()).await?),
        Fate::Status(status) => {
            let words = json!({"message": format!("the proxy says {status}")});
            return Ok(in_json(status, &words));
        }
        Fate::Cut => return Err(io::Error::other("cut")),
        Fate::Portal => return Ok(portal()),
        Fate::Redirect(target) => return Ok(redirect(target)),
        Fate::Lie(words) => return Ok(in_json(202, &words(&body))),
    }
    let (mut answer, body) = shared.forward(&head, body).await?;
    let body = match fate {
        Fate::LoseAnswer => return Err(io::Error::other("lost")),
        Fate::HalfAnswer => {
            let length = body.len().max(1);
            answer.headers_mut().insert(CONTENT_LENGTH, length.into());
            in_pieces(
                vec![
                    Ok(body.slice(..body.len() / 2)),
                    Err(io::Error::other("cut")),
                ],
                0,
            )
        }
        Fate::Slow(_) => {
            let size = body.len() / 8 + 1;
            let pieces = body.chunks(size).map(|piece| Ok(body.slice_ref(piece)));
            in_pieces(pieces.collect(), pace_ms)
        }
        _ => whole(body),
    };
    Ok(answer.map(|()| body))
}

impl Shared {
    /// Asks the hub.
    async fn forward(&self, head: &Parts, body: Bytes) -> io::Result<(Response<()>, Bytes)> {
        let upstream = self.upstream.lock().unwrap().unwrap();
        let url = format!("http://{upstream}{}", head.uri);
        let mut headers = head.headers.clone();
        for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
            headers.remove(name);
        }
        let request = self.http.request(head.method.clone(), url);
        let response = request.headers(headers).body(body).send().await;
        let response = response.map_err(io::Error::other)?;
        let (status, mut headers) = (response.status(), response.headers().clone());
        let mut body = response.bytes().await.map_err(io::Error::other)?;
        if head.uri.path() == "/hub_info" {
            body = self.censor(&body, upstream);
        }
        for name in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION] {
            headers.remove(name);
        }
        let mut answer = Response::new(());
        *answer.status_mut() = status;
        *answer.headers_mut() = headers;
        Ok((answer, body))
    }

    fn fate(&self, method: &str, path: &str) -> Fate {
        let mut fates = self.fates.lock().unwrap();
        let found = fates.iter_mut().find(|(requests, _)| {
            let (wanted, end) = requests.split_once(' ').unwrap();
            method == wanted && path.ends_with(end)
        });
        let decided = found.and_then(|(_, queue)| queue.pop_front());
        decided.unwrap_or_else(|| {
            let mut judge = self.judge.lock().unwrap();
            judge
                .as_mut()
                .map_or(Fate::Pass, |judge| judge(method, path))
        })
    }

    fn censor(&self, info: &[u8], upstream: SocketAddr) -> Bytes {
        let Ok(mut text) = String::from_utf8(info.to_vec()) else {
            return Bytes::copy_from_slice(info);
        };
        if let Some(own) = &*self.own_url.lock().unwrap() {
            text = text.replace(&format!("http://{upstream}"), own);
        }
        // A hub that says no can say it in other words than JSON.
        let Ok(mut json) = serde_json::from_str::<Value>(&text) else {
            return text.into();
        };
        for member in self.hidden.lock().unwrap().iter() {
            json.as_object_mut().unwrap().remove(*member);
        }
        json.to_string().into()
    }
}

fn in_json(status: u16, json: &Value) -> Response<Body> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .body(whole(json.to_string().into()))
        .unwrap()
}

fn portal() -> Response<Body> {
    Response::builder()
        .header(CONTENT_TYPE, "text/html")
        .body(whole(Bytes::from_static(
            b"<html>Please sign in to this network</html>",
        )))
        .unwrap()
}

fn redirect(target: &str) -> Response<Body> {
    Response::builder()
        .status(302)
        .header(LOCATION, target)
        .body(whole(Bytes::new()))
        .unwrap()
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes)
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn in_pieces(pieces: Vec<io::Result<Bytes>>, pace_ms: u64) -> Body {
    let stream = stream::iter(pieces).then(move |piece| async move {
        tokio::time::sleep(Duration::from_millis(pace_ms)).await;
        piece.map(Frame::data)
    });
    StreamBody::new(stream).boxed_unsync()
}
