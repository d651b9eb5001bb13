//! pangaea-core.
pub mod clock;
pub mod header;
pub mod media;
pub mod policy;
pub mod version;
pub mod commit;
pub mod plan;
pub mod record;
pub mod state;
