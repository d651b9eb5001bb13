//! Merges: brings three contents together and keeps what comes of them.

use super::Carrier;
use super::Completion;
use super::Origin;
use super::content_changed;
use super::lock;
use super::store_failure;
use crate::body::Body;
use crate::replica::AppMerged;
use crate::replica::MergeSides;
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
use pangaea_core::merge::Begun;
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
                let versions = (ours.version, theirs.version);
                match self
                    .merge_by_app(path, strategy, &base, (&a, &b), versions)
                    .await
                {
                    Some(AppMerged::NotNow) => return Err(app_is_away()),
                    Some(AppMerged::Content(bytes)) => self.keep_content(path, bytes),
                    Some(AppMerged::KeepBoth) | None => {
                        let merged = self.merge_built_in(strategy, &base, (&a, &b), versions);
                        self.keep_outcome(path, &merged.await?)
                    }
                }
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

    /// Asks the application, if the strategy is its own.
    async fn merge_by_app(
        &self,
        path: &FilePath,
        strategy: &Strategy,
        base: &Option<Bytes>,
        (ours, theirs): (&Bytes, &Bytes),
        versions: (VersionId, VersionId),
    ) -> Option<AppMerged> {
        let Strategy::Other(name) = strategy else {
            return None;
        };
        let (a, b) = if versions.0 < versions.1 {
            (ours, theirs)
        } else {
            (theirs, ours)
        };
        let sides = MergeSides {
            base: base.clone(),
            a: a.clone(),
            b: b.clone(),
        };
        Some(self.merges.by_app(name, path, sides).await)
    }

    async fn merge_built_in(
        &self,
        strategy: &Strategy,
        base: &Option<Bytes>,
        (ours, theirs): (&Bytes, &Bytes),
        versions: (VersionId, VersionId),
    ) -> Result<merge::Outcome, Failure> {
        let input = |bytes, version| merge::Input { bytes, version };
        let inputs = (input(ours, versions.0), input(theirs, versions.1));
        let open = match merge::begin(strategy, base.as_deref(), inputs.0, inputs.1) {
            Begun::Decided(outcome) => return Ok(outcome),
            Begun::Open(open) => open,
        };
        let (winner, loser) = match open.winner() {
            Side::Ours => (ours, theirs),
            Side::Theirs => (theirs, ours),
        };
        let sides = MergeSides {
            base: base.clone(),
            a: loser.clone(),
            b: winner.clone(),
        };
        let merged = self.merges.built_in(strategy, sides).await;
        let merged = merged.ok_or_else(merges_are_away)?;
        Ok(open.outcome(merged))
    }

    fn keep_outcome(&self, path: &FilePath, outcome: &merge::Outcome) -> Merged {
        match &outcome.content {
            merge::Content::Side(side) => Merged {
                keep: Keep::Side(*side),
                copy: outcome.copy(),
            },
            merge::Content::New(bytes) => Merged {
                copy: outcome.copy(),
                ..self.keep_content(path, Bytes::copy_from_slice(bytes))
            },
        }
    }

    /// Content that a merge made, until it is in place.
    fn keep_content(&self, path: &FilePath, bytes: Bytes) -> Merged {
        let (content, size) = (ContentHash::of(&bytes), bytes.len() as u64);
        lock(&self.fetched)
            .entry(path.clone())
            .or_default()
            .push((content, Body::Bytes(bytes)));
        Merged {
            keep: Keep::New { content, size },
            copy: None,
        }
    }
}

fn app_is_away() -> Failure {
    Failure::Busy {
        message: "the application that merges this file is not there; it is asked again".to_owned(),
    }
}

fn merges_are_away() -> Failure {
    Failure::Busy {
        message: "the part of Pangaea that merges could not be loaded; it is tried again"
            .to_owned(),
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
