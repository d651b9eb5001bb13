//! What the application does on the replica, whether or not the hub can be reached: every call is
//! durable when it returns.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use gaia::path::FilePath;
use pangaea_core::conflict;
use pangaea_core::io::Choice;
use pangaea_core::io::NewContent;
use pangaea_core::io::Question;
use pangaea_core::media::MediaType;
use pangaea_core::state::FormatWish;
use pangaea_core::state::ProblemKind;
use pangaea_core::version::ContentHash;
use pangaea_core::version::VersionId;

use super::Replica;
use super::ReplicaError;
use crate::body::Body;
use crate::store::INLINE_BYTES_MAX;
use crate::store::RowQuery;

/// Why an edit was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EditError {
    /// The replica failed.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// There is no such file.
    #[error("{path} is not there")]
    Absent {
        /// Which.
        path: FilePath,
    },
    /// The file is another one than the edit was made of.
    #[error("{path} was changed meanwhile: read it again, and make the edit of that")]
    Changed {
        /// Which.
        path: FilePath,
    },
    /// The file is there, and its content could not be read.
    #[error("{path} cannot be read on this device: {reason}; try again")]
    Unreadable {
        /// Which.
        path: FilePath,
        /// What went wrong.
        reason: String,
    },
    /// There is no such version in history, or its content is not kept any more.
    #[error("version {version} of {path} is not kept on this device")]
    NotKept {
        /// Which file.
        path: FilePath,
        /// Which version.
        version: VersionId,
    },
    /// The folder does not take the file.
    #[error("{path} cannot be written to the folder: {reason}")]
    Refused {
        /// Which.
        path: FilePath,
        /// Why, and what to do.
        reason: String,
    },
    /// There is no conflict at this path.
    #[error("{path} has no conflict to resolve")]
    NoConflict {
        /// Which.
        path: FilePath,
    },
}

impl From<crate::store::StoreError> for EditError {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Replica(error.into())
    }
}

/// One of several edits that are made together.
#[derive(Debug, Clone)]
pub struct Edit {
    /// Which file.
    pub path: FilePath,
    /// What it becomes; none deletes it.
    pub content: Option<EditedContent>,
    /// Only if this is its version when the edits begin; none: whatever it is.
    pub after: Option<VersionId>,
}

/// What a file becomes.
#[derive(Debug, Clone)]
pub struct EditedContent {
    /// All of it.
    pub bytes: Bytes,
    /// None: told from name and content.
    pub media_type: Option<MediaType>,
    /// How the hub is to hold it; none: as it was, or by policy, and content that is there already
    /// is no edit whatever its type.
    pub format: Option<FormatWish>,
}

impl Replica {
    /// Makes several edits: all of them are stored, or none is. A mirrored folder shows them one
    /// after the other, and so does the hub.
    ///
    /// # Errors
    /// [`EditError`]; nothing has changed then, unless there is a mirrored folder that refused one
    /// of them.
    pub async fn edit(&mut self, edits: Vec<Edit>) -> Result<Vec<VersionId>, EditError> {
        self.check_versions(&edits)?;
        self.check_deletes(&edits)?;
        // Whatever can fail comes before the engine hears of any of them.
        let mut hashes = Vec::with_capacity(edits.len());
        for edit in &edits {
            let bytes = edit.content.as_ref().map(|content| &content.bytes);
            let hash = bytes.map(|bytes| ContentHash::of(bytes));
            let body = bytes.map(|bytes| Body::Bytes(bytes.clone()));
            self.change_folder(&edit.path, hash.zip(body)).await?;
            hashes.push(hash);
        }
        let mut news = Vec::with_capacity(edits.len());
        for (edit, hash) in edits.into_iter().zip(hashes) {
            let new = match edit.content.zip(hash) {
                Some((content, hash)) => Some(self.keep_content(&edit.path, content, hash).await?),
                None => None,
            };
            news.push((edit.path, new));
        }
        let now_ms = self.carrier.time().now_ms();
        let mut versions = Vec::with_capacity(news.len());
        for (path, new) in news {
            let version = match new {
                Some(new) => self.engine.handle_local_write(&path, new, now_ms),
                None => match self.engine.handle_local_delete(&path, now_ms) {
                    Some(version) => version,
                    None => return Err(EditError::Absent { path }),
                },
            };
            versions.push(version);
        }
        self.save().await?;
        Ok(versions)
    }

    /// Refuses edits of another version than there is.
    fn check_versions(&self, edits: &[Edit]) -> Result<(), EditError> {
        let is_changed = |edit: &&Edit| {
            let entry = self.engine.entry(&edit.path);
            let version = entry.and_then(|entry| entry.local.file().map(|file| file.version));
            edit.after.is_some() && edit.after != version
        };
        match edits.iter().find(is_changed) {
            Some(Edit { path, .. }) => Err(EditError::Changed { path: path.clone() }),
            None => Ok(()),
        }
    }

