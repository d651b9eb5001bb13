//! A model of the shell's way with a hub: which calls a request becomes, and what the replies mean
//! for the engine. Where the real shell makes several calls for one request, so does this.

use std::collections::BTreeMap;

use gaia::etag::ETag;
use gaia::path::FilePath;
use pangaea_core::io::Failure;
use pangaea_core::io::ListedFile;
use pangaea_core::io::Request;
use pangaea_core::io::Response;
use pangaea_core::policy::Encryption;
use pangaea_core::state::Format;
use pangaea_core::state::LocalFile;
use pangaea_core::state::ProblemKind;
use pangaea_core::version::ContentHash;

use super::Contents;
use super::Device;
use crate::content::Bytes;
use crate::header;
use crate::header::Form;
use crate::header::Header;
use crate::hub::Call;
use crate::hub::Cursor;
use crate::hub::Page;
use crate::hub::Reply;
use crate::mutant::Mutant;

/// A listing that is kept up to date by the change feed.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    cursor: Cursor,
    files: Files,
}

type Files = BTreeMap<FilePath, Option<ETag>>;

/// So many pages in a row that name nothing new are an endless listing.
const PAGES_WITHOUT_NEWS_MAX: u32 = 50;

/// How far a request is that takes several calls.
#[derive(Debug, Clone)]
pub enum Job {
    /// One call, whose reply is the answer.
    Single,
    /// A push of bytes that no other version has.
    Push(ETag),
    /// Pages of a listing so far; where the feed was before it, on a hub that has one.
    Pages {
        /// What was listed.
        files: Files,
        /// From which the next listing goes on.
        cursor: Option<Cursor>,
        /// The mark that was asked for.
        mark: Option<u64>,
        /// Pages in a row that named nothing new.
        without_news: u32,
    },
    /// Asks where the feed is, before a whole listing.
    FeedStart,
    /// Asks what changed since the kept listing.
    FeedNews,
    /// Asks for the tag before a delete that no condition guards.
    Look {
        /// What is to be deleted.
        path: FilePath,
        /// What it must be.
        tag: ETag,
    },
}

/// What a reply leads to.
#[derive(Debug)]
pub enum Next {
    /// Another call.
    Ask(Call, Job),
    /// The answer to the engine.
    Answer(Response),
}

impl Device {
    /// The first call of a request. None: it fails before anything is sent.
    pub fn begin(
        &self,
        request: &Request,
        is_ours: bool,
        contents: &Contents,
    ) -> Option<(Call, Job)> {
        Some(match request {
            Request::List if is_ours => match &self.kept {
                Some(kept) => {
                    let since = Some(kept.cursor);
                    (Call::Changes { since }, Job::FeedNews)
                }
                None => (Call::Changes { since: None }, Job::FeedStart),
            },
            Request::List => first_page(None),
            Request::Fetch { path } => (Call::Get { path: path.clone() }, Job::Single),
            Request::Push {
                path,
                file,
                format,
                condition,
            } => {
                let (bytes, header) = wrapped(path, file, *format, contents)?;
                let tag = ETag::of(&bytes);
                let condition = condition.clone();
                let condition = Some(condition).filter(|_| !self.planted.is(Mutant::BlindPush));
                let call = Call::Put {
                    path: path.clone(),
                    bytes,
                    header: Some(header.into()),
                    condition,
                };
                let job = match format.encryption {
                    Encryption::Ecies => Job::Push(tag),
                    Encryption::Plain => Job::Single,
                };
                (call, job)
            }
            Request::Remove { path, tag, .. } if is_ours => (self.delete(path, tag), Job::Single),
            Request::Remove {
                path,
                version,
                ancestors,
                tag,
            } => {
                let header = Header {
                    version: *version,
                    ancestors: ancestors.clone(),
                    digest: ContentHash::EMPTY,
                    form: Form::Tombstone,
                };
                let condition = pangaea_core::plan::Condition::Replace(tag.clone());
                let call = Call::Put {
                    path: path.clone(),
                    bytes: [].as_slice().into(),
                    header: Some(header.into()),
                    condition: Some(condition).filter(|_| !self.planted.is(Mutant::BlindRemove)),
                };
                (call, Job::Single)
            }
            Request::Sweep { path, tag } if is_ours => (self.delete(path, tag), Job::Single),
            Request::Sweep { path, tag } => self.look(path, tag),
            Request::Merge { .. } | Request::Apply { .. } => return None,
        })
    }

    fn delete(&self, path: &FilePath, tag: &ETag) -> Call {
        let condition = Some(tag.clone()).filter(|_| !self.planted.is(Mutant::BlindRemove));
        Call::Delete {
            path: path.clone(),
            condition,
        }
    }

    fn look(&self, path: &FilePath, tag: &ETag) -> (Call, Job) {
        let path = path.clone();
        if self.planted.is(Mutant::BlindSweep) {
            let condition = None;
            return (Call::Delete { path, condition }, Job::Single);
        }
        let call = Call::Head { path: path.clone() };
        let tag = tag.clone();
        (call, Job::Look { path, tag })
    }

