//! The hub as its routes see it: its parts, and which route answers what.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use gaia::address::Address;
use gaia::challenge::challenge_text;
use gaia::hub_info::{AUTH_VERSION, Announcement, HubInfo, PANGAEA_VERSION, feature};
use http::header::{ACCESS_CONTROL_REQUEST_HEADERS, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use serde_json::json;
use tokio::sync::watch;

use crate::auth::{Gate, Grant};
use crate::blobs::Blobs;
use crate::commit::Committer;
use crate::config::{HubConfig, Live};
use crate::error::Refusal;
use crate::health::{self, LastLook};
use crate::index::Index;
use crate::metrics::{Metrics, Now};
use crate::rates::Rates;
use crate::reads::{self, ReadRequest};
use crate::requests::Requests;
use crate::respond::{self, Body};
use crate::room::Room;
use crate::routes::{Endpoint, READ_PREFIX, Route, route};
use crate::server::{Answers, ClientAddress, FORWARDED_PROTO, network};
use crate::watched::Watched;
use crate::{batch, changes, fetch, listing, openapi, write};

/// What this hub offers beyond the stock protocol.
pub(crate) const FEATURES: [&str; 8] = [
    feature::BATCH,
    feature::FETCH,
    feature::CHANGES,
    feature::CONDITIONAL_DELETE,
    feature::LIST_PREFIX,
    feature::NOT_MODIFIED,
    feature::RANGE,
    feature::TAG_IN_CONFLICT,
];

const METHODS: &str = "DELETE,POST,GET,OPTIONS,HEAD";
const READ_METHODS: &str = "GET,HEAD,OPTIONS";
/// The stock clients send `x-hiro-product`, which the stock hub's own list lacks.
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "Authorization,Content-Type,If-Match,If-None-Match,Last-Event-ID,x-hiro-product",
);
const READ_HEADERS: HeaderValue = HeaderValue::from_static("If-None-Match,Range,x-hiro-product");

/// Everything that requests share.
pub(crate) struct Hub {
    live: Arc<Live>,
    read_at: ReadAt,
    gate: Gate,
    index: Index,
    blobs: Arc<Blobs>,
    committer: Committer,
    batch_room: Room,
    fetch_room: Room,
    /// How often clients asked, by address, and how often with a token, by bucket.
    clients: Rates<IpAddr>,
    buckets: Rates<Address>,
    requests: Requests,
    last_look: LastLook,
    metrics: Arc<Metrics>,
    /// Turns true when nobody should send requests any more, which are answered all the same.
    leaving: AtomicBool,
    /// Turns true, or loses its sender, when the hub stops.
    stopping: watch::Receiver<bool>,
    /// Turns true when a stopping hub waits no longer for uploads.
    giving_up: watch::Sender<bool>,
}

/// Where clients are told to read files.
pub(crate) enum ReadAt {
    /// Below this prefix, which ends in a slash.
    Prefix(String),
    /// At the hub itself, under a name that nobody has told it.
    Own {
        /// What it can be reached at from this machine.
        fallback: String,
        /// Whether clients that are here may know the hub by any name.
        everywhere: Everywhere,
    },
}

/// Whether a hub listens on all addresses of its machine, so that it cannot know its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Everywhere {
    Yes,
    No,
}

impl Hub {
    pub(crate) fn new(
        live: Arc<Live>,
        read_at: ReadAt,
        gate: Gate,
        index: Index,
        blobs: Arc<Blobs>,
        committer: Committer,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let metrics = Arc::clone(gate.metrics());
        Self {
            live,
            read_at,
            gate,
            index,
            blobs,
            committer,
            batch_room: Room::new(),
            fetch_room: Room::new(),
            clients: Rates::new(),
            buckets: Rates::new(),
            requests: Requests::new(),
            last_look: LastLook::default(),
            metrics,
            leaving: AtomicBool::new(false),
            stopping,
            giving_up: watch::Sender::new(false),
        }
    }

    /// The settings of this moment.
    pub(crate) fn config(&self) -> Arc<HubConfig> {
        self.live.get()
    }

    /// Checks the token of a request against a bucket, and whether the bucket may ask now.
    pub(crate) fn admit(&self, headers: &HeaderMap, bucket: &str) -> Result<Grant, Refusal> {
        let grant = self.gate.admit(headers, bucket)?;
        let bucket = *grant.authorization().bucket();
        let admitted = self.buckets.admit(bucket, self.config().rates.bucket);
        admitted.map_err(|wait| Refusal::TooManyRequests { wait })?;
        Ok(grant)
    }

