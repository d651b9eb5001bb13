//! The planner: looks at the three trees' entries of one path and says what to do. A pure
//! function, without I/O, clock or memory; the engine carries its answer out. The table it
//! implements is printed in docs/invariants.md and tested row by row in `tests`.

use gaia::etag::ETag;

use crate::mutant::Bug;
use crate::mutant::planted;
use crate::state::Base;
use crate::state::BaseFile;
use crate::state::Entry;
use crate::state::Local;
use crate::state::Origin;
use crate::state::Remote;
use crate::state::RemoteBody;
use crate::state::RemoteFile;
use crate::state::Sent;
use crate::version::DeviceId;
use crate::version::Hlc;
use crate::version::VersionId;

/// What the hub must still hold for a write to be accepted. There is no "whatever": I-8.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Condition {
    /// Nothing may be there (`If-None-Match: *`).
    Create,
    /// Exactly this must be there (`If-Match`).
    Replace(ETag),
}

/// The next step for one path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step {
    /// Replica and hub agree, as far as is known.
    Nothing,
    /// Read the path: it changed, or a listing says that it is gone.
    Fetch,
    /// Send the local file.
    Push(Condition),
    /// Make the hub forget the file (a conditional delete or a tombstone).
    Remove(ETag),
    /// Take over what was fetched.
    Pull(Reason),
    /// The hub has, or had, something that the local state already includes: make it the base.
    Rebase(Rebase),
    /// Both sides changed: merge by policy.
    Merge(Origins),
    /// What was read may be a cache's answer: look again before believing it.
    Recheck,
}

/// Why a remote state replaces the local one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Only the hub changed.
    Changed,
    /// The hub's version came after the local one and saw it.
    Succeeds,
    /// The device deleted what somebody else edited: the edit is kept (I-1).
    EditBeatsDelete,
}

/// What two versions that are to be merged came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origins {
    /// Both were made from the base.
    Base,
    /// Nobody can say: nothing is guessed, both are kept.
    Unknown,
}

/// What becomes the base without any transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rebase {
    /// The hub's version *is* the local state, byte for byte.
    Same,
    /// The local state came after the hub's version: it remains to be sent.
    Behind,
    /// The hub holds nothing, and the local edit is kept.
    GoneButEdited,
    /// Both sides deleted it.
    BothGone,
}

/// What a replica knows of its own writing: the time stamps that it gave to versions. What carries its
/// name and any other was written before the device's storage was restored from a backup: it is somebody
/// else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own {
    /// This replica's device.
    pub device: DeviceId,
    /// All up to this one were given before the replica was loaded.
    pub stored: Hlc,
    /// The first and the newest that were given since.
    pub given: Option<(Hlc, Hlc)>,
}

impl Own {
    /// Whether this replica wrote that, and so knows it in all that it has now.
    fn wrote(&self, remote: &RemoteFile) -> bool {
        let clock = remote.version.clock;
        let is_new = |(first, newest)| first <= clock && clock <= newest;
        !planted(Bug::ForgetOwnWrites)
            && remote.origin == Origin::Header
            && remote.version.device == self.device
            && (clock <= self.stored || self.given.is_some_and(is_new))
    }
}

/// Says what to do about a path.
pub fn plan(entry: &Entry, own: Own) -> Step {
    match &entry.remote {
        Remote::AsBase => plan_local_change(entry),
        Remote::Seen(tag) if tag.is_some() && tag.as_ref() == entry.base.tag() => {
            plan_local_change(entry)
        }
        Remote::Seen(_) => Step::Fetch,
        Remote::Missing if entry.base.tag().is_none() => plan_local_change(entry),
        Remote::Missing if planted(Bug::AbsenceIsDeletion) => plan_absence(entry),
        Remote::Missing => Step::Fetch,
        Remote::Absent => plan_absence(entry),
        Remote::File(remote) => match &remote.body {
            RemoteBody::Tombstone => plan_tombstone(entry, remote, own),
            RemoteBody::File { .. } => plan_file(entry, remote, own),
        },
    }
}

