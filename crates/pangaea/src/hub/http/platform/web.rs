//! Browsers: `fetch` for requests, the event loop for timers and tasks. Streams of uploads are read
//! to their end first, since browsers send none over HTTP/1.1. Redirects are followed by the browser;
//! an answer that comes from another origin than was asked counts as a redirect to it.

use std::fmt;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use bytes::BytesMut;
use futures_util::FutureExt;
use futures_util::StreamExt;
use futures_util::future::Either;
use futures_util::future::select;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use wasm_bindgen::JsCast;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen_futures::JsFuture;
pub(in crate::hub::http) use web_time::Instant;

use super::super::config::HttpHubConfig;
use super::super::config::HttpHubConfigError;
use crate::body::ByteStream;
use crate::time::BrowserTime;
use crate::time::Time;

#[wasm_bindgen(module = "/js/fetch.js")]
extern "C" {
    type Exchange;

    #[wasm_bindgen(constructor)]
    fn new() -> Exchange;

    #[wasm_bindgen(method, catch)]
    async fn send(
        this: &Exchange,
        method: &str,
        url: &str,
        headers: Vec<String>,
        body: Option<js_sys::Uint8Array>,
    ) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method, catch)]
    async fn chunk(this: &Exchange) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(method)]
    fn abort(this: &Exchange);

    fn parse_url(text: &str, base: Option<&str>) -> Option<Vec<String>>;

    fn is_offline() -> bool;
}

/// What a task may hold: anything, since there is one thread.
pub(in crate::hub::http) trait Movable {}

impl<T> Movable for T {}

/// An address, as the browser reads it.
#[derive(Debug, Clone)]
pub(in crate::hub::http) struct Url {
    href: String,
    scheme: String,
    host: String,
    username: String,
    password: String,
    query: String,
    fragment: String,
    origin: String,
}

/// Something that is no address.
#[derive(Debug)]
pub(in crate::hub::http) struct NoUrl;

impl fmt::Display for NoUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is not an address")
    }
}

impl Url {
    pub(in crate::hub::http) fn parse(text: &str) -> Result<Self, NoUrl> {
        Self::of(parse_url(text, None))
    }

    fn of(parts: Option<Vec<String>>) -> Result<Self, NoUrl> {
        let parts = parts.and_then(|parts| <[String; 8]>::try_from(parts).ok());
        let [
            href,
            scheme,
            host,
            username,
            password,
            query,
            fragment,
            origin,
        ] = parts.ok_or(NoUrl)?;
        Ok(Self {
            href,
            scheme: scheme.trim_end_matches(':').to_owned(),
            host,
            username,
            password,
            query,
            fragment,
            origin,
        })
    }

    pub(in crate::hub::http) fn join(&self, other: &str) -> Result<Self, NoUrl> {
        Self::of(parse_url(other, Some(&self.href)))
    }

    pub(in crate::hub::http) fn scheme(&self) -> &str {
        &self.scheme
    }

    pub(in crate::hub::http) fn has_host(&self) -> bool {
        !self.host.is_empty()
    }

    pub(in crate::hub::http) fn username(&self) -> &str {
        &self.username
    }

    pub(in crate::hub::http) fn password(&self) -> Option<&str> {
        (!self.password.is_empty()).then_some(&self.password)
    }

    pub(in crate::hub::http) fn query(&self) -> Option<&str> {
        (!self.query.is_empty()).then_some(&self.query)
    }

    pub(in crate::hub::http) fn fragment(&self) -> Option<&str> {
        (!self.fragment.is_empty()).then_some(&self.fragment)
    }

    pub(in crate::hub::http) fn origin(&self) -> &str {
        &self.origin
    }

    pub(in crate::hub::http) fn set_query(&mut self, query: Option<&str>) {
        let bare = self.href.split(['?', '#']).next().unwrap_or_default();
        let text = query.map_or_else(|| bare.to_owned(), |query| format!("{bare}?{query}"));
        if let Ok(changed) = Self::parse(&text) {
            *self = changed;
        }
    }
}

/// The name of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hub::http) struct HeaderName(&'static str);

/// The names that are used here, in lower case as browsers give them. The library's own names
/// bring along a table of all that there are.
pub(in crate::hub::http) mod header {
    use super::HeaderName;

