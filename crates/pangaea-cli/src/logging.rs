//! What the program tells about its inner work, on standard error. Never secrets.

use std::io;
use std::sync::OnceLock;

use pangaea_hub::LogFormat;
use pangaea_hub::LogLevel;
use pangaea_hub::LogSettings;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::Registry;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::layer::Layered;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt;

type Filter = reload::Layer<EnvFilter, Registry>;
type Filtered = Layered<Filter, Registry>;
type Writer = Box<dyn Layer<Filtered> + Send + Sync>;

/// What can be changed about the log.
struct Handles {
    filter: reload::Handle<EnvFilter, Registry>,
    writer: reload::Handle<Writer, Filtered>,
    /// Whether the person who started the program chose a level: that goes before settings.
    level_chosen_by: Chooser,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chooser {
    Person,
    Nobody,
}

static HANDLES: OnceLock<Handles> = OnceLock::new();

/// Starts logging as `RUST_LOG` says, or else by how often `-v` was given.
pub(crate) fn start(verbose: u8) {
    let named = std::env::var("RUST_LOG")
        .ok()
        .filter(|text| !text.is_empty());
    let level_chosen_by = match (&named, verbose) {
        (None, 0) => Chooser::Nobody,
        _ => Chooser::Person,
    };
    let level = match verbose {
        0 => LevelFilter::ERROR,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        3.. => LevelFilter::TRACE,
    };
    let filter = named.map_or_else(|| of_level(level), EnvFilter::new);
    let (filter, filter_handle) = reload::Layer::new(filter);
    let (writer, writer_handle) = reload::Layer::new(writer(LogFormat::Text));
    let subscriber = tracing_subscriber::registry().with(filter).with(writer);
    let handles = Handles {
        filter: filter_handle,
        writer: writer_handle,
        level_chosen_by,
    };
    // Whoever comes second finds logging started.
    if subscriber.try_init().is_ok() {
        HANDLES.set(handles).ok();
    }
}

/// Goes on logging as a hub's settings say.
pub(crate) fn configure(settings: LogSettings) {
    let Some(handles) = HANDLES.get() else {
        return;
    };
    let level = match settings.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // Neither fails while the program logs at all.
    if handles.level_chosen_by == Chooser::Nobody {
        handles.filter.reload(of_level(level)).ok();
    }
    handles.writer.reload(writer(settings.format)).ok();
}

fn of_level(level: LevelFilter) -> EnvFilter {
    let name = level.to_string().to_lowercase();
    if !(LevelFilter::INFO..=LevelFilter::DEBUG).contains(&level) {
        return EnvFilter::new(name);
    }
    // Other people's crates tell their inner work at the last level only.
    let ours = [
        "gaia",
        "pangaea",
        "pangaea_cli",
        "pangaea_core",
        "pangaea_hub",
    ];
    let directives = ours.map(|target| format!("{target}={name}")).join(",");
    EnvFilter::new(format!("warn,{directives}"))
}

fn writer(format: LogFormat) -> Writer {
    let layer = fmt::layer().with_writer(io::stderr);
    match format {
        LogFormat::Text => layer.boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}
