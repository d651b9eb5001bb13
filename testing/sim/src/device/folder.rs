//! What a model device does without a hub: changes to its folder, looking for what the user did
//! there, and merges.

use gaia::path::FilePath;
use pangaea_core::io::Failure;
use pangaea_core::io::Keep;
use pangaea_core::io::Merged;
use pangaea_core::io::Request;
use pangaea_core::io::RequestId;
use pangaea_core::io::Response;
use pangaea_core::merge;
use pangaea_core::policy::Strategy;
use pangaea_core::state::LocalFile;
use pangaea_core::state::ProblemKind;
use pangaea_core::version::ContentHash;

use super::Chance;
use super::Contents;
use super::Device;
use super::Stored;
use super::local_content;
use crate::fault::Fault;
use crate::mutant::Mutant;
use crate::oracle::Sight;
use crate::oracle::is_copy;

impl Device {
    /// Looks for what the user did in the folder.
    pub fn scan(&mut self, contents: &Contents, world_ms: u64, chance: &mut Chance<'_>) -> Stored {
        for (path, hash) in std::mem::take(&mut self.unwritten) {
            self.set_in_folder(&path, hash);
        }
        let Some(folder) = &self.disk.folder else {
            return Stored::Done;
        };
        let mut found: Vec<(FilePath, Option<(ContentHash, u64)>)> = Vec::new();
        for (path, entry) in self.engine.entries() {
            if local_content(Some(entry)).is_some() && !folder.contains_key(path) {
                found.push((path.clone(), None));
            }
        }
        for (path, hash) in folder {
            if local_content(self.engine.entry(path)) != Some(*hash) {
                let size = contents.get(hash).map_or(0, |content| content.len() as u64);
                found.push((path.clone(), Some((*hash, size))));
            }
        }
        for (path, content) in found {
            if !self.applying.contains(&path) {
                self.hand_in_found(&path, content, world_ms);
            }
        }
        self.engine.handle_folder_scanned();
        self.store(chance)
    }

    /// I-2: what the device itself put into the folder is recognised there, and is no edit of its
    /// user's. A conflict copy that is found is the copy that was to be made.
    fn hand_in_found(
        &mut self,
        path: &FilePath,
        content: Option<(ContentHash, u64)>,
        world_ms: u64,
    ) {
        let is_own = self.own_doing.get(path) == Some(&content.map(|(hash, _)| hash));
        let announced = self.engine.entry(path).and_then(|entry| {
            let target = entry.applying.as_deref()?;
            target.local.version()
        });
        self.hand_in_edit(path, content, world_ms);
        let entry = self.engine.entry(path);
        let became = entry.and_then(|entry| entry.local.version());
        if is_own && !is_copy(path.as_str()) && (announced.is_none() || became != announced) {
            self.broken = Some(format!(
                "its own change of the folder's {path} is taken for an edit of its user"
            ));
        }
    }

    pub(super) fn set_in_folder(&mut self, path: &FilePath, content: Option<ContentHash>) {
        let Some(folder) = &mut self.disk.folder else {
            return;
        };
        match content {
            Some(hash) => folder.insert(path.clone(), hash),
            None => folder.remove(path),
        };
    }

    /// How surely the engine knows what the user sees at `path`.
    pub fn sight(&self, path: &FilePath) -> Sight {
        if self.unrecorded.contains(path) || self.doubted.contains(path) {
            Sight::Unrecorded
        } else {
            Sight::Recorded
        }
    }

    /// Carries out a request that needs no hub. False: it needs one.
    pub fn do_locally(
        &mut self,
        id: RequestId,
        request: &Request,
        contents: &mut Contents,
        chance: &mut Chance<'_>,
    ) -> bool {
        let response = match request {
            Request::Merge { .. } | Request::Apply { to: Some(_), .. }
                if chance.strikes(Fault::ContentGone) =>
            {
                Response::ContentMissing
            }
            Request::Merge {
                strategy,
                base,
                ours,
                theirs,
                ..
            } => self.merge(strategy, base.as_ref(), ours, theirs, contents),
            Request::Apply { path, expected, to } => {
                self.applying.insert(path.clone());
                let wanted = to.as_ref().map(|file| file.content);
                self.apply(path, *expected, wanted, chance)
            }
            Request::List
            | Request::Fetch { .. }
            | Request::Push { .. }
            | Request::Remove { .. }
            | Request::Sweep { .. } => return false,
        };
        self.local_results.push((id, response));
        true
    }

    fn merge(
        &self,
        strategy: &Strategy,
        base: Option<&ContentHash>,
        ours: &LocalFile,
        theirs: &LocalFile,
        contents: &mut Contents,
    ) -> Response {
        let bytes = |hash: &ContentHash| contents.get(hash).cloned();
        let base = match base {
            // A planted bug: the wrong ancestor.
            Some(_) if self.planted.is(Mutant::WrongAncestor) => bytes(&theirs.content),
            Some(base) => bytes(base),
            None => None,
        };
        let (Some(a), Some(b)) = (bytes(&ours.content), bytes(&theirs.content)) else {
            return Response::ContentMissing;
        };
        let ours = merge::Input {
            bytes: &a,
            version: ours.version,
        };
        let theirs = merge::Input {
            bytes: &b,
            version: theirs.version,
        };
        let outcome = merge::merge(strategy, base.as_deref(), ours, theirs);
        let mut merged = self.to_merged(&outcome, contents);
        if self.planted.is(Mutant::DropLoser) {
            merged.copy = None;
        }
        Response::Merged(merged)
    }

    fn to_merged(&self, outcome: &merge::Outcome, contents: &mut Contents) -> Merged {
        let keep = match &outcome.content {
            merge::Content::Side(side) => Keep::Side(*side),
            merge::Content::New(bytes) => {
                let mut bytes = bytes.as_slice();
                if self.planted.is(Mutant::MergeDropsLine)
                    && let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n')
                    && let Some(start) = bytes[..end].iter().rposition(|byte| *byte == b'\n')
                {
                    bytes = &bytes[..=start];
                }
                let (content, size) = contents.keep(&bytes.into());
                Keep::New { content, size }
            }
        };
        Merged {
            keep,
            copy: outcome.copy(),
        }
    }

    fn apply(
        &mut self,
        path: &FilePath,
        expected: Option<ContentHash>,
        wanted: Option<ContentHash>,
        chance: &mut Chance<'_>,
    ) -> Response {
        let Some(folder) = &self.disk.folder else {
            return Response::Applied;
        };
        let there = folder.get(path).copied();
        if there != expected && there != wanted && !self.planted.is(Mutant::BlindApply) {
            return Response::LocalDiffers;
        }
        if chance.strikes(Fault::FolderFull) {
            let message = "the disk is full".to_owned();
            let kind = ProblemKind::Device;
            return Response::Failed(Failure::Problem {
                kind,
                message,
                tag: None,
            });
        }
        if self.planted.is(Mutant::BaseBeforeFolder) {
            self.unwritten.push((path.clone(), wanted));
        } else {
            self.set_in_folder(path, wanted);
            self.unflushed.push((path.clone(), there));
            self.unrecorded.insert(path.clone());
            self.own_doing.insert(path.clone(), wanted);
        }
        Response::Applied
    }
}
