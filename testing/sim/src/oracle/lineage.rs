//! Which version was made from which, as devices stored them: not what their headers say.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use gaia::path::FilePath;
use pangaea_core::state::Entry;
use pangaea_core::version::DeviceId;
use pangaea_core::version::VersionId;

/// A version of a device's own that it stored for the first time, and what it was made from.
#[derive(Debug)]
pub struct Birth {
    path: FilePath,
    version: VersionId,
    parents: BTreeSet<VersionId>,
}

impl Birth {
    /// The versions that `device` named in `after`, which takes the place of `before` in its store.
    pub fn of<'a>(
        device: DeviceId,
        path: &'a FilePath,
        before: Option<&'a Entry>,
        after: &'a Entry,
    ) -> impl Iterator<Item = Self> + 'a {
        let local = (after.local.version(), after.base.version());
        let announced = after.applying.as_deref();
        let announced = announced.map(|to| (to.local.version(), to.base.version()));
        let named = [Some(local), announced].into_iter().flatten();
        let named = named.filter_map(|(version, base)| Some((version?, base)));
        let own = named.filter(move |(version, _)| version.device == device);
        own.map(move |(version, base)| {
            let before = [
                before.and_then(|entry| entry.local.version()),
                before.and_then(|entry| entry.base.version()),
                after.base.version(),
                after.local.version(),
                base,
            ];
            let parents = before.into_iter().flatten();
            Self {
                path: path.clone(),
                version,
                parents: parents.filter(|parent| *parent != version).collect(),
            }
        })
    }
}

/// The family tree of every file.
#[derive(Debug, Default)]
pub struct Lineage {
    parents: BTreeMap<(FilePath, VersionId), BTreeSet<VersionId>>,
    /// What each device named last: what it names next, it names knowing that.
    last: BTreeMap<(FilePath, DeviceId), VersionId>,
}

impl Lineage {
    /// A version came to be. What was said of it first counts.
    pub fn note(&mut self, birth: Birth) {
        let Birth {
            path,
            version,
            mut parents,
        } = birth;
        if self.knows(&path, version) {
            return;
        }
        let author = (path.clone(), version.device);
        parents.extend(self.last.insert(author, version));
        self.parents.insert((path, version), parents);
    }

    /// Whether this version came to be.
    pub fn knows(&self, path: &FilePath, version: VersionId) -> bool {
        self.parents.contains_key(&(path.clone(), version))
    }

    /// Whether one version was made from the other, as far as anybody can tell: of what a program
    /// without versions wrote, nobody can.
    pub fn may_descend(&self, path: &FilePath, version: VersionId, from: VersionId) -> bool {
        let mut seen = BTreeSet::new();
        let mut next = vec![version];
        while let Some(version) = next.pop() {
            if version == from {
                return true;
            }
            if !seen.insert(version) {
                continue;
            }
            match self.parents.get(&(path.clone(), version)) {
                Some(parents) => next.extend(parents),
                None => return true,
            }
        }
        false
    }
}
