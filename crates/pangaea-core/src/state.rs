//! What the replica remembers of one path: the three trees' entries, the pending operation of the
//! journal, and what stands in the way of it. Pure data; the decisions live in [`crate::plan`],
//! the stored form in [`crate::record`].

use gaia::etag::ETag;
use gaia::path::FilePath;

use crate::media::MediaType;
use crate::mutant::Bug;
use crate::mutant::planted;
use crate::policy::Encryption;
use crate::version::ContentHash;
use crate::version::DeviceId;
use crate::version::VersionId;

/// How many earlier versions a version names. Enough to recognise a successor of one's own lost
/// upload without a version vector in every header.
pub const ANCESTORS_MAX: usize = 16;

/// The versions that a version replaces, its parents first, at most [`ANCESTORS_MAX`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Ancestors(Vec<VersionId>);

impl Ancestors {
    /// As they were stored or received: in this order, each once.
    pub fn new(versions: impl IntoIterator<Item = VersionId>) -> Self {
        let mut list = Vec::new();
        for version in versions {
            if list.len() < ANCESTORS_MAX && !list.contains(&version) {
                list.push(version);
            }
        }
        Self(list)
    }

    /// The ancestors of a version with these parents, who had the inherited ancestors. When there
    /// are too many, a device's older versions go before the newest of any device: what a device
    /// waits to hear of is the newest that others know of it, however often they wrote since.
    pub fn descend(
        parents: impl IntoIterator<Item = VersionId>,
        inherited: impl IntoIterator<Item = VersionId>,
    ) -> Self {
        let mut list = Vec::new();
        for parent in parents {
            if !list.contains(&parent) {
                list.push(parent);
            }
        }
        let parents = list.len();
        let mut older: Vec<VersionId> = inherited.into_iter().collect();
        older.sort_unstable_by(|a, b| b.cmp(a));
        older.dedup();
        older.retain(|version| !list.contains(version));
        list.append(&mut older);
        while list.len() > ANCESTORS_MAX {
            let (newer, last) = (&list[..], list.len() - 1);
            let outdone = (parents..list.len()).rev().find(|&at| {
                newer[..at]
                    .iter()
                    .any(|version| version.device == list[at].device)
            });
            list.remove(outdone.unwrap_or(last));
        }
        Self(list)
    }

    /// Whether `version` is named here.
    pub fn contains(&self, version: &VersionId) -> bool {
        self.0.contains(version)
    }

    /// Whether `version` is certainly not among those that were replaced. A list that is full may have
    /// lost it, but only to a later one of the same device, or to as many devices as it has room for.
    pub fn lacks(&self, version: &VersionId) -> bool {
        if self.contains(version) {
            return false;
        }
        let is_outdone = |other: &VersionId| other.device == version.device && other > version;
        let mut devices: Vec<DeviceId> = self.0.iter().map(|version| version.device).collect();
        devices.sort_unstable();
        devices.dedup();
        // The parents, and what was perhaps sent since the base, stay in any case: six at most.
        let is_crowded = devices.len() + 6 > ANCESTORS_MAX;
        self.0.len() < ANCESTORS_MAX || !(is_crowded || self.0.iter().any(is_outdone))
    }

    /// The versions, parents first, then newest first.
    pub fn as_slice(&self) -> &[VersionId] {
        &self.0
    }
}

/// How a file's content is wrapped on the hub. Kept from version to version, so that a program
/// which wrote a file in one form can go on reading it in that form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Format {
    /// Plain bytes, or the ECIES envelope.
    pub encryption: Encryption,
    /// Whether the bucket's key signs the content in the way of the stock clients.
    pub signing: Signing,
    /// Whether a stock reader gets a string or bytes out of the envelope (`wasString`).
    pub kind: ContentKind,
}

impl Format {
    /// How content of a type is wrapped if the application says nothing of it: as the file was before, and
    /// with `encryption` if it is new.
    #[must_use]
    pub fn as_before(
        before: Option<Self>,
        media_type: Option<&MediaType>,
        encryption: Encryption,
    ) -> Self {
        let is_text = media_type.is_some_and(|media| media.is_text() || media.is_json());
        let kind = if is_text {
            ContentKind::Text
        } else {
            ContentKind::Bytes
        };
        match before {
            Some(before) if before.kind == ContentKind::Text => Self { kind, ..before },
            Some(before) => before,
            None => Self {
                encryption,
                signing: Signing::Unsigned,
                kind,
            },
        }
    }
}