    pub(in crate::hub::http) const AUTHORIZATION: HeaderName = HeaderName("authorization");
    pub(in crate::hub::http) const CACHE_CONTROL: HeaderName = HeaderName("cache-control");
    pub(in crate::hub::http) const CONTENT_ENCODING: HeaderName = HeaderName("content-encoding");
    pub(in crate::hub::http) const CONTENT_LENGTH: HeaderName = HeaderName("content-length");
    pub(in crate::hub::http) const CONTENT_RANGE: HeaderName = HeaderName("content-range");
    pub(in crate::hub::http) const CONTENT_TYPE: HeaderName = HeaderName("content-type");
    pub(in crate::hub::http) const DATE: HeaderName = HeaderName("date");
    pub(in crate::hub::http) const ETAG: HeaderName = HeaderName("etag");
    pub(in crate::hub::http) const IF_MATCH: HeaderName = HeaderName("if-match");
    pub(in crate::hub::http) const IF_NONE_MATCH: HeaderName = HeaderName("if-none-match");
    pub(in crate::hub::http) const LAST_MODIFIED: HeaderName = HeaderName("last-modified");
    pub(in crate::hub::http) const LOCATION: HeaderName = HeaderName("location");
    pub(in crate::hub::http) const RANGE: HeaderName = HeaderName("range");
    pub(in crate::hub::http) const RETRY_AFTER: HeaderName = HeaderName("retry-after");
}

/// The headers of an answer.
pub(in crate::hub::http) struct HeaderMap(Vec<(String, HeaderValue)>);

impl HeaderMap {
    /// The header of this name; browsers make one of those that come several times.
    pub(in crate::hub::http) fn get(&self, name: HeaderName) -> Option<&HeaderValue> {
        let found = self.0.iter().find(|(known, _)| known == name.0);
        found.map(|(_, value)| value)
    }
}

/// Reads the time of a header.
pub(in crate::hub::http) fn parse_http_date(text: &str) -> Option<SystemTime> {
    // Other times than by Greenwich are none of HTTP's.
    let ms = js_sys::Date::parse(Some(text).filter(|text| text.ends_with(" GMT"))?);
    (ms >= 0.0).then(|| UNIX_EPOCH + Duration::from_millis(whole_ms(ms)))
}

/// Makes requests; the connections are the browser's.
pub(in crate::hub::http) struct Client;

impl Client {
    pub(in crate::hub::http) fn new(
        _config: &HttpHubConfig,
        _hub_url: &Url,
    ) -> Result<Self, HttpHubConfigError> {
        Ok(Self)
    }

    #[expect(clippy::unused_self, reason = "as on other platforms")]
    pub(in crate::hub::http) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        RequestBuilder {
            method,
            url,
            headers: Vec::new(),
            body: None,
        }
    }
}

/// What is sent with a request.
pub(in crate::hub::http) enum Body {
    Bytes(Bytes),
    Stream(ByteStream<std::io::Error>),
}

impl Body {
    pub(in crate::hub::http) fn wrap_stream(
        stream: impl futures_util::Stream<Item = std::io::Result<Bytes>> + 'static,
    ) -> Self {
        Self::Stream(Box::pin(stream))
    }

    async fn into_bytes(self) -> Result<Bytes, Error> {
        let mut stream = match self {
            Self::Bytes(bytes) => return Ok(bytes),
            Self::Stream(stream) => stream,
        };
        let mut bytes = BytesMut::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|error| Error(error.to_string()))?;
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(bytes)
    }
}

/// A request that is being put together.
pub(in crate::hub::http) struct RequestBuilder {
    method: Method,
    url: Url,
    /// Names and values in turn.
    headers: Vec<String>,
    body: Option<Body>,
}

impl RequestBuilder {
    /// Adds a header. Browsers set the length themselves, and are told to pass by caches in another
    /// way, for which a hub need not allow a header.
    pub(in crate::hub::http) fn header<V>(mut self, name: HeaderName, value: V) -> Self
    where
        HeaderValue: TryFrom<V>,
    {
        if let Ok(value) = HeaderValue::try_from(value)
            && let Ok(text) = value.to_str()
            && name != header::CONTENT_LENGTH
            && name != header::CACHE_CONTROL
        {
            self.headers.extend([name.0.to_owned(), text.to_owned()]);
        }
        self
    }

    pub(in crate::hub::http) fn body(mut self, body: impl Into<Body>) -> Self {
        self.body = Some(body.into());
        self
    }

    pub(in crate::hub::http) async fn send(self) -> Result<Response, Error> {
        let body = match self.body {
            Some(body) => Some(body.into_bytes().await?),
            None => None,
        };
        let body = body.map(|bytes| js_sys::Uint8Array::from(&bytes[..]));
        let exchange = Running(Exchange::new());
        let sent = exchange
            .0
            .send(self.method.as_str(), &self.url.href, self.headers, body);
        let head = sent.await.map_err(|error| Error::of(&error))?;
        Response::new(exchange, &self.url, &head)
    }
}

