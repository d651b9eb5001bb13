//! Reads that are made at the same time, sent as one fetch where the hub takes fetches. What a
//! fetch does not bring, because it is too large or because the answer is cut off, is read by
//! itself.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream;
use gaia::etag::ETag;
use gaia::fetch::AnswerHead;
use gaia::fetch::FileHead;
use gaia::fetch::Request;
use gaia::frames::Decoder;
use gaia::frames::Piece;
use gaia::hub_info::feature;
use gaia::limits::FETCH_BYTES_MAX;
use gaia::limits::FETCH_FILE_BYTES_MAX;
use gaia::limits::FETCH_PATHS_MAX;
use gaia::path::FilePath;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::Semaphore;

use super::HttpHub;
use super::failure::Call;
use super::gather::Gathered;
use super::gather::Limits;
use super::gather::Waiting;
use super::is_unkept;
use super::platform::header::CONTENT_TYPE;
use super::platform::timeout;
use super::transport::Answer;
use crate::hub::HubError;
use crate::hub::HubRead;

/// Paths are all that counts here; how large the files are is not known before.
pub(super) const LIMITS: Limits = Limits {
    calls_max: FETCH_PATHS_MAX,
    weight_max: 128 * 1024,
};

/// Files that were fetched and that nobody has read yet may take up so much memory; then the
/// answers that bring more have to wait.
pub(super) const HELD_KIB_MAX: usize = 32 * 1024;

/// A read that can be part of a fetch.
#[derive(Clone)]
pub(super) struct Read {
    path: FilePath,
}

impl Gathered for Read {
    type Reply = Option<HubRead>;

    fn weight(&self) -> usize {
        self.path.as_str().len()
    }
}

impl HttpHub {
    pub(super) async fn read_gathered(&self, path: &FilePath) -> Result<Option<HubRead>, HubError> {
        let session = self.session().await?;
        let takes_fetches = session.info.offers(feature::FETCH);
        if !takes_fetches || self.unkept.fetch.load(Ordering::Relaxed) {
            return self.read_file(path).await;
        }
        let hub = self.clone();
        let send = move |reads| {
            let hub = hub.clone();
            async move { hub.send_reads(reads).await }
        };
        let path = path.clone();
        self.reads.call(Read { path }, send).await
    }

    /// Makes reads that were gathered: one by itself, several as a fetch.
    async fn send_reads(&self, reads: Vec<Waiting<Read>>) {
        let mut singly = Vec::new();
        if reads.len() == 1 {
            singly = reads;
        } else {
            self.send_fetch(reads, &mut singly).await;
        }
        join_all(singly.into_iter().map(|read| async {
            let result = self.read_file(&read.call.path).await;
            read.reply(result);
        }))
        .await;
    }

    /// Replies to the reads that the answer to a fetch settles; the others are left in `singly`.
    async fn send_fetch(&self, reads: Vec<Waiting<Read>>, singly: &mut Vec<Waiting<Read>>) {
        let paths = reads.iter().map(|read| read.call.path.as_str().to_owned());
        let request = Request {
            paths: paths.collect(),
        };
        match self.fetch_answer(&request).await {
            Ok(Some(answer)) => {
                let mut files = Files::new(reads, Arc::clone(&self.held));
                let patience = self.transport.patience(FETCH_BYTES_MAX);
                let read = files.read(answer);
                // What an answer that broke off did not bring is read by itself.
                let _whole = timeout(patience, read).await;
                singly.append(&mut files.singly);
                singly.extend(files.asked);
            }
            Ok(None) => singly.extend(reads),
            Err(error) => {
                for read in reads {
                    read.reply(Err(error.again()));
                }
            }
        }
    }

