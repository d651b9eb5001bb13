//! Logs that were cut off, damaged or put beside another index.

use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use gaia::etag::ETag;
use gaia::key::SecretKey;
use gaia::path::FilePath;

use super::super::layer::{BucketState, Entry, Slot};
use super::super::{StoredBody, Version};
use super::*;
use crate::blobs::BlobId;
use crate::quota::Usage;

const EPOCH: Epoch = [7; 16];

fn bucket() -> gaia::address::Address {
    SecretKey::from_bytes(&[1; 32]).unwrap().address()
}

/// A layer of one file, of which everything depends on a number.
fn layer(number: u64) -> Layer {
    let seq = i64::try_from(number).unwrap();
    let state = BucketState {
        seq,
        oldest_valid: number,
        usage: Usage {
            files: number,
            bytes: number * 3,
        },
    };
    let mut layer = Layer::default();
    layer.bucket_or(bucket(), state);
    let body = Bytes::from(format!("body {number}"));
    let version = Version::inline(body, seq);
    let slot = Slot::Present {
        version: Arc::new(version),
        pin: None,
    };
    let path = FilePath::parse(&format!("f{number}")).unwrap();
    layer.set(&bucket(), path, Some(Entry { seq, slot }));
    let removed = FilePath::parse("gone").unwrap();
    let slot = Slot::Removed { removed_ms: seq };
    layer.set(&bucket(), removed, Some(Entry { seq, slot }));
    layer
}

/// A log of three frames, and its one segment.
fn written(folder: &Path) -> PathBuf {
    let mut log = Log::begin(folder, EPOCH, 0).unwrap();
    for number in 1..=3 {
        assert_eq!(log.append(&layer(number)).unwrap(), number);
    }
    let mut segments = segment::list(folder).unwrap();
    assert_eq!(segments.len(), 1);
    segments.remove(0).1
}

/// The head and the frames of a segment, without the room behind them.
fn read_frames(segment: &Path) -> Vec<u8> {
    let mut bytes = fs::read(segment).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    bytes.truncate(end);
    bytes
}

fn unmerged(folder: &Path, merged: u64) -> Result<Unmerged, IndexError> {
    Frames::read(folder, EPOCH)?.since(folder, merged)
}

#[test]
fn what_was_appended_comes_back_and_what_is_merged_is_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    for merged in 0..=3 {
        let unmerged = unmerged(folder.path(), merged).unwrap();
        assert_eq!(unmerged.last, (merged < 3).then_some(3));
        for number in 1..=3 {
            let path = FilePath::parse(&format!("f{number}")).unwrap();
            let entry = unmerged.layer.file(&bucket(), &path).cloned();
            let version = entry.and_then(Entry::into_version);
            let body = version.map(|version| version.body.clone());
            match body {
                Some(StoredBody::Inline(body)) => assert_eq!(body, format!("body {number}")),
                other => assert!(number <= merged && other.is_none(), "{number}, {merged}"),
            }
        }
        if merged < 3 {
            let state = unmerged.layer.bucket(&bucket()).unwrap().state;
            assert_eq!(
                (state.seq, state.oldest_valid, state.usage.bytes),
                (3, 3, 9)
            );
        }
    }
}

#[test]
fn wherever_a_log_is_cut_off_the_frames_before_hold() {
    let folder = tempfile::tempdir().unwrap();
    let segment = written(folder.path());
    let whole = read_frames(&segment);
    let mut last = None;
    for length in 0..=whole.len() {
        fs::write(&segment, &whole[..length]).unwrap();
        let found = unmerged(folder.path(), 0).unwrap().last;
        assert!(found >= last && found <= Some(3), "{length}");
        last = found;
    }
    assert_eq!(last, Some(3));
}

#[test]
fn a_flipped_byte_is_the_end_of_the_log_or_a_hole_and_never_taken_for_a_frame() {
    let folder = tempfile::tempdir().unwrap();
    let segment = written(folder.path());
    let whole = read_frames(&segment);
    let third = unmerged_length(&whole);
    for at in 32..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&segment, &damaged).unwrap();
        match unmerged(folder.path(), 0) {
            Ok(unmerged) => {
                assert_eq!(unmerged.last, Some(2), "{at}");
                assert!(at >= third, "{at}");
            }
            Err(IndexError::LogHole { .. }) => assert!(at < third, "{at}"),
            Err(error) => panic!("{at}: {error}"),
        }
    }
}

/// A file may hold a log. Torn in the middle, the frame that brings it is not taken for a hole with
/// frames behind it, unless the log is this index's own.
#[test]
fn frames_inside_of_a_body_are_no_frames() {
    for (epoch, is_hole) in [([8; 16], false), (EPOCH, true)] {
        let mut inner = Vec::new();
        frame::write(&mut inner, &epoch, 2, &layer(2)).unwrap();
        let inner = Bytes::from(inner);
        let mut outer = layer(1);
        let version = Version {
            size: inner.len() as u64,
            etag: ETag::of(&inner),
            content_type: "application/octet-stream".into(),
            modified_ms: 1,
            digest: BlobId::of(&inner),
            body: StoredBody::Inline(inner),
            is_whole: true,
        };
        let slot = Slot::Present {
            version: Arc::new(version),
            pin: None,
        };
        let path = FilePath::parse("a log").unwrap();
        outer.set(&bucket(), path, Some(Entry { seq: 1, slot }));
        let folder = tempfile::tempdir().unwrap();
        let mut log = Log::begin(folder.path(), EPOCH, 0).unwrap();
        log.append(&outer).unwrap();
        let (_, segment) = segment::list(folder.path()).unwrap().remove(0);
        let mut torn = fs::read(&segment).unwrap();
        // The head was lost, what follows it was not.
        torn[32..60].fill(0);
        fs::write(&segment, &torn).unwrap();
        match unmerged(folder.path(), 0) {
            Ok(unmerged) => assert!(!is_hole && unmerged.last.is_none()),
            Err(error) => assert!(is_hole, "{error}"),
        }
    }
}

