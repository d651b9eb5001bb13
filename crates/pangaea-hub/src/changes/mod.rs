//! `GET /changes/{bucket}`: one page of the feed, waiting for it if asked to; the stream of
//! events is in `events`.
//!
//! A waiting request holds a connection and an entry among the watched buckets, nothing else: no
//! thread, no reader of the index, and it asks the index only when its bucket has changed.

mod events;

use std::time::Duration;

use gaia::changes::{BadChangesRequest, CHANGES_ENTRIES_DEFAULT, ChangesRequest, Cursor};
use gaia::changes::{EVENT_CHANGES, EVENT_STREAM};
use http::header::{ACCEPT, CACHE_CONTROL};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::auth::Grant;
use crate::error::Refusal;
use crate::hub::Hub;
use crate::index::{Feed, FeedPage, FeedRequest, Found, Index, Position};
use crate::listing;
use crate::respond::{self, Body};
use crate::watched::Watch;

const LAST_EVENT_ID: &str = "last-event-id";
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// `GET /changes/{bucket}`
pub(crate) async fn changes(
    hub: &Hub,
    headers: &HeaderMap,
    query: &str,
    bucket: &str,
) -> Result<Response<Body>, Refusal> {
    let grant = hub.admit(headers, bucket)?;
    let mut request = ChangesRequest::parse_query(query)?;
    let streamed = wants_events(headers);
    if streamed && let Some(last) = last_event(headers)? {
        request.since = Some(last);
    }
    let since = match &request.since {
        None => None,
        Some(cursor) => match hub.index().position(grant.authorization().bucket(), cursor) {
            Found::Position(position) => Some(position),
            Found::Elsewhere if streamed => return Ok(events::expired()),
            Found::Elsewhere => return Err(Refusal::CursorExpired),
            Found::Nonsense => return Err(BadChangesRequest::Since.into()),
        },
    };
    let limit = request.limit.unwrap_or(CHANGES_ENTRIES_DEFAULT);
    let follower = Follower::new(hub, grant, since, limit);
    if streamed {
        return events::stream(follower, hub.config().changes_heartbeat).await;
    }
    let wait = Duration::from_secs(request.wait_seconds);
    let page = follower.page_within(wait).await?;
    let mut response = respond::raw_json(StatusCode::OK, page.json);
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    Ok(response)
}

fn wants_events(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter();
    values.filter_map(|value| value.to_str().ok()).any(|text| {
        text.split(',').any(|range| {
            let kind = range.split(';').next().unwrap_or("");
            kind.trim().eq_ignore_ascii_case(EVENT_STREAM)
        })
    })
}

/// The cursor of the last event that a client has seen, if it has seen one.
fn last_event(headers: &HeaderMap) -> Result<Option<Cursor>, Refusal> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let cursor = value.to_str().ok().and_then(Cursor::parse);
    cursor
        .map(Some)
        .ok_or_else(|| BadChangesRequest::Since.into())
}

/// Follows one bucket for one request.
struct Follower {
    index: Index,
    grant: Grant,
    request: FeedRequest,
    /// Made before the first page is read, so that nothing falls in between.
    watch: Watch,
    stopping: watch::Receiver<bool>,
}

/// Why a wait has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    /// The bucket, or what its tokens may do, has changed.
    Changed,
    /// It is the time until which to wait.
    Late,
    /// The hub is stopping.
    Stopping,
}

impl Follower {
    fn new(hub: &Hub, grant: Grant, since: Option<Position>, limit: usize) -> Self {
        let bucket = *grant.authorization().bucket();
        Self {
            index: hub.index().clone(),
            request: FeedRequest {
                bucket,
                since,
                entries_max: limit,
                history: listing::history(&grant),
            },
            watch: hub.watched().watch(bucket),
            stopping: hub.stopping(),
            grant,
        }
    }

    /// The page after the last one, as the feed is now.
    async fn next(&mut self) -> Result<FeedPage, Refusal> {
        self.check()?;
        match self.index.changes(self.request).await? {
            Feed::Page(page) => {
                self.request.since = Some(page.next);
                Ok(page)
            }
            Feed::Expired => Err(Refusal::CursorExpired),
        }
    }

    /// Asks again whether the token is good.
    fn check(&self) -> Result<(), Refusal> {
        let bucket = &self.request.bucket;
        let oldest_valid = self.index.revocations().oldest_valid(bucket);
        Ok(self.grant.check_now(oldest_valid)?)
    }

    fn is_stopping(&self) -> bool {
        *self.stopping.borrow() || self.stopping.has_changed().is_err()
    }

    async fn wait_until(&mut self, late: Instant) -> Woken {
        tokio::select! {
            biased;
            // An error says that the hub has been dropped, which stops it as well.
            _ = self.stopping.wait_for(|stopping| *stopping) => Woken::Stopping,
            () = self.watch.changed() => Woken::Changed,
            () = sleep_until(late) => Woken::Late,
        }
    }

    /// The next page that says something, or an empty one when nothing came in time.
    async fn page_within(mut self, wait: Duration) -> Result<FeedPage, Refusal> {
        let late = Instant::now() + wait;
        let asks_where = self.request.since.is_none();
        loop {
            let page = self.next().await?;
            if page.entries > 0 || page.more || asks_where || wait.is_zero() {
                return Ok(page);
            }
            match self.wait_until(late).await {
                Woken::Changed => {}
                Woken::Late | Woken::Stopping => return Ok(page),
            }
        }
    }
}
