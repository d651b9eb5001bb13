//! Merges: the built-in ones, and those of the application, for the strategies in a bucket's policies
//! that are none of the built-in ones.

use async_trait::async_trait;
use bytes::Bytes;
use gaia::path::FilePath;
use pangaea_core::merge;
use pangaea_core::policy::Strategy;

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

/// How contents are merged.
///
/// Two devices that merge the same versions must get the same bytes, or they never come to rest.
#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
pub trait Merges: Shared {
    /// Merges by a strategy of the application's own, by the name that the policy gives to it. Both are
    /// kept if it is not known.
    async fn by_app(&self, strategy: &str, path: &FilePath, sides: MergeSides) -> AppMerged;

    /// Merges as [`merge::merge_contents`] does, with `b` as the winner; none if that cannot be
    /// done now.
    async fn built_in(&self, strategy: &Strategy, sides: MergeSides) -> Option<merge::Merged>;
}

/// The built-in merges, and none by an application.
#[derive(Debug, Clone, Copy, Default)]
pub struct BuiltInMerges;

#[cfg_attr(not(target_arch = "wasm32"), async_trait)]
#[cfg_attr(target_arch = "wasm32", async_trait(?Send))]
impl Merges for BuiltInMerges {
    async fn by_app(&self, _strategy: &str, _path: &FilePath, _sides: MergeSides) -> AppMerged {
        AppMerged::KeepBoth
    }

    async fn built_in(&self, strategy: &Strategy, sides: MergeSides) -> Option<merge::Merged> {
        let base = sides.base.unwrap_or_default();
        Some(merge::merge_contents(strategy, [&base, &sides.b, &sides.a]))
    }
}
