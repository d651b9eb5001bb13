//! The stored form of an [`Entry`] and the codes of the small enums that stand in table columns:
//! what every store writes, whichever database it sits on. How rows are kept is the store's
//! matter.
//!
//! A record is one format byte and then the fields in `postcard`'s encoding. The wire structs here
//! are apart from the domain types, so that renaming or reordering those cannot change what lies
//! on people's disks. What an entry holds of the remote tree is left out: it is observed anew after
//! each start.

use gaia::etag::ETag;
use serde::Deserialize;
use serde::Serialize;

use crate::commit::Action;
use crate::commit::Cause;
use crate::media::MediaType;
use crate::policy::Encryption;
use crate::state::ANCESTORS_MAX;
use crate::state::Ancestors;
use crate::state::Base;
use crate::state::BaseFile;
use crate::state::ContentKind;
use crate::state::Entry;
use crate::state::Format;
use crate::state::Local;
use crate::state::LocalFile;
use crate::state::Pending;
use crate::state::Problem;
use crate::state::ProblemKind;
use crate::state::Sent;
use crate::state::Signing;
use crate::state::Target;
use crate::version::ContentHash;
use crate::version::VersionId;

/// The newest format of a record that this program knows, and the one it writes.
pub const RECORD_FORMAT: u8 = 2;

/// The form of entries whose files are held as they were, or by policy.
const FIRST_FORMAT: u8 = 1;

/// Why a stored record could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// A newer program wrote it.
    #[error("the record has format {found}, this program knows {known} at most; update it")]
    Newer {
        /// The format found.
        found: u8,
        /// The newest format that this program knows.
        known: u8,
    },
    /// The bytes are not what any program of ours wrote.
    #[error("the record is damaged ({what})")]
    Damaged {
        /// What does not fit.
        what: &'static str,
    },
}

/// Says whether an entry is to be stored at all: one that would come back blank is not.
pub fn is_worth_storing(entry: &Entry) -> bool {
    entry.local != Local::Never
        || entry.base != Base::Unknown
        || entry.problem.is_some()
        || entry.applying.is_some()
}

/// Writes an entry in its stored form.
///
/// # Errors
/// [`RecordError::Damaged`] if the encoder refuses, which it does for no entry known.
pub fn encode_entry(entry: &Entry) -> Result<Vec<u8>, RecordError> {
    let record = EntryRecord {
        local: LocalRecord::of(&entry.local),
        base: BaseRecord::of(&entry.base),
        pending: entry.pending.as_ref().map(PendingRecord::of),
        problem: entry.problem.as_ref().map(ProblemRecord::of),
        applying: entry.applying.as_deref().map(|target| {
            let local = LocalRecord::of(&target.local);
            (local, BaseRecord::of(&target.base))
        }),
    };
    let mut bytes = Vec::with_capacity(256);
    // The older form as long as it can say everything, so that an older program can read it.
    let is_wished = |local: &Local| local.file().is_some_and(|file| file.format.is_some());
    let has_wish = is_wished(&entry.local)
        || entry
            .applying
            .as_deref()
            .is_some_and(|target| is_wished(&target.local));
    bytes.push(if has_wish {
        RECORD_FORMAT
    } else {
        FIRST_FORMAT
    });
    postcard::to_extend(&record, bytes).map_err(|_| RecordError::Damaged {
        what: "the entry cannot be written",
    })
}

/// Reads the stored form of an entry; any bytes at all may be given.
///
/// # Errors
/// See [`RecordError`].
pub fn decode_entry(bytes: &[u8]) -> Result<Entry, RecordError> {
    let (format, bytes) = bytes
        .split_first()
        .ok_or(RecordError::Damaged { what: "empty" })?;
    match *format {
        FIRST_FORMAT | RECORD_FORMAT => {}
        0 => return Err(RecordError::Damaged { what: "format 0" }),
        found => {
            return Err(RecordError::Newer {
                found,
                known: RECORD_FORMAT,
            });
        }
    }
    let (record, rest) = postcard::take_from_bytes::<EntryRecord<'_>>(bytes)
        .map_err(|_| RecordError::Damaged { what: "fields" })?;
    if !rest.is_empty() {
        return Err(RecordError::Damaged {
            what: "bytes after the end",
        });
    }
    Ok(Entry {
        local: record.local.into_local()?,
        base: record.base.into_base()?,
        pending: record.pending.map(PendingRecord::into_pending),
        problem: record
            .problem
            .map(ProblemRecord::into_problem)
            .transpose()?,
        applying: match record.applying {
            Some((local, base)) => Some(Box::new(Target {
                local: local.into_local()?,
                base: base.into_base()?,
            })),
            None => None,
        },
        ..Entry::default()
    })
}

