//! A durable Gaia hub: the protocol of the stock hub and its reader under one listener, over an
//! embedded index and a folder of immutable blobs.
//!
//! What it promises beyond the stock hub: an answer of success means that the file is on the
//! disk; a file's tag, type, length and bytes always belong together; conditions are tested and
//! applied as one, whatever the spelling of the path; an upload that breaks off changes nothing;
//! a revocation is never forgotten. It makes no requests of its own.
//!
//! Not here: clients, encryption, and what files mean.
//!
//! ```no_run
//! # async fn example() -> Result<(), pangaea_hub::HubError> {
//! use pangaea_hub::{Hub, HubConfig};
//!
//! let listen = std::net::SocketAddr::from(([127, 0, 0, 1], 3000));
//! let hub = Hub::start(HubConfig::new("hub-data", listen)).await?;
//! println!("clients connect to {}", hub.url());
//! hub.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! A request goes through `server` (connections), `routes` (the raw target), `hub` (dispatch),
//! then `write`, `batch`, `listing`, `changes`, `reads` or `fetch`; `auth` checks tokens, `upload`
//! receives bodies into `blobs`, `room` bounds what is held in memory, `commit` groups changes
//! into transactions of the `index`, `watched` wakes those who wait for a bucket to change, `gc`
//! sweeps up. [`openapi`] says what all of it answers to. What an operator does with a data folder: [`check`], [`backup`], [`import`].

mod admin;
mod auth;
pub mod backup;
mod batch;
mod blobs;
mod changes;
pub mod check;
mod commit;
mod config;
mod control;
mod error;
mod fetch;
mod folder;
mod gc;
mod health;
mod hub;
pub mod import;
mod index;
mod listing;
mod metrics;
pub mod openapi;
mod quota;
mod rates;
mod reads;
mod requests;
mod respond;
mod room;
mod routes;
mod running;
mod server;
mod status;
#[cfg(feature = "testing")]
pub mod testing;
mod tls;
mod upload;
mod watched;
mod write;

pub use config::{
    AdminSettings, ConfigError, ConfigSources, HubConfig, HubUrlRule, LISTEN_DEFAULT, LegacyTokens,
    LoadedConfig, LogFormat, LogLevel, LogSettings, Place, Problem, Quota, QuotaSettings, Rate,
    RateSettings, Reloaded, RequestLog, Secret, StopSettings, TimeLimits, TlsFiles,
};
pub use error::{HubError, IndexError};
pub use running::{Hub, RunningHub};
