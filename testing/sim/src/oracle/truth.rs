//! Compares what a replica stores as known with what the hub really had: every base must have been
//! there, no base goes backwards, and a version's name stands for one content for ever.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use gaia::path::FilePath;
use pangaea_core::state::Base;
use pangaea_core::state::Entry;
use pangaea_core::state::LocalFile;
use pangaea_core::version::ContentHash;
use pangaea_core::version::DeviceId;
use pangaea_core::version::VersionId;

use crate::header::Form;
use crate::header::version_of;
use crate::hub::Hub;
use crate::hub::Object;

/// Whose store is judged.
#[derive(Debug, Clone, Copy)]
pub struct Who {
    /// The number of the device.
    pub device: usize,
    /// Its name for others.
    pub id: DeviceId,
    /// Which of its lives.
    pub life: u32,
}

#[derive(Debug)]
struct Given {
    life: u32,
    now: VersionId,
    before: Option<VersionId>,
}

/// The memory of the judge.
#[derive(Debug, Default)]
pub struct Truth {
    /// How far in the hub's history each device's base of a path is.
    bases: BTreeMap<(usize, FilePath), (VersionId, u64)>,
    /// The same, when an image of a device's disk was taken.
    images: BTreeMap<(usize, FilePath), (VersionId, u64)>,
    /// Paths whose history on the hub is not one line any more.
    rewound: BTreeSet<FilePath>,
    /// The greatest names that each device gave out: in its life at the moment, and before that.
    given: BTreeMap<usize, Given>,
    /// What each name of a version stands for, path by path: a conflict copy has the name of what it
    /// is a copy of.
    names: BTreeMap<VersionId, BTreeMap<FilePath, ContentHash>>,
    /// How often [`super::Excuse::Recurred`] was needed.
    recurred: u64,
}

impl Truth {
    /// How often the same plain bytes came again under an earlier name.
    pub fn recurred(&self) -> u64 {
        self.recurred
    }

    /// How many contents the paths with this root ever had, conflict copies not counted.
    pub fn contents_at(&self, root: &str) -> usize {
        let named = self.names.values().flatten();
        let contents: BTreeSet<_> = named
            .filter(|(path, _)| {
                super::root(path.as_str()) == root && !super::is_copy(path.as_str())
            })
            .map(|(_, content)| content)
            .collect();
        contents.len()
    }

    /// A device's disk was replaced: what it knew before does not bind it.
    pub fn forget(&mut self, device: usize) {
        self.bases.retain(|(other, _), _| *other != device);
        self.given.remove(&device);
    }

    /// An image of a device's disk is taken.
    pub fn take_image(&mut self, device: usize) {
        self.images.retain(|(other, _), _| *other != device);
        let bases = self.bases.iter();
        let own = bases.filter(|((other, _), _)| *other == device);
        self.images
            .extend(own.map(|(at, known)| (at.clone(), *known)));
    }

    /// What a replaced disk knows: how far in the hub's history it was when the image was taken.
    pub fn remember(&mut self, device: usize, entries: &BTreeMap<FilePath, Entry>, hub: &Hub) {
        for (path, entry) in entries {
            let Some(version) = entry.base.file().map(|base| base.version) else {
                continue;
            };
            let at = (device, path.clone());
            if let Some(known) = self.images.get(&at).filter(|it| it.0 == version) {
                self.bases.insert(at, *known);
                continue;
            }
            let mut past = hub.past(path).iter().rev();
            let found = past.find(|was| was.object.as_ref().map(version_of) == Some(version));
            if let Some(found) = found {
                self.bases.insert(at, (version, found.at));
            }
        }
    }

    /// The hub was set back at this path: versions that it forgot may still be in some cache, and
    /// nothing tells that they are not the newest.
    pub fn rewind(&mut self, path: &FilePath) {
        self.rewound.insert(path.clone());
    }

