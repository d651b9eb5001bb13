//! A Gaia hub over HTTP: the plain calls that every hub knows, each failure
//! told by what is to be done about it. Nothing is repeated for longer than a moment here; waiting
//! is the engine's matter.
//!
//! Natively it needs a tokio runtime with its timers and I/O switched on; as WebAssembly it runs in
//! pages and in workers.

mod batches;
mod changes;
mod config;
mod failure;
mod feed;
mod fetches;
mod gather;
mod listing;
mod platform;
mod reads;
mod resume;
mod session;
mod transport;
mod upload;

#[cfg(feature = "testing")]
pub mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use async_trait::async_trait;
use gaia::address::Address;
use gaia::etag::ETag;
use gaia::hub_info::HubInfo;
use gaia::path::FilePath;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use pangaea_core::plan::Condition;
use tokio::sync::Semaphore;

use self::batches::Change;
pub use self::config::Features;
pub use self::config::HttpHubConfig;
pub use self::config::HttpHubConfigError;
use self::failure::Call;
use self::feed::Feed;
use self::fetches::Read;
use self::gather::Gather;
use self::platform::RequestBuilder;
use self::platform::Url;
use self::platform::header::AUTHORIZATION;
use self::session::Session;
use self::session::Sessions;
use self::transport::Answer;
use self::transport::Transport;
use crate::hub::Hub;
use crate::hub::HubBody;
use crate::hub::HubError;
use crate::hub::HubListing;
use crate::hub::HubNews;
use crate::hub::HubOutcome;
use crate::hub::HubRead;

/// A hub over HTTP, seen with one bucket's key. Clones share everything.
#[derive(Clone)]
pub struct HttpHub {
    transport: Arc<Transport>,
    sessions: Arc<Sessions>,
    hub_url: Arc<str>,
    bucket: Address,
    feed: Arc<Feed>,
    changes: Arc<Gather<Change>>,
    reads: Arc<Gather<Read>>,
    held: Arc<Semaphore>,
    unkept: Arc<Unkept>,
}

/// Announced accelerations whose routes turned out not to be there: a proxy may let through only
/// what it knows.
#[derive(Default)]
struct Unkept {
    batch: AtomicBool,
    fetch: AtomicBool,
}

impl HttpHub {
    /// Prepares connections; the hub is not asked before the first call.
    ///
    /// # Errors
    /// See [`HttpHubConfigError`].
    pub fn new(config: HttpHubConfig) -> Result<Self, HttpHubConfigError> {
        let (url, hub_url) = config::parse_hub_url(&config.hub_url)?;
        let transport = Transport::new(&config, url)?;
        let bucket = config.key.address();
        let (key, features) = (config.key, config.features);
        let sessions = Sessions::new(hub_url.clone(), key, config.association, features);
        Ok(Self {
            transport: Arc::new(transport),
            sessions: Arc::new(sessions),
            hub_url: hub_url.into(),
            bucket,
            feed: Arc::default(),
            changes: Gather::new(batches::LIMITS),
            reads: Gather::new(fetches::LIMITS),
            held: Arc::new(Semaphore::new(fetches::HELD_KIB_MAX)),
            unkept: Arc::default(),
        })
    }

    /// The bucket that is seen.
    pub fn bucket(&self) -> &Address {
        &self.bucket
    }

    /// The hub's clock as of its last answer, then when that answer was asked for and when it was
    /// there by this device's clock: all in milliseconds since 1970, the hub's in whole seconds.
    pub fn last_date(&self) -> Option<(u64, u64, u64)> {
        self.transport.last_date()
    }

    async fn session(&self) -> Result<Arc<Session>, HubError> {
        self.sessions.get(&self.transport).await
    }

    /// Where the hub takes requests about the bucket, or about a file in it.
    fn hub_url(&self, route: &str, path: Option<&FilePath>) -> Result<Url, HubError> {
        let mut url = format!("{}/{route}/{}", self.hub_url, self.bucket);
        if let Some(path) = path {
            url.push('/');
            url.push_str(&path.to_url_path());
        }
        parse_url(&url)
    }

    fn request(&self, session: &Session, method: Method, url: &Url) -> RequestBuilder {
        let request = self.transport.request(method, url.clone());
        request.header(AUTHORIZATION, &session.authorization)
    }

    /// What an answer that is no success means. A token that was refused is not used again.
    async fn refused(&self, session: &Arc<Session>, answer: Answer, call: Call) -> HubError {
        let mut refusal = answer.refusal().await;
        hide_token(&mut refusal.body.message, &session.authorization);
        if refusal.status == StatusCode::UNAUTHORIZED {
            self.sessions.forget(session).await;
        }
        refusal.into_error(call)
    }
}

/// Whether a call failed because its token was refused that had been good for a while; then a
/// fresh one is worth a try.
fn wants_fresh_token<T>(outcome: &Result<T, HubError>, session: &Session) -> bool {
    matches!(outcome, Err(HubError::Unauthorized { .. })) && session.is_stale()
}

/// Whether a refusal concerns a request that holds many calls, rather than those calls: then they
/// are made one by one.
fn gives_way(status: StatusCode) -> bool {
    let is_about_all = matches!(
        status,
        StatusCode::UNAUTHORIZED
            | StatusCode::PROXY_AUTHENTICATION_REQUIRED
            | StatusCode::MISDIRECTED_REQUEST
            | StatusCode::TOO_EARLY
            | StatusCode::TOO_MANY_REQUESTS
    );
    let fails = matches!(
        status,
        StatusCode::INTERNAL_SERVER_ERROR | StatusCode::NOT_IMPLEMENTED
    );
    status.is_client_error() && !is_about_all || fails
}

/// Whether there is no such route.
fn is_unkept(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::NOT_IMPLEMENTED
    )
}

fn parse_url(text: &str) -> Result<Url, HubError> {
    Url::parse(text).map_err(|_| failure::not_a_hub("the addresses that it gives cannot be used"))
}

/// A hub, or whatever answers in its place, may repeat what it was sent.
fn hide_token(message: &mut String, authorization: &HeaderValue) {
    let header = authorization.to_str().unwrap_or_default();
    let token = header.rsplit([' ', ':']).next().unwrap_or_default();
    if !token.is_empty() && message.contains(token) {
        *message = message.replace(token, "(the token)");
    }
}

impl fmt::Debug for HttpHub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpHub")
            .field("hub_url", &self.hub_url)
            .finish_non_exhaustive()
    }
}

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Hub for HttpHub {
    async fn info(&self) -> Result<HubInfo, HubError> {
        Ok(self.session().await?.info.clone())
    }

    async fn list(&self) -> Result<HubListing, HubError> {
        self.list_followed().await
    }

    async fn news(&self) -> Result<HubNews, HubError> {
        self.wait_for_news().await
    }

    async fn read(&self, path: &FilePath) -> Result<Option<HubRead>, HubError> {
        self.read_gathered(path).await
    }

    async fn write(
        &self,
        path: &FilePath,
        content_type: &str,
        body: HubBody,
        condition: &Condition,
    ) -> Result<HubOutcome, HubError> {
        self.store_gathered(path, content_type, body, condition)
            .await
    }

    async fn delete(&self, path: &FilePath, tag: &ETag) -> Result<HubOutcome, HubError> {
        self.delete_gathered(path, tag).await
    }
}
