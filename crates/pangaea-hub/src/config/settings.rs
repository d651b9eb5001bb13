//! The table of all settings. Everything else about configuration goes through it, so a row here
//! is all that a setting needs to be read, printed, checked and changed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gaia::limits::PAGE_ENTRIES_MAX;
use ipnet::IpNet;

use super::convert::{
    chosen, get_hub_urls, get_optional, get_path, get_seconds, get_shown, get_text, get_whitelist,
    get_whole, list, set_header, set_nets, set_optional, set_parsed, set_path, set_seconds,
    set_url, set_whitelist, set_whole, shown_net, text,
};
use super::quota;
use super::value::{Takes, Value};
use super::{HubConfig, HubUrlRule, LegacyTokens, LogFormat, LogLevel, RequestLog, Secret};

/// A setting.
pub(crate) struct Setting {
    /// The section and the name in it, with a dot between them.
    pub(crate) key: &'static str,
    pub(crate) takes: Takes,
    pub(crate) change: Change,
    /// What it is set to; nothing for one that is not set.
    pub(crate) get: fn(&HubConfig) -> Option<Value>,
    /// Sets it; the error says what to write instead.
    pub(crate) set: fn(&mut HubConfig, Value) -> Result<(), String>,
    /// Makes it what it is in another configuration.
    pub(crate) copy: fn(&HubConfig, &mut HubConfig),
}

/// When a changed setting is heeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    WhileRunning,
    AtStart,
}

/// The one setting whose value is a secret. It comes from the environment or not at all.
pub(crate) const SECRET: &str = "admin.token";

/// The setting of a key.
pub(crate) fn find(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// The names of the settings of a section.
pub(crate) fn names_in(section: &str) -> Vec<&'static str> {
    let split = SETTINGS.iter().filter_map(|row| row.key.split_once('.'));
    split
        .filter(|(of, _)| *of == section)
        .map(|(_, name)| name)
        .collect()
}

/// The sections, in the order of the table.
pub(crate) fn sections() -> Vec<&'static str> {
    let mut sections = Vec::new();
    for (section, _) in SETTINGS.iter().filter_map(|row| row.key.split_once('.')) {
        if !sections.contains(&section) {
            sections.push(section);
        }
    }
    sections
}

/// A row whose field is reached by a path that can be read and assigned.
macro_rules! setting {
    ($key:literal, $takes:expr, $change:ident, $($field:ident).+, $get:expr, $set:expr $(,)?) => {
        Setting {
            key: $key,
            takes: $takes,
            change: Change::$change,
            get: |config| $get(&config.$($field).+),
            set: |config, value| {
                config.$($field).+ = $set(value)?;
                Ok(())
            },
            copy: |from, to| to.$($field).+.clone_from(&from.$($field).+),
        }
    };
}

const SECONDS: Takes = Takes::Whole(1, 3600);
const DAY_SECONDS: u64 = 24 * 60 * 60;
const FILE: Takes = Takes::Text("the path of a file");
const ADDRESS: Takes = Takes::Text("an address and a port, such as \"127.0.0.1:3000\"");
const URL: Takes = Takes::Text("a URL, such as \"https://hub.example.com\"");
const LEGACY: [&str; 2] = ["accept", "refuse"];
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
const FORMATS: [&str; 2] = ["text", "json"];
const REQUESTS: [&str; 2] = ["debug", "info"];