    /// Counts so many more requests of a bucket than it was admitted with.
    pub(crate) fn charge(&self, grant: &Grant, requests: usize) {
        let bucket = *grant.authorization().bucket();
        let rate = self.config().rates.bucket;
        self.buckets.charge(bucket, rate, requests as u64);
    }

    /// Whether the client at the other end may ask now. Preflights are free: browsers do not tell
    /// pages why one was refused.
    fn admit_client(&self, request: &Request<Incoming>) -> Result<(), Refusal> {
        let client = request.extensions().get::<ClientAddress>();
        let Some(ClientAddress(client)) = client.filter(|_| request.method() != Method::OPTIONS)
        else {
            return Ok(());
        };
        let admitted = self
            .clients
            .admit(network(*client), self.config().rates.address);
        admitted.map_err(|wait| Refusal::TooManyRequests { wait })
    }

    pub(crate) fn index(&self) -> &Index {
        &self.index
    }

    pub(crate) fn blobs(&self) -> &Arc<Blobs> {
        &self.blobs
    }

    pub(crate) fn committer(&self) -> &Committer {
        &self.committer
    }

    /// The memory that batches share.
    pub(crate) fn batch_room(&self) -> &Room {
        &self.batch_room
    }

    /// The memory that fetches share.
    pub(crate) fn fetch_room(&self) -> &Room {
        &self.fetch_room
    }

    /// The buckets that somebody waits for.
    pub(crate) fn watched(&self) -> &Arc<Watched> {
        self.committer.watched()
    }

    /// What is counted.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    pub(crate) fn last_look(&self) -> &LastLook {
        &self.last_look
    }

    /// From now on the hub says that it should not be sent requests.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Says when uploads are no longer waited for.
    pub(crate) fn giving_up(&self) -> watch::Receiver<bool> {
        self.giving_up.subscribe()
    }

    /// What is looked up for `/metrics` and the status page.
    pub(crate) async fn now(&self) -> Now {
        let stored = self.index.stored().await;
        Now {
            stored: stored.map_err(|error| self.note(&error.into())).ok(),
            free_bytes: health::free_bytes(self).await,
            memory_bytes: health::memory_bytes(),
            followers: self.watched().count() as u64,
            queued: self.committer.queued() as u64,
        }
    }

    /// Notes a refusal of which nobody is told by an answer's status.
    pub(crate) fn note(&self, refusal: &Refusal) {
        if let Some(fault) = refusal.fault() {
            tracing::error!(fault, "a request failed");
            self.metrics.failed(fault);
        }
    }

    /// Says when the hub stops, for answers that would go on otherwise.
    pub(crate) fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.clone()
    }

    /// The prefix that the client of a request reads below.
    pub(crate) fn read_prefix(&self, headers: &HeaderMap) -> Cow<'_, str> {
        match &self.read_at {
            ReadAt::Prefix(prefix) => Cow::Borrowed(prefix),
            ReadAt::Own {
                fallback,
                everywhere,
            } => {
                let forwarded = headers
                    .get(FORWARDED_PROTO)
                    .and_then(|proto| proto.to_str().ok());
                let scheme = match everywhere {
                    Everywhere::Yes => forwarded.or_else(|| Some(self.live.outside().scheme())),
                    Everywhere::No => forwarded,
                };
                match (scheme, request_host(headers)) {
                    (Some(scheme), Some(host)) => {
                        Cow::Owned(format!("{scheme}://{host}{READ_PREFIX}"))
                    }
                    _ => Cow::Borrowed(fallback),
                }
            }
        }
    }

    /// What can be said against a request whatever it asks for.
    fn expect_welcome(
        &self,
        route: Option<Route<'_>>,
        request: &Request<Incoming>,
    ) -> Result<(), Refusal> {
        if *self.stopping.borrow() {
            return Err(Refusal::Stopping);
        }
        if route != Some(Route::Health) {
            self.admit_client(request)?;
        }
        if head_bytes(request) > self.config().head_bytes_max {
            return Err(Refusal::HeadTooLarge);
        }
        Ok(())
    }

    async fn dispatch(
        &self,
        route: Option<Route<'_>>,
        uri: &Uri,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Refusal> {
        self.expect_welcome(route, &request)?;
        let method = request.method().clone();
        let Some(route) = route else {
            let path = uri.path().to_owned();
            return Err(Refusal::NoRoute {
                method: method.to_string(),
                path,
            });
        };
        let (endpoint, bucket, path) = match route {
            Route::To {
                endpoint,
                bucket,
                path,
            } => (endpoint, bucket, path),
            Route::Health => return Ok(Box::pin(self.health()).await),
            Route::Home => return Ok(home()),
            Route::Preflight => return Ok(respond::preflight(METHODS, ALLOWED_HEADERS)),
            Route::ReadPreflight => {
                let asked = request.headers().get(ACCESS_CONTROL_REQUEST_HEADERS);
                let allowed = asked.cloned().unwrap_or(READ_HEADERS);
                return Ok(respond::preflight(READ_METHODS, allowed));
            }
        };
        match endpoint {
            Endpoint::Store => write::store(self, request, bucket, path).await,
            Endpoint::Read => {
                let headers = request.headers();
                let read = ReadRequest {
                    method: &method,
                    headers,
                    bucket,
                    raw_path: path,
                };
                Ok(reads::read(self, &read).await)
            }
            Endpoint::Delete => write::delete(self, request.headers(), bucket, path).await,
            // In boxes: all requests would move the largest of these around otherwise.
            Endpoint::ListFiles => {
                let (head, body) = request.into_parts();
                Box::pin(listing::list_files(self, &head.headers, body, bucket)).await
            }
            Endpoint::Batch => Box::pin(batch::batch(self, request, bucket)).await,
            Endpoint::Fetch => {
                let (head, body) = request.into_parts();
                Box::pin(fetch::fetch(self, &head.headers, body, bucket)).await
            }
            Endpoint::RevokeAll => {
                let (head, body) = request.into_parts();
                Box::pin(listing::revoke_all(self, &head.headers, body, bucket)).await
            }
            Endpoint::Changes => {
                let query = uri.query().unwrap_or("");
                Box::pin(changes::changes(self, request.headers(), query, bucket)).await
            }
            Endpoint::HubInfo => Ok(self.hub_info(&method, request.headers())),
            Endpoint::OpenApi => Ok(openapi::answer(openapi::text())),
        }
    }

    /// For whoever spreads requests over hubs: whether to send them here, and nothing else.
    async fn health(&self) -> Response<Body> {
        if health::readiness(self).await.is_ready() {
            respond::json(StatusCode::OK, &json!({ "status": "ok" }))
        } else {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            respond::json(status, &json!({ "status": "unavailable" }))
        }
    }

    fn hub_info(&self, method: &Method, headers: &HeaderMap) -> Response<Body> {
        let config = self.config();
        let info = HubInfo {
            challenge_text: challenge_text(&config.server_name),
            latest_auth_version: Some(AUTH_VERSION.to_owned()),
            max_file_upload_size_megabytes: f64::from(config.max_file_megabytes),
            read_url_prefix: self.read_prefix(headers).into_owned(),
            pangaea: Some(Announcement {
                version: PANGAEA_VERSION,
                features: FEATURES.map(str::to_owned).to_vec(),
            }),
        };
        let mut response = respond::json(StatusCode::OK, &info);
        if *method == Method::HEAD {
            *response.body_mut() = respond::nothing();
        }
        response
    }
}