    /// Judges what a device has stored.
    pub fn check(
        &mut self,
        who: Who,
        entries: &BTreeMap<FilePath, Entry>,
        hub: &Hub,
    ) -> Result<(), String> {
        for (path, entry) in entries {
            self.check_base(who.device, path, &entry.base, hub)?;
            // What was announced for the folder has its name already.
            let announced = entry.applying.as_deref().map(|target| &target.local);
            for file in [Some(&entry.local), announced].into_iter().flatten() {
                if let Some(file) = file.file() {
                    self.check_name(who, path, file)?;
                }
            }
        }
        Ok(())
    }

    fn check_name(&mut self, who: Who, path: &FilePath, file: &LocalFile) -> Result<(), String> {
        // What a program without versions writes has a stand-in for a name, which a torn write
        // shares with the whole one.
        if file.version.device.is_foreign() {
            return Ok(());
        }
        let names = self.names.entry(file.version).or_default();
        if let Some(known) = names.get(path) {
            if *known == file.content {
                return Ok(());
            }
            return Err(format!(
                "I-13: {} of {path} stands for two contents on device {}",
                file.version, who.device
            ));
        }
        let is_copy = !names.is_empty() && names.values().all(|known| *known == file.content);
        names.insert(path.clone(), file.content);
        if file.version.device != who.id || is_copy {
            return Ok(());
        }
        let given = self.given.entry(who.device).or_insert(Given {
            life: who.life,
            now: file.version,
            before: None,
        });
        if given.life != who.life {
            given.before = Some(given.now);
            given.life = who.life;
        }
        given.now = given.now.max(file.version);
        if given.before.is_some_and(|before| before >= file.version) {
            return Err(format!(
                "I-13: device {} names {} of {path} after it gave out {:?} in an earlier life",
                who.device, file.version, given.before
            ));
        }
        Ok(())
    }

    fn check_base(
        &mut self,
        device: usize,
        path: &FilePath,
        base: &Base,
        hub: &Hub,
    ) -> Result<(), String> {
        let before = self.bases.get(&(device, path.clone()));
        if let (
            Base::Gone {
                tombstone: None, ..
            },
            Some((known, at)),
        ) = (base, before)
        {
            let mut later = hub.past(path).iter().filter(|was| was.at > *at);
            if !later.any(|was| was.object.is_none()) {
                return Err(format!(
                    "I-9: device {device} takes {path} for gone, and since {known} it never was"
                ));
            }
        }
        let (version, is_there): (VersionId, &dyn Fn(&Object) -> bool) = match base {
            Base::Unknown
            | Base::Gone {
                tombstone: None, ..
            } => return Ok(()),
            Base::File(base) => (base.version, &|object| {
                object.tag == base.tag && version_of(object) == base.version
            }),
            Base::Gone {
                version,
                tombstone: Some(_),
                ..
            } => (*version, &|object| {
                let header = object.header.as_deref();
                header.is_some_and(|header| {
                    header.form == Form::Tombstone && header.version == *version
                })
            }),
        };
        if before.is_some_and(|(known, _)| *known == version) {
            return Ok(());
        }
        let mut past = hub.past(path).iter().rev();
        let found = past.find(|was| was.object.as_ref().is_some_and(is_there));
        let Some(found) = found else {
            return Err(format!(
                "I-11: device {device} takes {version} of {path} for stored, and the hub never had it"
            ));
        };
        if let Some((known, at)) = before
            && found.at < *at
            && !self.rewound.contains(path)
        {
            // By the tag, which what was torn in between keeps.
            let tag = found.object.as_ref().map(|object| &object.tag);
            let mut later = hub.past(path).iter().filter(|was| was.at > *at);
            let is_again = later.any(|was| was.object.as_ref().map(|object| &object.tag) == tag);
            let header = found.object.as_ref().and_then(|it| it.header.as_deref());
            let went_back = header.is_some_and(|header| header.ancestors.contains(known));
            if is_again || went_back {
                self.recurred += 1;
                return Ok(());
            }
            return Err(format!(
                "I-5: device {device} went back from {known} of {path} to {version}"
            ));
        }
        self.bases
            .insert((device, path.clone()), (version, found.at));
        Ok(())
    }
}
