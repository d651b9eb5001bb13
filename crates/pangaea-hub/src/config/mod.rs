//! What a hub is told when it starts, and where it is told so.
//!
//! `settings` is the one table of all settings: their names, what they take, and whether they can
//! change while the hub runs; `convert` has what its rows share. `file` and `environment` read and write them, `load` puts the
//! sources above each other. A new setting is a field here, a row there, and a line in the
//! example file.

mod convert;
mod edit;
mod environment;
mod error;
mod file;
mod live;
mod load;
mod outside;
mod quota;
mod settings;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use gaia::address::Address;
use gaia::limits::{MEGABYTE_BYTES, PAGE_ENTRIES_MAX};
use ipnet::IpNet;

pub(crate) use edit::{change as change_file, replace as replace_file};
pub use error::{ConfigError, Place, Problem};
pub(crate) use file::read as read_file;
pub(crate) use live::Live;
pub use live::Reloaded;
pub use load::{ConfigSources, LoadedConfig};
pub(crate) use settings::{Change, SECRET, SETTINGS, Setting, sections};
pub(crate) use value::Takes;

/// Where a hub listens if nobody says otherwise: only programs of this machine reach it.
pub const LISTEN_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 3000);

/// The settings of a hub. Start from [`HubConfig::new`] and change what should differ.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HubConfig {
    /// The folder that holds everything; created if it does not exist. One hub at a time.
    pub data_dir: PathBuf,
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// How clients reach the hub from outside, for example `https://hub.example.com`. Without
    /// it the hub announces its own address, or, when it listens on all of them or is asked
    /// through a trusted proxy, the host that each request names.
    pub public_url: Option<String>,
    /// Where files are read, if that is not under `public_url`: a cache in front, for example.
    pub read_url: Option<String>,
    /// The name that tokens for this hub carry. Change it and clients must make new tokens.
    pub server_name: String,
    /// The largest file, in units of 1 048 576 bytes.
    pub max_file_megabytes: u32,
    /// Entries on one page of a listing; at most [`PAGE_ENTRIES_MAX`].
    pub page_entries: usize,
    /// Which hub URLs tokens may name.
    pub hub_urls: HubUrlRule,
    /// The only addresses that may write, or, with nothing, everybody.
    pub whitelist: Option<BTreeSet<Address>>,
    /// Whether tokens of the kind that old clients make let anybody in.
    pub legacy_tokens: LegacyTokens,
    /// Connections served at a time; more wait.
    pub connections_max: usize,
    /// Connections of one client address at a time; more are closed. Trusted proxies are not
    /// counted.
    pub connections_per_address_max: usize,
    /// Handshakes of TLS at a time; more wait.
    pub handshakes_max: usize,
    /// The largest head of a request, in bytes.
    pub head_bytes_max: usize,
    /// How long clients may take.
    pub time_limits: TimeLimits,
    /// What each bucket may hold.
    pub quota: QuotaSettings,
    /// How often clients may ask.
    pub rates: RateSettings,
    /// What caches are told about files that are read, as the value of `Cache-Control`.
    pub cache_control: String,
    /// How long the hub remembers that a file was removed. A client that follows the changes of
    /// a bucket and was away for longer lists the bucket anew.
    pub removals_kept: Duration,
    /// How long a stream of changes may be silent; then it says that it is still there, so that
    /// nothing in between takes it for dead.
    pub changes_heartbeat: Duration,
    /// The certificate to serve TLS with.
    pub tls: TlsFiles,
    /// The proxies whose word on where a request came from is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// Who may administrate the hub while it runs, and where.
    pub admin: AdminSettings,
    /// How a hub that is told to stop does so.
    pub stop: StopSettings,
    /// What must be free on the disk for the hub to count as ready, in units of 1 048 576 bytes.
    pub free_megabytes_min: u32,
    /// What the program logs.
    pub log: LogSettings,
}

/// Whether a token must name this hub, so that it cannot be used at another one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HubUrlRule {
    /// Tokens may name any hub or none, as stock hubs come.
    Any,
    /// Tokens must name one of these, or `https://` and the server name.
    OneOf(Vec<String>),
}

/// What to do with legacy tokens: they carry no end, no scopes and no date of issue, so the only
/// way to take one back is to revoke everything, or to refuse them all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LegacyTokens {
    /// Take them, as stock hubs do, until the bucket's owner revokes anything.
    #[default]
    Accept,
    /// Refuse them all. Clients that know `v1` tokens, as all of the last years do, notice
    /// nothing.
    Refuse,
}

