//! Stamps: what a file looked like when folder and replica last agreed on it, so that a scan can
//! tell an unchanged file without reading it.

use pangaea_core::version::ContentHash;

use super::disk::Meta;

const FORMAT: u8 = 1;
const FLAG_RACY: u8 = 1;
const HEAD_BYTES: usize = 2 + 4 * 8 + 32;

const SECOND_NS: i64 = 1_000_000_000;
/// A clock tick of a file system that keeps fractions of seconds is at most 10 ms long.
const FINE_WINDOW_NS: i64 = SECOND_NS / 10;
/// Some file systems keep even seconds only.
const COARSE_WINDOW_NS: i64 = 2 * SECOND_NS;

/// What a file looked like when its content was last known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// Length in bytes.
    pub size: u64,
    /// When the content was changed, in nanoseconds since 1970, by the file system's clock.
    pub mtime_ns: i64,
    /// When anything about the file was changed; unlike the above nobody can set it.
    pub ctime_ns: i64,
    /// The file's number in its file system.
    pub inode: u64,
    /// What the file contained.
    pub content: ContentHash,
    /// The file's path from the root as it is written on disk, where that differs from its path
    /// in the bucket.
    pub disk: Option<Box<str>>,
    /// The file was so new when it was read that a later change could have left the same times:
    /// it must be read again.
    pub racy: bool,
}

/// Why bytes are not a stamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StampError {
    /// A newer program wrote it.
    #[error("it has format {found}, this program knows {FORMAT}")]
    Newer {
        /// The format found.
        found: u8,
    },
    /// It is cut off or garbled.
    #[error("it is damaged")]
    Damaged,
}

impl Stamp {
    /// The stamp of a file that was read from `read_at_ns` on.
    pub(super) fn read(
        meta: &Meta,
        content: ContentHash,
        disk: Option<Box<str>>,
        read_at_ns: i64,
    ) -> Self {
        Self {
            racy: is_racy(meta, read_at_ns),
            ..Self::of(meta, content, disk)
        }
    }

    /// The stamp of a file that the mirror itself wrote. Its time was set from a finer clock than
    /// the one that marks other programs' writes, so these cannot be mistaken for it, unless the
    /// file system rounded the fraction away.
    pub(super) fn written(meta: &Meta, content: ContentHash, disk: Option<Box<str>>) -> Self {
        Self {
            racy: meta.mtime_ns % SECOND_NS == 0,
            ..Self::of(meta, content, disk)
        }
    }

    fn of(meta: &Meta, content: ContentHash, disk: Option<Box<str>>) -> Self {
        Self {
            size: meta.size,
            mtime_ns: meta.mtime_ns,
            ctime_ns: meta.ctime_ns,
            inode: meta.inode,
            content,
            disk,
            racy: false,
        }
    }

    /// Whether the file certainly still has the content.
    pub(super) fn holds(&self, meta: &Meta) -> bool {
        !self.racy
            && self.size == meta.size
            && self.mtime_ns == meta.mtime_ns
            && self.ctime_ns == meta.ctime_ns
            && self.inode == meta.inode
    }

    /// The binary form for a store.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let disk = self.disk.as_deref().unwrap_or_default();
        let mut bytes = Vec::with_capacity(HEAD_BYTES + disk.len());
        bytes.push(FORMAT);
        bytes.push(if self.racy { FLAG_RACY } else { 0 });
        bytes.extend_from_slice(&self.size.to_le_bytes());
        bytes.extend_from_slice(&self.mtime_ns.to_le_bytes());
        bytes.extend_from_slice(&self.ctime_ns.to_le_bytes());
        bytes.extend_from_slice(&self.inode.to_le_bytes());
        bytes.extend_from_slice(self.content.as_bytes());
        bytes.extend_from_slice(disk.as_bytes());
        bytes
    }

    /// Reads the binary form.
    ///
    /// # Errors
    /// See [`StampError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, StampError> {
        let (&format, rest) = bytes.split_first().ok_or(StampError::Damaged)?;
        if format > FORMAT {
            return Err(StampError::Newer { found: format });
        }
        let (&flags, rest) = rest.split_first().ok_or(StampError::Damaged)?;
        let (size, rest) = take::<8>(rest)?;
        let (mtime_ns, rest) = take::<8>(rest)?;
        let (ctime_ns, rest) = take::<8>(rest)?;
        let (inode, rest) = take::<8>(rest)?;
        let (content, rest) = take::<32>(rest)?;
        let disk = std::str::from_utf8(rest).map_err(|_| StampError::Damaged)?;
        if format != FORMAT || flags & !FLAG_RACY != 0 {
            return Err(StampError::Damaged);
        }
        Ok(Self {
            size: u64::from_le_bytes(size),
            mtime_ns: i64::from_le_bytes(mtime_ns),
            ctime_ns: i64::from_le_bytes(ctime_ns),
            inode: u64::from_le_bytes(inode),
            content: ContentHash::from_bytes(content),
            disk: (!disk.is_empty()).then(|| disk.into()),
            racy: flags & FLAG_RACY != 0,
        })
    }
}

