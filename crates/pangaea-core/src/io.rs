//! All that can enter the engine and all that can leave it: two closed sets. The shell turns
//! requests into I/O and I/O into responses; it decides nothing.

use gaia::etag::ETag;
use gaia::path::FilePath;

use crate::media::MediaType;
use crate::plan::Condition;
use crate::policy::Strategy;
use crate::state::Ancestors;
use crate::state::Format;
use crate::state::FormatWish;
use crate::state::LocalFile;
use crate::state::ProblemKind;
use crate::state::RemoteFile;
use crate::version::ContentHash;
use crate::version::VersionId;

/// Names a request until its response came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Something that the shell is to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Request {
    /// List the whole bucket, all pages, with tags. Answer: [`Response::Listed`].
    List,
    /// Read a path, verify it, unwrap it, put its content into the content store.
    /// Answer: [`Response::Fetched`] or [`Response::Absent`].
    Fetch {
        /// What to read.
        path: FilePath,
    },
    /// Store a file. Answer: [`Response::Stored`] or [`Response::ConditionFailed`].
    Push {
        /// Where to.
        path: FilePath,
        /// What.
        file: LocalFile,
        /// How to wrap it.
        format: Format,
        /// What must be there.
        condition: Condition,
    },
    /// Make the hub forget a file, on condition. Answer: [`Response::Stored`] with the
    /// tombstone's tag, [`Response::Absent`] if nothing is left, or
    /// [`Response::ConditionFailed`].
    Remove {
        /// Which.
        path: FilePath,
        /// The version of the delete, for a tombstone's header.
        version: VersionId,
        /// What the delete saw.
        ancestors: Ancestors,
        /// What must be there.
        tag: ETag,
    },
    /// Remove a tombstone that everybody had time to see, if it still has this tag.
    /// Answer: [`Response::Absent`] or [`Response::ConditionFailed`].
    Sweep {
        /// Which.
        path: FilePath,
        /// The tombstone's tag.
        tag: ETag,
    },
    /// Merge three contents. Both sides' contents must be in the content store when the answer
    /// comes, since either may become a conflict copy. Answer: [`Response::Merged`].
    Merge {
        /// Which path, for the strategy and the names of copies.
        path: FilePath,
        /// How.
        strategy: Strategy,
        /// What both came from, if it is known.
        base: Option<ContentHash>,
        /// What the device has.
        ours: LocalFile,
        /// What the hub has.
        theirs: LocalFile,
    },
    /// Make the device's own copy what the engine decided: write `to`, or delete the file for
    /// none, provided that the device still has `expected`. What is displaced goes to the content
    /// store. Answer: [`Response::Applied`] or [`Response::LocalDiffers`].
    Apply {
        /// Which.
        path: FilePath,
        /// What the device must still have.
        expected: Option<ContentHash>,
        /// What it shall have.
        to: Option<LocalFile>,
    },
}

impl Request {
    /// The path that the request is about; none for a listing.
    pub fn path(&self) -> Option<&FilePath> {
        match self {
            Self::List => None,
            Self::Fetch { path }
            | Self::Push { path, .. }
            | Self::Remove { path, .. }
            | Self::Sweep { path, .. }
            | Self::Merge { path, .. }
            | Self::Apply { path, .. } => Some(path),
        }
    }
}

/// What came of a request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Response {
    /// The complete listing, each path once.
    Listed(Vec<ListedFile>),
    /// The path was read.
    Fetched(Box<RemoteFile>),
    /// The hub has nothing at this path.
    Absent,
    /// The hub stored it under this tag.
    Stored(ETag),
    /// The hub has something else; its tag if it told.
    ConditionFailed(Option<ETag>),
    /// The merge's result.
    Merged(Merged),
    /// The device's copy is as asked.
    Applied,
    /// The device's copy was changed by its user in the meantime; the shell will report that edit.
    LocalDiffers,
    /// Content that was fetched is not at hand any more: it is to be fetched again.
    ContentMissing,
    /// It did not work.
    Failed(Failure),
}

/// One line of a listing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListedFile {
    /// Which file.
    pub path: FilePath,
    /// The hub's tag; none if the listing does not tell.
    pub tag: Option<ETag>,
}

/// The result of a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Merged {
    /// What the file becomes.
    pub keep: Keep,
    /// The side that lost something by it and goes to a conflict copy.
    pub copy: Option<Side>,
}

/// What a file becomes in a merge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Keep {
    /// The content of one side.
    Side(Side),
    /// Content that neither side had.
    New {
        /// Its name; the shell has put it into the content store.
        content: ContentHash,
        /// Its length in bytes.
        size: u64,
    },
}

/// The two sides of a merge, as seen by one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// This device's.
    Ours,
    /// The hub's.
    Theirs,
}

/// What a person chose for a file that was held for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Choice {
    /// One side; the other goes to history.
    Side(Side),
    /// Both, one of them as a conflict copy.
    Both,
}

/// Why a request failed, by what is to be done about it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The hub cannot be reached, or answers that it is unwell: everything waits.
    Unreachable {
        /// For a person.
        message: String,
        /// How long the hub asks to wait, in milliseconds.
        retry_after_ms: Option<u64>,
    },
    /// This path is busy: it alone waits.
    Busy {
        /// For a person.
        message: String,
    },
    /// The hub does not accept the token any more: nothing can go on without a new sign-in.
    Unauthorized {
        /// For a person.
        message: String,
    },
    /// This path waits for somebody; all others go on (I-16).
    Problem {
        /// Which kind.
        kind: ProblemKind,
        /// For a person.
        message: String,
        /// The tag of what was read, if something was.
        tag: Option<ETag>,
    },
}

impl Failure {
    /// What went wrong, for a person.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Unreachable { message, .. }
            | Self::Busy { message }
            | Self::Unauthorized { message }
            | Self::Problem { message, .. } => message,
        }
    }
}

/// Something that happened and that the application may want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Nothing is left to do now.
    Quiet,
    /// A file on this device changed by what came from the hub.
    Changed {
        /// Which.
        path: FilePath,
    },
    /// A local version is on the hub.
    Stored {
        /// Which file.
        path: FilePath,
        /// Which version.
        version: VersionId,
    },
    /// Two versions are kept side by side.
    Conflict {
        /// The file.
        path: FilePath,
        /// The copy that holds the other version.
        copy: FilePath,
    },
    /// A path waits for somebody.
    Parked {
        /// Which.
        path: FilePath,
        /// For a person.
        message: String,
    },
    /// The hub cannot be used for now.
    Waiting {
        /// When the next attempt is due, in milliseconds since 1970.
        until_ms: u64,
        /// For a person.
        message: String,
    },
    /// A new sign-in is needed.
    Paused {
        /// For a person.
        message: String,
    },
    /// Nothing is changed until a person answers.
    Halted(Question),
}

/// A question that only a person can answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Question {
    /// The hub's listing lacks so many files that it may be the hub's fault.
    MassDelete {
        /// How many files this replica would delete.
        missing: usize,
        /// How many files it has in common with the hub.
        known: usize,
    },
    /// The bucket is not the one that this replica knows: reset, replaced or restored.
    OtherBucket,
}

/// Content that the application or the folder hands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewContent {
    /// Names the plain content, which is durable where the shell can find it again.
    pub content: ContentHash,
    /// Length in bytes.
    pub size: u64,
    /// Its type.
    pub media_type: MediaType,
    /// How the application wants the hub to hold it; none leaves that as it was, or to the policy.
    pub format: Option<FormatWish>,
}