/// How long a client may take before its connection is given to somebody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimeLimits {
    /// From connecting to the end of the TLS handshake.
    pub handshake: Duration,
    /// From there to the end of the first request's head.
    pub first_request: Duration,
    /// From one answer to the end of the next request's head.
    pub idle: Duration,
    /// The longest silence in the middle of a body.
    pub body_silence: Duration,
    /// The longest pause of a client that takes an answer, beyond what it takes at 1 KiB a
    /// second.
    pub answer_stall: Duration,
}

/// How much a bucket may hold. What would make it hold more than that is refused; nothing that is
/// there goes away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// The most bytes in files; nothing for as many as the disk holds.
    pub bytes: Option<u64>,
    /// The most files, those of archival writes included.
    pub files: Option<u64>,
}

/// Who may hold how much.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QuotaSettings {
    /// Every bucket, except those in `buckets`.
    pub each: Quota,
    /// The buckets that something else holds for.
    pub buckets: BTreeMap<Address, Quota>,
}

/// How often somebody may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a second on average; nothing for as many as the hub can answer.
    pub per_second: Option<u32>,
    /// Requests that may come at once before that.
    pub burst: u32,
}

/// How often whom may ask. What goes beyond is told to wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateSettings {
    /// All requests with a token for one bucket together. A batch counts as its operations.
    pub bucket: Rate,
    /// All requests of one client address together, or of one /64 network with IPv6, whatever
    /// becomes of them.
    pub address: Rate,
}

/// The PEM files of a certificate. With neither, the hub speaks plain HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsFiles {
    /// The certificate, followed by those that vouch for it.
    pub certificate: Option<PathBuf>,
    /// Its secret key.
    pub key: Option<PathBuf>,
}

/// Who may administrate a hub. Without `listen`, nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdminSettings {
    /// Where the admin service listens. What it is sent is not encrypted.
    pub listen: Option<SocketAddr>,
    /// The file that holds the token; white space around it does not count.
    pub token_file: Option<PathBuf>,
    /// The token itself, for those who have no file. It is looked at first.
    pub token: Option<Secret>,
}

/// What the program that runs a hub logs. The hub itself only hands out events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogSettings {
    /// How much.
    pub level: LogLevel,
    /// In which form.
    pub format: LogFormat,
    /// At which level a line for every request is logged.
    pub requests: RequestLog,
}

/// How much is logged; each includes those above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they say it themselves")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

/// Where the line of a request belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestLog {
    /// With what only those want who look for something.
    Debug,
    /// With everything else.
    Info,
}

/// How a hub stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopSettings {
    /// How long it goes on as before, saying only that it is not ready, so that a load balancer
    /// can turn elsewhere first.
    pub delay: Duration,
    /// How long requests under way may then take.
    pub finish: Duration,
}

/// The form of a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// A text that is neither printed nor logged.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text, without the white space around it.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }
}

impl Secret {
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(value::MASK)
    }
}

impl HubConfig {
    /// A hub that keeps its data in `data_dir` and listens at `listen`, everything else as
    /// stock, except for 1 GiB as the largest file and large listing pages.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>, listen: SocketAddr) -> Self {
        Self {
            data_dir: data_dir.into(),
            listen,
            public_url: None,
            read_url: None,
            server_name: "gaia-0".into(),
            max_file_megabytes: 1024,
            page_entries: PAGE_ENTRIES_MAX,
            hub_urls: HubUrlRule::Any,
            whitelist: None,
            legacy_tokens: LegacyTokens::Accept,
            connections_max: 4096,
            connections_per_address_max: 1024,
            handshakes_max: 256,
            head_bytes_max: 32 * 1024,
            time_limits: TimeLimits::default(),
            quota: QuotaSettings::default(),
            rates: RateSettings::default(),
            cache_control: "no-cache".into(),
            removals_kept: Duration::from_hours(30 * 24),
            changes_heartbeat: Duration::from_secs(15),
            tls: TlsFiles::default(),
            trusted_proxies: Vec::new(),
            admin: AdminSettings::default(),
            stop: StopSettings::default(),
            free_megabytes_min: 64,
            log: LogSettings {
                level: LogLevel::Info,
                format: LogFormat::Text,
                requests: RequestLog::Debug,
            },
        }
    }

    pub(crate) fn max_file_bytes(&self) -> u64 {
        u64::from(self.max_file_megabytes) * MEGABYTE_BYTES
    }
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            per_second: None,
            burst: 1000,
        }
    }
}

impl Default for StopSettings {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            finish: Duration::from_secs(10),
        }
    }
}

impl Default for TimeLimits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            first_request: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            body_silence: Duration::from_secs(30),
            answer_stall: Duration::from_secs(30),
        }
    }
}
