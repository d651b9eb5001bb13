//! The model hub: a map with conditional writes, and the late duplicates that a network makes of
//! requests. It stores what a version header tells instead of bytes.

use std::collections::BTreeMap;

use gaia::etag::ETag;
use gaia::path::FilePath;
use pangaea_core::io::ListedFile;
use pangaea_core::io::Request;
use pangaea_core::io::Response;
use pangaea_core::plan::Condition;
use pangaea_core::state::Ancestors;
use pangaea_core::state::Format;
use pangaea_core::state::LocalFile;
use pangaea_core::state::Origin;
use pangaea_core::state::RemoteBody;
use pangaea_core::state::RemoteFile;
use pangaea_core::version::VersionId;

use crate::mutant::Mutant;

/// How the hub deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletes {
    /// Conditionally, leaving nothing (our hub).
    Conditional,
    /// Through tombstones (stock hub).
    Tombstones,
}

/// The hub.
#[derive(Debug)]
pub struct Hub {
    files: BTreeMap<FilePath, RemoteFile>,
    deletes: Deletes,
    mutant: Option<Mutant>,
}

impl Hub {
    /// An empty one.
    pub fn new(deletes: Deletes, mutant: Option<Mutant>) -> Self {
        Self { files: BTreeMap::new(), deletes, mutant }
    }

    /// What is there, tombstones included.
    pub fn files(&self) -> &BTreeMap<FilePath, RemoteFile> {
        &self.files
    }

    /// Carries out a request. Requests that are not for a hub are answered with nothing.
    pub fn handle(&mut self, request: &Request) -> Option<Response> {
        match request {
            Request::List => Some(Response::Listed(self.list())),
            Request::Fetch { path } => Some(match self.files.get(path) {
                Some(file) => Response::Fetched(Box::new(file.clone())),
                None => Response::Absent,
            }),
            Request::Push { path, file, format, condition } => {
                Some(self.push(path, file, *format, condition))
            }
            Request::Remove { path, version, ancestors, tag } => {
                Some(self.remove(path, *version, ancestors, tag))
            }
            Request::Sweep { path, tag } => Some(self.sweep(path, tag)),
            Request::Merge { .. } | Request::Apply { .. } => None,
        }
    }

    fn list(&self) -> Vec<ListedFile> {
        self.files
            .iter()
            .map(|(path, file)| ListedFile { path: path.clone(), tag: Some(file.tag.clone()) })
            .collect()
    }

    fn tag_at(&self, path: &FilePath) -> Option<ETag> {
        self.files.get(path).map(|file| file.tag.clone())
    }

    fn push(
        &mut self,
        path: &FilePath,
        file: &LocalFile,
        format: Format,
        condition: &Condition,
    ) -> Response {
        let current = self.tag_at(path);
        let holds = match condition {
            Condition::Create => current.is_none(),
            Condition::Replace(tag) => current.as_ref() == Some(tag),
        };
        if !holds && self.mutant != Some(Mutant::UnconditionalPush) {
            return Response::ConditionFailed(current);
        }
        // Encrypted bytes are a function of path, version and content; so is their tag.
        let stored = format!("{path} {} {}", file.version, file.content);
        let tag = ETag::of(stored.as_bytes());
        let body = RemoteBody::File {
            content: file.content,
            size: file.size,
            media_type: file.media_type.clone(),
            format,
        };
        self.put(path, tag.clone(), file.version, &file.ancestors, body);
        Response::Stored(tag)
    }

    fn remove(
        &mut self,
        path: &FilePath,
        version: VersionId,
        ancestors: &Ancestors,
        tag: &ETag,
    ) -> Response {
        let current = self.tag_at(path);
        if current.as_ref() != Some(tag) {
            return match (current, self.deletes) {
                (None, Deletes::Conditional) => Response::Absent,
                (current, _) => Response::ConditionFailed(current),
            };
        }
        match self.deletes {
            Deletes::Conditional => {
                self.files.remove(path);
                Response::Absent
            }
            Deletes::Tombstones => {
                // An empty body has the same tag every time.
                let tag = ETag::of(b"");
                self.put(path, tag.clone(), version, ancestors, RemoteBody::Tombstone);
                Response::Stored(tag)
            }
        }
    }

    fn sweep(&mut self, path: &FilePath, tag: &ETag) -> Response {
        match self.tag_at(path) {
            None => Response::Absent,
            Some(current) if current == *tag => {
                self.files.remove(path);
                Response::Absent
            }
            Some(current) => Response::ConditionFailed(Some(current)),
        }
    }

    fn put(
        &mut self,
        path: &FilePath,
        tag: ETag,
        version: VersionId,
        ancestors: &Ancestors,
        body: RemoteBody,
    ) {
        let file = RemoteFile {
            tag,
            version,
            origin: Origin::Header,
            ancestors: ancestors.clone(),
            body,
        };
        self.files.insert(path.clone(), file);
    }
}