/// Only the device can have changed.
fn plan_local_change(entry: &Entry) -> Step {
    if entry.is_clean() {
        return Step::Nothing;
    }
    match (&entry.local, &entry.base) {
        (Local::File(_), base) => Step::Push(match base.tag() {
            Some(tag) => Condition::Replace(tag.clone()),
            None => Condition::Create,
        }),
        (Local::Deleted { .. }, Base::File(base)) => Step::Remove(base.tag.clone()),
        // A file that was never taken over locally, known only as a base: a pull was cut short.
        (Local::Never, Base::File(_)) => Step::Fetch,
        (Local::Never | Local::Deleted { .. }, Base::Unknown | Base::Gone { .. }) => Step::Nothing,
    }
}

/// Listing and read agree that the hub has nothing at this path.
fn plan_absence(entry: &Entry) -> Step {
    match (&entry.local, &entry.base) {
        (Local::File(_), Base::File(_)) if entry.is_clean() => Step::Pull(Reason::Changed),
        (Local::File(_), Base::File(_)) if planted(Bug::AbsenceBeatsEdit) => {
            Step::Pull(Reason::Changed)
        }
        (Local::File(_), base) if base.tag().is_some() => Step::Rebase(Rebase::GoneButEdited),
        (Local::File(_), _) => Step::Push(Condition::Create),
        (Local::Never | Local::Deleted { .. }, _) => Step::Rebase(Rebase::BothGone),
    }
}

/// The hub holds a delete that is not the base.
fn plan_tombstone(entry: &Entry, remote: &RemoteFile, own: Own) -> Step {
    if is_base(entry, remote) && !planted(Bug::TombstoneAgain) {
        return plan_local_change(entry);
    }
    if is_suspect(entry, remote) {
        return Step::Recheck;
    }
    match &entry.local {
        Local::Never | Local::Deleted { .. } => Step::Rebase(Rebase::BothGone),
        Local::File(_) if is_included(entry, remote, own) => Step::Rebase(Rebase::Behind),
        Local::File(_) if went_back(entry, remote) => Step::Rebase(Rebase::Behind),
        Local::File(_) if entry.is_clean() => Step::Pull(Reason::Changed),
        Local::File(local) if remote.ancestors.contains(&local.version) => {
            Step::Pull(Reason::Succeeds)
        }
        Local::File(_) if planted(Bug::DeleteBeatsEdit) => Step::Pull(Reason::Changed),
        // The delete did not see the edit: the edit is kept.
        Local::File(_) => Step::Rebase(Rebase::Behind),
    }
}

/// The hub holds a file that was read.
fn plan_file(entry: &Entry, remote: &RemoteFile, own: Own) -> Step {
    if is_base(entry, remote) {
        return match &entry.local {
            Local::Never => Step::Pull(Reason::Changed),
            Local::File(_) | Local::Deleted { .. } => plan_local_change(entry),
        };
    }
    let is_own_name =
        entry.local.version() == Some(remote.version) || planted(Bug::SameBytesSameVersion);
    if is_own_name && holds_same(entry, remote) {
        return Step::Rebase(Rebase::Same);
    }
    // The same bytes are not the same version: they may be from before a delete that the device knows
    // of, and what its user wrote again after that is newer than what the hub shows.
    if is_suspect(entry, remote) {
        return Step::Recheck;
    }
    if is_included(entry, remote, own) {
        return Step::Rebase(Rebase::Behind);
    }
    if holds_same(entry, remote) {
        return Step::Rebase(Rebase::Same);
    }
    match &entry.local {
        Local::File(_) if went_back(entry, remote) => Step::Merge(Origins::Unknown),
        Local::Never => Step::Pull(Reason::Changed),
        Local::File(_) | Local::Deleted { .. } if entry.is_clean() => Step::Pull(Reason::Changed),
        Local::File(local) if remote.ancestors.contains(&local.version) => {
            Step::Pull(Reason::Succeeds)
        }
        Local::File(_) if have_base_in_common(entry, remote, own) => Step::Merge(Origins::Base),
        Local::File(_) => Step::Merge(Origins::Unknown),
        Local::Deleted { .. } => Step::Pull(Reason::EditBeatsDelete),
    }
}

/// Whether a read of the path found the base, unchanged.
fn is_base(entry: &Entry, remote: &RemoteFile) -> bool {
    entry.base.tag() == Some(&remote.tag) && entry.base.version() == Some(remote.version)
}

