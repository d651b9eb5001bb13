//! What a model device does without a hub: merges, and changes to its folder.

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

use gaia::path::FilePath;

use crate::device::Chance;
use crate::device::Contents;
use crate::device::Device;
use crate::fault::Fault;
use crate::mutant::Mutant;

impl Device {
    /// Carries out a request that needs no hub. False: it needs one.
    pub fn do_locally(
        &mut self,
        id: RequestId,
        request: &Request,
        contents: &mut Contents,
        chance: &mut Chance<'_>,
    ) -> bool {
        let response = match request {
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
        let bytes = |hash: &ContentHash| contents.get(hash).cloned().unwrap_or_default();
        let base = base.map(bytes);
        let (a, b) = (bytes(&ours.content), bytes(&theirs.content));
        let outcome = merge::merge(
            strategy,
            base.as_deref(),
            merge::Input {
                bytes: &a,
                version: ours.version,
            },
            merge::Input {
                bytes: &b,
                version: theirs.version,
            },
        );
        let mut merged = to_merged(&outcome, contents);
        if self.mutant == Some(Mutant::DropLoser) {
            merged.copy = None;
        }
        Response::Merged(merged)
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
        let blind = self.mutant == Some(Mutant::BlindApply);
        if there != expected && there != wanted && !blind {
            return Response::LocalDiffers;
        }
        if chance.faults.strikes(Fault::DiskFull, chance.rng) {
            let message = "the disk is full".to_owned();
            let kind = ProblemKind::Device;
            return Response::Failed(Failure::Problem {
                kind,
                message,
                tag: None,
            });
        }
        if self.mutant == Some(Mutant::BaseBeforeFolder) {
            self.unflushed.push((path.clone(), wanted));
        } else {
            self.write_folder(path, wanted);
            self.unrecorded.insert(path.clone());
        }
        Response::Applied
    }
}

fn to_merged(outcome: &merge::Outcome, contents: &mut Contents) -> Merged {
    let keep = match &outcome.content {
        merge::Content::Side(side) => Keep::Side(*side),
        merge::Content::New(bytes) => {
            let content = ContentHash::of(bytes);
            contents.insert(content, bytes.clone());
            Keep::New {
                content,
                size: bytes.len() as u64,
            }
        }
    };
    Merged {
        keep,
        copy: outcome.copy(),
    }
}
