//! Small changes that are made at the same time, sent as a batch where the hub takes batches. Each
//! has the outcome that it would have had by itself.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::future::join_all;
use gaia::batch::Kind;
use gaia::batch::MEDIA_TYPE;
use gaia::batch::Operation;
use gaia::batch::Outcome;
use gaia::batch::Reply;
use gaia::etag::ETag;
use gaia::frames::write_head;
use gaia::hub_info::feature;
use gaia::limits::BATCH_OPERATIONS_MAX;
use gaia::limits::BATCH_REPLY_BYTES_MAX;
use gaia::path::FilePath;
use gaia::replies::ErrorName;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use pangaea_core::plan::Condition;

use super::HttpHub;
use super::changes::checked_content_type;
use super::failure;
use super::failure::Call;
use super::failure::Refusal;
use super::gather::Gathered;
use super::gather::Limits;
use super::gather::Waiting;
use super::gives_way;
use super::hide_token;
use super::is_unkept;
use super::platform::header::CONTENT_TYPE;
use super::session::Session;
use super::wants_fresh_token;
use crate::hub::HubBody;
use crate::hub::HubError;
use crate::hub::HubOutcome;

/// Larger bodies are sent by themselves: they fill a connection well enough.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// A batch is small enough to pass over a slow connection in reasonable time.
pub(super) const LIMITS: Limits = Limits {
    calls_max: BATCH_OPERATIONS_MAX,
    weight_max: 1024 * 1024,
};

/// A change that can be part of a batch.
#[derive(Clone)]
pub(super) enum Change {
    /// A store of a small body.
    Store {
        path: FilePath,
        content_type: String,
        bytes: Bytes,
        condition: Condition,
    },
    /// A delete.
    Delete { path: FilePath, tag: ETag },
}

impl Gathered for Change {
    type Reply = HubOutcome;

    fn weight(&self) -> usize {
        match self {
            Self::Store { path, bytes, .. } => path.as_str().len() + bytes.len(),
            Self::Delete { path, .. } => path.as_str().len(),
        }
    }
}

impl Change {
    /// Appends the frame of this change to a batch. False: no frame can hold it.
    fn write(&self, batch: &mut Vec<u8>) -> bool {
        let (operation, bytes) = match self {
            Self::Store {
                path,
                content_type,
                bytes,
                condition,
            } => {
                let (if_match, if_none_match) = match condition {
                    Condition::Create => (None, Some("*".to_owned())),
                    Condition::Replace(tag) => (Some(tag.if_match().to_owned()), None),
                };
                let operation = Operation {
                    op: Kind::Store,
                    path: path.as_str().to_owned(),
                    content_type: Some(content_type.clone()),
                    if_match,
                    if_none_match,
                    length: bytes.len() as u64,
                };
                (operation, bytes.as_ref())
            }
            Self::Delete { path, tag } => {
                let operation = Operation {
                    op: Kind::Delete,
                    path: path.as_str().to_owned(),
                    content_type: None,
                    if_match: Some(tag.if_match().to_owned()),
                    if_none_match: None,
                    length: 0,
                };
                (operation, [].as_slice())
            }
        };
        let is_written = write_head(&operation, batch).is_ok();
        batch.extend_from_slice(bytes);
        is_written
    }
}

/// Why a batch has no results.
enum Failed {
    /// Its changes are to be made one by one.
    OneByOne,
    /// Each of its changes failed like this.
    Each(HubError),
}

impl From<HubError> for Failed {
    fn from(error: HubError) -> Self {
        Self::Each(error)
    }
}

impl HttpHub {
    pub(super) async fn store_gathered(
        &self,
        path: &FilePath,
        content_type: &str,
        body: HubBody,
        condition: &Condition,
    ) -> Result<HubOutcome, HubError> {
        let session = self.session().await?;
        match body {
            HubBody::Bytes(bytes)
                if bytes.len() <= BODY_BYTES_MAX
                    && bytes.len() as u64 <= session.info.max_upload_bytes()
                    && self.takes_batches(&session) =>
            {
                checked_content_type(content_type)?;
                self.change(Change::Store {
                    path: path.clone(),
                    content_type: content_type.to_owned(),
                    bytes,
                    condition: condition.clone(),
                })
                .await
            }
            body => self.store_file(path, content_type, body, condition).await,
        }
    }

    pub(super) async fn delete_gathered(
        &self,
        path: &FilePath,
        tag: &ETag,
    ) -> Result<HubOutcome, HubError> {
        let session = self.session().await?;
        if !self.takes_batches(&session) {
            return self.delete_file(path, tag).await;
        }
        let (path, tag) = (path.clone(), tag.clone());
        self.change(Change::Delete { path, tag }).await
    }

    fn takes_batches(&self, session: &Session) -> bool {
        session.info.offers(feature::BATCH) && !self.unkept.batch.load(Ordering::Relaxed)
    }

