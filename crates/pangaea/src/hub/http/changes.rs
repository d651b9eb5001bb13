//! What changes a file on a hub: conditional stores and deletes.

use std::sync::Arc;

use bytes::Bytes;
use gaia::etag::ETag;
use gaia::hub_info::feature;
use gaia::limits::CONTENT_TYPE_BYTES_MAX;
use gaia::limits::ERROR_BODY_BYTES_MAX;
use gaia::path::FilePath;
use gaia::replies::ErrorBody;
use gaia::replies::ErrorName;
use gaia::replies::StoreReply;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use pangaea_core::plan::Condition;

use super::HttpHub;
use super::failure;
use super::failure::Call;
use super::platform::Body;
use super::platform::HeaderName;
use super::platform::RequestBuilder;
use super::platform::header::CONTENT_LENGTH;
use super::platform::header::CONTENT_TYPE;
use super::platform::header::IF_MATCH;
use super::platform::header::IF_NONE_MATCH;
use super::session::Session;
use super::transport::Answer;
use super::transport::NoAnswer;
use super::transport::Stage;
use super::upload::Progress;
use super::wants_fresh_token;
use crate::body::ByteStream;
use crate::hub::HubBody;
use crate::hub::HubError;
use crate::hub::HubOutcome;

/// A hub that refuses an upload may close the connection before all of it is sent, and then its
/// answer is lost. Above this size it is worth asking afterwards what it was.
const EARLY_ANSWER_BYTES_MIN: u64 = 64 * 1024;

/// All of a store request but its body.
struct Store<'a> {
    path: &'a FilePath,
    content_type: HeaderValue,
    condition: &'a Condition,
    size: u64,
    call: Call,
}

impl HttpHub {
    pub(super) async fn store_file(
        &self,
        path: &FilePath,
        content_type: &str,
        body: HubBody,
        condition: &Condition,
    ) -> Result<HubOutcome, HubError> {
        let mut session = self.session().await?;
        let size = match &body {
            HubBody::Bytes(bytes) => bytes.len() as u64,
            HubBody::Stream { size, .. } => *size,
        };
        let bytes_max = session.info.max_upload_bytes();
        let call = Call::Change { bytes_max };
        if size > bytes_max {
            return Err(failure::too_large(call));
        }
        let content_type = checked_content_type(content_type)?;
        let store = Store {
            path,
            content_type,
            condition,
            size,
            call,
        };
        match body {
            HubBody::Stream { stream, .. } => self.store_stream(&session, &store, stream).await,
            HubBody::Bytes(bytes) => loop {
                let stored = self.store_bytes(&session, &store, bytes.clone()).await;
                if !wants_fresh_token(&stored, &session) {
                    return stored;
                }
                session = self.session().await?;
            },
        }
    }

    async fn store_bytes(
        &self,
        session: &Arc<Session>,
        store: &Store<'_>,
        bytes: Bytes,
    ) -> Result<HubOutcome, HubError> {
        let request = self.store_request(session, store)?.body(bytes);
        let answered = self.transport.send(request, store.size).await;
        self.stored(session, store, answered).await
    }

    async fn store_stream(
        &self,
        session: &Arc<Session>,
        store: &Store<'_>,
        stream: ByteStream<std::io::Error>,
    ) -> Result<HubOutcome, HubError> {
        let progress = Progress::new(store.size);
        let body = Body::wrap_stream(progress.watch(stream));
        let request = self.store_request(session, store)?.body(body);
        let standstill = progress.clone().standstill(self.transport.idle_timeout());
        let answered = self.transport.send_until(request, standstill).await;
        if answered.is_err()
            && let Some(message) = progress.source_failure()
        {
            return Err(HubError::Source { message });
        }
        let stored = self.stored(session, store, answered).await;
        if wants_fresh_token(&stored, session) {
            // The stream is used up, so the next attempt is the caller's.
            return Err(HubError::Unreachable {
                message: "the hub wanted a fresh sign-in for this upload".to_owned(),
                retry_after_ms: Some(0),
            });
        }
        stored
    }

    fn store_request(
        &self,
        session: &Session,
        store: &Store<'_>,
    ) -> Result<RequestBuilder, HubError> {
        let url = self.hub_url("store", Some(store.path))?;
        let (name, value) = match store.condition {
            Condition::Create => (IF_NONE_MATCH, HeaderValue::from_static("*")),
            Condition::Replace(tag) => if_match(tag)?,
        };
        Ok(self
            .request(session, Method::POST, &url)
            .header(CONTENT_TYPE, &store.content_type)
            .header(CONTENT_LENGTH, store.size)
            .header(name, value))
    }