/// What an application says of how a file is wrapped. What it leaves open stays as it was, or follows
/// the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FormatWish {
    /// Plain bytes, or the envelope.
    pub encryption: Option<Encryption>,
    /// Whether it is signed.
    pub signing: Option<Signing>,
    /// What a stock reader gets.
    pub kind: Option<ContentKind>,
}

impl FormatWish {
    /// The format that comes of it.
    #[must_use]
    pub fn over(self, other: Format) -> Format {
        Format {
            encryption: self.encryption.unwrap_or(other.encryption),
            signing: self.signing.unwrap_or(other.signing),
            kind: self.kind.unwrap_or(other.kind),
        }
    }
}

/// Whether stock clients find a signature with the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signing {
    /// No signature beyond the version header's.
    Unsigned,
    /// In the envelope if encrypted, in a `.sig` file beside it if plain.
    Signed,
}

/// What a stock reader hands to its application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContentKind {
    /// A JavaScript string.
    Text,
    /// An `ArrayBuffer`.
    Bytes,
}

/// A file as this device has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LocalFile {
    /// Names the plain content.
    pub content: ContentHash,
    /// Length of the plain content in bytes.
    pub size: u64,
    /// Who wrote it, and when.
    pub version: VersionId,
    /// What it replaces.
    pub ancestors: Ancestors,
    /// Type of the plain content.
    pub media_type: MediaType,
    /// How the hub is to hold it, if the application said so.
    pub format: Option<Format>,
}

/// The local tree's entry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Local {
    /// This device never had the file.
    Never,
    /// This device has the file.
    File(LocalFile),
    /// The file was deleted, here or by taking over somebody's delete.
    Deleted {
        /// The version of the delete.
        version: VersionId,
        /// What the delete saw.
        ancestors: Ancestors,
    },
}

impl Local {
    /// The version, unless the file was never here.
    pub fn version(&self) -> Option<VersionId> {
        match self {
            Self::Never => None,
            Self::File(file) => Some(file.version),
            Self::Deleted { version, .. } => Some(*version),
        }
    }

    /// The versions that this one replaces.
    pub fn ancestors(&self) -> Ancestors {
        match self {
            Self::Never => Ancestors::default(),
            Self::File(file) => file.ancestors.clone(),
            Self::Deleted { ancestors, .. } => ancestors.clone(),
        }
    }

    /// The file, if there is one.
    pub fn file(&self) -> Option<&LocalFile> {
        match self {
            Self::File(file) => Some(file),
            Self::Never | Self::Deleted { .. } => None,
        }
    }
}

/// A file as replica and hub last had it in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct BaseFile {
    /// The hub's tag of the stored bytes.
    pub tag: ETag,
    /// The version stored.
    pub version: VersionId,
    /// What that version replaced.
    pub ancestors: Ancestors,
    /// Names the plain content.
    pub content: ContentHash,
    /// How the hub holds it.
    pub format: Format,
}

/// The base tree's entry: the last state that this replica and the hub had in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Base {
    /// They never had one.
    Unknown,
    /// Both had this file.
    File(BaseFile),
    /// Both knew the file to be deleted.
    Gone {
        /// The tombstone's version, or the last version that the vanished file had.
        version: VersionId,
        /// What that version replaced. A file that shows up with one of these is a late duplicate
        /// of something deleted (I-2).
        ancestors: Ancestors,
        /// The tag of the tombstone on the hub; none if the hub holds nothing.
        tombstone: Option<ETag>,
        /// When this replica learned it, in milliseconds since 1970.
        since_ms: u64,
    },
}

impl Base {
    /// The version, if there ever was one in common.
    pub fn version(&self) -> Option<VersionId> {
        match self {
            Self::Unknown => None,
            Self::File(file) => Some(file.version),
            Self::Gone { version, .. } => Some(*version),
        }
    }

    /// Whether `version` is the base's own or one that it replaced.
    pub fn includes(&self, version: &VersionId) -> bool {
        match self {
            Self::Unknown => false,
            Self::File(BaseFile {
                version: own,
                ancestors,
                ..
            })
            | Self::Gone {
                version: own,
                ancestors,
                ..
            } => own == version || ancestors.contains(version),
        }
    }

    /// The tag that the hub must still have for the base to hold; none: no file there.
    pub fn tag(&self) -> Option<&ETag> {
        match self {
            Self::Unknown => None,
            Self::File(file) => Some(&file.tag),
            Self::Gone { tombstone, .. } => tombstone.as_ref(),
        }
    }

