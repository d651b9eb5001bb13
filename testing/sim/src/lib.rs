//! A deterministic world of replicas, a hub and faults: several real engines ([`pangaea_core`])
//! over model disks and one model hub, in virtual time, driven by one seed. It checks the promises
//! of docs/invariants.md after every run. Everything that happens is drawn from the seed, so a
//! failing seed is a test case: `cargo run -p pangaea-sim -- --seed N --trace`.
//!
//! `rng` draws, `hub` and `device` are the models, `world` lets things happen, `oracle` remembers
//! what users did and judges the end, `mutant` names the planted bugs that the oracle must catch.

pub mod device;
pub mod hub;
pub mod mutant;
pub mod oracle;
pub mod rng;
pub mod world;

pub use mutant::Mutant;
pub use world::Report;
pub use world::Settings;
pub use world::run;
