//! Judges each request at the moment when a device makes it, by what its store holds then.

use std::collections::BTreeSet;

use gaia::path::FilePath;
use pangaea_core::io::ListedFile;
use pangaea_core::io::Request;
use pangaea_core::io::Response;
use pangaea_core::plan::Condition;
use pangaea_core::state::ANCESTORS_MAX;
use pangaea_core::state::Ancestors;
use pangaea_core::state::Base;
use pangaea_core::state::Local;
use pangaea_core::state::LocalFile;
use pangaea_core::state::Origin;
use pangaea_core::state::Remote;
use pangaea_core::state::RemoteBody;
use pangaea_core::version::ContentHash;
use pangaea_core::version::VersionId;

use crate::content::Token;
use crate::content::tokens;
use crate::device::Device;
use crate::header::version_of;
use crate::hub::Hub;
use crate::oracle::Excuse;
use crate::oracle::Sight;
use crate::oracle::is_copy;
use crate::oracle::root;
use crate::world::World;

impl World {
    /// What must hold of a request of this device.
    pub(crate) fn watch(&mut self, number: usize, request: &Request) -> Result<(), String> {
        if self.refused.iter().any(|it| it.is(self, number, request)) {
            return Err(format!(
                "L-5: device {number} sends again what was refused for good: {request:?}"
            ));
        }
        for birth in self.devices[number].take_births() {
            self.lineage.note(birth);
        }
        self.note_kept(number, request);
        let device = &self.devices[number];
        match request {
            Request::Merge {
                path,
                base: Some(_),
                theirs,
                ..
            } => {
                if let Err(broken) = self.check_origin(device, path, theirs.version) {
                    if !is_outdone(device, path, theirs) {
                        return Err(format!("I-1: device {number}: {broken}"));
                    }
                    self.oracle.excuse(Excuse::Outdone);
                }
            }
            Request::Apply { path, to, .. } => {
                let told = |broken| format!("I-5: device {number}: {broken}");
                check_forward(device, path, to.as_ref(), &self.hub).map_err(told)?;
                if let Err(broken) = self.check_own(number, path, to.as_ref()) {
                    // A crash took the memory of it, and an edit came before the next look at the folder. Or
                    // it comes once more to a hub that was set back to what it was made from.
                    let base = device.engine.entry(path).and_then(|it| it.base.version());
                    let is_after =
                        |it: &LocalFile| base.is_some_and(|base| it.ancestors.contains(&base));
                    let is_set_back = self.oracle.is_rewound(root(path.as_str()));
                    let excuse = match device.sight(path) {
                        Sight::Unrecorded => Excuse::Unrecorded,
                        Sight::Recorded if is_set_back && to.as_ref().is_some_and(is_after) => {
                            Excuse::Revived
                        }
                        Sight::Recorded => return Err(told(broken)),
                    };
                    self.oracle.excuse(excuse);
                }
            }
            Request::Sweep { path, .. } => self
                .check_age(device, path)
                .map_err(|broken| format!("I-2: device {number}: {broken}"))?,
            _ => {}
        }
        if let Request::Apply { path, to, .. } = request
            && device.has_folder()
        {
            check_announced(device, path, to.as_ref().map(|file| file.content))
                .map_err(|broken| format!("I-10: device {number}: {broken}"))?;
        }
        Ok(())
    }

    /// I-5: what a device wrote itself and has replaced since is no news to it.
    fn check_own(
        &self,
        number: usize,
        path: &FilePath,
        to: Option<&LocalFile>,
    ) -> Result<(), String> {
        let device = &self.devices[number];
        let Some(to) = to.filter(|to| to.version.device == device.id()) else {
            return Ok(());
        };
        let Some(entry) = device.engine.entry(path) else {
            return Ok(());
        };
        let is_pulled =
            matches!(&entry.remote, Remote::File(remote) if remote.version == to.version);
        // One that is newer than what a program without versions wrote over it looks like news to all.
        let is_older = entry.base.version().is_none_or(|base| to.version < base);
        // Where it never had anything, it is a conflict copy that somebody made of it.
        let is_past = is_older
            && entry.local != Local::Never
            && entry.local.version() != Some(to.version)
            && self.lineage.knows(path, to.version);
        if !is_pulled || !is_past || self.replaced.contains(&number) {
            return Ok(());
        }
        Err(format!("{path} goes back to its own {}", to.version))
    }