impl Answers for Hub {
    async fn answer(&self, mut request: Request<Incoming>) -> Response<Body> {
        name_host(&mut request);
        let began = Instant::now();
        // Clones share the text.
        let uri = request.uri().clone();
        let method = request.method().clone();
        let route = route(&method, uri.path());
        let answer = self.dispatch(route, &uri, request).await;
        let answer = answer.unwrap_or_else(|refusal| respond::refusal(&refusal));
        self.requests
            .answered(self, &method, route, &answer, began.elapsed());
        respond::finish(answer)
    }

    fn give_up(&self) {
        self.giving_up.send_replace(true);
    }
}

/// For a person who opens the hub's address in a browser.
fn home() -> Response<Body> {
    let text =
        "This is a Pangaea hub, a store for Gaia applications. Programs begin at /hub_info.\n";
    let mut response = Response::new(respond::bytes(text));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// About the length of a request's head, as HTTP/1 writes it.
fn head_bytes(request: &Request<Incoming>) -> usize {
    let uri = request.uri();
    let target = uri.path().len() + uri.query().map_or(0, str::len);
    let headers = request.headers().iter();
    headers.fold(target, |sum, (name, value)| {
        sum + name.as_str().len() + value.len() + 4
    })
}

/// Puts the host where HTTP/1 has it: HTTP/2 sends it with the target.
fn name_host(request: &mut Request<Incoming>) {
    let Some(authority) = request.uri().authority() else {
        return;
    };
    if let Ok(host) = HeaderValue::from_str(authority.as_str()) {
        request.headers_mut().insert(HOST, host);
    }
}

/// The host that a request names, if it is one and nothing else.
fn request_host(headers: &HeaderMap) -> Option<&str> {
    let host = headers.get(HOST)?.to_str().ok()?;
    let parsed: http::uri::Authority = host.parse().ok()?;
    (!parsed.as_str().contains('@')).then_some(host)
}
