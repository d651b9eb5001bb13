//! The planner: looks at the three trees' entries of one path and says what to do. A pure
//! function, without I/O, clock or memory; the engine carries its answer out. The table it
//! implements is printed in docs/invariants.md and tested row by row below.

use gaia::etag::ETag;

use crate::state::Base;
use crate::state::Entry;
use crate::state::Local;
use crate::state::Origin;
use crate::state::Remote;
use crate::state::RemoteBody;
use crate::state::RemoteFile;
use crate::version::DeviceId;
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
    Merge,
    /// The hub shows something older than the base: look again before believing it.
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

/// What becomes the base without any transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Rebase {
    /// The hub's version *is* the local state, byte for byte or by its version.
    Same,
    /// The local state came after the hub's version: it remains to be sent.
    Behind,
    /// The hub holds nothing, and the local edit is kept.
    GoneButEdited,
    /// Both sides deleted it.
    BothGone,
}

/// Says what to do about a path. `device` is this replica's own: what it wrote earlier itself is
/// always included in what it has now.
pub fn plan(entry: &Entry, device: DeviceId) -> Step {
    match &entry.remote {
        Remote::AsBase => plan_local_change(entry),
        Remote::Seen(tag) if tag.is_some() && tag.as_ref() == entry.base.tag() => {
            plan_local_change(entry)
        }
        Remote::Seen(_) => Step::Fetch,
        Remote::Missing if entry.base.tag().is_none() => plan_local_change(entry),
        Remote::Missing => Step::Fetch,
        Remote::Absent => plan_absence(entry),
        Remote::File(remote) => match &remote.body {
            RemoteBody::Tombstone => plan_tombstone(entry, remote, device),
            RemoteBody::File { .. } => plan_file(entry, remote, device),
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
        (Local::File(_), base) if base.tag().is_some() => Step::Rebase(Rebase::GoneButEdited),
        (Local::File(_), _) => Step::Push(Condition::Create),
        (Local::Never | Local::Deleted { .. }, _) => Step::Rebase(Rebase::BothGone),
    }
}

/// The hub holds a delete that is not the base.
fn plan_tombstone(entry: &Entry, remote: &RemoteFile, device: DeviceId) -> Step {
    if is_suspect(entry, remote) {
        return Step::Recheck;
    }
    match &entry.local {
        Local::Never | Local::Deleted { .. } => Step::Rebase(Rebase::BothGone),
        Local::File(_) if is_included(entry, remote, device) => Step::Rebase(Rebase::Behind),
        Local::File(_) if entry.is_clean() => Step::Pull(Reason::Changed),
        Local::File(local) if remote.ancestors.contains(&local.version) => {
            Step::Pull(Reason::Succeeds)
        }
        // The delete did not see the edit: the edit is kept.
        Local::File(_) => Step::Rebase(Rebase::Behind),
    }
}

/// The hub holds a file that is not the base.
fn plan_file(entry: &Entry, remote: &RemoteFile, device: DeviceId) -> Step {
    if holds_same(entry, remote) {
        return Step::Rebase(Rebase::Same);
    }
    if is_suspect(entry, remote) {
        return Step::Recheck;
    }
    if is_included(entry, remote, device) {
        return Step::Rebase(Rebase::Behind);
    }
    match &entry.local {
        Local::Never => Step::Pull(Reason::Changed),
        Local::File(_) | Local::Deleted { .. } if entry.is_clean() => Step::Pull(Reason::Changed),
        Local::File(local) if remote.ancestors.contains(&local.version) => {
            Step::Pull(Reason::Succeeds)
        }
        Local::File(_) => Step::Merge,
        Local::Deleted { .. } => Step::Pull(Reason::EditBeatsDelete),
    }
}

/// Whether the fetched file is what the device has anyway.
fn holds_same(entry: &Entry, remote: &RemoteFile) -> bool {
    match (&entry.local, &remote.body) {
        (Local::File(local), RemoteBody::File { content, .. }) => local.content == *content,
        _ => false,
    }
}

/// Whether the fetched version is no newer than one that replica and hub already had in common: a
/// cached answer, a late duplicate of an old request, or a hub restored from a backup. It is
/// believed only when it is still there at a second look (I-5).
fn is_suspect(entry: &Entry, remote: &RemoteFile) -> bool {
    remote.origin == Origin::Header
        && entry.base.version().is_some_and(|base| remote.version <= base)
        && entry.suspect.as_ref() != Some(&remote.tag)
}

/// Whether the local state was made knowing the fetched version.
fn is_included(entry: &Entry, remote: &RemoteFile, device: DeviceId) -> bool {
    let own_earlier = |local: VersionId| {
        remote.origin == Origin::Header
            && remote.version.device == device
            && remote.version <= local
    };
    entry.local.version().is_some_and(own_earlier)
        || entry.local.version() == Some(remote.version)
        || entry.local.ancestors().contains(&remote.version)
        || entry.base.includes(&remote.version)
}
