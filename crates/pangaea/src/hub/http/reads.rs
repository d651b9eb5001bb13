//! What a hub is asked without changing anything: listings, and reads through its reader.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use gaia::etag::ETag;
use gaia::hub_info::feature;
use gaia::limits::LISTING_BYTES_MAX;
use gaia::listing::ListRequest;
use gaia::path::FilePath;
use http::HeaderValue;
use http::Method;
use http::StatusCode;

use super::HttpHub;
use super::failure;
use super::failure::Call;
use super::listing::Pages;
use super::parse_url;
use super::platform::header::CONTENT_ENCODING;
use super::platform::header::CONTENT_TYPE;
use super::platform::header::ETAG;
use super::platform::header::LAST_MODIFIED;
use super::platform::parse_http_date;
use super::resume;
use super::session::Session;
use super::transport::Answer;
use super::transport::NoAnswer;
use super::transport::Stage;
use super::wants_fresh_token;
use crate::hub::HubError;
use crate::hub::HubListing;
use crate::hub::HubRead;

/// So many pages in a row may name nothing new before the listing counts as endless. A stock hub
/// shows pages that hold nothing but what it hides.
const PAGES_WITHOUT_NEWS_MAX: usize = 1000;
/// Below a path that is a folder on the hub's disk; nobody has a file of this name.
const PROBE_NAME: &str = ".pangaea-probe";

impl HttpHub {
    /// Lists the bucket, page by page. A listing that does not come to its end is an error: a part
    /// would look as if the rest had been deleted (I-9).
    pub(super) async fn list_all(&self) -> Result<HubListing, HubError> {
        let mut pages = Pages::default();
        let mut request = ListRequest {
            stat: true,
            ..ListRequest::default()
        };
        let (mut asked, mut without_news) = (BTreeSet::new(), 0);
        loop {
            let body = self.list_page(&request).await?;
            let end = pages
                .add(&body)
                .map_err(|_| failure::not_a_hub("its listing of files cannot be read"))?;
            let Some(next) = end.next else {
                return Ok(pages.into_listing());
            };
            without_news = if end.new_names == 0 {
                without_news + 1
            } else {
                0
            };
            if !asked.insert(next.to_text()) || without_news > PAGES_WITHOUT_NEWS_MAX {
                return Err(failure::not_a_hub("its listing of files does not end"));
            }
            request.page = Some(next);
        }
    }

    async fn list_page(&self, request: &ListRequest) -> Result<Bytes, HubError> {
        let body = serde_json::to_vec(request)
            .map_err(|_| failure::not_a_hub("its mark of a page cannot be sent back"))?;
        let body = Bytes::from(body);
        let mut session = self.session().await?;
        loop {
            let listed = self.list_page_once(&session, &body).await;
            if !wants_fresh_token(&listed, &session) {
                return listed;
            }
            session = self.session().await?;
        }
    }

    async fn list_page_once(
        &self,
        session: &Arc<Session>,
        body: &Bytes,
    ) -> Result<Bytes, HubError> {
        let url = self.hub_url("list-files", None)?;
        let request = || {
            self.request(session, Method::POST, &url)
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(body.clone())
        };
        let answer = self.transport.send_repeatable(request).await?;
        match answer.status() {
            StatusCode::ACCEPTED | StatusCode::OK => answer.bytes(LISTING_BYTES_MAX).await,
            _ => Err(self.refused(session, answer, Call::Hub).await),
        }
    }

    pub(super) async fn read_file(&self, path: &FilePath) -> Result<Option<HubRead>, HubError> {
        let session = self.session().await?;
        let url = parse_url(&session.info.read_url(&self.bucket, path))?;
        let answer = match self.transport.fetch(Method::GET, url.clone()).await {
            Ok(answer) => answer,
            Err(no_answer) => return Err(self.explain(&session, path, no_answer).await),
        };
        match answer.status() {
            StatusCode::NOT_FOUND => return Ok(None),
            StatusCode::OK => {}
            _ => return Err(self.read_refused(&session, answer).await),
        }
        let tag = match tag_of(&answer) {
            Ok(tag) => tag,
            Err(error) => {
                // Where reads go may be what is wrong.
                self.sessions.forget(&session).await;
                return Err(error);
            }
        };
        let text = |name| {
            answer
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let content_type = text(CONTENT_TYPE).unwrap_or_default().to_owned();
        let modified = text(LAST_MODIFIED).and_then(parse_http_date);
        let modified_s = modified
            .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
            .map_or(0, |since| since.as_secs());
        let size = answer.size();
        let large = size.filter(|size| *size >= resume::RESUMED_BYTES_MIN);
        let body = match (large, &tag) {
            (Some(size), Some(tag)) if session.info.offers(feature::RANGE) => {
                resume::into_stream(self.clone(), url, (tag.clone(), size), answer)
            }
            _ => answer.into_stream(),
        };
        Ok(Some(HubRead {
            tag,
            content_type,
            size,
            modified_s,
            body,
        }))
    }

    /// The tag of what is stored, without its bytes; none if nothing is.
    pub(super) async fn stored_tag(
        &self,
        session: &Arc<Session>,
        path: &FilePath,
    ) -> Result<Option<ETag>, HubError> {
        let url = parse_url(&session.info.read_url(&self.bucket, path))?;
        let answer = self.transport.fetch(Method::HEAD, url).await?;
        match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::OK => match tag_of(&answer)? {
                Some(tag) => Ok(Some(tag)),
                None => Err(HubError::Refused {
                    message: "it lost the version of this file; write the file anew".to_owned(),
                }),
            },
            _ => Err(self.read_refused(session, answer).await),
        }
    }

    async fn read_refused(&self, session: &Arc<Session>, answer: Answer) -> HubError {
        if answer.status().is_redirection() {
            self.sessions.forget(session).await;
            return failure::not_a_hub("it redirects reads to another site");
        }
        answer.refusal().await.into_error(Call::Read)
    }

    /// Says what it means that a read was not answered. A stock reader breaks the connection off
    /// for a path that is a folder on its disk, every time. Only that path may suffer (I-16), so
    /// the reader is asked for something else to see whether it is well.
    async fn explain(
        &self,
        session: &Arc<Session>,
        path: &FilePath,
        no_answer: NoAnswer,
    ) -> HubError {
        if no_answer.stage != Stage::Broken {
            return no_answer.error;
        }
        let Ok(probe) = path.join(PROBE_NAME) else {
            return no_answer.error;
        };
        match self.stored_tag(session, &probe).await {
            // A bad network can look the same, so it is asked again later.
            Ok(_) => HubError::Busy {
                message: "it breaks off when asked for this path; if it always does, it has a \
                          folder of this name"
                    .to_owned(),
            },
            Err(_) => no_answer.error,
        }
    }
}

/// The tag of a file that was read or looked at; none if the hub lost it, as a stock hub does when
/// an upload is cut off. An answer without any is no answer of a hub.
fn tag_of(answer: &Answer) -> Result<Option<ETag>, HubError> {
    let encoded = answer.headers().get(CONTENT_ENCODING);
    if encoded.is_some_and(|encoding| encoding != "identity") {
        return Err(failure::not_a_hub(
            "something on the way recodes what it sends",
        ));
    }
    match answer.headers().get(ETAG) {
        Some(tag) => Ok(tag.to_str().ok().and_then(ETag::parse)),
        None => Err(failure::not_a_hub(
            "it does not say which version of a file it sends",
        )),
    }
}
