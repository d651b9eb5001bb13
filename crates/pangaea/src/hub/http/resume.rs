//! Reading a large file to its end although the connection breaks: what is missing is asked for,
//! of that very version, where the hub announces ranges. The whole is checked against the tag,
//! since a hub that verifies whole files may not verify parts.

use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use gaia::etag::ETag;
use gaia::etag::ETagHasher;
use http::HeaderValue;
use http::Method;
use http::StatusCode;

use super::HttpHub;
use super::failure;
use super::platform::Url;
use super::platform::header::CONTENT_RANGE;
use super::platform::header::IF_MATCH;
use super::platform::header::RANGE;
use super::platform::sleep;
use super::transport::Answer;
use crate::body::ByteStream;
use crate::hub::HubError;

/// A smaller file is rather read anew.
pub(super) const RESUMED_BYTES_MIN: u64 = 1024 * 1024;
/// So often in a row it is asked for the rest without getting any of it.
const ATTEMPTS_MAX: u32 = 3;
/// Before the second attempt; then twice as long each time.
const PAUSE: Duration = Duration::from_millis(500);

/// A file that is being read.
struct Reading {
    hub: HttpHub,
    url: Url,
    tag: ETag,
    size: u64,
    received: u64,
    hasher: ETagHasher,
    attempts: u32,
    /// None once the end or an error was told.
    body: Option<ByteStream<HubError>>,
}

/// The body of `answer`, which is a file of `size` bytes, as a stream that goes on after breaks.
pub(super) fn into_stream(
    hub: HttpHub,
    url: Url,
    (tag, size): (ETag, u64),
    answer: Answer,
) -> ByteStream<HubError> {
    let reading = Reading {
        hub,
        url,
        tag,
        size,
        received: 0,
        hasher: ETagHasher::new(),
        attempts: 0,
        body: Some(answer.into_stream()),
    };
    Box::pin(stream::unfold(reading, |mut reading| async move {
        Some((reading.next().await?, reading))
    }))
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Bytes, HubError>> {
        loop {
            let error = match self.body.as_mut()?.next().await {
                Some(Ok(bytes)) => {
                    self.received += bytes.len() as u64;
                    self.hasher.update(&bytes);
                    self.attempts = 0;
                    return Some(Ok(bytes));
                }
                Some(Err(error)) => error,
                None if self.received < self.size => {
                    failure::unreachable("the hub stopped in the middle of its answer")
                }
                None => {
                    self.body = None;
                    return self.check();
                }
            };
            self.body = self.rest().await;
            if self.body.is_none() {
                return Some(Err(error));
            }
        }
    }

    /// Asks for what is missing; none if there is no use in it.
    async fn rest(&mut self) -> Option<ByteStream<HubError>> {
        while self.attempts < ATTEMPTS_MAX {
            let pause = PAUSE * (2_u32.pow(self.attempts) - 1);
            self.attempts += 1;
            sleep(pause).await;
            let range = HeaderValue::try_from(format!("bytes={}-", self.received)).ok()?;
            let tag = HeaderValue::from_str(self.tag.if_match()).ok()?;
            let request = self
                .hub
                .transport
                .request(Method::GET, self.url.clone())
                .header(RANGE, range)
                .header(IF_MATCH, tag);
            match self.hub.transport.send(request, self.size).await {
                Ok(answer) if self.is_rest(&answer) => return Some(answer.into_stream()),
                // The file has changed, or it cannot be had in parts after all.
                Ok(answer) if !answer.status().is_server_error() => return None,
                Ok(_) | Err(_) => {}
            }
        }
        None
    }

    fn is_rest(&self, answer: &Answer) -> bool {
        let expected = format!("bytes {}-{}/{}", self.received, self.size - 1, self.size);
        answer.status() == StatusCode::PARTIAL_CONTENT
            && answer
                .headers()
                .get(CONTENT_RANGE)
                .is_some_and(|range| range.as_bytes() == expected.as_bytes())
    }

    fn check(&mut self) -> Option<Result<Bytes, HubError>> {
        let hasher = std::mem::replace(&mut self.hasher, ETagHasher::new());
        (hasher.finish() != self.tag).then(|| {
            Err(failure::unreachable(
                "what arrived is not what the hub has under this tag",
            ))
        })
    }
}
