//! Bugs planted on purpose, for the simulator to find. They are built in by the feature `mutants`
//! alone, which no product build has, and even then none is at work unless one is named by
//! `plant`. Some are bugs that the simulator once found.

#[cfg(feature = "mutants")]
use std::cell::Cell;

/// One planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The same bytes are taken for the same version, also when they are known to be older.
    SameBytesSameVersion,
    /// A read that may be a cache's is believed at once.
    BelieveStaleRead,
    /// A condition that failed without a tag bears out an earlier read.
    TwoReadsAreProof,
    /// A listing that lacks a path is believed without a read.
    AbsenceIsDeletion,
    /// A read that finds nothing is believed without a listing.
    ReadAloneIsAbsence,
    /// A delete that did not see an edit wins over it.
    DeleteBeatsEdit,
    /// An edit that did not see a delete's absence gives way to it.
    AbsenceBeatsEdit,
    /// The answer to an upload clears the edit that was made during it.
    ClearNewerEdit,
    /// What the device wrote itself is not recognised.
    ForgetOwnWrites,
    /// What carries the device's name is its past, also what it forgot when it was restored.
    ForgottenIsPast,
    /// Tombstones go at once.
    SweepAtOnce,
    /// A refusal is no reason to stop.
    RefusalRetries,
    /// What a delete replaced is forgotten.
    ForgetDelete,
    /// The clock begins anew at a restart.
    ClockWithoutMemory,
    /// A version does not name what was perhaps sent before it.
    UnsentAncestors,
    /// Files made anew are merged by a base that they did not come from.
    MergeUnrelated,
    /// Something older replaces the base without a merge.
    PullBackwards,
    /// Changes of the folder are not announced.
    NoAnnouncement,
    /// Announcements are built upon before the folder was looked at.
    StaleAnnouncement,
    /// What gives way to another version does not go to history.
    NoHistory,
    /// Every life of a device gives the same names.
    RepeatNames,
    /// A path that waits for somebody stops all others.
    OneStopsAll,
    /// What the hub asks to wait is not waited.
    NoRetryAfter,
    /// A listing that began before a push is believed after it.
    OldListing,
    /// Damaged bytes are set aside at first sight and for ever.
    DamagedForEver,
    /// A merge takes the record of the edit out of the journal, as if it was sent.
    MergeClearsJournal,
    /// A tombstone that is the base is taken in at every look.
    TombstoneAgain,
    /// The base moves on without what the folder was to become.
    BaseWithoutLocal,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 28] = [
        Self::SameBytesSameVersion,
        Self::BelieveStaleRead,
        Self::TwoReadsAreProof,
        Self::AbsenceIsDeletion,
        Self::ReadAloneIsAbsence,
        Self::DeleteBeatsEdit,
        Self::AbsenceBeatsEdit,
        Self::ClearNewerEdit,
        Self::ForgetOwnWrites,
        Self::ForgottenIsPast,
        Self::SweepAtOnce,
        Self::RefusalRetries,
        Self::ForgetDelete,
        Self::ClockWithoutMemory,
        Self::UnsentAncestors,
        Self::MergeUnrelated,
        Self::PullBackwards,
        Self::NoAnnouncement,
        Self::StaleAnnouncement,
        Self::NoHistory,
        Self::RepeatNames,
        Self::OneStopsAll,
        Self::NoRetryAfter,
        Self::OldListing,
        Self::DamagedForEver,
        Self::MergeClearsJournal,
        Self::TombstoneAgain,
        Self::BaseWithoutLocal,
    ];
}

#[cfg(feature = "mutants")]
thread_local! {
    static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
}

/// From now on this bug, or none, is at work in this thread.
#[cfg(feature = "mutants")]
pub fn plant(bug: Option<Bug>) {
    PLANTED.set(bug);
}

/// Whether a bug is at work.
#[cfg(feature = "mutants")]
pub(crate) fn planted(bug: Bug) -> bool {
    PLANTED.get() == Some(bug)
}

/// Whether a bug is at work: never, in a product.
#[cfg(not(feature = "mutants"))]
pub(crate) const fn planted(_: Bug) -> bool {
    false
}