    async fn stored(
        &self,
        session: &Arc<Session>,
        store: &Store<'_>,
        answered: Result<Answer, NoAnswer>,
    ) -> Result<HubOutcome, HubError> {
        let answer = match answered {
            Ok(answer) => answer,
            Err(no_answer) => return self.guess_answer(session, store, no_answer).await,
        };
        match answer.status() {
            StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED => {
                let body = answer.bytes(ERROR_BODY_BYTES_MAX).await?;
                let reply: StoreReply = serde_json::from_slice(&body)
                    .map_err(|_| failure::not_a_hub("it does not say what it stored"))?;
                Ok(HubOutcome::Done(
                    reply.etag.as_deref().and_then(ETag::parse),
                ))
            }
            StatusCode::PRECONDITION_FAILED => Ok(condition_failed(answer).await),
            _ => Err(self.refused(session, answer, store.call).await),
        }
    }

    /// Finds out whether the answer that was lost is "condition failed": otherwise a large file
    /// that somebody else replaced would be sent in vain again and again.
    async fn guess_answer(
        &self,
        session: &Arc<Session>,
        store: &Store<'_>,
        no_answer: NoAnswer,
    ) -> Result<HubOutcome, HubError> {
        if no_answer.stage != Stage::Broken || store.size < EARLY_ANSWER_BYTES_MIN {
            return Err(no_answer.error);
        }
        let Ok(current) = self.stored_tag(session, store.path).await else {
            return Err(no_answer.error);
        };
        let holds = match store.condition {
            Condition::Create => current.is_none(),
            Condition::Replace(tag) => current.as_ref() == Some(tag),
        };
        if holds {
            Err(no_answer.error)
        } else {
            Ok(HubOutcome::ConditionFailed(current))
        }
    }

    pub(super) async fn delete_file(
        &self,
        path: &FilePath,
        tag: &ETag,
    ) -> Result<HubOutcome, HubError> {
        let mut session = self.session().await?;
        loop {
            let deleted = self.delete_once(&session, path, tag).await;
            if !wants_fresh_token(&deleted, &session) {
                return deleted;
            }
            session = self.session().await?;
        }
    }

    async fn delete_once(
        &self,
        session: &Arc<Session>,
        path: &FilePath,
        tag: &ETag,
    ) -> Result<HubOutcome, HubError> {
        let url = self.hub_url("delete", Some(path))?;
        let mut request = self.request(session, Method::DELETE, &url);
        if session.info.offers(feature::CONDITIONAL_DELETE) {
            let (name, value) = if_match(tag)?;
            request = request.header(name, value);
        } else {
            match self.stored_tag(session, path).await? {
                None => return Ok(HubOutcome::Absent),
                // A reader says this, perhaps from a cache: it is no second answer that can bear out
                // what another read says, as the tag of a refused condition is.
                Some(current) if current != *tag => return Ok(HubOutcome::ConditionFailed(None)),
                Some(_) => {}
            }
        }
        let answer = self.transport.send(request, 0).await?;
        match answer.status() {
            StatusCode::ACCEPTED => Ok(HubOutcome::Done(None)),
            StatusCode::OK | StatusCode::NO_CONTENT => {
                // A sign-in page has a body; the answer to a delete has none.
                let body = answer.bytes(ERROR_BODY_BYTES_MAX).await?;
                if body.is_empty() {
                    Ok(HubOutcome::Done(None))
                } else {
                    Err(failure::not_a_hub(
                        "it does not say whether it deleted the file",
                    ))
                }
            }
            StatusCode::PRECONDITION_FAILED => Ok(condition_failed(answer).await),
            StatusCode::NOT_FOUND => {
                let refusal = answer.refusal().await;
                if refusal.body.name() == Some(ErrorName::DoesNotExist) {
                    return Ok(HubOutcome::Absent);
                }
                Err(refusal.into_error(Call::Change { bytes_max: 0 }))
            }
            _ => Err(self
                .refused(session, answer, Call::Change { bytes_max: 0 })
                .await),
        }
    }
}

/// A stock hub tells no tag here; ours does.
async fn condition_failed(answer: Answer) -> HubOutcome {
    let ErrorBody { etag, .. } = answer.refusal().await.body;
    HubOutcome::ConditionFailed(etag.as_deref().and_then(ETag::parse))
}

fn if_match(tag: &ETag) -> Result<(HeaderName, HeaderValue), HubError> {
    match HeaderValue::from_str(tag.if_match()) {
        Ok(value) => Ok((IF_MATCH, value)),
        Err(_) => Err(HubError::Refused {
            message: "the file's tag, which the hub made, cannot be sent back".to_owned(),
        }),
    }
}

pub(super) fn checked_content_type(text: &str) -> Result<HeaderValue, HubError> {
    let value = (text.len() <= CONTENT_TYPE_BYTES_MAX).then(|| HeaderValue::from_str(text));
    match value {
        Some(Ok(value)) => Ok(value),
        Some(Err(_)) | None => Err(HubError::Refused {
            message: "the type of this content is too long or holds odd characters".to_owned(),
        }),
    }
}
