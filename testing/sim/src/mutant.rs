//! Bugs planted into the shell around the engine, one for each promise that the oracle must be
//! able to see broken.

/// One planted bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// Writes go out without their condition (I-8).
    UnconditionalPush,
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
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::UnconditionalPush,
        Self::ListingIsTruth,
        Self::DropLoser,
        Self::AckBeforeCommit,
        Self::TornCommit,
        Self::BlindApply,
    ];
}