    async fn change(&self, change: Change) -> Result<HubOutcome, HubError> {
        let hub = self.clone();
        let send = move |changes| {
            let hub = hub.clone();
            async move { hub.send_changes(changes).await }
        };
        self.changes.call(change, send).await
    }

    /// Makes changes that were gathered: one by itself, several as a batch.
    async fn send_changes(&self, changes: Vec<Waiting<Change>>) {
        let mut singly = Vec::new();
        if changes.len() == 1 {
            singly = changes;
        } else {
            match self.send_batch(&changes).await {
                Ok((session, outcomes)) => {
                    for (change, outcome) in changes.into_iter().zip(outcomes) {
                        match outcome_of(&change.call, outcome, &session) {
                            Some(result) => change.reply(result),
                            None => singly.push(change),
                        }
                    }
                }
                Err(Failed::OneByOne) => singly = changes,
                Err(Failed::Each(error)) => {
                    for change in changes {
                        change.reply(Err(error.again()));
                    }
                }
            }
        }
        join_all(singly.into_iter().map(|change| async {
            let result = self.change_singly(change.call.clone()).await;
            change.reply(result);
        }))
        .await;
    }

    async fn change_singly(&self, change: Change) -> Result<HubOutcome, HubError> {
        match change {
            Change::Store {
                path,
                content_type,
                bytes,
                condition,
            } => {
                let body = HubBody::Bytes(bytes);
                self.store_file(&path, &content_type, body, &condition)
                    .await
            }
            Change::Delete { path, tag } => self.delete_file(&path, &tag).await,
        }
    }

    async fn send_batch(
        &self,
        changes: &[Waiting<Change>],
    ) -> Result<(Arc<Session>, Vec<Outcome>), Failed> {
        let weight: usize = changes.iter().map(|change| change.call.weight()).sum();
        let mut body = Vec::with_capacity(weight + 256 * changes.len());
        for change in changes {
            if !change.call.write(&mut body) {
                return Err(Failed::OneByOne);
            }
        }
        let body = Bytes::from(body);
        let mut session = self.session().await?;
        loop {
            match self.send_batch_once(&session, &body).await {
                Err(Failed::Each(error)) => {
                    let failed = Err(error);
                    if wants_fresh_token::<()>(&failed, &session) {
                        session = self.session().await?;
                        continue;
                    }
                    failed?;
                }
                Err(other) => return Err(other),
                Ok(reply) if reply.results.len() == changes.len() => {
                    return Ok((session, reply.results));
                }
                Ok(_) => {
                    let error = failure::not_a_hub("it leaves out what became of a change");
                    return Err(Failed::Each(error));
                }
            }
        }
    }

    async fn send_batch_once(&self, session: &Arc<Session>, body: &Bytes) -> Result<Reply, Failed> {
        let url = self.hub_url("batch", None)?;
        let request = self
            .request(session, Method::POST, &url)
            .header(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE))
            .body(body.clone());
        let sent = self.transport.send(request, body.len() as u64).await;
        let answer = sent.map_err(HubError::from)?;
        let status = answer.status();
        if status == StatusCode::OK {
            let bytes = answer.bytes(BATCH_REPLY_BYTES_MAX).await?;
            let reply = serde_json::from_slice(&bytes)
                .map_err(|_| failure::not_a_hub("it does not say what it stored"))?;
            return Ok(reply);
        }
        if is_unkept(status) {
            self.unkept.batch.store(true, Ordering::Relaxed);
        }
        if gives_way(status) {
            return Err(Failed::OneByOne);
        }
        Err(self.refused(session, answer, Call::Hub).await.into())
    }
}

/// What a result means for a change; none if the change has to be made by itself to find out.
fn outcome_of(
    change: &Change,
    outcome: Outcome,
    session: &Session,
) -> Option<Result<HubOutcome, HubError>> {
    let status = outcome.status;
    let tag = outcome.etag.as_deref().and_then(ETag::parse);
    let mut body = outcome.into_error_body();
    let code = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    match (code, change) {
        (StatusCode::ACCEPTED, Change::Store { .. }) => Some(Ok(HubOutcome::Done(tag))),
        (StatusCode::ACCEPTED, Change::Delete { .. }) => Some(Ok(HubOutcome::Done(None))),
        (StatusCode::PRECONDITION_FAILED, _) => Some(Ok(HubOutcome::ConditionFailed(tag))),
        (StatusCode::NOT_FOUND, Change::Delete { .. })
            if body.name() == Some(ErrorName::DoesNotExist) =>
        {
            Some(Ok(HubOutcome::Absent))
        }
        // What a refused token means is found out where tokens are renewed.
        (StatusCode::UNAUTHORIZED | StatusCode::FAILED_DEPENDENCY, _) => None,
        _ => {
            hide_token(&mut body.message, &session.authorization);
            let refusal = Refusal {
                status: code,
                retry_after_ms: None,
                is_whole: true,
                body,
            };
            let bytes_max = session.info.max_upload_bytes();
            Some(Err(refusal.into_error(Call::Change { bytes_max })))
        }
    }
}
