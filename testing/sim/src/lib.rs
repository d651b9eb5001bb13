//! A deterministic world of replicas, a hub and faults: several real engines ([`pangaea_core`]) over
//! model disks and a reference hub, in virtual time. It checks the promises of docs/invariants.md
//! after every step and at the end. A seed expands into a [`Schedule`], which is data: it can be
//! stored as a file, shrunk, and played again, here and in a browser (no file, thread or clock is
//! used in this library).
//!
//! `rng` draws; `settings`, `fault`, `schedule` say what a seed expands into; `hub` is the reference
//! hub and `header` what travels with a file; `device` is the model of a device and its shell;
//! `world` plays the steps, `user` what people do, `network` carries requests, `trouble` is what goes wrong with
//! them, `accidents` all else that goes wrong, `heal` is calm before and after;
//! `oracle` remembers what users did and what the hub had, `losses` tells it what nobody can be blamed for,
//! `watch` judges requests and `verdict` the end; `mutant` names
//! the planted bugs that must be caught; `shrink` makes failures small, `campaign` counts.

mod accidents;
pub mod campaign;
pub mod content;
pub mod device;
pub mod fault;
pub mod header;
mod heal;
pub mod hub;
mod losses;
pub mod mutant;
mod network;
pub mod oracle;
pub mod regime;
pub mod rng;
pub mod schedule;
pub mod settings;
pub mod shrink;
mod trouble;
mod user;
mod verdict;
mod watch;
pub mod world;

pub use fault::Fault;
pub use mutant::Mutant;
pub use mutant::Planted;
pub use schedule::Schedule;
pub use settings::Settings;
pub use world::Report;
pub use world::Trace;
pub use world::play;
