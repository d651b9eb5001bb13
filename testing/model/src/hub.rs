//! A hub as small as the protocol allows. What it has forgotten and may still be answered by a
//! cache, and everything that it ever held, it remembers for the judge.

use std::collections::BTreeMap;

use gaia::etag::ETag;
use gaia::path::FilePath;
use pangaea_core::io::ListedFile;
use pangaea_core::io::Request;
use pangaea_core::io::Response;
use pangaea_core::plan::Condition;
use pangaea_core::policy::Encryption;
use pangaea_core::state::Ancestors;
use pangaea_core::state::Format;
use pangaea_core::state::LocalFile;
use pangaea_core::state::Origin;
use pangaea_core::state::RemoteBody;
use pangaea_core::state::RemoteFile;
use pangaea_core::version::ContentHash;
use pangaea_core::version::VersionId;

use crate::bounds::Bug;
use crate::bounds::Deletes;

/// The hub.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hub {
    files: BTreeMap<FilePath, RemoteFile>,
    /// What was there before what is there now.
    before: BTreeMap<FilePath, RemoteFile>,
    /// Every version that was ever stored, in the order in which each was last.
    ever: BTreeMap<FilePath, Vec<VersionId>>,
    deletes: Deletes,
    bug: Option<Bug>,
}

impl Hub {
    pub(crate) fn new(deletes: Deletes, bug: Option<Bug>) -> Self {
        Self {
            files: BTreeMap::new(),
            before: BTreeMap::new(),
            ever: BTreeMap::new(),
            deletes,
            bug,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Whether this version of a file was stored at some time.
    pub(crate) fn ever_had(&self, path: &FilePath, version: VersionId) -> bool {
        self.written(path, version).is_some()
    }

    /// When this version of a file was last written, counted in writes.
    pub(crate) fn written(&self, path: &FilePath, version: VersionId) -> Option<usize> {
        let writes = self.ever.get(path)?;
        writes.iter().rposition(|written| *written == version)
    }

    /// The files, without tombstones.
    pub(crate) fn contents(&self) -> BTreeMap<FilePath, ContentHash> {
        let content = |(path, file): (&FilePath, &RemoteFile)| match &file.body {
            RemoteBody::File { content, .. } => Some((path.clone(), *content)),
            RemoteBody::Tombstone => None,
        };
        self.files.iter().filter_map(content).collect()
    }

    /// Carries out a request; the error is a write that may never be.
    pub(crate) fn handle(&mut self, request: &Request) -> Result<Response, String> {
        Ok(match request {
            Request::List => Response::Listed(
                self.files
                    .iter()
                    .map(|(path, file)| ListedFile {
                        path: path.clone(),
                        tag: Some(file.tag.clone()),
                    })
                    .collect(),
            ),
            Request::Fetch { path } => answer(self.files.get(path)),
            Request::Push {
                path,
                file,
                format,
                condition,
            } => self.push(path, file, *format, condition)?,
            Request::Remove {
                path,
                version,
                ancestors,
                tag,
            } => self.remove(path, *version, ancestors, tag)?,
            Request::Sweep { path, tag } => match self.tag(path) {
                Some(there) if there != tag => Response::ConditionFailed(Some(there.clone())),
                _ => {
                    self.files.remove(path);
                    Response::Absent
                }
            },
            Request::Merge { .. } | Request::Apply { .. } => {
                return Err("a local request reached the hub".to_owned());
            }
        })
    }

    fn push(
        &mut self,
        path: &FilePath,
        file: &LocalFile,
        format: Format,
        condition: &Condition,
    ) -> Result<Response, String> {
        let there = self.tag(path);
        let holds = match condition {
            Condition::Create => there.is_none(),
            Condition::Replace(tag) => there == Some(tag),
        };
        if !holds && self.bug != Some(Bug::UnconditionalPush) {
            return Ok(Response::ConditionFailed(there.cloned()));
        }
        let bytes = match format.encryption {
            Encryption::Ecies => format!("{path} {} {}", file.version, file.content),
            Encryption::Plain => file.content.to_string(),
        };
        let tag = ETag::of(bytes.as_bytes());
        let stored = RemoteFile {
            tag: tag.clone(),
            version: file.version,
            origin: Origin::Header,
            ancestors: file.ancestors.clone(),
            body: RemoteBody::File {
                content: file.content,
                size: file.size,
                media_type: file.media_type.clone(),
                format,
            },
        };
        self.put(path, stored)?;
        Ok(Response::Stored(tag))
    }

    fn remove(
        &mut self,
        path: &FilePath,
        version: VersionId,
        ancestors: &Ancestors,
        tag: &ETag,
    ) -> Result<Response, String> {
        let there = self.tag(path).cloned();
        let blind = self.bug == Some(Bug::UnconditionalRemove) && there.is_some();
        if there.as_ref() != Some(tag) && !blind {
            return Ok(match (there, self.deletes) {
                (None, Deletes::Conditional) => Response::Absent,
                (there, _) => Response::ConditionFailed(there),
            });
        }
        let tombstone = RemoteFile {
            tag: ETag::of(b""),
            version,
            origin: Origin::Header,
            ancestors: ancestors.clone(),
            body: RemoteBody::Tombstone,
        };
        self.put(path, tombstone)?;
        Ok(match self.deletes {
            Deletes::Tombstones => Response::Stored(ETag::of(b"")),
            Deletes::Conditional => {
                self.files.remove(path);
                Response::Absent
            }
        })
    }

    /// What a cache may answer to a read; none if it has nothing else.
    pub(crate) fn stale(&self, path: &FilePath) -> Option<Response> {
        self.before.get(path).map(|file| answer(Some(file)))
    }

    fn tag(&self, path: &FilePath) -> Option<&ETag> {
        self.files.get(path).map(|file| &file.tag)
    }

    /// Every write names what it replaces: else its writer had not seen that.
    fn put(&mut self, path: &FilePath, file: RemoteFile) -> Result<(), String> {
        if let Some(old) = self.files.get(path)
            && old.version != file.version
            && !file.ancestors.contains(&old.version)
        {
            return Err(format!(
                "forbidden: {path} {} is replaced by {}, which did not see it",
                old.version, file.version
            ));
        }
        let writes = self.ever.entry(path.clone()).or_default();
        writes.retain(|written| *written != file.version);
        writes.push(file.version);
        if let Some(old) = self.files.insert(path.clone(), file)
            && old.body != RemoteBody::Tombstone
        {
            self.before.insert(path.clone(), old);
        }
        Ok(())
    }
}

fn answer(file: Option<&RemoteFile>) -> Response {
    file.map_or(Response::Absent, |file| {
        Response::Fetched(Box::new(file.clone()))
    })
}
