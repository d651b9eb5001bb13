//! Judges a healed world: what devices, folders, history and hub hold in the end.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use gaia::etag::ETag;
use gaia::path::FilePath;
use pangaea_core::version::ContentHash;

use crate::content::Token;
use crate::content::tokens;
use crate::header::Form;
use crate::header::content;
use crate::header::version_of;
use crate::hub::Object;
use crate::oracle::Excuse;
use crate::oracle::is_copy;
use crate::world::World;

type Tree = BTreeMap<FilePath, ContentHash>;

impl World {
    pub(crate) fn check_end(&mut self) -> Result<(), String> {
        let stuck = self.stuck_paths();
        let on_hub = self.tree_on_hub();
        for number in self.sound() {
            self.check_device(number, &on_hub, &stuck)?;
        }
        self.check_copies(&on_hub)?;
        if self.is_exact() {
            return self.check_relay(&on_hub);
        }
        let found = self.kept();
        self.oracle.check_nothing_lost(&found)?;
        let stranded = self.broken();
        // A conflict copy may keep what its writer replaces elsewhere: I-2 is about the files.
        for (path, hash) in on_hub.iter().filter(|(path, _)| !is_copy(path.as_str())) {
            let current = self.lines(hash);
            self.oracle
                .check_nothing_resurrected(path, &current, stranded)?;
        }
        Ok(())
    }

    fn check_device(
        &mut self,
        number: usize,
        on_hub: &Tree,
        stuck: &BTreeSet<FilePath>,
    ) -> Result<(), String> {
        let device = &self.devices[number];
        let status = device.engine.status();
        // A file that nobody can read is left alone, and so is what the device has there (I-18).
        if status.parked > stuck.len() {
            return Err(format!(
                "I-16: device {number} has {} parked",
                status.parked
            ));
        }
        if status.pending > stuck.len() {
            return Err(format!(
                "L-2: device {number} still has {} pending",
                status.pending
            ));
        }
        let without = |tree: &Tree, stuck: &BTreeSet<FilePath>| {
            let mut tree = tree.clone();
            tree.retain(|path, _| !stuck.contains(path));
            tree
        };
        let tree = device.files();
        if tree != device.known() {
            return Err(format!("I-3: device {number}: folder and replica differ"));
        }
        let (tree, on_hub) = (without(&tree, stuck), without(on_hub, stuck));
        let torn = tree.iter().filter(|(path, content)| {
            on_hub.get(*path) != Some(*content) && self.is_torn_for_good(number, path, **content)
        });
        let torn: BTreeSet<FilePath> = torn.map(|(path, _)| path.clone()).collect();
        for _ in &torn {
            self.oracle.excuse(Excuse::Torn);
        }
        let (tree, on_hub) = (without(&tree, &torn), without(&on_hub, &torn));
        if tree != on_hub {
            let told = |tree: &Tree| -> Vec<(String, Vec<Token>)> {
                let files = tree.iter();
                files
                    .map(|(path, hash)| (path.to_string(), self.lines(hash).into_iter().collect()))
                    .collect()
            };
            return Err(format!(
                "I-3: device {number} has {:?}, the hub {:?}",
                told(&tree),
                told(&on_hub)
            ));
        }
        Ok(())
    }

    /// Paths that hold what only a newer program understands, or a torn upload whose writer's disk is
    /// gone, so that nobody can repair it. Without a header nobody can even see it.
    fn stuck_paths(&mut self) -> BTreeSet<FilePath> {
        let mut stuck = BTreeSet::new();
        for (path, object) in self.hub.objects() {
            let header = object.header.as_deref();
            if header.is_some_and(|header| header.form == Form::Newer) {
                stuck.insert(path.clone());
            } else if object.tag != ETag::of(&object.bytes) {
                stuck.insert(path.clone());
                self.oracle.excuse(Excuse::Torn);
            }
        }
        stuck
    }

