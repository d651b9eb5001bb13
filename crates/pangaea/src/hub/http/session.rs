//! What every request to a hub needs first: what the hub says of itself, and a token made for it.
//! Both are fetched once, kept, and fetched anew before the token ends or after the hub refused
//! it.

use std::sync::Arc;
use std::time::Duration;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use gaia::association::AssociationToken;
use gaia::challenge;
use gaia::hub_info::HubInfo;
use gaia::key::SecretKey;
use gaia::legacy::LegacyToken;
use gaia::limits::HUB_INFO_BYTES_MAX;
use gaia::token::TokenBuilder;
use http::HeaderValue;
use http::Method;
use tokio::sync::Mutex;

use super::config::Features;
use super::config::is_web;
use super::failure;
use super::failure::Call;
use super::platform::Instant;
use super::platform::Url;
use super::platform::wall_clock;
use super::transport::Answer;
use super::transport::Transport;
use crate::hub::HubError;

/// How long a token lives. A leaked one is of use for no longer.
const TOKEN_LIFE_S: u64 = 24 * 60 * 60;
/// A token is replaced this long before its end.
const RENEWED_AFTER: Duration = Duration::from_secs(23 * 60 * 60);
/// A token that is refused at this age was good before, so a fresh one may be good again.
const FRESH: Duration = Duration::from_secs(60);

/// The hub's word and a token for it.
pub(super) struct Session {
    pub(super) info: HubInfo,
    pub(super) authorization: HeaderValue,
    made: SystemTime,
}

impl Session {
    /// Whether a refusal of this token says nothing about the next one.
    pub(super) fn is_stale(&self) -> bool {
        self.age() > FRESH
    }

    fn is_usable(&self) -> bool {
        self.age() < RENEWED_AFTER
    }

    /// By the wall clock, which goes on while the device sleeps. One that was set back counts as
    /// very old.
    fn age(&self) -> Duration {
        wall_clock()
            .duration_since(self.made)
            .unwrap_or(Duration::MAX)
    }
}

/// Makes sessions, one at a time, however many ask.
pub(super) struct Sessions {
    hub_url: String,
    key: SecretKey,
    association: Option<AssociationToken>,
    features: Features,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    current: Option<Arc<Session>>,
    /// When the last attempt failed, and how.
    failed: Option<(Instant, String, Option<u64>)>,
}

impl Sessions {
    pub(super) fn new(
        hub_url: String,
        key: SecretKey,
        association: Option<AssociationToken>,
        features: Features,
    ) -> Self {
        Self {
            hub_url,
            key,
            association,
            features,
            state: Mutex::default(),
        }
    }

    /// The current session, or a new one.
    pub(super) async fn get(&self, transport: &Transport) -> Result<Arc<Session>, HubError> {
        let asked = Instant::now();
        let mut state = self.state.lock().await;
        if let Some(session) = state.current.as_ref().filter(|session| session.is_usable()) {
            return Ok(Arc::clone(session));
        }
        // Whoever waited while an attempt failed shares its failure instead of trying in turn.
        if let Some((when, message, retry_after_ms)) = &state.failed
            && *when > asked
        {
            let (message, retry_after_ms) = (message.clone(), *retry_after_ms);
            return Err(HubError::Unreachable {
                message,
                retry_after_ms,
            });
        }
        match self.make(transport).await {
            Ok(session) => {
                let session = Arc::new(session);
                *state = State {
                    current: Some(Arc::clone(&session)),
                    failed: None,
                };
                Ok(session)
            }
            Err(error) => {
                if let HubError::Unreachable {
                    message,
                    retry_after_ms,
                } = &error
                {
                    state.failed = Some((Instant::now(), message.clone(), *retry_after_ms));
                }
                Err(error)
            }
        }
    }

    /// Forgets a session that did not work; one that came after it stays.
    pub(super) async fn forget(&self, session: &Arc<Session>) {
        let mut state = self.state.lock().await;
        if state
            .current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, session))
        {
            state.current = None;
        }
    }

    async fn make(&self, transport: &Transport) -> Result<Session, HubError> {
        let url = Url::parse(&format!("{}/hub_info", self.hub_url))
            .map_err(|_| failure::unreachable("the hub's address cannot be used"))?;
        let answer = transport.fetch(Method::GET, url).await?;
        let date = failure::http_date(answer.headers());
        let mut info = read_info(answer).await?;
        if self.features == Features::Ignored {
            info.pangaea = None;
        }
        // The hub compares times with its own clock, so its own is the one to write down.
        let now = date.unwrap_or_else(wall_clock);
        let authorization = self.authorization(&info, now)?;
        Ok(Session {
            info,
            authorization,
            made: wall_clock(),
        })
    }

    fn authorization(&self, info: &HubInfo, now: SystemTime) -> Result<HeaderValue, HubError> {
        let challenge_text = &info.challenge_text;
        let text = if info.takes_v1_tokens() {
            let mut salt = [0; 16];
            getrandom::fill(&mut salt).map_err(|error| {
                failure::unreachable(format!("this device gives no random numbers ({error})"))
            })?;
            let now_s = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
            let mut builder = TokenBuilder::new(challenge_text.clone(), salt)
                .hub_url(self.hub_url.clone())
                .issued_at(now_s)
                .expires_at(now_s.saturating_add(TOKEN_LIFE_S));
            if let Some(association) = &self.association {
                builder = builder.association(association);
            }
            let token = builder.sign(&self.key);
            token
                .map_err(|error| HubError::Unauthorized {
                    message: error.to_string(),
                })?
                .authorization()
        } else {
            LegacyToken::make(&self.key, challenge_text).authorization()
        };
        let mut value = HeaderValue::try_from(text).map_err(|_| HubError::Unauthorized {
            message: "the token cannot be sent".to_owned(),
        })?;
        value.set_sensitive(true);
        Ok(value)
    }
}

async fn read_info(answer: Answer) -> Result<HubInfo, HubError> {
    if answer.status().is_redirection() {
        return Err(failure::not_a_hub("it redirects to another site"));
    }
    if !answer.status().is_success() {
        return Err(answer.refusal().await.into_error(Call::Hub));
    }
    let body = answer.bytes(HUB_INFO_BYTES_MAX).await?;
    let info: HubInfo = serde_json::from_slice(&body)
        .map_err(|_| failure::not_a_hub("what it says of itself cannot be read"))?;
    // Signing any text that a server sends would let it have anything signed.
    if challenge::server_name(&info.challenge_text).is_none() {
        return Err(failure::not_a_hub("it wants a text signed that no hub has"));
    }
    if !Url::parse(&info.read_url_prefix).is_ok_and(|url| is_web(&url)) {
        return Err(failure::not_a_hub("it does not say where files are read"));
    }
    Ok(info)
}

#[cfg(test)]
impl Sessions {
    /// Makes the current session one that has been good for a while.
    pub(super) async fn grow_old(&self) {
        let mut state = self.state.lock().await;
        let current = state.current.take().expect("there is a session");
        state.current = Some(Arc::new(Session {
            info: current.info.clone(),
            authorization: current.authorization.clone(),
            made: current.made - 2 * FRESH,
        }));
    }
}
