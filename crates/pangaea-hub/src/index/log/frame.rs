//! One frame of the log: a layer as bytes.
//!
//! A frame is a head of 28 bytes (a mark, its number, two lengths, a CRC-32 of these three and one
//! of what follows; integers are little-endian), then what the layer says, in postcard's format,
//! then the inline bodies one after the other.
//!
//! Bodies are what clients sent, and may well look like frames. So both checksums begin with the
//! epoch of the index, which nobody outside of the hub knows: else a body in the frame that a
//! power cut tears could pass for a frame behind a hole.

use std::sync::Arc;

use bytes::Bytes;
use gaia::address::Address;
use gaia::etag::ETag;
use gaia::path::FilePath;
use serde::{Deserialize, Serialize};

use super::super::layer::{BucketLayer, BucketState, Entry, Layer, Slot};
use super::super::schema::Epoch;
use super::super::{StoredBody, Version};
use crate::blobs::BlobId;
use crate::quota::Usage;

/// Begins every frame.
const MARK: [u8; 4] = *b"Pgf2";

pub(super) const HEAD_BYTES: usize = 28;

/// A frame that was read.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) number: u64,
    pub(super) layer: Layer,
}

#[derive(Serialize, Deserialize)]
struct Part<'a> {
    address: &'a str,
    seq: i64,
    oldest_valid: u64,
    files: u64,
    bytes: u64,
    #[serde(borrow)]
    entries: Vec<PartEntry<'a>>,
}

#[derive(Serialize, Deserialize)]
struct PartEntry<'a> {
    path: &'a str,
    seq: i64,
    #[serde(borrow)]
    slot: PartSlot<'a>,
}

#[derive(Serialize, Deserialize)]
enum PartSlot<'a> {
    Present {
        size: u64,
        etag: &'a str,
        content_type: &'a str,
        modified_ms: i64,
        digest: [u8; 32],
        /// The length of an inline body.
        inline: Option<u32>,
    },
    Removed {
        removed_ms: i64,
    },
}

/// Writes a frame in place of what `buffer` holds. A layer that is too large for one, which the
/// bounds on requests rule out, is said to be so.
pub(super) fn write(
    buffer: &mut Vec<u8>,
    epoch: &Epoch,
    number: u64,
    layer: &Layer,
) -> Result<(), TooLarge> {
    let parts: Vec<_> = layer
        .buckets()
        .map(|(address, part)| part_of(address, part))
        .collect();
    buffer.clear();
    buffer.extend_from_slice(&[0; HEAD_BYTES]);
    // Writing values of these kinds into memory cannot fail.
    *buffer = postcard::to_extend(&parts, std::mem::take(buffer)).map_err(|_| TooLarge)?;
    let meta = u32::try_from(buffer.len() - HEAD_BYTES).map_err(|_| TooLarge)?;
    for (_, part) in layer.buckets() {
        for (_, entry) in part.files() {
            if let Slot::Present { version, .. } = &entry.slot
                && let StoredBody::Inline(bytes) = &version.body
            {
                buffer.extend_from_slice(bytes);
            }
        }
    }
    let rest = buffer.len() - HEAD_BYTES;
    let bodies = u32::try_from(rest)
        .map_err(|_| TooLarge)?
        .saturating_sub(meta);
    buffer[..4].copy_from_slice(&MARK);
    buffer[4..12].copy_from_slice(&number.to_le_bytes());
    buffer[12..16].copy_from_slice(&meta.to_le_bytes());
    buffer[16..20].copy_from_slice(&bodies.to_le_bytes());
    let head_sum = checksum(epoch, &buffer[4..20]);
    buffer[20..24].copy_from_slice(&head_sum.to_le_bytes());
    let sum = checksum(epoch, &buffer[HEAD_BYTES..]);
    buffer[24..28].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

/// A layer that no frame can hold.
#[derive(Debug)]
pub(super) struct TooLarge;

fn part_of<'a>(address: &'a Address, part: &'a BucketLayer) -> Part<'a> {
    let entries = part.files().map(|(path, entry)| PartEntry {
        path: path.as_str(),
        seq: entry.seq,
        slot: match &entry.slot {
            Slot::Present { version, .. } => PartSlot::Present {
                size: version.size,
                etag: version.etag.as_str(),
                content_type: &version.content_type,
                modified_ms: version.modified_ms,
                digest: *version.digest.as_bytes(),
                inline: match &version.body {
                    StoredBody::Inline(bytes) => u32::try_from(bytes.len()).ok(),
                    StoredBody::Blob(_) => None,
                },
            },
            Slot::Removed { removed_ms } => PartSlot::Removed {
                removed_ms: *removed_ms,
            },
        },
    });
    let state = part.state;
    Part {
        address: address.as_str(),
        seq: state.seq,
        oldest_valid: state.oldest_valid,
        files: state.usage.files,
        bytes: state.usage.bytes,
        entries: entries.collect(),
    }
}

/// Reads the frame at the beginning of `bytes`, if there is a whole one, and says how many bytes it
/// takes.
pub(super) fn read(bytes: &Bytes, epoch: &Epoch) -> Option<(Frame, usize)> {
    let (number, meta, content) = content(bytes, epoch)?;
    let parts: Vec<Part<'_>> = postcard::from_bytes(&content[..meta]).ok()?;
    let length = HEAD_BYTES + content.len();
    let layer = layer_of(&parts, bytes.slice(HEAD_BYTES + meta..length))?;
    Some((Frame { number, layer }, length))
}

/// Whether a whole frame of this number, or of a later one, begins anywhere in `bytes`.
pub(super) fn is_anywhere_in(bytes: &[u8], epoch: &Epoch, first: u64) -> bool {
    let marks = bytes.windows(MARK.len()).enumerate();
    marks
        .filter(|(_, window)| *window == MARK)
        .filter(|(at, _)| number(&bytes[*at..]).is_some_and(|number| number >= first))
        .any(|(at, _)| content(&bytes[at..], epoch).is_some())
}

fn number(bytes: &[u8]) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(4..12)?.try_into().ok()?))
}