    /// I-1: a merge takes what one side lacks of the origin for deleted there. So both come from it.
    fn check_origin(
        &self,
        device: &Device,
        path: &FilePath,
        theirs: VersionId,
    ) -> Result<(), String> {
        let entry = device.engine.entry(path);
        let Some(base) = entry.and_then(|entry| entry.base.version()) else {
            return Ok(());
        };
        if self.lineage.may_descend(path, theirs, base) {
            return Ok(());
        }
        Err(format!(
            "{path}: {theirs} is merged by {base}, which it did not come from"
        ))
    }

    /// A device keeps what it has beside what it takes for unrelated or older, or sends what it kept from
    /// such a delete.
    fn note_kept(&mut self, number: usize, request: &Request) {
        let device = &self.devices[number];
        match request {
            Request::Merge {
                path,
                ours,
                theirs,
                base: None,
                ..
            } => {
                let base = device.engine.entry(path).and_then(|it| it.base.file());
                let is_backdated = base.is_some_and(|base| {
                    self.is_backdated(path, base.version, theirs.version, &theirs.ancestors)
                });
                let lines = self.lines_of(ours);
                self.oracle.note_kept_unheard(path, &lines);
                if is_backdated {
                    self.oracle.note_backdated(path, lines);
                }
            }
            Request::Push { path, file, .. } if self.is_kept_from_backdated(device, path, file) => {
                self.oracle.note_backdated(path, self.lines_of(file));
            }
            _ => {}
        }
    }

    /// Whether a version came after another and does not say so: a stock program wrote in between, and by
    /// the clock of its author it is older.
    fn is_backdated(
        &self,
        path: &FilePath,
        base: VersionId,
        version: VersionId,
        ancestors: &Ancestors,
    ) -> bool {
        let is_after = |it| first_at(&self.hub, path, it) > first_at(&self.hub, path, base);
        let mut named = ancestors.as_slice().iter();
        version <= base
            && !ancestors.contains(&base)
            && is_after(version)
            && named.any(|it| it.device.is_foreign() && is_after(*it))
    }

    /// Whether a device sends what it kept from such a delete.
    fn is_kept_from_backdated(&self, device: &Device, path: &FilePath, file: &LocalFile) -> bool {
        let base = device.engine.entry(path).map(|entry| &entry.base);
        let Some(Base::Gone {
            version, ancestors, ..
        }) = base
        else {
            return false;
        };
        let mut came_from = file.ancestors.as_slice().iter();
        came_from.any(|it| it != version && self.is_backdated(path, *it, *version, ancestors))
    }

    fn lines_of(&self, file: &LocalFile) -> BTreeSet<Token> {
        let bytes = self.contents.get(&file.content);
        bytes.map(|bytes| tokens(bytes)).unwrap_or_default()
    }

    /// I-2: a tombstone stays for as long as was set, so that who was away learns of the delete. How
    /// long, is what the device's clock says: where that was set forward, time has passed for it.
    fn check_age(&self, device: &Device, path: &FilePath) -> Result<(), String> {
        let stored = device.stored_entries().get(path);
        let Some(Base::Gone { version, .. }) = stored.map(|entry| &entry.base) else {
            return Ok(());
        };
        let past = self.hub.past(path).iter();
        let known = past.filter_map(|was| was.object.as_ref());
        let known = known.filter(|object| version_of(object) == *version);
        let Some(written) = known.map(|object| object.modified_s).min() else {
            return Ok(());
        };
        let hub_s = (self.now_ms / 1_000).saturating_add_signed(self.settings.hub.skew_s);
        let age_ms = hub_s.saturating_sub(written) * 1_000 + device.set_forward_ms;
        if age_ms + 1_000 >= self.settings.tombstone_ms {
            return Ok(());
        }
        Err(format!("the tombstone of {path} goes after {age_ms} ms"))
    }

    /// A device gets an answer.
    pub(crate) fn watch_answer(&mut self, number: usize, response: &Response) {
        if let Response::Listed(files) = response {
            self.refused
                .retain(|it| it.device != number || !it.is_overtaken(files));
        }
    }
}

