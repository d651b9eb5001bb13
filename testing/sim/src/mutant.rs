//! Bugs planted into the shell around the engine, each against a promise that the oracle must be
//! able to see broken.

/// One planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Writes go out without their condition (I-8).
    UnconditionalPush,
    /// Deletes go out without their condition (I-8).
    UnconditionalRemove,
    /// A path that a listing lacks is taken for deleted without reading it (I-9).
    ListingIsTruth,
    /// The losing side of a merge is thrown away (I-1).
    DropLoser,
    /// A write is acknowledged before it is stored (rule "persist, then act").
    AckBeforeCommit,
    /// Half of a commit is lost in a crash (I-10).
    TornCommit,
    /// A pull overwrites the folder without looking at what is there (I-1).
    BlindApply,
    /// A pull is reported as done before the folder is durable (I-5).
    BaseBeforeFolder,
    /// Answers meant for the device's life before a restart are handed in (I-4).
    AnswersOfAnotherLife,
    /// The counters are not stored: a device with a clock set back reuses names (I-13).
    ForgetCounters,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::UnconditionalPush,
        Self::UnconditionalRemove,
        Self::ListingIsTruth,
        Self::DropLoser,
        Self::AckBeforeCommit,
        Self::TornCommit,
        Self::BlindApply,
        Self::BaseBeforeFolder,
        Self::AnswersOfAnotherLife,
        Self::ForgetCounters,
    ];
}