/// What is behind the head of a whole frame, with its number and the length of what the layer says.
fn content<'a>(bytes: &'a [u8], epoch: &Epoch) -> Option<(u64, usize, &'a [u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD_BYTES)?;
    let integer = |from: usize| -> Option<u32> {
        Some(u32::from_le_bytes(
            head.get(from..from + 4)?.try_into().ok()?,
        ))
    };
    // First the head alone, so that what only begins like a frame is not read to its end.
    if head[..4] != MARK || checksum(epoch, &head[4..20]) != integer(20)? {
        return None;
    }
    let meta = usize::try_from(integer(12)?).ok()?;
    let length = meta.checked_add(usize::try_from(integer(16)?).ok()?)?;
    let content = rest.get(..length)?;
    (checksum(epoch, content) == integer(24)?).then_some((number(head)?, meta, content))
}

fn layer_of(parts: &[Part<'_>], mut bodies: Bytes) -> Option<Layer> {
    let mut layer = Layer::default();
    for part in parts {
        let address = Address::parse(part.address).ok()?;
        let state = BucketState {
            seq: part.seq,
            oldest_valid: part.oldest_valid,
            usage: Usage {
                files: part.files,
                bytes: part.bytes,
            },
        };
        layer.bucket_or(address, state).state = state;
        for entry in &part.entries {
            let path = FilePath::parse(entry.path).ok()?;
            let slot = slot_of(&entry.slot, &mut bodies)?;
            let seq = entry.seq;
            layer.set(&address, path, Some(Entry { seq, slot }));
        }
    }
    bodies.is_empty().then_some(layer)
}

fn slot_of(slot: &PartSlot<'_>, bodies: &mut Bytes) -> Option<Slot> {
    let version = match slot {
        PartSlot::Removed { removed_ms } => {
            return Some(Slot::Removed {
                removed_ms: *removed_ms,
            });
        }
        PartSlot::Present {
            size,
            etag,
            content_type,
            modified_ms,
            digest,
            inline,
        } => {
            let digest = BlobId::new(*digest);
            let body = match inline {
                Some(length) => {
                    let length = usize::try_from(*length).ok()?;
                    if length > bodies.len() {
                        return None;
                    }
                    // A copy: the rest of the frame need not stay for its sake.
                    StoredBody::Inline(Bytes::copy_from_slice(&bodies.split_to(length)))
                }
                None => StoredBody::Blob(digest),
            };
            Version {
                size: *size,
                etag: ETag::parse(etag)?,
                content_type: (*content_type).to_owned(),
                modified_ms: *modified_ms,
                digest,
                is_whole: body.is_whole(digest),
                body,
            }
        }
    };
    Some(Slot::Present {
        version: Arc::new(version),
        pin: None,
    })
}

fn checksum(epoch: &Epoch, bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(epoch);
    hasher.update(bytes);
    hasher.finalize()
}