/// Whether a version names as many ancestors as it can, and the base may have been among them: its
/// device's later ones took its place. Then nothing tells that it did not come from the base.
fn is_outdone(device: &Device, path: &FilePath, version: &LocalFile) -> bool {
    let entry = device.engine.entry(path);
    let Some(base) = entry.and_then(|entry| entry.base.version()) else {
        return false;
    };
    let named = version.ancestors.as_slice();
    let mut later = named
        .iter()
        .filter(|it| it.device == base.device && **it > base);
    named.len() >= ANCESTORS_MAX && !named.contains(&base) && later.next().is_some()
}

/// What was refused for good: a request in a life of a device.
#[derive(Debug)]
pub(crate) struct Refusal {
    device: usize,
    life: u32,
    request: Request,
}

impl Refusal {
    /// The hub refused this for good.
    pub(crate) fn of(world: &World, device: usize, request: &Request) -> Self {
        Self {
            device,
            life: world.devices[device].life,
            request: request.clone(),
        }
    }

    /// Whether the hub told of something else at the path than what the request was made against: that
    /// is a reason to try again.
    fn is_overtaken(&self, listed: &[ListedFile]) -> bool {
        let Some(path) = self.request.path() else {
            return false;
        };
        let listed = listed.iter().find(|file| file.path == *path);
        let listed = listed.map(|file| file.tag.as_ref());
        match &self.request {
            Request::Push {
                condition: Condition::Create,
                ..
            } => listed.is_some(),
            Request::Push {
                condition: Condition::Replace(tag),
                ..
            }
            | Request::Remove { tag, .. } => {
                listed.is_none_or(|there| there.is_some_and(|it| it != tag))
            }
            _ => false,
        }
    }

    fn is(&self, world: &World, device: usize, request: &Request) -> bool {
        self.device == device && self.life == world.devices[device].life && self.request == *request
    }
}

/// I-5: where the device has just what the hub had, something older that did not see it does not take
/// its place unmerged: the hub was set back, and this may be all that is left of the newer version.
/// Which of them is older is what the hub's past tells, and not their clocks alone.
fn check_forward(
    device: &Device,
    path: &FilePath,
    to: Option<&LocalFile>,
    hub: &Hub,
) -> Result<(), String> {
    let Some(entry) = device.engine.entry(path) else {
        return Ok(());
    };
    let (Base::File(base), Remote::File(remote)) = (&entry.base, &entry.remote) else {
        return Ok(());
    };
    let is_taken = match (to, &remote.body) {
        (None, RemoteBody::Tombstone) => true,
        (Some(to), RemoteBody::File { .. }) => to.version == remote.version,
        (None, RemoteBody::File { .. }) | (Some(_), RemoteBody::Tombstone) => false,
    };
    let is_older = remote.origin == Origin::Header
        && remote.version <= base.version
        && !remote.ancestors.contains(&base.version);
    let was_later = first_at(hub, path, remote.version) > first_at(hub, path, base.version);
    // A copy beside it has the newer one's bytes.
    let is_kept = device.engine.entries().iter().any(|(copy, kept)| {
        let is_beside = is_copy(copy.as_str()) && root(copy.as_str()) == root(path.as_str());
        let file = kept.local.file();
        is_beside && file.is_some_and(|file| file.content == base.content)
    });
    if entry.is_clean() && is_taken && is_older && !was_later && !is_kept {
        return Err(format!(
            "{path} goes back from {} to {}",
            base.version, remote.version
        ));
    }
    Ok(())
}

/// When a version was on the hub for the first time.
fn first_at(hub: &Hub, path: &FilePath, version: VersionId) -> Option<u64> {
    let mut past = hub.past(path).iter();
    let found = past.find(|was| was.object.as_ref().map(version_of) == Some(version));
    found.map(|was| was.at)
}

/// I-10: what is done to the folder stands in the store before, so that no crash makes an edit of it.
/// A conflict copy needs no announcement: found after a crash, it is the copy that was to be made.
fn check_announced(
    device: &Device,
    path: &FilePath,
    wanted: Option<ContentHash>,
) -> Result<(), String> {
    if is_copy(path.as_str()) {
        return Ok(());
    }
    let stored = device.stored_entries().get(path);
    let announced = stored.and_then(|entry| entry.applying.as_deref());
    let announced = announced.map(|target| target.local.file().map(|file| file.content));
    if announced == Some(wanted) {
        return Ok(());
    }
    Err(format!(
        "the folder's {path} is about to change unannounced"
    ))
}
