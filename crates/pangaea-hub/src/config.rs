//! What a hub is told when it starts.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use gaia::address::Address;
use gaia::limits::{MEGABYTE_BYTES, PAGE_ENTRIES_MAX};

/// The settings of a hub. Start from [`HubConfig::new`] and change what should differ.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct HubConfig {
    /// The folder that holds everything; created if it does not exist. One hub at a time.
    pub data_dir: PathBuf,
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// How clients reach the hub from outside, for example `https://hub.example.com`. Without
    /// it the hub announces its own address, or, when it listens on all of them, the host that
    /// each request names.
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
    /// What caches are told about files that are read, as the value of `Cache-Control`.
    pub cache_control: String,
    /// Connections served at a time; more wait.
    pub connections_max: usize,
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
            cache_control: "no-cache".into(),
            connections_max: 4096,
        }
    }

    pub(crate) fn max_file_bytes(&self) -> u64 {
        u64::from(self.max_file_megabytes) * MEGABYTE_BYTES
    }
}