/// Whether the fetched file is what the device has anyway.
fn holds_same(entry: &Entry, remote: &RemoteFile) -> bool {
    match (&entry.local, &remote.body) {
        (Local::File(local), RemoteBody::File { content, .. }) => local.content == *content,
        _ => false,
    }
}

/// Whether the fetched version may be a cache's answer: it does not say that it came after the one
/// that replica and hub had in common. It is believed only when the hub told of just this in another
/// answer too (I-5). Then it came some versions later, or from a program that keeps no versions; or
/// it is a late duplicate of an old request, a hub restored from a backup, or the first file of a
/// device that knew of no earlier one.
fn is_suspect(entry: &Entry, remote: &RemoteFile) -> bool {
    let is_doubtful = entry
        .base
        .version()
        .is_some_and(|base| !remote.ancestors.contains(&base));
    is_doubtful && !planted(Bug::BelieveStaleRead) && entry.suspect.as_ref() != Some(&remote.tag)
}

/// Whether the hub has, instead of a file that it had, something older that does not claim to come
/// after it: it was restored from a backup, or the file was deleted or overwritten by somebody who
/// leaves no trace, and a late duplicate or a device with a slow clock came next. The base's
/// content must not be thrown away for it, nor it for the base's (I-1).
fn went_back(entry: &Entry, remote: &RemoteFile) -> bool {
    !planted(Bug::PullBackwards)
        && remote.origin == Origin::Header
        && entry
            .base
            .file()
            .is_some_and(|base| remote.version <= base.version && !comes_after(remote, base))
}

/// Whether the fetched file says that it came after the base: it names it. Or a program without versions
/// wrote the base, and it names what such a program wrote later: the hub's clock says so of both. Of a
/// device's version and a program's nothing tells which was first, however their clocks compare.
fn comes_after(remote: &RemoteFile, base: &BaseFile) -> bool {
    let is_by_hub = base.version.device.is_foreign();
    let mut ancestors = remote.ancestors.as_slice().iter();
    ancestors.any(|version| {
        let is_later = version.device.is_foreign() && version.clock > base.version.clock;
        *version == base.version || (is_by_hub && is_later)
    })
}

/// Whether two versions that are to be merged both came from the base. What a side lacks of it, that
/// side deleted (I-1). It is not so if the fetched file was made by a device that did not know of the
/// base; or if it was made from something else that this device wrote since and has no answer for,
/// or perhaps was: a delete can leave nothing to name, and programs without versions name nothing.
fn have_base_in_common(entry: &Entry, remote: &RemoteFile, own: Own) -> bool {
    if planted(Bug::MergeUnrelated) {
        return true;
    }
    let Some(base) = entry.base.version() else {
        return true;
    };
    let ancestors = entry.local.ancestors();
    let mut since = ancestors
        .as_slice()
        .iter()
        .filter(|version| version.device == own.device && !entry.base.includes(version));
    let sent = entry.pending.as_ref().map(|pending| pending.sent);
    if sent == Some(Sent::Unnamed) {
        return false;
    }
    let seen = &remote.ancestors;
    let is_named = !seen.lacks(&base);
    // On its way since the base it went through a program without versions.
    let is_nameless =
        |version: &VersionId| version.device.is_foreign() && !entry.base.includes(version);
    if remote.origin == Origin::Foreign || seen.as_slice().iter().any(is_nameless) {
        return since.next().is_none() && (is_named || remote.origin == Origin::Foreign);
    }
    is_named && !since.any(|version| seen.contains(version))
}

/// Whether the fetched version is one of this replica's own that came before the base: it knows it,
/// also where what came in between named no ancestors. What is newer than the base and carries the
/// replica's name was written before its storage was restored from a backup, and forgotten with that.
fn is_own_past(entry: &Entry, remote: &RemoteFile, own: Own) -> bool {
    let is_before = |base| remote.version <= base && !remote.ancestors.contains(&base);
    own.wrote(remote)
        && (entry.base.version().is_some_and(is_before) || planted(Bug::ForgottenIsPast))
}

/// Whether the local state was made knowing the fetched version.
fn is_included(entry: &Entry, remote: &RemoteFile, own: Own) -> bool {
    is_own_past(entry, remote, own)
        || entry.local.version() == Some(remote.version)
        || entry.local.ancestors().contains(&remote.version)
        || entry.base.includes(&remote.version)
}

#[cfg(test)]
mod tests;
