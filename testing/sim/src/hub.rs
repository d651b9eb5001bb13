//! The model hub: a map with conditional writes, and the late duplicates that a network makes of
//! requests. It stores what a version header tells instead of bytes.

use std::collections::BTreeMap;

use gaia::etag::ETag;
use gaia::path::FilePath;
use pangaea_core::io::ListedFile;
use pangaea_core::io::Request;
use pangaea_core::io::Response;
use pangaea_core::media::MediaType;
use pangaea_core::plan::Condition;
use pangaea_core::policy::Encryption;
use pangaea_core::state::Ancestors;
use pangaea_core::state::ContentKind;
use pangaea_core::state::Format;
use pangaea_core::state::LocalFile;
use pangaea_core::state::Origin;
use pangaea_core::state::RemoteBody;
use pangaea_core::state::RemoteFile;
use pangaea_core::state::Signing;
use pangaea_core::version::ContentHash;
use pangaea_core::version::VersionId;

use crate::mutant::Mutant;
use crate::rng::Rng;

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
    /// What reads found earlier, as a cache would keep it. It keeps no "not found": that a file is
    /// gone is believed if a listing and a read agree (I-9), so a listing that lacks the file and
    /// a read that denies it, both wrong at once, are beyond what is promised.
    earlier: BTreeMap<FilePath, Vec<RemoteFile>>,
    deletes: Deletes,
    mutant: Option<Mutant>,
}

impl Hub {
    /// An empty one.
    pub fn new(deletes: Deletes, mutant: Option<Mutant>) -> Self {
        Self {
            files: BTreeMap::new(),
            earlier: BTreeMap::new(),
            deletes,
            mutant,
        }
    }

    /// What is there, tombstones included.
    pub fn files(&self) -> &BTreeMap<FilePath, RemoteFile> {
        &self.files
    }

    /// Carries out a request. Requests that are not for a hub are answered with nothing.
    pub fn handle(&mut self, request: &Request) -> Option<Response> {
        match request {
            Request::List => Some(Response::Listed(self.list())),
            Request::Fetch { path } => Some(as_read(self.files.get(path))),
            Request::Push {
                path,
                file,
                format,
                condition,
            } => Some(self.push(path, file, *format, condition)),
            Request::Remove {
                path,
                version,
                ancestors,
                tag,
            } => Some(self.remove(path, *version, ancestors, tag)),
            Request::Sweep { path, tag } => Some(self.sweep(path, tag)),
            Request::Merge { .. } | Request::Apply { .. } => None,
        }
    }

    /// A read that a cache answers; none if it has nothing for it.
    pub fn read_stale(&self, path: &FilePath, rng: &mut Rng) -> Option<Response> {
        let earlier = self.earlier.get(path)?;
        Some(as_read(earlier.get(rng.index(earlier.len()))))
    }

    /// The content at a path, as a stock program sees it.
    pub fn content(&self, path: &FilePath) -> Option<ContentHash> {
        match &self.files.get(path)?.body {
            RemoteBody::File { content, .. } => Some(*content),
            RemoteBody::Tombstone => None,
        }
    }

    /// A stock program writes, whatever is there.
    pub fn overwrite(&mut self, path: &FilePath, bytes: &[u8], now_ms: u64) {
        let tag = ETag::of(bytes);
        let file = RemoteFile {
            version: VersionId::synthetic(now_ms / 1_000, tag.as_str()),
            tag,
            origin: Origin::Foreign,
            ancestors: Ancestors::default(),
            body: RemoteBody::File {
                content: ContentHash::of(bytes),
                size: bytes.len() as u64,
                media_type: MediaType::of(path.as_str(), b""),
                format: Format {
                    encryption: Encryption::Plain,
                    signing: Signing::Unsigned,
                    kind: ContentKind::Bytes,
                },
            },
        };
        self.set(path, Some(file));
    }

    /// A stock program deletes, whatever is there, and leaves nothing.
    pub fn wipe(&mut self, path: &FilePath) {
        self.set(path, None);
    }

    fn set(&mut self, path: &FilePath, file: Option<RemoteFile>) {
        let before = match file {
            Some(file) => self.files.insert(path.clone(), file),
            None => self.files.remove(path),
        };
        // All empty bodies have one tag, so a kept tombstone could pass for a later one, and nobody
        // could tell. It is not modelled: a cache keeps no empty bodies.
        if let Some(before) = before
            && before.body != RemoteBody::Tombstone
        {
            self.earlier.entry(path.clone()).or_default().push(before);
        }
    }

    fn list(&self) -> Vec<ListedFile> {
        self.files
            .iter()
            .map(|(path, file)| ListedFile {
                path: path.clone(),
                tag: Some(file.tag.clone()),
            })
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
        // Encrypted bytes are a function of path, version and content, plain ones of the content
        // alone; so is their tag.
        let stored = match format.encryption {
            Encryption::Ecies => format!("{path} {} {}", file.version, file.content),
            Encryption::Plain => file.content.to_string(),
        };
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
        let blind = self.mutant == Some(Mutant::UnconditionalRemove) && current.is_some();
        if current.as_ref() != Some(tag) && !blind {
            return match (current, self.deletes) {
                (None, Deletes::Conditional) => Response::Absent,
                (current, _) => Response::ConditionFailed(current),
            };
        }
        match self.deletes {
            Deletes::Conditional => {
                self.set(path, None);
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
                self.set(path, None);
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
        self.set(path, Some(file));
    }
}

fn as_read(file: Option<&RemoteFile>) -> Response {
    file.map_or(Response::Absent, |file| {
        Response::Fetched(Box::new(file.clone()))
    })
}
