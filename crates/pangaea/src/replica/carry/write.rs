//! To the hub: files, tombstones and the stock clients' signature files.

use super::Carrier;
use super::Completion;
#[cfg(feature = "native")]
use super::blocking;
use super::content_changed;
use super::failure;
use super::lock;
use crate::body::Body;
use crate::hub::HubBody;
use crate::hub::HubError;
use crate::hub::HubOutcome;
use crate::wrap::WrapError;
use bytes::Bytes;
use gaia::etag::ETag;
use gaia::path::FilePath;
use pangaea_core::io::Failure;
use pangaea_core::io::Response;
use pangaea_core::plan::Condition;
use pangaea_core::policy::Encryption;
use pangaea_core::state::Ancestors;
use pangaea_core::state::Format;
use pangaea_core::state::LocalFile;
use pangaea_core::state::ProblemKind;
use pangaea_core::state::Signing;
use pangaea_core::version::ContentHash;
use pangaea_core::version::VersionId;
#[cfg(feature = "native")]
use std::sync::Arc;
use std::sync::atomic::Ordering;

impl Carrier {
    pub(super) async fn push(
        &self,
        path: &FilePath,
        file: &LocalFile,
        format: Format,
        condition: Condition,
        done: &mut Completion,
    ) -> Result<Response, Failure> {
        self.check_size(file, format).await?;
        // What is in files of its own is sent from there.
        #[cfg(feature = "http")]
        let _room = match self.is_mirrored(path) {
            true => None,
            false => self.room_for(file.size).await,
        };
        let Some(content) = self.local_content(path, file.content).await? else {
            done.rescan.push(path.clone());
            return Err(content_changed());
        };
        let (tag, outcome) = match content {
            Body::Bytes(content) => {
                let wrapped = self
                    .wrapper
                    .wrap(path, file, format, &content)
                    .map_err(|error| self.wrap_failure(error, path, done))?;
                let body = HubBody::Bytes(wrapped.bytes);
                let outcome = self
                    .hub
                    .write(path, &wrapped.content_type, body, &condition)
                    .await;
                (wrapped.tag, outcome)
            }
            Body::File { path: source, .. } => self
                .push_file(path, file, format, &condition, source)
                .await
                .map_err(|error| self.wrap_failure(error, path, done))?,
        };
        let outcome = outcome.map_err(|error| match error {
            HubError::Source { .. } => {
                done.rescan.push(path.clone());
                content_changed()
            }
            error => failure(error),
        })?;
        let response = match outcome {
            HubOutcome::Done(stored) => Response::Stored(stored.unwrap_or(tag)),
            // The answer to an earlier attempt was lost: exactly this is stored already. What is not
            // encrypted may be somebody else's version with the same bytes: it is read to find out.
            HubOutcome::ConditionFailed(Some(there))
                if there == tag && format.encryption == Encryption::Ecies =>
            {
                Response::Stored(tag)
            }
            HubOutcome::ConditionFailed(there) => return Ok(Response::ConditionFailed(there)),
            HubOutcome::Absent => return Ok(Response::ConditionFailed(None)),
        };
        if format.signing == Signing::Signed && format.encryption == Encryption::Plain {
            self.push_signature(path, file.content).await?;
        }
        Ok(response)
    }

    fn wrap_failure(&self, error: WrapError, path: &FilePath, done: &mut Completion) -> Failure {
        if matches!(error, WrapError::ContentChanged | WrapError::Io(_)) {
            done.rescan.push(path.clone());
            return content_changed();
        }
        error.into_failure(None)
    }

    #[cfg(feature = "native")]
    async fn push_file(
        &self,
        path: &FilePath,
        file: &LocalFile,
        format: Format,
        condition: &Condition,
        source: std::path::PathBuf,
    ) -> Result<(ETag, Result<HubOutcome, HubError>), WrapError> {
        let (wrapper, to, version, from) = (
            Arc::clone(&self.wrapper),
            path.clone(),
            file.clone(),
            source.clone(),
        );
        let measured = blocking(move || wrapper.measure_file(&to, &version, format, &from))
            .await
            .map_err(|_| WrapError::ContentChanged)??;
        let (sender, receiver) = tokio::sync::mpsc::channel::<std::io::Result<Bytes>>(4);
        let (wrapper, to, version) = (Arc::clone(&self.wrapper), path.clone(), file.clone());
        let sending = tokio::task::spawn_blocking(move || {
            let mut sink = |chunk: &[u8]| {
                sender
                    .blocking_send(Ok(Bytes::copy_from_slice(chunk)))
                    .map_err(|_| std::io::ErrorKind::BrokenPipe.into())
            };
            if let Err(error) = wrapper.wrap_file(&to, &version, format, &source, &mut sink) {
                // The upload is cut off, so that the hub never takes it for complete.
                drop(sender.blocking_send(Err(std::io::Error::other(error.to_string()))));
            }
        });
        let stream = futures_util::stream::unfold(receiver, |mut receiver| async move {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        });
        let body = HubBody::Stream {
            size: measured.size,
            stream: Box::pin(stream),
        };
        let outcome = self
            .hub
            .write(path, &measured.content_type, body, condition)
            .await;
        // The receiver is gone by now, so the thread ends by itself.
        drop(sending);
        Ok((measured.tag, outcome))
    }

