//! Brings in what the user did in the mirrored folder.

use std::sync::Arc;

use gaia::path::FilePath;
use pangaea_core::io::NewContent;

use super::Replica;
use super::ReplicaError;
use super::carry::blocking;
use crate::body::Body;
use crate::mirror::Change;
use crate::mirror::Refused;
use crate::mirror::Scan;
use crate::mirror::Scope;
use crate::store::INLINE_BYTES_MAX;

/// Edits are stored in transactions of about this many.
const EDITS_PER_COMMIT: usize = 2_000;
/// A file that never rests is left to the next round after so many looks.
const RESTLESS_SCANS_MAX: u32 = 3;

/// What of the folder is not synced.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderReport {
    /// Until somebody acts.
    pub refused: Vec<Refused>,
    /// On purpose.
    pub notes: Vec<Refused>,
    /// Because it is being written all the time.
    pub unsettled: Vec<FilePath>,
}

impl Replica {
    /// What of the folder is not synced, by the last complete scan.
    pub fn folder_report(&self) -> &FolderReport {
        &self.folder_report
    }

    /// Looks at the whole folder and takes every change as an edit of this device. Durable when
    /// this returns.
    ///
    /// # Errors
    /// [`ReplicaError::Mirror`] if the folder is not there: nothing counts as deleted then.
    pub async fn scan_folder(&mut self) -> Result<(), ReplicaError> {
        let Some(mirror) = self.carrier.mirror().map(Arc::clone) else {
            return Ok(());
        };
        let Ok(scan) = blocking(move || mirror.scan(Scope::All)).await else {
            return Ok(());
        };
        let mut scan = scan?;
        self.folder_report = FolderReport {
            refused: std::mem::take(&mut scan.refused),
            notes: std::mem::take(&mut scan.notes),
            unsettled: scan.unsettled.clone(),
        };
        self.take_scan(scan).await?;
        self.engine.handle_folder_scanned();
        Ok(())
    }

    /// Looks at some paths again.
    ///
    /// # Errors
    /// Like [`Replica::scan_folder`].
    pub async fn scan_paths(&mut self, paths: Vec<FilePath>) -> Result<(), ReplicaError> {
        let Some(mirror) = self.carrier.mirror().map(Arc::clone) else {
            return Ok(());
        };
        let scanned = blocking(move || mirror.scan(Scope::Paths(&paths))).await;
        let Ok(scan) = scanned else { return Ok(()) };
        self.take_scan(scan?).await
    }

    /// Looks again at what turned out to be different from what was known, and at what rules that
    /// came from elsewhere are about. False: there was nothing of that kind. A round does this by
    /// itself; who takes turns calls it when a turn has nothing left to do.
    ///
    /// # Errors
    /// Like [`Replica::scan_folder`].
    pub async fn scan_again(&mut self) -> Result<bool, ReplicaError> {
        let paths: Vec<FilePath> = std::mem::take(&mut self.rescan).into_iter().collect();
        if paths.is_empty() {
            return Ok(false);
        }
        for _ in 0..RESTLESS_SCANS_MAX {
            self.scan_paths(paths.clone()).await?;
            if self.folder_report.unsettled.is_empty() {
                break;
            }
        }
        Ok(true)
    }

    async fn take_scan(&mut self, scan: Scan) -> Result<(), ReplicaError> {
        if scan.rules_changed {
            self.engine.handle_rules_changed();
        }
        self.folder_report.unsettled.clone_from(&scan.unsettled);
        let mut count = 0;
        for change in scan.changes {
            self.take_change(change).await?;
            count += 1;
            if count % EDITS_PER_COMMIT == 0 {
                self.save().await?;
            }
        }
        self.save().await?;
        Ok(())
    }

    async fn take_change(&mut self, change: Change) -> Result<(), ReplicaError> {
        let now_ms = self.carrier.time().now_ms();
        self.mark_dirty(1);
        match change {
            Change::Written {
                path,
                content,
                size,
                media_type,
                stamp,
                bytes,
            } => {
                if self.carrier.is_kept(&path, &media_type, size) {
                    self.keep_edit(&path, content, bytes.map(Body::Bytes))
                        .await?;
                }
                self.extra.stamps.push((path.clone(), Some(stamp.encode())));
                let new = NewContent {
                    content,
                    size,
                    media_type,
                    format: None,
                };
                self.engine.handle_local_write(&path, new, now_ms);
            }
            Change::Deleted { path } => {
                self.extra.stamps.push((path.clone(), None));
                self.engine.handle_local_delete(&path, now_ms);
            }
            Change::Touched { path, stamp } => {
                self.extra.stamps.push((path, Some(stamp.encode())));
            }
        }
        Ok(())
    }

    /// Keeps the content of an edit that a later merge may want as its base. Content that is gone
    /// already was replaced by a newer edit, which the next scan brings.
    async fn keep_edit(
        &mut self,
        path: &FilePath,
        content: pangaea_core::version::ContentHash,
        body: Option<Body>,
    ) -> Result<(), ReplicaError> {
        let body = match body {
            Some(body) => Some(body),
            None => self
                .carrier
                .local_content(path, content)
                .await
                .ok()
                .flatten(),
        };
        match body {
            Some(Body::Bytes(bytes)) if bytes.len() <= INLINE_BYTES_MAX => {
                self.extra.contents.push((content, bytes));
            }
            Some(body @ Body::Bytes(_)) => self.carrier.store().adopt(content, body).await?,
            Some(Body::File { .. }) | None => {}
        }
        Ok(())
    }
}
