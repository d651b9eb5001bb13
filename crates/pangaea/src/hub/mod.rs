//! What a replica needs of a hub: the [`Hub`] trait, in the plain calls that every Gaia hub knows,
//! and its implementations. A hub moves stored bytes; it knows nothing of versions, merges or
//! encryption.

use async_trait::async_trait;
use bytes::Bytes;
use gaia::etag::ETag;
use gaia::hub_info::HubInfo;
use gaia::path::FilePath;
use pangaea_core::plan::Condition;

use crate::body::ByteStream;
use crate::shared::Shared;

#[cfg(feature = "http")]
pub mod http;

/// One line of a listing with `stat`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubFile {
    /// The path; names that no [`FilePath`] can hold are left out of listings and reported.
    pub path: FilePath,
    /// The stored bytes' tag, if the hub tells it in listings.
    pub tag: Option<ETag>,
    /// Length of the stored bytes; 0 if the hub does not tell it in listings.
    pub size: u64,
}

/// A complete listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HubListing {
    /// Each path once, in the hub's order.
    pub files: Vec<HubFile>,
    /// Names that cannot be a path here.
    pub unusable: Vec<String>,
}

/// The beginning of an answer to a read: what is known before the bytes come.
pub struct HubRead {
    /// The stored bytes' tag.
    pub tag: Option<ETag>,
    /// As stored.
    pub content_type: String,
    /// Length of the stored bytes, if announced.
    pub size: Option<u64>,
    /// `Last-Modified`, in seconds since 1970; 0 if absent.
    pub modified_s: u64,
    /// The stored bytes.
    pub body: ByteStream<HubError>,
}

/// The stored bytes of a write.
pub enum HubBody {
    /// In memory.
    Bytes(Bytes),
    /// A stream of exactly `size` bytes.
    Stream {
        /// Length in bytes.
        size: u64,
        /// The bytes; an error, also one after the last byte, ends the request without
        /// completing it.
        stream: ByteStream<std::io::Error>,
    },
}

/// What a conditional write or delete led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubOutcome {
    /// Done; the new tag, for a write.
    Done(Option<ETag>),
    /// The condition did not hold; the tag that is there, if the hub told.
    ConditionFailed(Option<ETag>),
    /// There was nothing to delete.
    Absent,
}

/// What comes of waiting on a hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HubNews {
    /// Something changed since the last listing: list again.
    Changed,
    /// This hub does not tell, or was not listed yet: list now and then.
    NotTold,
}

/// Why a call to a hub failed, by what is to be done about it (design section 3, rule 3).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HubError {
    /// No answer, or one that says "not now": timeouts, resets, 429, 5xx, a captive portal.
    #[error("{message}")]
    Unreachable {
        /// For a person: what happened.
        message: String,
        /// How long the hub asks to wait, in milliseconds.
        retry_after_ms: Option<u64>,
    },
    /// The path is busy (409).
    #[error("the hub is busy with this file: {message}")]
    Busy {
        /// The hub's words.
        message: String,
    },
    /// The token is not accepted (401).
    #[error("the hub does not accept this key any more: {message}")]
    Unauthorized {
        /// The hub's words.
        message: String,
    },
    /// Refused for good (403, 413, 4xx).
    #[error("the hub refuses this: {message}")]
    Refused {
        /// The hub's words, and what to do.
        message: String,
    },
    /// The local source of an upload failed or changed while it was read.
    #[error("the file could not be read to its end: {message}")]
    Source {
        /// What happened.
        message: String,
    },
}

/// A Gaia hub, seen with one bucket's key.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait Hub: Shared {
    /// What the hub says of itself; read once and remembered, or read again after a failure.
    async fn info(&self) -> Result<HubInfo, HubError>;

    /// Lists the whole bucket: all pages, until a page is empty or names no next one.
    async fn list(&self) -> Result<HubListing, HubError>;

    /// Reads a file; none if there is none.
    async fn read(&self, path: &FilePath) -> Result<Option<HubRead>, HubError>;

    /// Stores a file on condition.
    async fn write(
        &self,
        path: &FilePath,
        content_type: &str,
        body: HubBody,
        condition: &Condition,
    ) -> Result<HubOutcome, HubError>;

    /// Waits until the bucket may not be what the last listing said. May be dropped at any time.
    async fn news(&self) -> Result<HubNews, HubError> {
        Ok(HubNews::NotTold)
    }

    /// Deletes a file if it still has this tag. A hub that does not announce conditional deletes
    /// is asked for the tag right before, which leaves a moment's race (see docs).
    async fn delete(&self, path: &FilePath, tag: &ETag) -> Result<HubOutcome, HubError>;
}
