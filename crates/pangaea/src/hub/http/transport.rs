//! Requests and answers, without a view of what they mean: the pool of connections, the bound on
//! how many requests run at once, how long nothing may move, redirects, and the hub's clock.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use bytes::BytesMut;
use futures_util::stream;
use gaia::limits::ERROR_BODY_BYTES_MAX;
use gaia::replies::ErrorBody;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use super::config::HttpHubConfig;
use super::config::HttpHubConfigError;
use super::config::is_web;
use super::failure;
use super::failure::Refusal;
use super::platform::Client;
use super::platform::HeaderMap;
use super::platform::Instant;
use super::platform::RequestBuilder;
use super::platform::Response;
use super::platform::Url;
use super::platform::header::CACHE_CONTROL;
use super::platform::header::LOCATION;
use super::platform::sleep;
use super::platform::timeout;
use super::platform::wall_clock;
use crate::body::ByteStream;
use crate::hub::HubError;

/// Redirects that are followed within one origin.
const REDIRECTS_MAX: usize = 3;
/// A transfer may take as long as at this rate, beyond the idle timeout.
const RATE_MIN_BYTES_PER_S: u64 = 8 * 1024;

/// The hub's clock against this device's: all in milliseconds since 1970.
pub(super) type HubDate = (u64, u64, u64);

pub(super) struct Transport {
    client: Client,
    permits: Arc<Semaphore>,
    idle_timeout: Duration,
    hub_url: Url,
    last_date: Mutex<Option<HubDate>>,
}

/// Why there is no answer.
pub(super) struct NoAnswer {
    pub(super) error: HubError,
    pub(super) stage: Stage,
}

/// How far a request came that was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// There was no connection.
    Connecting,
    /// It was sent, at least in part, and the connection broke.
    Broken,
    /// It was sent, at least in part, and nothing came back in time.
    Silent,
}

impl From<NoAnswer> for HubError {
    fn from(no_answer: NoAnswer) -> Self {
        no_answer.error
    }
}

