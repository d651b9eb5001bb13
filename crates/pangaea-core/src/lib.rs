//! pangaea-core.
pub mod clock;
pub mod media;
pub mod policy;
pub mod version;
