//! Merges by the application: the strategies in a bucket's policies that are none of the built-in
//! ones.

use async_trait::async_trait;
use bytes::Bytes;
use gaia::path::FilePath;

use crate::shared::Shared;

/// Three versions of a file. The two new ones come in the order of their versions, so that all
/// devices see them alike.
#[derive(Debug, Clone)]
pub struct MergeSides {
    /// What both came from, if that is known and still there.
    pub base: Option<Bytes>,
    /// The lesser version's content.
    pub a: Bytes,
    /// The greater version's content.
    pub b: Bytes,
}

/// What an application made of a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppMerged {
    /// One content.
    Content(Bytes),
    /// It wants both, one of them as a conflict copy.
    KeepBoth,
    /// It cannot say now; it is asked again later.
    NotNow,
}

/// An application's own ways to merge, by the name that the policy gives to a strategy.
///
/// Two devices that merge the same versions must get the same bytes, or they never come to rest.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait AppMerge: Shared {
    /// Merges; a strategy that it does not know keeps both.
    async fn merge(&self, strategy: &str, path: &FilePath, sides: MergeSides) -> AppMerged;
}
