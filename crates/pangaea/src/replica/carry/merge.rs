//! Merges: brings three contents together and keeps what comes of them.

use super::Carrier;
use super::Completion;
use super::Origin;
use super::content_changed;
use super::lock;
use super::store_failure;
use crate::body::Body;
use bytes::Bytes;
use gaia::path::FilePath;
use pangaea_core::io::Failure;
use pangaea_core::io::Keep;
use pangaea_core::io::Merged;
use pangaea_core::io::Response;
use pangaea_core::io::Side;
#[cfg(feature = "native")]
use pangaea_core::media::is_mergeable;
use pangaea_core::merge;
use pangaea_core::policy::Strategy;
use pangaea_core::state::LocalFile;
use pangaea_core::version::ContentHash;
use pangaea_core::version::VersionId;

impl Carrier {
    pub(super) async fn merge(
        &self,
        path: &FilePath,
        strategy: &Strategy,
        base: Option<ContentHash>,
        (ours, theirs): (&LocalFile, &LocalFile),
        done: &mut Completion,
    ) -> Result<Response, Failure> {
        let Some(our_body) = self.local_content(path, ours.content).await? else {
            done.rescan.push(path.clone());
            return Err(content_changed());
        };
        let Some(their_body) = self.remembered(path, theirs.content).await? else {
            return Ok(Response::ContentMissing);
        };
        let base = match base {
            Some(hash) => self.store.content(hash).await.map_err(store_failure)?,
            None => None,
        };
        let merged = match (loaded(&our_body).await, loaded(&their_body).await) {
            (Some(a), Some(b)) => {
                // Without a readable base nothing is guessed.
                let base = match &base {
                    Some(body) => loaded(body).await,
                    None => None,
                };
                let outcome = merge::merge(
                    strategy,
                    base.as_deref(),
                    merge::Input {
                        bytes: &a,
                        version: ours.version,
                    },
                    merge::Input {
                        bytes: &b,
                        version: theirs.version,
                    },
                );
                self.keep_outcome(path, &outcome)
            }
            // What is too large to be merged is not looked into.
            (None, _) | (_, None) => merge_unread(strategy, ours.version, theirs.version),
        };
        match merged.copy {
            Some(Side::Ours) => {
                self.keep(ours.content, our_body, Origin::Local, done)
                    .await?;
            }
            Some(Side::Theirs) => {
                self.keep(theirs.content, their_body, Origin::Fetched, done)
                    .await?;
            }
            // What a merge replaces goes to history; once the folder is changed it is gone there.
            None if merged.keep != Keep::Side(Side::Ours) => {
                self.keep(ours.content, our_body, Origin::Local, done)
                    .await?;
            }
            None => {}
        }
        Ok(Response::Merged(merged))
    }

    fn keep_outcome(&self, path: &FilePath, outcome: &merge::Outcome) -> Merged {
        let keep = match &outcome.content {
            merge::Content::Side(side) => Keep::Side(*side),
            merge::Content::New(bytes) => {
                let content = ContentHash::of(bytes);
                let size = bytes.len() as u64;
                let body = Body::Bytes(Bytes::copy_from_slice(bytes));
                lock(&self.fetched)
                    .entry(path.clone())
                    .or_default()
                    .push((content, body));
                Keep::New { content, size }
            }
        };
        Merged {
            keep,
            copy: outcome.copy(),
        }
    }
}

/// A merge of contents that are too large to look into.
fn merge_unread(strategy: &Strategy, ours: VersionId, theirs: VersionId) -> Merged {
    let (winner, loser) = if ours > theirs {
        (Side::Ours, Side::Theirs)
    } else {
        (Side::Theirs, Side::Ours)
    };
    let copy = (*strategy != Strategy::Latest).then_some(loser);
    Merged {
        keep: Keep::Side(winner),
        copy,
    }
}

/// Content in memory, if it is small enough to be merged.
async fn loaded(body: &Body) -> Option<Bytes> {
    match body {
        Body::Bytes(bytes) => Some(bytes.clone()),
        #[cfg(feature = "native")]
        Body::File { path, size } if is_mergeable(*size) => {
            tokio::fs::read(path).await.ok().map(Bytes::from)
        }
        Body::File { .. } => None,
    }
}
