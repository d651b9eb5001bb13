//! Into the mirrored folder: what the engine decided, many files at a time.

use super::Carrier;
use super::Completion;
use super::Origin;
use super::Running;
#[cfg(feature = "native")]
use super::blocking;
use super::lock;
use super::problem;
use crate::body::Body;
use crate::mirror::Mirror;
use crate::mirror::RULES_FILE;
use pangaea_core::io::Failure;
use pangaea_core::io::Request;
use pangaea_core::io::RequestId;
use pangaea_core::io::Response;
use pangaea_core::state::ProblemKind;
use std::sync::Arc;

impl Carrier {
    /// Begins to change files of the folder, all together: that is much cheaper than one by one.
    pub(in crate::replica) fn start_applying(
        self: &Arc<Self>,
        mirror: Arc<Mirror>,
        requests: Vec<(RequestId, Request)>,
    ) -> Running {
        let carrier = Arc::clone(self);
        let again = requests.clone();
        let task = tokio::spawn(async move { carrier.apply_to_folder(mirror, requests).await });
        Box::pin(async move {
            task.await.unwrap_or_else(|_| {
                again
                    .into_iter()
                    .map(|(id, request)| Completion::cut_off(id, request))
                    .collect()
            })
        })
    }

    async fn apply_to_folder(
        &self,
        mirror: Arc<Mirror>,
        requests: Vec<(RequestId, Request)>,
    ) -> Vec<Completion> {
        let mut answered = Vec::with_capacity(requests.len());
        let (mut tasks, mut waiting) = (Vec::new(), Vec::new());
        for (id, request) in requests {
            let mut done = Completion::new(id, request.clone());
            match self.apply_task(request, &mut done).await {
                Ok(Some(task)) => {
                    tasks.push(task);
                    waiting.push(done);
                }
                Ok(None) => answered.push(done),
                Err(failure) => {
                    done.response = Response::Failed(failure);
                    answered.push(done);
                }
            }
        }
        let Some(staging) = self.store.staging() else {
            return answered;
        };
        let applied = blocking(move || mirror.apply_batch(&tasks, &staging)).await;
        match applied {
            Ok(Ok(results)) => {
                for (mut done, result) in waiting.into_iter().zip(results) {
                    done.response = match result {
                        Ok(applied) => self.note_applied(applied, &mut done).await,
                        Err(error) => Err(problem(ProblemKind::Device, error.to_string())),
                    }
                    .unwrap_or_else(Response::Failed);
                    answered.push(done);
                }
            }
            Ok(Err(error)) => {
                for mut done in waiting {
                    let failure = problem(ProblemKind::Device, error.to_string());
                    done.response = Response::Failed(failure);
                    answered.push(done);
                }
            }
            Err(failure) => {
                for mut done in waiting {
                    done.response = Response::Failed(failure.clone());
                    answered.push(done);
                }
            }
        }
        answered
    }

    /// What is to be done in the folder; none if the content is not at hand any more.
    async fn apply_task(
        &self,
        request: Request,
        done: &mut Completion,
    ) -> Result<Option<crate::mirror::ApplyTask>, Failure> {
        let Request::Apply { path, expected, to } = request else {
            return Ok(None);
        };
        let to = match to {
            None => None,
            Some(file) => {
                let Some(body) = self.remembered(&path, file.content).await? else {
                    return Ok(None);
                };
                if self.is_kept(&path, &file.media_type, file.size) {
                    self.keep(file.content, body.clone(), Origin::Local, done)
                        .await?;
                }
                Some((file.content, body))
            }
        };
        Ok(Some(crate::mirror::ApplyTask { path, expected, to }))
    }

    async fn note_applied(
        &self,
        applied: crate::mirror::Applied,
        done: &mut Completion,
    ) -> Result<Response, Failure> {
        use crate::mirror::Applied;
        let Some(path) = done.request.path().cloned() else {
            return Ok(Response::ContentMissing);
        };
        match applied {
            Applied::Done { stamp, displaced } => {
                lock(&self.fetched).remove(&path);
                done.applied = true;
                if path.file_name() == RULES_FILE {
                    // Other rules, other files.
                    done.rescan.push(path.clone());
                }
                done.stamps.push((path, stamp.map(|stamp| stamp.encode())));
                if let Some(displaced) = displaced {
                    let body = Body::File {
                        path: displaced.file,
                        size: displaced.size,
                    };
                    self.keep(displaced.hash, body, Origin::Own, done).await?;
                }
                Ok(Response::Applied)
            }
            Applied::Differs => {
                done.rescan.push(path);
                Ok(Response::LocalDiffers)
            }
            Applied::Ignored => {
                let message = "kept out of the folder by .pangaeaignore".to_owned();
                Err(problem(ProblemKind::Ignored, message))
            }
            Applied::Refused { reason } => Err(problem(ProblemKind::Device, reason)),
        }
    }

    /// Makes what was applied to the folder survive a power cut.
    pub(in crate::replica) async fn sync_folder(&self) -> Result<(), crate::mirror::MirrorError> {
        let Some(mirror) = self.mirror.clone() else {
            return Ok(());
        };
        match blocking(move || mirror.sync_to_disk()).await {
            Ok(result) => result,
            Err(_) => Ok(()),
        }
    }
}