    /// The file, if both had one.
    pub fn file(&self) -> Option<&BaseFile> {
        match self {
            Self::File(file) => Some(file),
            Self::Unknown | Self::Gone { .. } => None,
        }
    }
}

/// A file read from the hub, verified and unwrapped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RemoteFile {
    /// The hub's tag of the stored bytes.
    pub tag: ETag,
    /// From the header, or made up for a file without one.
    pub version: VersionId,
    /// Whether the version came with a header.
    pub origin: Origin,
    /// From the header; empty without one.
    pub ancestors: Ancestors,
    /// The content, or the fact that this is a tombstone.
    pub body: RemoteBody,
}

/// What a remote version says of the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RemoteBody {
    /// It has this content.
    File {
        /// Names the plain content, which the shell has put into the content store.
        content: ContentHash,
        /// Length of the plain content in bytes.
        size: u64,
        /// Type of the plain content.
        media_type: MediaType,
        /// How it was wrapped.
        format: Format,
    },
    /// It is deleted.
    Tombstone,
}

/// Where a version came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// A version header of ours says so.
    Header,
    /// Another program wrote the file; it counts as a successor of whatever was there before.
    Foreign,
}

/// The remote tree's entry: what was last observed on the hub. Not stored: after a restart the
/// first listing tells it anew.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Remote {
    /// Nothing is known to differ from the base.
    AsBase,
    /// Something with this tag is there that has not been read yet.
    Seen(Option<ETag>),
    /// A complete listing did not name it.
    Missing,
    /// A read of the path found nothing either.
    Absent,
    /// Read and verified.
    File(Box<RemoteFile>),
}

/// A journal record: an operation that is not yet known to be on the hub.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pending {
    /// Position in the journal; grows with each operation of this replica.
    pub sequence: u64,
    /// When the oldest of the coalesced operations was acknowledged, in milliseconds since 1970.
    pub since_ms: u64,
    /// What of it, and of the operations that it took the place of, the hub may have.
    pub sent: Sent,
}

/// What may have reached the hub without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sent {
    /// Nothing.
    Nothing,
    /// Versions of the file, which whoever saw them names.
    Edits,
    /// Also what nobody need name who saw it: a delete, which leaves nothing on some hubs. Or nobody can
    /// say whether the edit was made to what was being put into the folder when the power went.
    Unnamed,
}

/// Why a path waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Problem {
    /// What kind of trouble.
    pub kind: ProblemKind,
    /// For a person: what happened and what to do.
    pub message: String,
    /// The hub's tag at that time: another tag is a reason to look again.
    pub tag: Option<ETag>,
}

/// The kinds of trouble that one path can be in while all others go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProblemKind {
    /// The hub refuses this operation for good, for instance as too large.
    Refused,
    /// The hub's bytes do not match their digest or signature, or do not decrypt.
    Damaged,
    /// A newer program wrote it in a form that this one does not know.
    Newer,
    /// The device cannot hold or read the file.
    Device,
    /// Two versions wait for the application or a person to choose.
    Undecided,
    /// The folder's own rules keep the file out of it; nobody needs to do anything.
    Ignored,
}

impl ProblemKind {
    /// Whether it is about what a read of the hub gave: another read may give something else.
    pub fn is_in_what_was_read(self) -> bool {
        match self {
            Self::Damaged | Self::Newer => true,
            Self::Refused | Self::Device | Self::Undecided | Self::Ignored => false,
        }
    }

    /// Whether a restart, perhaps of a newer program, or another edit is a reason to try again.
    pub fn is_retried_at_start(self) -> bool {
        match self {
            Self::Damaged if planted(Bug::DamagedForEver) => false,
            Self::Refused | Self::Device | Self::Damaged | Self::Newer => true,
            Self::Undecided | Self::Ignored => false,
        }
    }
}

/// What a path will be once its file in the folder is as the engine decided. Stored before the
/// folder is touched, so that after a crash the change in the folder is recognised as this one and
/// not taken for an edit.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// What the device will have.
    pub local: Local,
    /// What it will have in common with the hub.
    pub base: Base,
}

