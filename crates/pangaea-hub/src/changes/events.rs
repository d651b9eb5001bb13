//! The feed as server-sent events: a page as each event, its cursor as the event's id.
//!
//! Nothing is read ahead: the next page is fetched when the connection has taken the last one.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use gaia::changes::EVENT_EXPIRED;
use gaia::replies::{ErrorBody, ErrorName};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::time::Instant;

use super::{EVENT_CHANGES, EVENT_STREAM, Follower, NO_STORE, Woken};
use crate::error::Refusal;
use crate::index::FeedPage;
use crate::respond::{self, Body};

/// Tells proxies of one widespread kind not to hold events back.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// How long a client should wait before it connects again.
const RETRY_MS: u64 = 3_000;

const HEARTBEAT: &[u8] = b":\n\n";

/// A stream under way.
struct Events {
    follower: Follower,
    heartbeat: Duration,
    /// When the next heartbeat is due.
    quiet_until: Instant,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// There may be something to read.
    Reading,
    /// Everything has been read.
    Waiting,
    Ended,
}

/// Answers with all that changed and changes. The first page is read before the answer begins,
/// so that what is wrong with the request has a status of its own.
pub(super) async fn stream(
    mut follower: Follower,
    heartbeat: Duration,
) -> Result<Response<Body>, Refusal> {
    let page = match follower.next().await {
        Ok(page) => page,
        Err(Refusal::CursorExpired) => return Ok(expired()),
        Err(refusal) => return Err(refusal),
    };
    let first = Bytes::from(format!("retry: {RETRY_MS}\n{}", changes_event(&page)));
    let events = Events {
        phase: Phase::after(&page),
        follower,
        heartbeat,
        quiet_until: Instant::now() + heartbeat,
    };
    let rest = stream::unfold(events, |mut events| async move {
        let event = events.next().await?;
        Some((event, events))
    });
    let all = futures_util::StreamExt::chain(stream::iter([first]), rest);
    let frames = futures_util::StreamExt::map(all, |event| Ok::<_, Infallible>(Frame::data(event)));
    let body = StreamBody::new(frames);
    Ok(answer(body.map_err(|never| match never {}).boxed_unsync()))
}

/// Answers a client whose cursor has expired. A refusal would make browsers ask again and again.
pub(super) fn expired() -> Response<Body> {
    answer(respond::bytes(expired_event()))
}

fn answer(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

fn changes_event(page: &FeedPage) -> String {
    // JSON has no line ends of its own, so a page is one line of data.
    let data = String::from_utf8_lossy(&page.json);
    format!(
        "id: {}\nevent: {EVENT_CHANGES}\ndata: {data}\n\n",
        page.cursor
    )
}

fn expired_event() -> String {
    let words = Refusal::CursorExpired.to_string();
    let data = ErrorBody::new(ErrorName::CursorExpired, words);
    let data = serde_json::to_string(&data).unwrap_or_default();
    format!("event: {EVENT_EXPIRED}\ndata: {data}\n\n")
}

impl Phase {
    fn after(page: &FeedPage) -> Self {
        if page.more {
            Self::Reading
        } else {
            Self::Waiting
        }
    }
}

impl Events {
    /// The next event or heartbeat; nothing at the end of the stream.
    async fn next(&mut self) -> Option<Bytes> {
        let event = loop {
            match self.phase {
                Phase::Reading => {
                    if let Some(event) = self.read().await? {
                        break event;
                    }
                }
                Phase::Waiting => match self.follower.wait_until(self.quiet_until).await {
                    Woken::Changed => self.phase = Phase::Reading,
                    Woken::Stopping => return None,
                    Woken::Late => {
                        self.follower.check().ok()?;
                        break Bytes::from_static(HEARTBEAT);
                    }
                },
                Phase::Ended => return None,
            }
        };
        self.quiet_until = Instant::now() + self.heartbeat;
        Some(event)
    }

    /// Reads a page and says what to tell of it, if anything. Nothing at all ends the stream.
    async fn read(&mut self) -> Option<Option<Bytes>> {
        if self.follower.is_stopping() {
            return None;
        }
        match self.follower.next().await {
            Ok(page) => {
                self.phase = Phase::after(&page);
                let tells = page.entries > 0 || page.more;
                Some(tells.then(|| Bytes::from(changes_event(&page))))
            }
            Err(Refusal::CursorExpired) => {
                self.phase = Phase::Ended;
                Some(Some(Bytes::from(expired_event())))
            }
            Err(refusal) => {
                // There is no status to say it with any more. The client connects again, and is
                // told then.
                respond::log(&refusal);
                None
            }
        }
    }
}
