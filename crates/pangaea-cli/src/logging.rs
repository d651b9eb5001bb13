//! What the program tells about its inner work, on standard error. Never secrets.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Starts logging as `RUST_LOG` says, or else by how often `-v` was given.
pub(crate) fn start(verbose: u8) {
    let named = std::env::var("RUST_LOG")
        .ok()
        .filter(|text| !text.is_empty());
    let level = match verbose {
        0 => LevelFilter::ERROR,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        3.. => LevelFilter::TRACE,
    };
    let builder = tracing_subscriber::fmt().with_writer(io::stderr);
    match named {
        Some(directives) => builder.with_env_filter(EnvFilter::new(directives)).init(),
        // Other people's crates tell their inner work from the third -v on.
        None if (1..=2).contains(&verbose) => {
            let level = level.to_string().to_lowercase();
            let ours = [
                "gaia",
                "pangaea",
                "pangaea_cli",
                "pangaea_core",
                "pangaea_hub",
            ];
            let directives = ours.map(|name| format!("{name}={level}")).join(",");
            builder
                .with_env_filter(EnvFilter::new(format!("warn,{directives}")))
                .init();
        }
        None => builder.with_max_level(level).init(),
    }
}