    /// I-14: of n versions of a file at most n - 1 are copies.
    fn check_copies(&mut self, on_hub: &Tree) -> Result<(), String> {
        let mut copies: BTreeMap<&str, usize> = BTreeMap::new();
        for path in on_hub.keys().filter(|path| is_copy(path.as_str())) {
            *copies
                .entry(crate::oracle::root(path.as_str()))
                .or_default() += 1;
        }
        for (root, count) in copies {
            let edits = self.oracle.count_at(root);
            if count < edits.max(1) {
                continue;
            }
            let versions = self.count_versions(root);
            if count < edits + self.count_torn(root) {
                self.oracle.excuse(Excuse::Torn);
            } else if count < self.truth.contents_at(root)
                || (count < versions && self.oracle.is_rewound(root))
            {
                self.oracle.excuse(Excuse::Remade);
            } else {
                return Err(format!(
                    "I-14: {count} copies of {root} after {edits} edits"
                ));
            }
        }
        Ok(())
    }

    /// How often a path with this root was torn without a header, so that nobody could know that this
    /// is no version of it.
    fn count_torn(&self, root: &str) -> usize {
        let past = self.past_of(root);
        past.filter(|object| object.header.is_none() && object.tag != ETag::of(&object.bytes))
            .count()
    }

    /// How many versions the paths with this root ever had on the hub.
    fn count_versions(&self, root: &str) -> usize {
        let versions: BTreeSet<_> = self.past_of(root).map(version_of).collect();
        versions.len()
    }

    fn past_of(&self, root: &str) -> impl Iterator<Item = &Object> {
        let paths = self.paths.iter();
        let paths = paths.filter(move |path| crate::oracle::root(path.as_str()) == root);
        let past = paths.flat_map(|path| self.hub.past(path));
        past.filter_map(|was| was.object.as_ref())
    }

    /// Where edits never crossed, there is exactly what was written last, and no copies.
    fn check_relay(&self, on_hub: &Tree) -> Result<(), String> {
        for path in &self.paths {
            let newest = self.oracle.newest(path);
            if on_hub.get(path) != newest.map(ContentHash::of).as_ref() {
                let found = on_hub.get(path).map(|hash| self.lines(hash));
                let newest = newest.map(tokens);
                return Err(format!(
                    "I-1, I-2: {path} has {found:?} instead of {newest:?}"
                ));
            }
        }
        match on_hub.keys().find(|path| is_copy(path.as_str())) {
            Some(copy) => Err(format!("I-14: {copy} without a conflict")),
            None => Ok(()),
        }
    }

    fn tree_on_hub(&mut self) -> Tree {
        let objects = self.hub.objects().iter();
        let files = objects.filter(|(path, object)| {
            let header = object.header.as_deref();
            let is_tombstone = header.is_some_and(|header| header.form == Form::Tombstone);
            let is_hidden = path.file_name().starts_with(".history.");
            !is_tombstone && !is_hidden
        });
        let files: Vec<_> = files
            .map(|(path, object)| (path.clone(), content(&object.bytes)))
            .collect();
        let named = files.into_iter();
        named
            .map(|(path, bytes)| (path, self.contents.keep(&bytes).0))
            .collect()
    }

    /// All lines that can still be had. History counts only where the policy says that a loser goes
    /// there (`latest`: *.dat); everywhere else a conflict copy is owed.
    fn kept(&self) -> BTreeSet<Token> {
        let mut kept = BTreeSet::new();
        for object in self.hub.objects().values() {
            kept.extend(tokens(&content(&object.bytes)));
        }
        for device in &self.devices {
            for (_, content) in device.on_disk() {
                kept.extend(self.lines(&content));
            }
            for (path, hash) in device.history() {
                if path.extension() == Some("dat") {
                    kept.extend(self.lines(hash));
                }
            }
        }
        kept
    }

    fn lines(&self, hash: &ContentHash) -> BTreeSet<Token> {
        let bytes = self.contents.get(hash);
        bytes.map(|bytes| tokens(bytes)).unwrap_or_default()
    }
}