/// The number that stands for a cause in a table. Numbers are never used again for another.
pub const fn cause_code(cause: Cause) -> u8 {
    match cause {
        Cause::Edited => 1,
        Cause::Pulled => 2,
        Cause::Merged => 3,
        Cause::Lost => 4,
        Cause::Deleted => 5,
    }
}

/// The cause that a number stands for; none for a number that a newer program used.
pub const fn cause_from_code(code: u8) -> Option<Cause> {
    Some(match code {
        1 => Cause::Edited,
        2 => Cause::Pulled,
        3 => Cause::Merged,
        4 => Cause::Lost,
        5 => Cause::Deleted,
        _ => return None,
    })
}

/// The number that stands for an action in a table. Numbers are never used again for another.
pub const fn action_code(action: Action) -> u8 {
    match action {
        Action::Edited => 1,
        Action::Deleted => 2,
        Action::Pushed => 3,
        Action::Removed => 4,
        Action::Pulled => 5,
        Action::PulledDelete => 6,
        Action::Merged => 7,
        Action::Conflict => 8,
        Action::EditKept => 9,
        Action::Parked => 10,
    }
}

/// The action that a number stands for; none for a number that a newer program used.
pub const fn action_from_code(code: u8) -> Option<Action> {
    Some(match code {
        1 => Action::Edited,
        2 => Action::Deleted,
        3 => Action::Pushed,
        4 => Action::Removed,
        5 => Action::Pulled,
        6 => Action::PulledDelete,
        7 => Action::Merged,
        8 => Action::Conflict,
        9 => Action::EditKept,
        10 => Action::Parked,
        _ => return None,
    })
}

/// Reads a media type as [`MediaType::as_str`] wrote it.
///
/// # Errors
/// [`RecordError::Damaged`] for anything else.
pub fn decode_media_type(text: &str) -> Result<MediaType, RecordError> {
    let essence_len = text.find(';').unwrap_or(text.len());
    let (essence, parameters) = text.split_at(essence_len);
    let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    if !text.bytes().all(printable)
        || !essence.contains('/')
        || essence.bytes().any(|byte| byte.is_ascii_uppercase())
    {
        return Err(RecordError::Damaged { what: "media type" });
    }
    Ok(MediaType::from_parts(essence, parameters))
}

type VersionBytes = [u8; VersionId::BYTES];

#[derive(Serialize, Deserialize)]
struct EntryRecord<'a> {
    #[serde(borrow)]
    local: LocalRecord<'a>,
    #[serde(borrow)]
    base: BaseRecord<'a>,
    pending: Option<PendingRecord>,
    #[serde(borrow)]
    problem: Option<ProblemRecord<'a>>,
    #[serde(borrow)]
    applying: Option<(LocalRecord<'a>, BaseRecord<'a>)>,
}

#[derive(Serialize, Deserialize)]
enum LocalRecord<'a> {
    Never,
    File {
        content: [u8; 32],
        size: u64,
        version: VersionBytes,
        ancestors: AncestorsRecord,
        media_type: &'a str,
    },
    Deleted {
        version: VersionBytes,
        ancestors: AncestorsRecord,
    },
    /// A file and how the application wants it held. Since the second format.
    Wished {
        content: [u8; 32],
        size: u64,
        version: VersionBytes,
        ancestors: AncestorsRecord,
        media_type: &'a str,
        format: u8,
    },
}