/// The head of an answer, with the body still to come. It counts as a running request until it
/// is dropped.
pub(super) struct Answer {
    response: Response,
    idle_timeout: Duration,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Transport {
    pub(super) fn new(config: &HttpHubConfig, hub_url: Url) -> Result<Self, HttpHubConfigError> {
        let client = Client::new(config, &hub_url)?;
        Ok(Self {
            client,
            permits: Arc::new(Semaphore::new(config.requests_max.max(1))),
            idle_timeout: config.idle_timeout,
            hub_url,
            last_date: Mutex::new(None),
        })
    }

    pub(super) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    pub(super) fn idle_timeout(&self) -> Duration {
        self.idle_timeout
    }

    pub(super) fn last_date(&self) -> Option<HubDate> {
        *self
            .last_date
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request whose body is in memory, of `size` bytes.
    pub(super) async fn send(
        &self,
        request: RequestBuilder,
        size: u64,
    ) -> Result<Answer, NoAnswer> {
        let patience = self.patience(size);
        self.send_until(request, sleep(patience)).await
    }

    /// Sends a request that the hub may keep waiting. It takes no part in the bound on requests
    /// that run at once: it does nothing most of the time.
    pub(super) async fn send_waiting(
        &self,
        request: RequestBuilder,
        wait: Duration,
    ) -> Result<Answer, NoAnswer> {
        let patience = sleep(self.idle_timeout.saturating_add(wait));
        self.send_with(request, patience, None).await
    }

    /// Sends a request and gives up when `given_up` ends.
    pub(super) async fn send_until(
        &self,
        request: RequestBuilder,
        given_up: impl Future<Output = ()>,
    ) -> Result<Answer, NoAnswer> {
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|_| NoAnswer {
                error: failure::unreachable("the connections to the hub were closed"),
                stage: Stage::Connecting,
            })?;
        self.send_with(request, given_up, Some(permit)).await
    }

    async fn send_with(
        &self,
        request: RequestBuilder,
        given_up: impl Future<Output = ()>,
        permit: Option<OwnedSemaphorePermit>,
    ) -> Result<Answer, NoAnswer> {
        let sent_ms = now_ms();
        let answered = tokio::select! {
            answered = request.send() => answered,
            () = given_up => return Err(NoAnswer {
                error: failure::unreachable("the hub did not answer in time"),
                stage: Stage::Silent,
            }),
        };
        let response = answered.map_err(|error| NoAnswer {
            stage: if error.is_connect() {
                Stage::Connecting
            } else {
                Stage::Broken
            },
            error: failure::of_transport(&error),
        })?;
        self.note_date(&response, sent_ms);
        Ok(Answer {
            response,
            idle_timeout: self.idle_timeout,
            _permit: permit,
        })
    }

    /// Sends a request that may be sent twice: once more, at once, if the connection broke. That
    /// is what happens when the hub closes a connection that was kept for too long.
    pub(super) async fn send_repeatable(
        &self,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Answer, NoAnswer> {
        match self.send(request(), 0).await {
            Err(NoAnswer {
                stage: Stage::Broken,
                ..
            }) => self.send(request(), 0).await,
            other => other,
        }
    }

    /// Gets or heads an address, past caches, following redirects as long as they stay within
    /// their origin.
    pub(super) async fn fetch(&self, method: Method, mut url: Url) -> Result<Answer, NoAnswer> {
        for _ in 0..=REDIRECTS_MAX {
            let request = || {
                self.request(method.clone(), url.clone())
                    .header(CACHE_CONTROL, HeaderValue::from_static("no-cache"))
            };
            let answer = self.send_repeatable(request).await?;
            match answer.redirect(&url) {
                Some(target) => url = target,
                None => return Ok(answer),
            }
        }
        Err(NoAnswer {
            error: failure::not_a_hub("it redirects in circles"),
            stage: Stage::Broken,
        })
    }

    /// How long a transfer of so many bytes may take.
    pub(super) fn patience(&self, size: u64) -> Duration {
        self.idle_timeout
            .saturating_add(Duration::from_secs(size / RATE_MIN_BYTES_PER_S))
    }

    /// Remembers the hub's time. Other origins, as of a cache that answers reads, may have any.
    fn note_date(&self, response: &Response, sent_ms: u64) {
        if response.url().origin() != self.hub_url.origin() {
            return;
        }
        let Some(date) = failure::http_date(response.headers()) else {
            return;
        };
        let mut last = self
            .last_date
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last = Some((ms_since_1970(date), sent_ms, now_ms()));
    }
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// The length of the body, if it was announced.
    pub(super) fn size(&self) -> Option<u64> {
        self.response.content_length()
    }

    /// Reads the whole body.
    pub(super) async fn bytes(mut self, bytes_max: usize) -> Result<Bytes, HubError> {
        let announced = usize::try_from(self.size().unwrap_or(0)).unwrap_or(usize::MAX);
        if announced > bytes_max {
            return Err(failure::not_a_hub("its answer is far too long"));
        }
        let mut bytes = BytesMut::with_capacity(announced);
        while let Some(chunk) = self.chunk().await? {
            if bytes.len() + chunk.len() > bytes_max {
                return Err(failure::not_a_hub("its answer is far too long"));
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    /// Reads an answer that is no success.
    pub(super) async fn refusal(self) -> Refusal {
        let status = self.status();
        let retry_after_ms = failure::retry_after_ms(self.headers());
        let body = self.bytes(ERROR_BODY_BYTES_MAX).await.ok();
        Refusal {
            status,
            retry_after_ms,
            is_whole: body.is_some(),
            body: ErrorBody::parse(&body.unwrap_or_default()),
        }
    }

    /// Gives the body as it comes.
    pub(super) fn into_stream(self) -> ByteStream<HubError> {
        let patience = self.size().map(|size| {
            self.idle_timeout
                .saturating_add(Duration::from_secs(size / RATE_MIN_BYTES_PER_S))
        });
        let deadline = patience.and_then(|patience| Instant::now().checked_add(patience));
        Box::pin(stream::unfold(Some(self), move |answer| async move {
            let mut answer = answer?;
            match answer.chunk().await {
                Ok(None) => None,
                Ok(Some(_)) if deadline.is_some_and(|deadline| Instant::now() > deadline) => {
                    Some((Err(failure::unreachable("the hub sends too slowly")), None))
                }
                Ok(Some(chunk)) => Some((Ok(chunk), Some(answer))),
                Err(error) => Some((Err(error), None)),
            }
        }))
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, HubError> {
        match timeout(self.idle_timeout, self.response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk),
            Ok(Err(error)) => Err(failure::of_transport(&error)),
            Err(_) => Err(failure::unreachable(
                "the hub stopped in the middle of its answer",
            )),
        }
    }

    /// Where the answer sends the client, if that is within the origin of `from`.
    fn redirect(&self, from: &Url) -> Option<Url> {
        if !self.status().is_redirection() {
            return None;
        }
        let target = from
            .join(self.headers().get(LOCATION)?.to_str().ok()?)
            .ok()?;
        (is_web(&target) && target.origin() == from.origin()).then_some(target)
    }
}

fn now_ms() -> u64 {
    ms_since_1970(wall_clock())
}

fn ms_since_1970(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
