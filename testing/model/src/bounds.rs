//! How small a world is, and which bug is planted in it.

/// What can happen in a world, at most.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Devices.
    pub devices: usize,
    /// The files that are edited.
    pub paths: Vec<&'static str>,
    /// Edits by all devices together.
    pub edits: u8,
    /// Which edits there are.
    pub kinds: Vec<EditKind>,
    /// Faults in all.
    pub faults: u8,
    /// Which faults there are.
    pub fault_kinds: Vec<FaultKind>,
    /// Requests that a device has under way at a time.
    pub in_flight: usize,
    /// How often each device looks at the hub before the world heals.
    pub looks: u8,
    /// How often each device may sit out a wait before the world heals.
    pub waits: u8,
    /// What a delete leaves on the hub.
    pub deletes: Deletes,
    /// A bug, to see that it is found.
    pub bug: Option<Bug>,
}

impl Bounds {
    /// Two devices that append to and delete one text file, three edits in all, one fault of any
    /// kind.
    pub fn small(deletes: Deletes) -> Self {
        Self {
            devices: 2,
            paths: vec!["a.txt"],
            edits: 3,
            kinds: vec![EditKind::Append, EditKind::Delete],
            faults: 1,
            fault_kinds: FaultKind::ALL.to_vec(),
            in_flight: 1,
            looks: 2,
            waits: 1,
            deletes,
            bug: None,
        }
    }
}

/// What a user can do to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EditKind {
    /// Adds a line to what is there; creates the file if nothing is.
    Append,
    /// Replaces what is there by a line.
    Replace,
    /// Deletes the file.
    Delete,
}

/// What can go wrong. A crash between an answer and its commit is a crash before the answer: the
/// engine does nothing before its commit is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// The hub never hears of a request.
    RequestLost,
    /// The hub carries a request out and its answer is lost.
    AnswerLost,
    /// Like that, and the network delivers the same request once more later.
    Duplicate,
    /// A device loses power: what it had under way may reach the hub or not.
    Crash,
    /// A listing lacks an entry.
    EntryMissing,
    /// A read is answered with what was there before.
    StaleRead,
}

impl FaultKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::RequestLost,
        Self::AnswerLost,
        Self::Duplicate,
        Self::Crash,
        Self::EntryMissing,
        Self::StaleRead,
    ];
}

/// What a delete leaves on the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deletes {
    /// An empty body with a version header, as on a stock hub.
    Tombstones,
    /// Nothing: the hub takes a conditional delete.
    Conditional,
}

/// A bug to plant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bug {
    /// The hub does not look at the condition of a push.
    UnconditionalPush,
    /// The hub does not look at the condition of a delete.
    UnconditionalRemove,
    /// An edit is acknowledged and its commit is never stored.
    AckWithoutCommit,
    /// The counters are not stored.
    ForgetCounters,
    /// A lost answer is taken for a success.
    LostMeansStored,
    /// What a listing lacks is taken for absent, without a read.
    ListingIsTruth,
    /// Journal records are not stored.
    ForgetJournal,
}

impl Bug {
    /// All of them, by name.
    pub const ALL: [(&'static str, Self); 7] = [
        ("unconditional-push", Self::UnconditionalPush),
        ("unconditional-remove", Self::UnconditionalRemove),
        ("ack-without-commit", Self::AckWithoutCommit),
        ("forget-counters", Self::ForgetCounters),
        ("lost-means-stored", Self::LostMeansStored),
        ("listing-is-truth", Self::ListingIsTruth),
        ("forget-journal", Self::ForgetJournal),
    ];
}