impl<'a> LocalRecord<'a> {
    fn of(local: &'a Local) -> Self {
        match local {
            Local::Never => Self::Never,
            Local::File(
                file @ LocalFile {
                    format: Some(format),
                    ..
                },
            ) => Self::Wished {
                content: *file.content.as_bytes(),
                size: file.size,
                version: file.version.to_bytes(),
                ancestors: AncestorsRecord::of(&file.ancestors),
                media_type: file.media_type.as_str(),
                format: format_bits(*format),
            },
            Local::File(file) => Self::File {
                content: *file.content.as_bytes(),
                size: file.size,
                version: file.version.to_bytes(),
                ancestors: AncestorsRecord::of(&file.ancestors),
                media_type: file.media_type.as_str(),
            },
            Local::Deleted { version, ancestors } => Self::Deleted {
                version: version.to_bytes(),
                ancestors: AncestorsRecord::of(ancestors),
            },
        }
    }

    fn into_local(self) -> Result<Local, RecordError> {
        Ok(match self {
            Self::Never => Local::Never,
            Self::File {
                content,
                size,
                version,
                ancestors,
                media_type,
            } => Local::File(LocalFile {
                content: ContentHash::from_bytes(content),
                size,
                version: VersionId::from_bytes(version),
                ancestors: ancestors.into_ancestors()?,
                media_type: decode_media_type(media_type)?,
                format: None,
            }),
            Self::Wished {
                content,
                size,
                version,
                ancestors,
                media_type,
                format,
            } => Local::File(LocalFile {
                content: ContentHash::from_bytes(content),
                size,
                version: VersionId::from_bytes(version),
                ancestors: ancestors.into_ancestors()?,
                media_type: decode_media_type(media_type)?,
                format: Some(format_from_bits(format)?),
            }),
            Self::Deleted { version, ancestors } => Local::Deleted {
                version: VersionId::from_bytes(version),
                ancestors: ancestors.into_ancestors()?,
            },
        })
    }
}

#[derive(Serialize, Deserialize)]
enum BaseRecord<'a> {
    Unknown,
    File {
        tag: &'a str,
        version: VersionBytes,
        ancestors: AncestorsRecord,
        content: [u8; 32],
        format: u8,
    },
    Gone {
        version: VersionBytes,
        ancestors: AncestorsRecord,
        #[serde(borrow)]
        tombstone: Option<&'a str>,
        since_ms: u64,
    },
}

impl<'a> BaseRecord<'a> {
    fn of(base: &'a Base) -> Self {
        match base {
            Base::Unknown => Self::Unknown,
            Base::File(file) => Self::File {
                tag: file.tag.if_match(),
                version: file.version.to_bytes(),
                ancestors: AncestorsRecord::of(&file.ancestors),
                content: *file.content.as_bytes(),
                format: format_bits(file.format),
            },
            Base::Gone {
                version,
                ancestors,
                tombstone,
                since_ms,
            } => Self::Gone {
                version: version.to_bytes(),
                ancestors: AncestorsRecord::of(ancestors),
                tombstone: tombstone.as_ref().map(ETag::if_match),
                since_ms: *since_ms,
            },
        }
    }

    fn into_base(self) -> Result<Base, RecordError> {
        Ok(match self {
            Self::Unknown => Base::Unknown,
            Self::File {
                tag,
                version,
                ancestors,
                content,
                format,
            } => Base::File(BaseFile {
                tag: decode_tag(tag)?,
                version: VersionId::from_bytes(version),
                ancestors: ancestors.into_ancestors()?,
                content: ContentHash::from_bytes(content),
                format: format_from_bits(format)?,
            }),
            Self::Gone {
                version,
                ancestors,
                tombstone,
                since_ms,
            } => Base::Gone {
                version: VersionId::from_bytes(version),
                ancestors: ancestors.into_ancestors()?,
                tombstone: tombstone.map(decode_tag).transpose()?,
                since_ms,
            },
        })
    }
}

#[derive(Serialize, Deserialize)]
struct AncestorsRecord(Vec<VersionBytes>);

impl AncestorsRecord {
    fn of(ancestors: &Ancestors) -> Self {
        Self(
            ancestors
                .as_slice()
                .iter()
                .map(|version| version.to_bytes())
                .collect(),
        )
    }