    /// The answer to a fetch; none if its files have to be read one by one.
    async fn fetch_answer(&self, request: &Request) -> Result<Option<Answer>, HubError> {
        let url = self.hub_url("fetch", None)?;
        let Ok(body) = serde_json::to_vec(request) else {
            return Ok(None);
        };
        let body = Bytes::from(body);
        let request = || {
            self.transport
                .request(Method::POST, url.clone())
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(body.clone())
        };
        let answer = self.transport.send_repeatable(request).await?;
        match answer.status() {
            StatusCode::OK => return Ok(Some(answer)),
            StatusCode::TOO_MANY_REQUESTS => {
                return Err(answer.refusal().await.into_error(Call::Hub));
            }
            status if is_unkept(status) => self.unkept.fetch.store(true, Ordering::Relaxed),
            _ => {}
        }
        Ok(None)
    }
}

/// An answer that is no sequence of the files that were asked for.
struct Garbled;

/// The files of an answer, as they come.
struct Files {
    /// What the rest of the answer is about.
    asked: VecDeque<Waiting<Read>>,
    /// What has to be read by itself.
    singly: Vec<Waiting<Read>>,
    /// The file in the middle of which the answer is.
    current: Option<File>,
    held: Arc<Semaphore>,
}

/// A file and its place in memory.
struct File {
    head: FileHead,
    body: Vec<u8>,
    held: OwnedSemaphorePermit,
}

impl Files {
    fn new(reads: Vec<Waiting<Read>>, held: Arc<Semaphore>) -> Self {
        Self {
            asked: reads.into(),
            singly: Vec::new(),
            current: None,
            held,
        }
    }

    async fn read(&mut self, answer: Answer) -> Result<(), Garbled> {
        let mut chunks = answer.into_stream();
        let mut decoder = Decoder::<AnswerHead>::new();
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|_| Garbled)?;
            let mut input: &[u8] = &chunk;
            while let Some(piece) = decoder.next(&mut input).map_err(|_| Garbled)? {
                match piece {
                    Piece::Head(AnswerHead::End { .. }) => return Ok(()),
                    Piece::Head(AnswerHead::File(head)) => self.begin(head).await?,
                    Piece::Bytes(bytes) => {
                        if let Some(file) = &mut self.current {
                            file.body.extend_from_slice(bytes);
                        }
                    }
                }
                if decoder.is_between_frames() {
                    self.finish();
                }
            }
        }
        Err(Garbled)
    }

    async fn begin(&mut self, head: FileHead) -> Result<(), Garbled> {
        let length = head.length.unwrap_or(0);
        let is_asked = self
            .asked
            .front()
            .is_some_and(|read| read.call.path.as_str() == head.name);
        if !is_asked || length > FETCH_FILE_BYTES_MAX || (head.status != 200 && length > 0) {
            return Err(Garbled);
        }
        let kib = u32::try_from(length.div_ceil(1024)).map_err(|_| Garbled)?;
        let held = Arc::clone(&self.held).acquire_many_owned(kib);
        let held = held.await.map_err(|_| Garbled)?;
        let body = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        self.current = Some(File { head, body, held });
        Ok(())
    }

    fn finish(&mut self) {
        let Some(file) = self.current.take() else {
            return;
        };
        let Some(read) = self.asked.pop_front() else {
            return;
        };
        match file.head.status {
            200 if file.head.etag.is_some() => read.reply(Ok(Some(file.into_read()))),
            404 => read.reply(Ok(None)),
            _ => self.singly.push(read),
        }
    }
}

impl File {
    fn into_read(self) -> HubRead {
        let Self { head, body, held } = self;
        let size = body.len() as u64;
        let body = stream::once(async move {
            // As soon as somebody has it, it is theirs to account for.
            drop(held);
            Ok(Bytes::from(body))
        });
        HubRead {
            tag: head.etag.as_deref().and_then(ETag::parse),
            content_type: head.content_type.unwrap_or_default(),
            size: Some(size),
            modified_s: head.last_modified_seconds.unwrap_or(0),
            body: Box::pin(body),
        }
    }
}