    /// Refuses edits that delete what is not there when it is their turn.
    fn check_deletes(&self, edits: &[Edit]) -> Result<(), EditError> {
        let mut there = BTreeMap::new();
        for edit in edits {
            let is_there = there.get(&edit.path).copied().unwrap_or_else(|| {
                let entry = self.engine.entry(&edit.path);
                entry.is_some_and(|entry| entry.local.file().is_some())
            });
            if edit.content.is_none() && !is_there {
                return Err(EditError::Absent {
                    path: edit.path.clone(),
                });
            }
            there.insert(edit.path.clone(), edit.content.is_some());
        }
        Ok(())
    }

    /// Puts content where the next transaction, or a merge, finds it.
    async fn keep_content(
        &mut self,
        path: &FilePath,
        content: EditedContent,
        hash: ContentHash,
    ) -> Result<NewContent, EditError> {
        let bytes = content.bytes;
        let media_type = content
            .media_type
            .unwrap_or_else(|| MediaType::of(path.as_str(), &bytes));
        let new = NewContent {
            content: hash,
            size: bytes.len() as u64,
            media_type,
            format: content.format,
        };
        if self.carrier.is_kept(path, &new.media_type, new.size) {
            if bytes.len() <= INLINE_BYTES_MAX {
                self.extra.contents.push((new.content, bytes));
            } else {
                let store = Arc::clone(self.carrier.store());
                store.adopt(new.content, Body::Bytes(bytes)).await?;
            }
        }
        Ok(new)
    }

    /// Writes a file. `media_type` none: told from name and content.
    ///
    /// # Errors
    /// [`EditError`]; the old content is still there then.
    pub async fn write(
        &mut self,
        path: &FilePath,
        content: Bytes,
        media_type: Option<MediaType>,
    ) -> Result<VersionId, EditError> {
        let edit = Edit {
            path: path.clone(),
            content: Some(EditedContent {
                bytes: content,
                media_type,
                format: None,
            }),
            after: None,
        };
        self.edit_one(edit).await
    }

    async fn edit_one(&mut self, edit: Edit) -> Result<VersionId, EditError> {
        let absent = EditError::Absent {
            path: edit.path.clone(),
        };
        let versions = self.edit(vec![edit]).await?;
        versions.into_iter().next().ok_or(absent)
    }

    /// Deletes a file.
    ///
    /// # Errors
    /// [`EditError::Absent`] if there is none.
    pub async fn delete(&mut self, path: &FilePath) -> Result<VersionId, EditError> {
        self.edit_one(Edit {
            path: path.clone(),
            content: None,
            after: None,
        })
        .await
    }

    /// The content of a file on this device.
    ///
    /// # Errors
    /// [`EditError::Absent`] if there is none, [`EditError::Unreadable`] if it could not be read.
    pub async fn read(&self, path: &FilePath) -> Result<Body, EditError> {
        let absent = || EditError::Absent { path: path.clone() };
        let file = self
            .engine
            .entry(path)
            .and_then(|entry| entry.local.file())
            .ok_or_else(absent)?;
        if let Some(content) = self.not_stored_yet(file.content) {
            return Ok(Body::Bytes(content));
        }
        let found = self.carrier.local_content(path, file.content).await;
        match found {
            Ok(found) => found.ok_or_else(absent),
            // Not absent: an application would write over a file that it takes for deleted.
            Err(failure) => Err(EditError::Unreadable {
                path: path.clone(),
                reason: failure.message().to_owned(),
            }),
        }
    }

    /// Content that came with an answer and goes into the store with the next transaction.
    fn not_stored_yet(&self, hash: ContentHash) -> Option<Bytes> {
        let unsaved = self.unsaved.iter().flat_map(|unsaved| &unsaved.contents);
        let mut waiting = self.extra.contents.iter().chain(unsaved);
        let (_, content) = waiting.find(|(name, _)| *name == hash)?;
        Some(content.clone())
    }

    /// Makes a version from history the current one, as a new edit.
    ///
    /// # Errors
    /// [`EditError::NotKept`] if this device does not have it.
    pub async fn restore(
        &mut self,
        path: &FilePath,
        version: VersionId,
    ) -> Result<VersionId, EditError> {
        let not_kept = || EditError::NotKept {
            path: path.clone(),
            version,
        };
        let query = RowQuery {
            path: Some(path.clone()),
            limit: None,
        };
        let rows = self.carrier.store().history(query).await?;
        let row = rows
            .into_iter()
            .find(|row| row.version == version)
            .ok_or_else(not_kept)?;
        let body = self
            .carrier
            .store()
            .content(row.content)
            .await?
            .ok_or_else(not_kept)?;
        match body {
            Body::Bytes(content) => self.write(path, content, Some(row.media_type)).await,
            Body::File { .. } => {
                let new = NewContent {
                    content: row.content,
                    size: row.size,
                    media_type: row.media_type,
                    format: None,
                };
                self.change_folder(path, Some((row.content, body))).await?;
                let now_ms = self.carrier.time().now_ms();
                let version = self.engine.handle_local_write(path, new, now_ms);
                self.save().await?;
                Ok(version)
            }
        }
    }

