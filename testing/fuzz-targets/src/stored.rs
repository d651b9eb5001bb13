//! What a program of ours has written, and contents of files that are merged.

use pangaea_core::io::Side;
use pangaea_core::merge;
use pangaea_core::merge::Input;
use pangaea_core::policy::Strategy;
use pangaea_core::record;
use pangaea_core::version::VersionId;

use crate::halves;

/// An entry in its stored form: what is read is written alike.
pub(crate) fn record(bytes: &[u8]) {
    let Ok(entry) = record::decode_entry(bytes) else {
        return;
    };
    let written = record::encode_entry(&entry).expect("what was read");
    assert_eq!(record::decode_entry(&written), Ok(entry));
}

/// Merges of any contents: both devices get the same bytes, and merging again changes nothing.
pub(crate) fn merge(bytes: &[u8]) {
    let (base, sides) = halves(bytes);
    let (older, newer) = halves(sides);
    let older = Input {
        bytes: older,
        version: VersionId::from_bytes([1; 16]),
    };
    let newer = Input {
        bytes: newer,
        version: VersionId::from_bytes([2; 16]),
    };
    for strategy in [
        Strategy::Text,
        Strategy::Json {
            keys: vec!["id".to_owned()],
        },
    ] {
        let one = merge::merge(&strategy, Some(base), older, newer);
        let two = merge::merge(&strategy, Some(base), newer, older);
        let merged = one.bytes(&older, &newer).to_vec();
        assert_eq!(merged, two.bytes(&newer, &older), "{strategy}");
        let turned = two.copy().map(|side| match side {
            Side::Ours => Side::Theirs,
            Side::Theirs => Side::Ours,
        });
        assert_eq!(one.copy(), turned, "{strategy}");
        let merged = Input {
            bytes: &merged,
            version: VersionId::from_bytes([3; 16]),
        };
        let again = merge::merge(&strategy, Some(older.bytes), older, merged);
        assert_eq!(again.bytes(&older, &merged), merged.bytes, "{strategy}");
        assert_eq!(again.copy(), None, "{strategy}");
    }
}
