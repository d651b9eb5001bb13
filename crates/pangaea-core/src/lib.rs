//! The replica's brain: a value without I/O, clock or randomness, the same natively, in the
//! browser and in the simulator.
//!
//! In reading order: [`version`] and [`clock`] name and order versions, [`header`] carries them on
//! a hub, [`state`] is what is remembered of a path, [`plan`] decides what to do about it,
//! [`engine`] does it for all paths through [`io`] and [`commit`], [`policy`] and [`merge`] say how
//! two versions become one, [`conflict`] names the copies, [`record`] is the stored form.
//!
//! This crate knows no HTTP, no files, no encryption and no async.

pub mod backoff;
pub mod check;
pub mod clock;
pub mod commit;
pub mod conflict;
pub mod engine;
pub mod header;
pub mod io;
pub mod media;
pub mod merge;
pub mod mutant;
pub mod plan;
pub mod policy;
pub mod record;
pub mod state;
pub mod version;
