//! A local-first replica of a Gaia bucket: what an application links.
//!
//! The brain is [`pangaea_core`], a value without I/O. This crate carries: it stores what the
//! brain decides ([`store`]), moves bytes from and to a hub ([`hub`]), and keeps a folder equal to
//! the replica (`mirror`). Nothing is decided here.

pub mod body;
pub mod hub;
#[cfg(all(feature = "mirror", unix))]
pub mod mirror;
pub mod replica;
pub mod shared;
pub mod store;
pub mod time;
pub mod wrap;
