//! Following a hub that has a change feed: the first listing is kept, later ones ask only for what
//! changed since, and a request that waits on the hub tells at once that something did. A hub
//! without a feed is listed as a whole every time and never waited on.
//!
//! The kept listing lives as long as the process. It is never more than what the hub itself said:
//! a cursor that has expired, an answer that cannot be read, or a day gone by lead to a new one.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use gaia::changes;
use gaia::changes::Change;
use gaia::changes::Changes;
use gaia::changes::ChangesRequest;
use gaia::changes::Cursor;
use gaia::hub_info::feature;
use gaia::limits::LISTING_BYTES_MAX;
use gaia::limits::PAGE_ENTRIES_MAX;
use gaia::path::FilePath;
use http::Method;
use http::StatusCode;
use tokio::sync::Mutex;

use super::HttpHub;
use super::failure;
use super::failure::Call;
use super::platform::Instant;
use super::session::Session;
use super::transport::Answer;
use super::wants_fresh_token;
use crate::hub::HubError;
use crate::hub::HubFile;
use crate::hub::HubListing;
use crate::hub::HubNews;

/// A whole listing is taken so often all the same.
const LISTING_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a request waits on the hub: shorter than what proxies allow.
const WAIT_SECONDS: u64 = 50;

/// What is known of the bucket, by the hub's own words.
#[derive(Default)]
pub(super) struct Feed {
    pub(super) kept: Mutex<Option<Kept>>,
}

/// A listing that is kept up to date.
pub(super) struct Kept {
    cursor: Cursor,
    files: BTreeMap<FilePath, HubFile>,
    unusable: BTreeSet<String>,
    pub(super) listed: Instant,
}

/// What the hub answers to a cursor.
enum Answered {
    Page(Changes),
    /// The hub has forgotten what was before, or is another one.
    Expired,
    /// It announces a feed, and has none.
    Nothing,
}

impl Kept {
    fn new(cursor: Cursor, listing: &HubListing) -> Self {
        let files = listing.files.iter();
        Self {
            cursor,
            files: files
                .map(|file| (file.path.clone(), file.clone()))
                .collect(),
            unusable: listing.unusable.iter().cloned().collect(),
            listed: Instant::now(),
        }
    }

    /// Takes in a page. True: it said something that was not known.
    fn take(&mut self, page: Changes) -> bool {
        let mut is_news = false;
        for entry in page.entries {
            is_news |= match entry {
                Change::Stored(file) => {
                    let file = HubFile {
                        path: file.path,
                        tag: file.etag,
                        size: file.content_length,
                    };
                    let before = self.files.insert(file.path.clone(), file.clone());
                    before.is_none_or(|before| before != file)
                }
                Change::Removed(path) => self.files.remove(&path).is_some(),
            };
        }
        for name in page.malformed {
            is_news |= self.unusable.insert(name.name);
        }
        self.cursor = page.cursor;
        is_news
    }

    fn listing(&self) -> HubListing {
        HubListing {
            files: self.files.values().cloned().collect(),
            unusable: self.unusable.iter().cloned().collect(),
        }
    }
}

impl HttpHub {
    /// Whether waiting for news is worth while: the hub tells them, and was listed.
    pub async fn tells_news(&self) -> bool {
        self.feed.kept.lock().await.is_some()
    }

    /// Lists the bucket: from what is kept and what changed since, or as a whole.
    pub(super) async fn list_followed(&self) -> Result<HubListing, HubError> {
        let session = self.session().await?;
        // One listing at a time: the next one has less to ask.
        let mut kept = self.feed.kept.lock().await;
        if !session.info.offers(feature::CHANGES) {
            *kept = None;
            return self.list_all().await;
        }
        if let Some(mut known) = kept.take_if(|known| known.listed.elapsed() < LISTING_KEPT) {
            loop {
                match self.changes_since(Some(&known.cursor), 0).await {
                    Ok(Answered::Page(page)) => {
                        let more = page.more;
                        known.take(page);
                        if !more {
                            let listing = known.listing();
                            *kept = Some(known);
                            return Ok(listing);
                        }
                    }
                    Ok(Answered::Expired | Answered::Nothing) => break,
                    Err(error) => {
                        *kept = Some(known);
                        return Err(error);
                    }
                }
            }
        }
        // The cursor first: what changes while the listing is read is then told again.
        let cursor = match self.changes_since(None, 0).await? {
            Answered::Page(page) => Some(page.cursor),
            Answered::Expired | Answered::Nothing => None,
        };
        let listing = self.list_all().await?;
        *kept = cursor.map(|cursor| Kept::new(cursor, &listing));
        Ok(listing)
    }

    /// Waits until the bucket is not what the last listing said. May be dropped at any time.
    pub(super) async fn wait_for_news(&self) -> Result<HubNews, HubError> {
        loop {
            let cursor = match self.feed.kept.lock().await.as_ref() {
                Some(known) => known.cursor.clone(),
                None => return Ok(HubNews::NotTold),
            };
            let page = match self.changes_since(Some(&cursor), WAIT_SECONDS).await? {
                Answered::Page(page) => page,
                Answered::Expired => return Ok(HubNews::Changed),
                Answered::Nothing => return Ok(HubNews::NotTold),
            };
            let mut kept = self.feed.kept.lock().await;
            // A listing may have gone on from the same cursor in the meantime.
            if let Some(known) = kept.as_mut().filter(|known| known.cursor == cursor)
                && known.take(page)
            {
                return Ok(HubNews::Changed);
            }
        }
    }

    async fn changes_since(
        &self,
        since: Option<&Cursor>,
        wait_seconds: u64,
    ) -> Result<Answered, HubError> {
        let request = ChangesRequest {
            since: since.cloned(),
            limit: since.map(|_| PAGE_ENTRIES_MAX),
            wait_seconds,
        };
        let mut session = self.session().await?;
        loop {
            let answered = self.changes_once(&session, &request).await;
            if !wants_fresh_token(&answered, &session) {
                return answered;
            }
            session = self.session().await?;
        }
    }

    async fn changes_once(
        &self,
        session: &Arc<Session>,
        request: &ChangesRequest,
    ) -> Result<Answered, HubError> {
        let mut url = self.hub_url("changes", None)?;
        let query = request.to_query();
        url.set_query((!query.is_empty()).then_some(query.as_str()));
        let build = || self.request(session, Method::GET, &url);
        let answer = if request.wait_seconds > 0 {
            let wait = Duration::from_secs(request.wait_seconds);
            self.transport.send_waiting(build(), wait).await?
        } else {
            self.transport.send_repeatable(build).await?
        };
        match answer.status() {
            StatusCode::OK => page(answer).await,
            StatusCode::GONE | StatusCode::BAD_REQUEST => Ok(Answered::Expired),
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Ok(Answered::Nothing),
            _ => Err(self.refused(session, answer, Call::Hub).await),
        }
    }
}

async fn page(answer: Answer) -> Result<Answered, HubError> {
    let body = answer.bytes(LISTING_BYTES_MAX).await?;
    changes::parse_page(&body)
        .map(Answered::Page)
        .map_err(|_| failure::not_a_hub("its list of changes cannot be read"))
}