    /// Settles a conflict. For a conflict copy, `Ours` keeps the file as it is and drops the copy,
    /// `Theirs` puts the copy in the file's place, `Both` lets the copy stand as a file of its own.
    ///
    /// # Errors
    /// [`EditError::NoConflict`] if there is none.
    pub async fn resolve(&mut self, path: &FilePath, choice: Choice) -> Result<(), EditError> {
        let held = self
            .engine
            .entry(path)
            .and_then(|entry| entry.problem.as_ref());
        if held.is_some_and(|problem| problem.kind == ProblemKind::Undecided) {
            self.engine.handle_decision(path, choice);
            self.save().await?;
            return Ok(());
        }
        let Some(original) = conflict::original_path(path) else {
            return Err(EditError::NoConflict { path: path.clone() });
        };
        match choice {
            Choice::Both => {}
            Choice::Side(pangaea_core::io::Side::Ours) => {
                self.delete(path).await?;
            }
            Choice::Side(pangaea_core::io::Side::Theirs) => {
                let file = self
                    .engine
                    .entry(path)
                    .and_then(|entry| entry.local.file())
                    .cloned();
                let file = file.ok_or_else(|| EditError::Absent { path: path.clone() })?;
                let body = self.read(path).await?;
                self.change_folder(&original, Some((file.content, body)))
                    .await?;
                let now_ms = self.carrier.time().now_ms();
                let new = NewContent {
                    content: file.content,
                    size: file.size,
                    media_type: file.media_type,
                    format: None,
                };
                self.engine.handle_local_write(&original, new, now_ms);
                self.delete(path).await?;
            }
        }
        Ok(())
    }

    /// A person answered the engine's question.
    pub fn accept(&mut self, question: Question) {
        self.engine.accept(question);
    }

    /// Writes to, or deletes from, the folder, if there is one.
    async fn change_folder(
        &mut self,
        path: &FilePath,
        to: Option<(ContentHash, Body)>,
    ) -> Result<(), EditError> {
        #[cfg(feature = "mirror")]
        if let Some(mirror) = self.carrier.mirror_for(path) {
            let mirror = Arc::clone(mirror);
            return self.change_mirrored(mirror, path, to).await;
        }
        #[cfg(not(feature = "mirror"))]
        let _unused = path;
        drop(to);
        Ok(())
    }

    #[cfg(feature = "mirror")]
    async fn change_mirrored(
        &mut self,
        mirror: Arc<crate::mirror::Mirror>,
        path: &FilePath,
        to: Option<(ContentHash, Body)>,
    ) -> Result<(), EditError> {
        use crate::mirror::Applied;
        use crate::mirror::ApplyTask;
        let refused = |reason: String| EditError::Refused {
            path: path.clone(),
            reason,
        };
        let Some(staging) = self.carrier.store().staging() else {
            return Ok(());
        };
        // What the user did in the folder meanwhile comes first, and is kept in history.
        for _ in 0..3 {
            let expected = self
                .engine
                .entry(path)
                .and_then(|entry| entry.local.file())
                .map(|file| file.content);
            let task = ApplyTask {
                path: path.clone(),
                expected,
                to: to.clone(),
            };
            let (mirror, staging) = (Arc::clone(&mirror), staging.clone());
            let applied = super::carry::blocking(move || mirror.apply(&task, &staging)).await;
            let applied = applied.map_err(|_| refused("the work was cut off".to_owned()))?;
            match applied.map_err(ReplicaError::from)? {
                Applied::Done { stamp, displaced } => {
                    self.applied = true;
                    self.extra
                        .stamps
                        .push((path.clone(), stamp.map(|stamp| stamp.encode())));
                    if let Some(displaced) = displaced {
                        let body = Body::File {
                            path: displaced.file,
                            size: displaced.size,
                        };
                        self.carrier.store().adopt(displaced.hash, body).await?;
                    }
                    return Ok(());
                }
                Applied::Differs => self.scan_paths(vec![path.clone()]).await?,
                Applied::Ignored => {
                    return Err(refused(".pangaeaignore keeps it out".to_owned()));
                }
                Applied::Refused { reason } => return Err(refused(reason)),
            }
        }
        Err(refused(
            "somebody else is writing it all the time".to_owned(),
        ))
    }
}
