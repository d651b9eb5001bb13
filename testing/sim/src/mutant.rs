//! Bugs planted on purpose, each against a promise that the checks must be able to see broken. Some
//! are mistakes of a shell and are planted into the model of it here; the others are mistakes of the
//! core, switched on in `pangaea_core::mutant` where the feature `mutants` builds them in.

use serde::Deserialize;
use serde::Serialize;

/// One planted bug in the shell around the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mutant {
    /// Writes go out without their condition (I-8).
    BlindPush,
    /// Deletes go out without their condition (I-8).
    BlindRemove,
    /// Old tombstones are removed without looking what is there (I-8).
    BlindSweep,
    /// A failed condition is taken for the success of an earlier attempt, unseen (rule 2).
    AssumeItWasMe,
    /// Only the first page of a listing is read (I-9).
    FirstPageOnly,
    /// The first entry of the change feed is passed over (I-3).
    SkipFeedEntry,
    /// The listing that is kept is believed after its cursor expired (I-3).
    TrustExpiredCursor,
    /// A batch that is answered in part is recorded as a whole (I-11).
    WholeBatch,
    /// The losing side of a merge is thrown away (I-1).
    DropLoser,
    /// A merge's result lacks a line (I-1).
    MergeDropsLine,
    /// A merge is made with the other side as the origin (I-1).
    WrongAncestor,
    /// A write is acknowledged before it is stored (rule "persist, then act").
    AckBeforeCommit,
    /// What could not be stored is sent (rule "persist, then act").
    ActBeforeCommit,
    /// Half of a commit is lost in a crash (I-10).
    TornCommit,
    /// The journal is not stored (I-1).
    ForgetJournal,
    /// The counters are not stored: a device with a clock set back reuses names (I-13).
    ForgetCounters,
    /// A pull overwrites the folder without looking at what is there (I-1).
    BlindApply,
    /// A pull is reported as done before the folder is durable (I-5).
    BaseBeforeFolder,
    /// Answers meant for the device's life before a restart are handed in (I-4).
    AnswersOfAnotherLife,
    /// Waits that the hub asks for are not passed on (L-3).
    IgnoreRetryAfter,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::BlindPush,
        Self::BlindRemove,
        Self::BlindSweep,
        Self::AssumeItWasMe,
        Self::FirstPageOnly,
        Self::SkipFeedEntry,
        Self::TrustExpiredCursor,
        Self::WholeBatch,
        Self::DropLoser,
        Self::MergeDropsLine,
        Self::WrongAncestor,
        Self::AckBeforeCommit,
        Self::ActBeforeCommit,
        Self::TornCommit,
        Self::ForgetJournal,
        Self::ForgetCounters,
        Self::BlindApply,
        Self::BaseBeforeFolder,
        Self::AnswersOfAnotherLife,
        Self::IgnoreRetryAfter,
    ];
}

/// The bug that is planted in a world, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Planted {
    /// In the shell.
    pub shell: Option<Mutant>,
    /// In the core.
    #[cfg(feature = "mutants")]
    pub core: Option<pangaea_core::mutant::Bug>,
}

impl Planted {
    /// This one, in the shell.
    pub fn shell(mutant: Mutant) -> Self {
        Self {
            shell: Some(mutant),
            #[cfg(feature = "mutants")]
            core: None,
        }
    }

    /// Every bug that this build can plant, by name.
    pub fn all() -> Vec<(String, Self)> {
        let shell = Mutant::ALL.map(|mutant| (format!("{mutant:?}"), Self::shell(mutant)));
        #[cfg(feature = "mutants")]
        let core = pangaea_core::mutant::Bug::ALL.map(|bug| {
            let core = Some(bug);
            (format!("{bug:?}"), Self { shell: None, core })
        });
        #[cfg(not(feature = "mutants"))]
        let core = [];
        shell.into_iter().chain(core).collect()
    }

    /// Puts the bug of the core to work.
    pub(crate) fn begin(self) {
        #[cfg(feature = "mutants")]
        pangaea_core::mutant::plant(self.core);
    }

    /// Whether it is this one.
    pub fn is(self, mutant: Mutant) -> bool {
        self.shell == Some(mutant)
    }
}