/// Every setting there is.
pub(crate) const SETTINGS: &[Setting] = &[
    setting!(
        "listen.address",
        ADDRESS,
        AtStart,
        listen,
        get_shown,
        set_parsed
    ),
    setting!(
        "listen.public_url",
        URL,
        AtStart,
        public_url,
        get_text,
        set_url
    ),
    setting!("listen.read_url", URL, AtStart, read_url, get_text, set_url),
    setting!(
        "storage.data_dir",
        Takes::Text("the path of a folder"),
        AtStart,
        data_dir,
        |path: &Path| Some(Value::Text(path.display().to_string()))
            .filter(|_| !path.as_os_str().is_empty()),
        |value| Ok::<_, String>(PathBuf::from(text(value))),
    ),
    setting!(
        "storage.free_megabytes_min",
        Takes::Whole(0, u32::MAX as u64),
        WhileRunning,
        free_megabytes_min,
        get_whole,
        set_whole,
    ),
    setting!(
        "access.server_name",
        Takes::Text("a name, such as \"gaia-0\""),
        AtStart,
        server_name,
        get_shown,
        set_parsed,
    ),
    setting!(
        "access.allow",
        Takes::List("bucket addresses"),
        WhileRunning,
        whitelist,
        get_whitelist,
        set_whitelist,
    ),
    setting!(
        "access.hub_urls",
        Takes::List("URLs"),
        WhileRunning,
        hub_urls,
        get_hub_urls,
        |value| Ok::<_, String>(HubUrlRule::OneOf(list(value))),
    ),
    setting!(
        "access.legacy_tokens",
        Takes::Choice(&LEGACY),
        WhileRunning,
        legacy_tokens,
        |rule: &LegacyTokens| chosen(LEGACY[usize::from(*rule == LegacyTokens::Refuse)]),
        |value| Ok::<_, String>(match text(value).as_str() {
            "refuse" => LegacyTokens::Refuse,
            _ => LegacyTokens::Accept,
        }),
    ),
    setting!(
        "limits.max_file_megabytes",
        Takes::Whole(1, 1_048_576),
        WhileRunning,
        max_file_megabytes,
        get_whole,
        set_whole,
    ),
    setting!(
        "limits.page_entries",
        Takes::Whole(1, PAGE_ENTRIES_MAX as u64),
        WhileRunning,
        page_entries,
        get_whole,
        set_whole,
    ),
    setting!(
        "limits.connections_max",
        Takes::Whole(1, 1_000_000),
        AtStart,
        connections_max,
        get_whole,
        set_whole,
    ),
    setting!(
        "limits.connections_per_address_max",
        Takes::Whole(1, 1_000_000),
        WhileRunning,
        connections_per_address_max,
        get_whole,
        set_whole,
    ),
    setting!(
        "limits.handshakes_max",
        Takes::Whole(1, 1_000_000),
        AtStart,
        handshakes_max,
        get_whole,
        set_whole,
    ),
    setting!(
        "limits.head_bytes_max",
        // A token alone may have 16 KiB.
        Takes::Whole(1024, 131_072),
        WhileRunning,
        head_bytes_max,
        get_whole,
        set_whole,
    ),
    setting!(
        "limits.handshake_seconds",
        SECONDS,
        WhileRunning,
        time_limits.handshake,
        get_seconds,
        set_seconds,
    ),
    setting!(
        "limits.first_request_seconds",
        SECONDS,
        WhileRunning,
        time_limits.first_request,
        get_seconds,
        set_seconds,
    ),
    setting!(
        "limits.idle_seconds",
        SECONDS,
        WhileRunning,
        time_limits.idle,
        get_seconds,
        set_seconds,
    ),
    setting!(
        "limits.body_silence_seconds",
        SECONDS,
        WhileRunning,
        time_limits.body_silence,
        get_seconds,
        set_seconds,
    ),
    setting!(
        "limits.answer_stall_seconds",
        SECONDS,
        WhileRunning,
        time_limits.answer_stall,
        get_seconds,
        set_seconds,
    ),
    setting!(
        "limits.stop_delay_seconds",
        Takes::Whole(0, 3600),
        WhileRunning,
        stop.delay,
        get_seconds,
        set_seconds,
    ),
    setting!(
        "limits.stop_seconds",
        Takes::Whole(0, 3600),
        WhileRunning,
        stop.finish,
        get_seconds,
        set_seconds,
    ),
    setting!(
        "quota.bytes",
        Takes::Whole(0, i64::MAX as u64),
        WhileRunning,
        quota.each.bytes,
        get_optional,
        set_optional,
    ),
    setting!(
        "quota.files",
        Takes::Whole(0, i64::MAX as u64),
        WhileRunning,
        quota.each.files,
        get_optional,
        set_optional,
    ),
    setting!(
        "quota.buckets",
        Takes::List("bucket addresses, each with bytes=NUMBER, files=NUMBER, both or neither"),
        WhileRunning,
        quota.buckets,
        quota::get,
        |value| quota::set(list(value)),
    ),
    setting!(
        "rates.bucket_per_second",
        Takes::Whole(1, 1_000_000),
        WhileRunning,
        rates.bucket.per_second,
        get_optional,
        set_optional,
    ),
    setting!(
        "rates.bucket_burst",
        Takes::Whole(1, 1_000_000),
        WhileRunning,
        rates.bucket.burst,
        get_whole,
        set_whole,
    ),
    setting!(
        "rates.address_per_second",
        Takes::Whole(1, 1_000_000),
        WhileRunning,
        rates.address.per_second,
        get_optional,
        set_optional,
    ),
    setting!(
        "rates.address_burst",
        Takes::Whole(1, 1_000_000),
        WhileRunning,
        rates.address.burst,
        get_whole,
        set_whole,
    ),
    setting!(
        "reads.cache_control",
        Takes::Text("the value of a Cache-Control header, such as \"no-cache\""),
        WhileRunning,
        cache_control,
        get_shown,
        set_header,
    ),
    setting!(
        "changes.removals_kept_days",
        Takes::Whole(0, 3650),
        AtStart,
        removals_kept,
        |time: &Duration| Some(Value::Whole(time.as_secs() / DAY_SECONDS)),
        |value| set_whole(value).map(|days: u64| Duration::from_secs(days * DAY_SECONDS)),
    ),
    setting!(
        "changes.heartbeat_seconds",
        SECONDS,
        WhileRunning,
        changes_heartbeat,
        get_seconds,
        set_seconds,
    ),
    setting!(
        "tls.certificate",
        FILE,
        WhileRunning,
        tls.certificate,
        get_path,
        set_path
    ),
    setting!("tls.key", FILE, WhileRunning, tls.key, get_path, set_path),
    setting!(
        "proxy.trusted",
        Takes::List("addresses and networks, such as \"127.0.0.1\" or \"10.0.0.0/8\""),
        WhileRunning,
        trusted_proxies,
        |nets: &[IpNet]| Some(Value::List(nets.iter().map(shown_net).collect())),
        set_nets,
    ),
    setting!(
        "admin.address",
        ADDRESS,
        AtStart,
        admin.listen,
        |address: &Option<SocketAddr>| address.and_then(|address| get_shown(&address)),
        |value| set_parsed(value).map(Some),
    ),
    setting!(
        "admin.token_file",
        FILE,
        WhileRunning,
        admin.token_file,
        get_path,
        set_path
    ),
    setting!(
        "admin.token",
        Takes::Text("a secret"),
        WhileRunning,
        admin.token,
        |token: &Option<Secret>| token
            .as_ref()
            .map(|_| Value::Text(super::value::MASK.into())),
        |value| Ok::<_, String>(Some(Secret::new(&text(value)))),
    ),
    setting!(
        "log.level",
        Takes::Choice(&LEVELS),
        WhileRunning,
        log.level,
        |level: &LogLevel| chosen(LEVELS[*level as usize]),
        |value| Ok::<_, String>(match text(value).as_str() {
            "error" => LogLevel::Error,
            "warn" => LogLevel::Warn,
            "debug" => LogLevel::Debug,
            "trace" => LogLevel::Trace,
            _ => LogLevel::Info,
        }),
    ),
    setting!(
        "log.format",
        Takes::Choice(&FORMATS),
        AtStart,
        log.format,
        |format: &LogFormat| chosen(FORMATS[*format as usize]),
        |value| Ok::<_, String>(match text(value).as_str() {
            "json" => LogFormat::Json,
            _ => LogFormat::Text,
        }),
    ),
    setting!(
        "log.requests",
        Takes::Choice(&REQUESTS),
        WhileRunning,
        log.requests,
        |level: &RequestLog| chosen(REQUESTS[*level as usize]),
        |value| Ok::<_, String>(match text(value).as_str() {
            "info" => RequestLog::Info,
            _ => RequestLog::Debug,
        }),
    ),
];