    fn into_ancestors(self) -> Result<Ancestors, RecordError> {
        if self.0.len() > ANCESTORS_MAX {
            return Err(RecordError::Damaged {
                what: "number of ancestors",
            });
        }
        Ok(Ancestors::new(
            self.0.into_iter().map(VersionId::from_bytes),
        ))
    }
}

#[derive(Serialize, Deserialize)]
struct PendingRecord {
    sequence: u64,
    since_ms: u64,
    /// See [`sent_from_code`].
    sent: u32,
}

impl PendingRecord {
    fn of(pending: &Pending) -> Self {
        let Pending {
            sequence,
            since_ms,
            sent,
        } = *pending;
        Self {
            sequence,
            since_ms,
            sent: sent_code(sent),
        }
    }

    fn into_pending(self) -> Pending {
        let Self {
            sequence,
            since_ms,
            sent,
        } = self;
        Pending {
            sequence,
            since_ms,
            sent: sent_from_code(sent),
        }
    }
}

const fn sent_code(sent: Sent) -> u32 {
    match sent {
        Sent::Nothing => 0,
        Sent::Edits => 1,
        Sent::Unnamed => 2,
    }
}

/// Every number has a meaning: what is not known is the most that can have been sent.
const fn sent_from_code(code: u32) -> Sent {
    match code {
        0 => Sent::Nothing,
        1 => Sent::Edits,
        _ => Sent::Unnamed,
    }
}

#[derive(Serialize, Deserialize)]
struct ProblemRecord<'a> {
    kind: u8,
    message: &'a str,
    #[serde(borrow)]
    tag: Option<&'a str>,
}

impl<'a> ProblemRecord<'a> {
    fn of(problem: &'a Problem) -> Self {
        Self {
            kind: match problem.kind {
                ProblemKind::Refused => 1,
                ProblemKind::Damaged => 2,
                ProblemKind::Newer => 3,
                ProblemKind::Device => 4,
                ProblemKind::Undecided => 5,
                ProblemKind::Ignored => 6,
            },
            message: &problem.message,
            tag: problem.tag.as_ref().map(ETag::if_match),
        }
    }

    fn into_problem(self) -> Result<Problem, RecordError> {
        Ok(Problem {
            kind: match self.kind {
                1 => ProblemKind::Refused,
                2 => ProblemKind::Damaged,
                3 => ProblemKind::Newer,
                4 => ProblemKind::Device,
                5 => ProblemKind::Undecided,
                6 => ProblemKind::Ignored,
                _ => {
                    return Err(RecordError::Damaged {
                        what: "kind of problem",
                    });
                }
            },
            message: self.message.to_owned(),
            tag: self.tag.map(decode_tag).transpose()?,
        })
    }
}

const BIT_PLAIN: u8 = 1;
const BIT_SIGNED: u8 = 2;
const BIT_TEXT: u8 = 4;

fn format_bits(format: Format) -> u8 {
    let plain = match format.encryption {
        Encryption::Plain => BIT_PLAIN,
        Encryption::Ecies => 0,
    };
    let signed = match format.signing {
        Signing::Signed => BIT_SIGNED,
        Signing::Unsigned => 0,
    };
    let text = match format.kind {
        ContentKind::Text => BIT_TEXT,
        ContentKind::Bytes => 0,
    };
    plain | signed | text
}

fn format_from_bits(bits: u8) -> Result<Format, RecordError> {
    if bits & !(BIT_PLAIN | BIT_SIGNED | BIT_TEXT) != 0 {
        return Err(RecordError::Damaged {
            what: "format of the stored bytes",
        });
    }
    Ok(Format {
        encryption: match bits & BIT_PLAIN {
            0 => Encryption::Ecies,
            _ => Encryption::Plain,
        },
        signing: match bits & BIT_SIGNED {
            0 => Signing::Unsigned,
            _ => Signing::Signed,
        },
        kind: match bits & BIT_TEXT {
            0 => ContentKind::Bytes,
            _ => ContentKind::Text,
        },
    })
}

fn decode_tag(text: &str) -> Result<ETag, RecordError> {
    ETag::parse(text).ok_or(RecordError::Damaged { what: "tag" })
}

#[cfg(test)]
mod tests;