/// Where the third frame begins.
fn unmerged_length(whole: &[u8]) -> usize {
    let mut rest = Bytes::copy_from_slice(&whole[32..]);
    let mut at = 32;
    for _ in 0..2 {
        let (_, length) = frame::read(&rest, &EPOCH).unwrap();
        rest = rest.split_off(length);
        at += length;
    }
    at
}

#[test]
fn a_log_of_another_index_and_one_that_begins_too_late_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path());
    let strange = Frames::read(folder.path(), [8; 16]).unwrap_err();
    assert!(
        matches!(strange, IndexError::StrangeLog { .. }),
        "{strange}"
    );
    let mut log = Log::begin(folder.path(), EPOCH, 5).unwrap();
    log.append(&layer(6)).unwrap();
    let late = unmerged(folder.path(), 4).unwrap_err();
    assert!(matches!(late, IndexError::LogHole { .. }), "{late}");
    assert_eq!(unmerged(folder.path(), 5).unwrap().last, Some(6));
}

/// A layer of which a segment holds six.
fn large(number: u64) -> Layer {
    let mut large = layer(number);
    let seq = i64::try_from(number).unwrap();
    let body = Bytes::from(vec![1; 3_000_000]);
    let slot = Slot::Present {
        version: Arc::new(Version::inline(body, seq)),
        pin: None,
    };
    let path = FilePath::parse("large").unwrap();
    large.set(&bucket(), path, Some(Entry { seq, slot }));
    large
}

fn firsts(folder: &Path) -> Vec<u64> {
    let segments = segment::list(folder).unwrap();
    segments.into_iter().map(|(first, _)| first).collect()
}

#[test]
fn a_full_segment_is_followed_by_another_and_goes_when_it_is_merged() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::begin(folder.path(), EPOCH, 0).unwrap();
    for number in 1..=8 {
        assert_eq!(log.append(&large(number)).unwrap(), number);
    }
    assert_eq!(firsts(folder.path()), [1, 7]);
    assert_eq!(unmerged(folder.path(), 0).unwrap().last, Some(8));
    log.closed().remove(5);
    assert_eq!(firsts(folder.path()), [1, 7]);
    log.closed().remove(6);
    assert_eq!(firsts(folder.path()), [7]);
    assert_eq!(unmerged(folder.path(), 6).unwrap().last, Some(8));
    log.remove().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_merged_segment_is_used_again_and_what_it_held_is_not_taken_for_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::begin(folder.path(), EPOCH, 0).unwrap();
    for number in 1..=12 {
        log.append(&large(number)).unwrap();
    }
    log.closed().remove(6);
    log.append(&layer(13)).unwrap();
    assert_eq!(firsts(folder.path()), [7, 13]);
    let (_, reused) = segment::list(folder.path()).unwrap().pop().unwrap();
    assert!(fs::metadata(&reused).unwrap().len() > 16_000_000);
    assert_eq!(unmerged(folder.path(), 6).unwrap().last, Some(13));
    // An earlier frame begins where the next one will.
    let large_frame = fs::read(&reused).unwrap();
    log.append(&large(14)).unwrap();
    log.append(&layer(15)).unwrap();
    assert_eq!(unmerged(folder.path(), 6).unwrap().last, Some(15));
    // The second of the three is back to what was there before.
    let mut damaged = fs::read(&reused).unwrap();
    let at = damaged.len() / 16;
    damaged[at..2 * at].copy_from_slice(&large_frame[at..2 * at]);
    damaged[at] ^= 1;
    fs::write(&reused, &damaged).unwrap();
    let hole = unmerged(folder.path(), 6).unwrap_err();
    assert!(matches!(hole, IndexError::LogHole { .. }), "{hole}");
}

#[test]
fn a_frame_that_replaces_one_of_a_merged_segment_and_is_lost_is_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = Log::begin(folder.path(), EPOCH, 0).unwrap();
    for number in 1..=12 {
        log.append(&large(number)).unwrap();
    }
    let (_, first) = segment::list(folder.path()).unwrap().remove(0);
    let before = fs::read(&first).unwrap();
    log.closed().remove(6);
    log.append(&large(13)).unwrap();
    assert_eq!(unmerged(folder.path(), 6).unwrap().last, Some(13));
    let (_, reused) = segment::list(folder.path()).unwrap().pop().unwrap();
    // Whole frames stand where the new one stood, and they have other numbers.
    fs::write(&reused, &before).unwrap();
    assert_eq!(unmerged(folder.path(), 6).unwrap().last, Some(12));
}
