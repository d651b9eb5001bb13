//! The Gaia storage protocol as data: addresses, paths, keys, tokens, scopes, encrypted and
//! signed files, entity tags, listings, change feeds, limits.
//!
//! There is no I/O here, no clock and no source of randomness: bytes go in and come out, and
//! whoever calls brings the time and the random bytes. So the same code runs in a hub, in a
//! native client, in a browser and in a simulator. Everything is written against the behaviour
//! of the stock hub and the stock JavaScript clients, bug for bug where they must understand us.
//!
//! ```
//! use gaia::auth::{AuthContext, authenticate};
//! use gaia::challenge::challenge_text;
//! use gaia::key::SecretKey;
//! use gaia::token::TokenBuilder;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A client makes a token for its bucket…
//! let key = SecretKey::generate([7; 32])?; // 32 random bytes, in earnest
//! let token = TokenBuilder::new(challenge_text("my-hub"), [1; 16])
//!     .issued_at(1_700_000_000)
//!     .sign(&key)?;
//!
//! // …and the hub checks it.
//! let bucket = key.address();
//! let context = AuthContext::new("my-hub", &bucket, 1_700_000_060);
//! let authorization = authenticate(&token.authorization(), &context)?;
//! authorization.may_store(&"notes/trip.md".parse()?)?;
//! # Ok(())
//! # }
//! ```

pub mod address;
pub mod association;
pub mod auth;
pub mod batch;
pub mod challenge;
pub mod changes;
pub mod envelope;
pub mod etag;
pub mod fetch;
pub mod frames;
pub mod hub_info;
mod jws;
pub mod key;
pub mod legacy;
pub mod limits;
pub mod listing;
pub mod path;
pub mod replies;
pub mod revoke;
pub mod scope;
pub mod signed;
pub mod token;

pub use jws::JwsError;