    /// What a reply means.
    pub fn take_reply(
        &mut self,
        request: &Request,
        job: Job,
        reply: Reply,
        contents: &mut Contents,
    ) -> Next {
        if let Some(failure) = failed(&reply) {
            return Next::Answer(Response::Failed(failure));
        }
        match (job, reply) {
            (
                Job::Pages {
                    files,
                    cursor,
                    mark,
                    without_news,
                },
                Reply::Page(page),
            ) => self.take_page(files, cursor, (mark, without_news), page),
            (Job::FeedStart, Reply::Changes(_, cursor)) => {
                let (call, job) = first_page(Some(cursor));
                Next::Ask(call, job)
            }
            (Job::FeedNews, Reply::Changes(changed, cursor)) => self.take_news(changed, cursor),
            (Job::FeedNews, Reply::Expired) if self.planted.is(Mutant::TrustExpiredCursor) => {
                let listed = self.kept.clone().map(|kept| kept.files);
                Next::Answer(listed_files(listed.unwrap_or_default()))
            }
            (Job::FeedNews, Reply::Expired) => {
                self.kept = None;
                Next::Ask(Call::Changes { since: None }, Job::FeedStart)
            }
            (Job::Look { path, tag }, Reply::Tag(there)) if there == tag => {
                let condition = Some(tag);
                Next::Ask(Call::Delete { path, condition }, Job::Single)
            }
            // A read says this, so it may be an old answer.
            (Job::Look { .. }, Reply::Tag(_)) => Next::Answer(Response::ConditionFailed(None)),
            (Job::Push(tag), Reply::ConditionFailed(Some(there))) if there == tag => {
                // The answer to an earlier attempt was lost: exactly this is stored already.
                Next::Answer(Response::Stored(tag))
            }
            (Job::Push(tag), Reply::ConditionFailed(None))
                if self.planted.is(Mutant::AssumeItWasMe) =>
            {
                Next::Answer(Response::Stored(tag))
            }
            (_, reply) => Next::Answer(answer(request, reply, contents)),
        }
    }

    fn take_page(
        &mut self,
        mut files: Files,
        cursor: Option<Cursor>,
        (mark, without_news): (Option<u64>, u32),
        page: Page,
    ) -> Next {
        let known = files.len();
        let is_empty = page.entries.is_empty();
        files.extend(page.entries.into_iter().flatten());
        let without_news = if files.len() > known {
            0
        } else {
            without_news + 1
        };
        match page.next {
            Some(_) if is_empty => {}
            Some(next) if Some(next) == mark || without_news > PAGES_WITHOUT_NEWS_MAX => {
                return Next::Answer(Response::Failed(unreachable("an endless listing", None)));
            }
            Some(next) if !self.planted.is(Mutant::FirstPageOnly) => {
                let mark = Some(next);
                let job = Job::Pages {
                    files,
                    cursor,
                    mark,
                    without_news,
                };
                return Next::Ask(Call::List { mark }, job);
            }
            Some(_) | None => {}
        }
        self.kept = cursor.map(|cursor| Kept {
            cursor,
            files: files.clone(),
        });
        Next::Answer(listed_files(files))
    }

    fn take_news(&mut self, changed: Vec<(FilePath, Option<ETag>)>, cursor: Cursor) -> Next {
        let Some(kept) = &mut self.kept else {
            return Next::Ask(Call::Changes { since: None }, Job::FeedStart);
        };
        let skipped = usize::from(self.planted.is(Mutant::SkipFeedEntry));
        for (path, tag) in changed.into_iter().skip(skipped) {
            match tag {
                Some(tag) => kept.files.insert(path, Some(tag)),
                None => kept.files.remove(&path),
            };
        }
        kept.cursor = cursor;
        Next::Answer(listed_files(kept.files.clone()))
    }
}

fn first_page(cursor: Option<Cursor>) -> (Call, Job) {
    let job = Job::Pages {
        files: Files::new(),
        cursor,
        mark: None,
        without_news: 0,
    };
    (Call::List { mark: None }, job)
}

fn listed_files(files: Files) -> Response {
    let files = files.into_iter();
    Response::Listed(files.map(|(path, tag)| ListedFile { path, tag }).collect())
}

fn wrapped(
    path: &FilePath,
    file: &LocalFile,
    format: Format,
    contents: &Contents,
) -> Option<(Bytes, Header)> {
    let content = contents.get(&file.content)?;
    let bytes = header::wrap(path, file, format, content);
    let header = Header {
        version: file.version,
        ancestors: file.ancestors.clone(),
        digest: ContentHash::of(&bytes),
        form: Form::File(file.media_type.clone(), format),
    };
    Some((bytes, header))
}

/// A failure that `reply` stands for whatever was asked.
fn failed(reply: &Reply) -> Option<Failure> {
    Some(match reply {
        Reply::Busy => Failure::Busy {
            message: "409".to_owned(),
        },
        Reply::Unwell { retry_after_ms } => unreachable("unwell", *retry_after_ms),
        Reply::Unauthorized => Failure::Unauthorized {
            message: "401".to_owned(),
        },
        Reply::Refused => Failure::Problem {
            kind: ProblemKind::Refused,
            message: "413".to_owned(),
            tag: None,
        },
        _ => return None,
    })
}

/// What the reply to the last call of a request says to the engine.
fn answer(request: &Request, reply: Reply, contents: &mut Contents) -> Response {
    match (request, reply) {
        (Request::Fetch { path }, Reply::Object(object)) => match header::unwrap(path, &object) {
            Ok((remote, content)) => {
                contents.keep(&content);
                Response::Fetched(Box::new(remote))
            }
            Err(kind) => Response::Failed(Failure::Problem {
                kind,
                message: format!("{kind:?}"),
                tag: Some(object.tag),
            }),
        },
        (_, Reply::Stored(tag)) => Response::Stored(tag),
        (_, Reply::Deleted | Reply::NotFound) => Response::Absent,
        (_, Reply::ConditionFailed(tag)) => Response::ConditionFailed(tag),
        (_, _) => Response::Failed(unreachable("not the answer of a hub", None)),
    }
}

fn unreachable(message: &str, retry_after_ms: Option<u64>) -> Failure {
    Failure::Unreachable {
        message: message.to_owned(),
        retry_after_ms,
    }
}