/// An exchange that is ended when nobody wants it any more.
struct Running(Exchange);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The head of an answer, with the body still to come.
pub(in crate::hub::http) struct Response {
    exchange: Running,
    status: StatusCode,
    url: Url,
    headers: HeaderMap,
}

impl Response {
    fn new(exchange: Running, asked: &Url, head: &JsValue) -> Result<Self, Error> {
        let head: &js_sys::Array = head.unchecked_ref();
        let mut texts = head.iter().map(|text| text.as_string().unwrap_or_default());
        let mut next = || texts.next().unwrap_or_default();
        let (status, url) = (next(), next());
        let status = StatusCode::from_bytes(status.as_bytes())
            .map_err(|_| Error("the answer has no status".to_owned()))?;
        let url = Url::parse(&url).unwrap_or_else(|_| asked.clone());
        let mut headers = Vec::new();
        while let (Some(name), Some(value)) = (texts.next(), texts.next()) {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.push((name, value));
            }
        }
        let status = if url.origin() == asked.origin() {
            status
        } else {
            StatusCode::FOUND
        };
        Ok(Self {
            exchange,
            status,
            url,
            headers: HeaderMap(headers),
        })
    }

    pub(in crate::hub::http) fn status(&self) -> StatusCode {
        self.status
    }

    pub(in crate::hub::http) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(in crate::hub::http) fn url(&self) -> &Url {
        &self.url
    }

    pub(in crate::hub::http) fn content_length(&self) -> Option<u64> {
        let text = self.headers.get(header::CONTENT_LENGTH)?;
        text.to_str().ok()?.parse().ok()
    }

    pub(in crate::hub::http) async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let chunk = self.exchange.0.chunk().await;
        let chunk = chunk.map_err(|error| Error::of(&error))?;
        let bytes = chunk.dyn_ref::<js_sys::Uint8Array>();
        Ok(bytes.map(|bytes| Bytes::from(bytes.to_vec())))
    }
}

/// Why there is no answer: browsers say little about it.
#[derive(Debug)]
pub(in crate::hub::http) struct Error(String);

impl Error {
    fn of(thrown: &JsValue) -> Self {
        let words = thrown
            .dyn_ref::<js_sys::Error>()
            .map(|error| String::from(error.message()));
        Self(words.unwrap_or_else(|| "no further cause".to_owned()))
    }

    /// Whether nothing was sent, as far as that can be known.
    #[expect(clippy::unused_self, reason = "as on other platforms")]
    pub(in crate::hub::http) fn is_connect(&self) -> bool {
        is_offline()
    }

    #[expect(clippy::unused_self, reason = "as on other platforms")]
    pub(in crate::hub::http) fn is_timeout(&self) -> bool {
        false
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Time was up.
#[derive(Debug)]
pub(in crate::hub::http) struct Elapsed;

/// Waits.
pub(in crate::hub::http) async fn sleep(duration: Duration) {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    BrowserTime.sleep_ms(ms).await;
}

pub(in crate::hub::http) async fn sleep_until(until: Instant) {
    sleep(until.saturating_duration_since(Instant::now())).await;
}

/// Gives a task so much time.
pub(in crate::hub::http) async fn timeout<T>(
    duration: Duration,
    task: impl Future<Output = T>,
) -> Result<T, Elapsed> {
    let (task, timer) = (std::pin::pin!(task), std::pin::pin!(sleep(duration)));
    match select(task, timer).await {
        Either::Left((done, _)) => Ok(done),
        Either::Right(((), task)) => task.now_or_never().ok_or(Elapsed),
    }
}

/// Runs a task beside this one.
pub(in crate::hub::http) fn spawn(task: impl Future<Output = ()> + 'static) {
    wasm_bindgen_futures::spawn_local(task);
}

/// Lets others go on first.
pub(in crate::hub::http) async fn yield_now() {
    let resolved = js_sys::Promise::resolve(&JsValue::UNDEFINED);
    // It is never rejected.
    drop(JsFuture::from(resolved).await);
}

/// The wall clock.
pub(in crate::hub::http) fn wall_clock() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(BrowserTime.now_ms())
}

/// Milliseconds since 1970, as JavaScript gives them.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a fraction of a millisecond is nothing here"
)]
fn whole_ms(ms: f64) -> u64 {
    ms as u64
}