/// All that the replica remembers of one path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// What this device has.
    pub local: Local,
    /// What it had in common with the hub.
    pub base: Base,
    /// What the hub was last seen to have.
    pub remote: Remote,
    /// The journal record, while the hub is not known to have `local`.
    pub pending: Option<Pending>,
    /// Why it waits, if it does.
    pub problem: Option<Problem>,
    /// What is being put into the folder.
    pub applying: Option<Box<Target>>,
    /// The tag of something doubtful that the hub told of in another answer too. Not stored.
    pub suspect: Option<ETag>,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            local: Local::Never,
            base: Base::Unknown,
            remote: Remote::AsBase,
            pending: None,
            problem: None,
            applying: None,
            suspect: None,
        }
    }
}

impl Entry {
    /// Whether the device has what the base has: nothing to send.
    pub fn is_clean(&self) -> bool {
        match (&self.local, &self.base) {
            (Local::Never, Base::Unknown | Base::Gone { .. })
            | (Local::Deleted { .. }, Base::Unknown | Base::Gone { .. }) => true,
            (Local::File(local), Base::File(base)) => local.version == base.version,
            (Local::Never | Local::Deleted { .. }, Base::File(_))
            | (Local::File(_), Base::Unknown | Base::Gone { .. }) => false,
        }
    }

    /// How the local file is to be wrapped: as the application wants it, as it was, or with `encryption` if
    /// it is new.
    pub fn format(&self, encryption: Encryption) -> Format {
        let file = self.local.file();
        file.and_then(|file| file.format).unwrap_or_else(|| {
            let before = self.base.file().map(|base| base.format);
            Format::as_before(before, file.map(|file| &file.media_type), encryption)
        })
    }

    /// Whether nothing is done about it: it waits for somebody, and is not just to be read once more.
    pub(crate) fn is_set_aside(&self) -> bool {
        let is_read_again = self.remote == Remote::Seen(None);
        let problem = self.problem.as_ref();
        problem.is_some_and(|it| !(is_read_again && it.kind.is_in_what_was_read()))
    }

    /// What decides which change of the folder is due: the device's version, and the base.
    pub(crate) fn standing(&self) -> (Option<VersionId>, Option<VersionId>, Option<ETag>) {
        let base = &self.base;
        (self.local.version(), base.version(), base.tag().cloned())
    }

    /// Whether nothing of it is worth remembering.
    pub fn is_blank(&self) -> bool {
        self.local == Local::Never
            && self.base == Base::Unknown
            && self.remote == Remote::AsBase
            && self.problem.is_none()
            && self.applying.is_none()
    }
}

/// Where the files of Pangaea itself lie inside a bucket. They are synchronised like all others
/// and never shown in a mirrored folder.
pub const RESERVED_PREFIX: &str = ".pangaea/";
/// Holds the random identity of the bucket: another one means that it was reset or replaced.
pub const IDENTITY_PATH: &str = ".pangaea/bucket";
/// Whether `path` belongs to Pangaea itself.
pub fn is_reserved(path: &FilePath) -> bool {
    path.as_str().starts_with(RESERVED_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(device: u8, clock: u8) -> VersionId {
        let mut bytes = [0; 16];
        bytes[7] = clock;
        bytes[15] = device;
        VersionId::from_bytes(bytes)
    }

    #[test]
    fn the_newest_of_every_device_outlives_many_versions_of_one() {
        let mut ancestors = Ancestors::new([version(2, 1)]);
        for clock in 2..100 {
            ancestors = Ancestors::descend([version(1, clock)], ancestors.as_slice().to_vec());
        }
        assert_eq!(ancestors.as_slice().len(), ANCESTORS_MAX);
        assert_eq!(ancestors.as_slice()[0], version(1, 99));
        assert!(ancestors.contains(&version(2, 1)));
        assert!(!ancestors.contains(&version(1, 2)));
        assert!(!ancestors.lacks(&version(1, 2)), "it may have been dropped");
        assert!(ancestors.lacks(&version(1, 100)), "nothing outdoes it");
        assert!(ancestors.lacks(&version(3, 50)), "nothing outdoes it");
    }

    #[test]
    fn parents_outlive_everything_and_the_oldest_goes_first() {
        let inherited = (1..=30).map(|number| version(number, number));
        let parents = [version(9, 40), version(30, 2)];
        let ancestors = Ancestors::descend(parents, inherited);
        assert_eq!(ancestors.as_slice()[..2], parents);
        assert_eq!(ancestors.as_slice().len(), ANCESTORS_MAX);
        assert!(!ancestors.contains(&version(1, 1)));
        assert!(ancestors.contains(&version(29, 29)));
    }
}