    #[cfg(not(feature = "native"))]
    async fn push_file(
        &self,
        _path: &FilePath,
        _file: &LocalFile,
        _format: Format,
        _condition: &Condition,
        _source: std::path::PathBuf,
    ) -> Result<(ETag, Result<HubOutcome, HubError>), WrapError> {
        // Only native stores hand out files.
        Err(WrapError::ContentChanged)
    }

    /// A file that the hub would refuse is not sent at all.
    async fn check_size(&self, file: &LocalFile, format: Format) -> Result<(), Failure> {
        let info = self.hub.info().await.map_err(failure)?;
        let limit = info.max_upload_bytes();
        let stored = crate::wrap::stored_size(file.size, format);
        if stored <= limit {
            return Ok(());
        }
        Err(Failure::Problem {
            kind: ProblemKind::Refused,
            message: format!(
                "too large for this hub: {stored} bytes as stored, the hub takes {limit}; the file \
                 stays on this device"
            ),
            tag: None,
        })
    }

    /// Keeps a stock client's signature file in step with the content that it signs.
    async fn push_signature(&self, path: &FilePath, content: ContentHash) -> Result<(), Failure> {
        let Ok(beside) = gaia::signed::signature_path(path) else {
            return Ok(());
        };
        let signature = Bytes::from(self.wrapper.detached_signature(content));
        let mut tag = lock(&self.signed).get(path).cloned().flatten();
        for _ in 0..2 {
            let condition = match tag.clone() {
                Some(tag) => Condition::Replace(tag),
                None => Condition::Create,
            };
            let body = HubBody::Bytes(signature.clone());
            let outcome = self
                .hub
                .write(&beside, "application/json", body, &condition)
                .await;
            match outcome.map_err(failure)? {
                HubOutcome::Done(stored) => {
                    lock(&self.signed).insert(path.clone(), stored);
                    return Ok(());
                }
                HubOutcome::ConditionFailed(_) | HubOutcome::Absent => {
                    let read = self.hub.read(&beside).await.map_err(failure)?;
                    tag = read.and_then(|read| read.tag);
                }
            }
        }
        Err(Failure::Busy {
            message: "the signature file is being changed elsewhere".to_owned(),
        })
    }

    pub(super) async fn remove(
        &self,
        path: &FilePath,
        version: VersionId,
        ancestors: &Ancestors,
        tag: ETag,
    ) -> Result<Response, Failure> {
        let info = self.hub.info().await.map_err(failure)?;
        let response = if info.offers("conditional-delete") {
            match self.hub.delete(path, &tag).await.map_err(failure)? {
                HubOutcome::Done(_) | HubOutcome::Absent => Response::Absent,
                HubOutcome::ConditionFailed(there) => Response::ConditionFailed(there),
            }
        } else {
            let tombstone = self
                .wrapper
                .tombstone(path, version, ancestors)
                .map_err(|error| error.into_failure(None))?;
            let body = HubBody::Bytes(tombstone.bytes);
            let condition = Condition::Replace(tag);
            let content_type = &tombstone.content_type;
            match self
                .hub
                .write(path, content_type, body, &condition)
                .await
                .map_err(failure)?
            {
                HubOutcome::Done(stored) => Response::Stored(stored.unwrap_or(tombstone.tag)),
                HubOutcome::ConditionFailed(there) => Response::ConditionFailed(there),
                HubOutcome::Absent => Response::ConditionFailed(None),
            }
        };
        // A file that is still there keeps its signature.
        if !matches!(response, Response::ConditionFailed(_)) {
            self.remove_signature(path).await?;
        }
        Ok(response)
    }

    /// Removes the signature file of a file that is gone. A failure has the whole removal tried
    /// again.
    async fn remove_signature(&self, path: &FilePath) -> Result<(), Failure> {
        let Ok(beside) = gaia::signed::signature_path(path) else {
            return Ok(());
        };
        let known = lock(&self.signed).get(path).cloned();
        let tag = match known {
            Some(tag) => tag,
            None if self.has_listed.load(Ordering::Acquire) => None,
            // Deletes found in the folder may be faster than the first listing.
            None if self.is_signature(&beside).await? => {
                let read = self.hub.read(&beside).await.map_err(failure)?;
                read.and_then(|read| read.tag)
            }
            None => None,
        };
        if let Some(tag) = tag {
            self.hub.delete(&beside, &tag).await.map_err(failure)?;
        }
        lock(&self.signed).remove(path);
        Ok(())
    }

    pub(super) async fn sweep(&self, path: &FilePath, tag: &ETag) -> Result<Response, Failure> {
        Ok(match self.hub.delete(path, tag).await.map_err(failure)? {
            HubOutcome::Done(_) | HubOutcome::Absent => Response::Absent,
            HubOutcome::ConditionFailed(there) => Response::ConditionFailed(there),
        })
    }
}
