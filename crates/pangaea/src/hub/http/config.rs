//! What a hub over HTTP must be told.

use std::time::Duration;

use super::platform::Url;
use gaia::association::AssociationToken;
use gaia::key::SecretKey;

/// Requests that are on their way at the same time, unless told otherwise.
const REQUESTS_MAX_DEFAULT: usize = 32;

/// Where the hub is, who asks, and how patiently.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HttpHubConfig {
    /// The hub's address, for instance `https://hub.example`.
    pub hub_url: String,
    /// The key of the bucket.
    pub key: SecretKey,
    /// The word of another key that vouches for this one, if the hub wants it.
    pub association: Option<AssociationToken>,
    /// What the program calls itself.
    pub user_agent: String,
    /// Requests that may be on their way at the same time; the others wait.
    pub requests_max: usize,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long nothing may move on a connection.
    pub idle_timeout: Duration,
    /// Whether what a hub announces beyond the stock protocol is used.
    pub features: Features,
}

/// What to make of the accelerations that a hub announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Features {
    /// Use them.
    #[default]
    Announced,
    /// Take every hub for one that announces none, for tests and diagnosis.
    Ignored,
}

impl HttpHubConfig {
    /// The usual settings for the bucket of `key` on the hub at `hub_url`.
    pub fn new(hub_url: impl Into<String>, key: SecretKey) -> Self {
        Self {
            hub_url: hub_url.into(),
            key,
            association: None,
            user_agent: concat!("pangaea/", env!("CARGO_PKG_VERSION")).to_owned(),
            requests_max: REQUESTS_MAX_DEFAULT,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            features: Features::Announced,
        }
    }
}

/// Why a hub cannot be used with these settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpHubConfigError {
    /// The address is not one of a hub.
    #[error("the hub's address cannot be used ({reason}); write it like https://hub.example")]
    Address {
        /// What is wrong with it.
        reason: String,
    },
    /// The connections cannot be set up, for instance because no certificates are found.
    #[error("connections to a hub cannot be set up: {message}")]
    Setup {
        /// What happened.
        message: String,
    },
}

/// Reads a hub's address; it comes without a slash at its end.
pub(super) fn parse_hub_url(text: &str) -> Result<(Url, String), HttpHubConfigError> {
    let refuse = |reason: &str| HttpHubConfigError::Address {
        reason: reason.to_owned(),
    };
    let base = text.trim().trim_end_matches('/');
    let url = Url::parse(base).map_err(|error| refuse(&error.to_string()))?;
    if !is_web(&url) {
        return Err(refuse("it is neither https nor http"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refuse("it holds a name or a password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(refuse("it holds a question mark or a hash sign"));
    }
    Ok((url, base.to_owned()))
}

/// Whether an address is one that this client speaks to.
pub(super) fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https") && url.has_host()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_hubs_are_told_from_others() {
        for (text, base) in [
            ("https://hub.example", "https://hub.example"),
            (" https://hub.example/ ", "https://hub.example"),
            (
                "http://127.0.0.1:3000/some/hub//",
                "http://127.0.0.1:3000/some/hub",
            ),
        ] {
            assert_eq!(parse_hub_url(text).unwrap().1, base);
        }
        for text in [
            "",
            "hub.example",
            "localhost:3000",
            "file:///etc",
            "https://",
            "https://me:secret@hub.example",
            "https://hub.example/?a=b",
            "https://hub.example/#a",
        ] {
            let error = parse_hub_url(text).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
