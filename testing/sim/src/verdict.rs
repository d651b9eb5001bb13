//! Judges a healed world: what devices, folders, history and hub hold in the end.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use gaia::path::FilePath;
use pangaea_core::conflict::is_copy;
use pangaea_core::state::RemoteBody;
use pangaea_core::version::ContentHash;

use crate::fault::Fault;
use crate::oracle::Token;
use crate::oracle::tokens;
use crate::settings::Style;
use crate::world::World;

type Tree = BTreeMap<FilePath, ContentHash>;

impl World {
    pub(crate) fn check_end(&self) -> Result<(), String> {
        let on_hub = self.tree_on_hub();
        for (number, device) in self.devices.iter().enumerate() {
            let status = device.engine.status();
            if status.parked > 0 {
                return Err(format!(
                    "I-16: device {number} has {} parked",
                    status.parked
                ));
            }
            if status.pending > 0 {
                return Err(format!(
                    "L-2: device {number} still has {} pending",
                    status.pending
                ));
            }
            if !device.folder_is_scanned() {
                return Err(format!("I-3: device {number}: folder and replica differ"));
            }
            let tree = device.files();
            if tree != on_hub {
                return Err(format!(
                    "I-3: device {number} has {tree:?}, the hub {on_hub:?}"
                ));
            }
        }
        if on_hub.len() > self.settings.paths.len() + self.oracle.count() {
            return Err(format!(
                "I-14: {} files after {} edits",
                on_hub.len(),
                self.oracle.count()
            ));
        }
        // A late duplicate of what a crash made up is an edit that crosses others.
        let late = self
            .settings
            .faults
            .struck()
            .contains_key(&Fault::LateDuplicate);
        let may_cross = late && self.oracle.phantoms() > 0;
        if self.settings.style == Style::Relay && !may_cross {
            return self.check_relay(&on_hub);
        }
        self.oracle.check_nothing_lost(&self.kept(&on_hub))?;
        // A conflict copy may keep what its writer replaces elsewhere: I-2 is about the files.
        let mut current = BTreeSet::new();
        for (_, hash) in on_hub.iter().filter(|(path, _)| !is_copy(path)) {
            current.extend(self.lines(hash));
        }
        self.oracle.check_nothing_resurrected(&current)
    }

    /// Where edits never crossed, there is exactly what was written last, and no copies.
    fn check_relay(&self, on_hub: &Tree) -> Result<(), String> {
        for name in &self.settings.paths {
            let Ok(path) = FilePath::parse(name) else {
                continue;
            };
            let newest = self.oracle.newest(&path);
            let expected = (!newest.is_empty()).then(|| ContentHash::of(newest));
            if on_hub.get(&path) != expected.as_ref() {
                let found = on_hub.get(&path).map(|hash| self.lines(hash));
                let newest = tokens(newest);
                return Err(format!(
                    "I-1, I-2: {path} has {found:?} instead of {newest:?}"
                ));
            }
        }
        match on_hub.keys().find(|path| is_copy(path)) {
            Some(copy) => Err(format!("I-14: {copy} without a conflict")),
            None => Ok(()),
        }
    }

    fn tree_on_hub(&self) -> Tree {
        let files = self.hub.files().iter();
        files
            .filter_map(|(path, file)| match &file.body {
                RemoteBody::File { content, .. } => Some((path.clone(), *content)),
                RemoteBody::Tombstone => None,
            })
            .collect()
    }

    /// All lines that can still be had. History counts only where the policy says that a loser goes
    /// there (`latest`: *.dat); everywhere else a conflict copy is owed.
    fn kept(&self, on_hub: &Tree) -> BTreeSet<Token> {
        let mut kept = BTreeSet::new();
        for hash in on_hub.values() {
            kept.extend(self.lines(hash));
        }
        for device in &self.devices {
            for (path, hash) in device.history() {
                if path.extension() == Some("dat") {
                    kept.extend(self.lines(hash));
                }
            }
        }
        kept
    }

    fn lines(&self, hash: &ContentHash) -> BTreeSet<Token> {
        self.contents
            .get(hash)
            .map(|bytes| tokens(bytes))
            .unwrap_or_default()
    }
}