/// Splits a fixed number of bytes off.
fn take<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), StampError> {
    bytes
        .split_first_chunk::<N>()
        .map(|(head, rest)| (*head, rest))
        .ok_or(StampError::Damaged)
}

/// Whether a write after the file was read could leave the times that it has now. Such a write
/// sets the change time to its own moment, so only a file changed just before can be hit.
pub(super) fn is_racy(meta: &Meta, read_at_ns: i64) -> bool {
    let coarse = meta.ctime_ns % SECOND_NS == 0 && meta.mtime_ns % SECOND_NS == 0;
    let window = if coarse {
        COARSE_WINDOW_NS
    } else {
        FINE_WINDOW_NS
    };
    read_at_ns.saturating_sub(meta.ctime_ns) < window
}

#[cfg(test)]
mod tests {
    use super::super::disk::Kind;
    use super::*;
    use proptest::prelude::*;

    fn meta(mtime_ns: i64, ctime_ns: i64) -> Meta {
        Meta {
            kind: Kind::File,
            size: 5,
            mtime_ns,
            ctime_ns,
            inode: 7,
            device: 1,
            mode: 0o644,
            links: 1,
        }
    }

    #[test]
    fn files_changed_just_before_reading_are_racy() {
        let second = SECOND_NS;
        for (ctime, read_at, want) in [
            (10 * second + 5, 10 * second + 6, true),
            (10 * second + 5, 10 * second + 5 + FINE_WINDOW_NS, false),
            // The disk's clock is ahead of ours: better read it twice.
            (20 * second + 5, 10 * second, true),
            // Whole seconds: a coarse file system.
            (10 * second, 11 * second, true),
            (10 * second, 12 * second, false),
        ] {
            assert_eq!(
                is_racy(&meta(ctime, ctime), read_at),
                want,
                "{ctime} {read_at}"
            );
        }
        // A content time set back by its writer does not hide that the file is new.
        assert!(is_racy(&meta(5, 10 * second + 5), 10 * second + 6));
    }

    #[test]
    fn a_stamp_holds_for_exactly_what_it_saw() {
        let now = meta(123, 456);
        let stamp = Stamp::read(&now, ContentHash::EMPTY, None, 90 * SECOND_NS);
        assert!(stamp.holds(&now));
        for other in [
            Meta { size: 6, ..now },
            Meta {
                mtime_ns: 124,
                ..now
            },
            Meta {
                ctime_ns: 457,
                ..now
            },
            Meta { inode: 8, ..now },
        ] {
            assert!(!stamp.holds(&other), "{other:?}");
        }
        assert!(stamp.holds(&Meta {
            mode: 0o755,
            links: 2,
            ..now
        }));
        assert!(
            !Stamp {
                racy: true,
                ..stamp
            }
            .holds(&now)
        );
    }

    #[test]
    fn newer_and_damaged_stamps_are_told_apart() {
        let bytes = Stamp::written(&meta(1, 2), ContentHash::EMPTY, Some("a".into())).encode();
        assert_eq!(Stamp::decode(&bytes[..40]), Err(StampError::Damaged));
        assert_eq!(Stamp::decode(&[]), Err(StampError::Damaged));
        let mut newer = bytes.clone();
        newer[0] = 2;
        assert_eq!(Stamp::decode(&newer), Err(StampError::Newer { found: 2 }));
        let mut flags = bytes;
        flags[1] = 0x80;
        assert_eq!(Stamp::decode(&flags), Err(StampError::Damaged));
    }

    proptest! {
        #[test]
        fn encoding_keeps_everything(
            size: u64, mtime_ns: i64, ctime_ns: i64, inode: u64, hash: [u8; 32], racy: bool,
            disk in proptest::option::of("[a-zäöü/]{1,40}"),
        ) {
            let stamp = Stamp {
                size, mtime_ns, ctime_ns, inode, racy,
                content: ContentHash::from_bytes(hash),
                disk: disk.map(Into::into),
            };
            prop_assert_eq!(Stamp::decode(&stamp.encode()), Ok(stamp));
        }

        #[test]
        fn any_bytes_are_a_stamp_or_an_error(bytes: Vec<u8>) {
            if let Ok(stamp) = Stamp::decode(&bytes) {
                prop_assert_eq!(stamp.encode(), bytes);
            }
        }
    }
}
