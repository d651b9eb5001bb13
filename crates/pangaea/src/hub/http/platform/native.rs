//! Native programs: reqwest for requests, tokio for timers and tasks.

use std::sync::Once;
use std::sync::OnceLock;
use std::time::SystemTime;

pub(in crate::hub::http) use http::HeaderMap;
pub(in crate::hub::http) use http::HeaderName;
use http::Method;
pub(in crate::hub::http) use http::header;
pub(in crate::hub::http) use reqwest::Body;
pub(in crate::hub::http) use reqwest::Error;
pub(in crate::hub::http) use reqwest::RequestBuilder;
pub(in crate::hub::http) use reqwest::Response;
pub(in crate::hub::http) use reqwest::Url;
pub(in crate::hub::http) use tokio::task::yield_now;
pub(in crate::hub::http) use tokio::time::Instant;
pub(in crate::hub::http) use tokio::time::sleep;
pub(in crate::hub::http) use tokio::time::sleep_until;
pub(in crate::hub::http) use tokio::time::timeout;

use std::time::Duration;

use reqwest::ClientBuilder;

use super::super::config::HttpHubConfig;
use super::super::config::HttpHubConfigError;
use super::super::failure;

/// Connections that are kept open while nobody uses them.
const IDLE_CONNECTIONS_MAX: usize = 64;
/// Stock hubs close a connection after five idle seconds; using one at that very moment fails.
const IDLE_CONNECTION_KEPT: Duration = Duration::from_secs(4);

/// What a task may hold: tasks move between threads.
pub(in crate::hub::http) trait Movable: Send {}

impl<T: Send> Movable for T {}

/// A pool of connections.
pub(in crate::hub::http) struct Client {
    client: reqwest::Client,
    /// With the system's certificates, if `client` came without them.
    trusting: OnceLock<reqwest::Client>,
    settings: Settings,
    is_secure: bool,
}

/// What all connections have in common.
struct Settings {
    user_agent: String,
    connect_timeout: Duration,
}

impl Settings {
    fn builder(&self) -> ClientBuilder {
        install_crypto();
        reqwest::Client::builder()
            .user_agent(&self.user_agent)
            .http1_only()
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .pool_idle_timeout(IDLE_CONNECTION_KEPT)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
    }
}

impl Client {
    pub(in crate::hub::http) fn new(
        config: &HttpHubConfig,
        hub_url: &Url,
    ) -> Result<Self, HttpHubConfigError> {
        let settings = Settings {
            user_agent: config.user_agent.clone(),
            connect_timeout: config.connect_timeout,
        };
        let mut builder = settings.builder();
        if is_loopback(hub_url) {
            builder = builder.no_proxy();
            if hub_url.scheme() == "http" {
                // Reading the system's certificates takes longer than many a sync.
                builder = builder.tls_certs_only([]);
            }
        }
        let client = builder.build().map_err(|error| HttpHubConfigError::Setup {
            message: failure::of_transport(&error).to_string(),
        })?;
        Ok(Self {
            client,
            trusting: OnceLock::new(),
            settings,
            is_secure: hub_url.scheme() == "https",
        })
    }

    pub(in crate::hub::http) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client_for(&url).request(method, url)
    }

    fn client_for(&self, url: &Url) -> &reqwest::Client {
        if self.is_secure || url.scheme() == "http" {
            return &self.client;
        }
        self.trusting.get_or_init(|| {
            let built = self.settings.builder().build();
            // Without certificates nobody is trusted, and that is what the request will tell.
            built.unwrap_or_else(|_| self.client.clone())
        })
    }
}

/// Runs a task beside this one.
pub(in crate::hub::http) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    drop(tokio::spawn(task));
}

/// The wall clock.
pub(in crate::hub::http) fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// Chooses the cryptography of TLS for this process, unless the program has chosen before.
fn install_crypto() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
    });
}

/// Whether an address means this very machine, which no proxy can reach.
fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else {
        return false;
    };
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || bare
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Reads the time of a header.
pub(in crate::hub::http) fn parse_http_date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_recognised() {
        for (text, expected) in [
            ("http://localhost:1", true),
            ("http://127.0.0.9", true),
            ("http://[::1]:80", true),
            ("https://localhost.example", false),
            ("https://10.0.0.1", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(text).unwrap()), expected, "{text}");
        }
    }
}
