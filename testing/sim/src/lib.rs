//! A deterministic world of replicas, a hub and faults: several real engines ([`pangaea_core`])
//! over model disks and one model hub, in virtual time, driven by one seed. It checks the promises
//! of docs/invariants.md after every run. Everything that happens is drawn from the seed, so a
//! failing seed is a test case: `cargo run -p pangaea-sim -- --seed N --trace`.
//!
//! `rng` draws, `settings` and `fault` say what a seed expands into, `hub` and `device` are the
//! models, `work` what a device does alone, `world` lets things happen, `network` carries requests, `oracle` remembers what users
//! did, `verdict` judges the end, `mutant` names the planted bugs that must be caught.

pub mod device;
pub mod fault;
pub mod hub;
pub mod mutant;
mod network;
pub mod oracle;
pub mod rng;
pub mod settings;
mod verdict;
mod work;
pub mod world;

pub use fault::Fault;
pub use mutant::Mutant;
pub use settings::Settings;
pub use world::Report;
pub use world::Trace;
pub use world::run;
