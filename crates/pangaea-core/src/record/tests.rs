//! Round trips, garbage, and the bytes on disk.

use super::*;
use crate::state::Remote;
use proptest::prelude::*;

fn version() -> impl Strategy<Value = VersionId> {
    any::<[u8; 16]>().prop_map(VersionId::from_bytes)
}

fn ancestors() -> impl Strategy<Value = Ancestors> {
    prop::collection::vec(version(), 0..6).prop_map(Ancestors::new)
}

fn hash() -> impl Strategy<Value = ContentHash> {
    any::<[u8; 32]>().prop_map(ContentHash::from_bytes)
}

fn tag() -> impl Strategy<Value = ETag> {
    prop_oneof![
        any::<[u8; 8]>().prop_map(|bytes| ETag::of(&bytes)),
        "(W/)?\"[A-Za-z0-9-]{1,40}\"".prop_map(|text| ETag::parse(&text).expect("a tag")),
        "[A-Za-z0-9-]{1,40}".prop_filter_map("a tag", |text| ETag::parse(&text)),
    ]
}

fn media() -> impl Strategy<Value = MediaType> {
    ("[a-z]{1,9}/[a-z.+-]{1,20}", "(; [a-z]{1,9}=[ -~]{0,20})?")
        .prop_map(|(essence, parameters)| MediaType::from_parts(&essence, &parameters))
}

fn wish() -> impl Strategy<Value = Option<Format>> {
    let format = (0..8_u8).prop_map(|bits| format_from_bits(bits).expect("all bits are known"));
    prop::option::of(format)
}

fn local() -> impl Strategy<Value = Local> {
    prop_oneof![
        Just(Local::Never),
        (
            hash(),
            any::<u64>(),
            version(),
            ancestors(),
            media(),
            wish()
        )
            .prop_map(|(content, size, version, ancestors, media_type, format)| {
                Local::File(LocalFile {
                    content,
                    size,
                    version,
                    ancestors,
                    media_type,
                    format,
                })
            }),
        (version(), ancestors())
            .prop_map(|(version, ancestors)| Local::Deleted { version, ancestors }),
    ]
}

fn base() -> impl Strategy<Value = Base> {
    let format = (0..8_u8).prop_map(|bits| format_from_bits(bits).expect("all bits are known"));
    prop_oneof![
        Just(Base::Unknown),
        (tag(), version(), ancestors(), hash(), format).prop_map(
            |(tag, version, ancestors, content, format)| {
                Base::File(BaseFile {
                    tag,
                    version,
                    ancestors,
                    content,
                    format,
                })
            }
        ),
        (
            version(),
            ancestors(),
            prop::option::of(tag()),
            any::<u64>()
        )
            .prop_map(|(version, ancestors, tombstone, since_ms)| {
                Base::Gone {
                    version,
                    ancestors,
                    tombstone,
                    since_ms,
                }
            }),
    ]
}

fn problem() -> impl Strategy<Value = Problem> {
    let kind = prop::sample::select(vec![
        ProblemKind::Refused,
        ProblemKind::Damaged,
        ProblemKind::Newer,
        ProblemKind::Device,
        ProblemKind::Undecided,
        ProblemKind::Ignored,
    ]);
    (kind, any::<String>(), prop::option::of(tag())).prop_map(|(kind, message, tag)| Problem {
        kind,
        message,
        tag,
    })
}

fn entry() -> impl Strategy<Value = Entry> {
    let pending =
        (any::<u64>(), any::<u64>(), 0_u32..3).prop_map(|(sequence, since_ms, code)| Pending {
            sequence,
            since_ms,
            sent: sent_from_code(code),
        });
    (
        local(),
        base(),
        prop::option::of(pending),
        prop::option::of(problem()),
        prop::option::of((local(), base())),
    )
        .prop_map(|(local, base, pending, problem, applying)| Entry {
            local,
            base,
            pending,
            problem,
            applying: applying.map(|(local, base)| Box::new(Target { local, base })),
            ..Entry::default()
        })
}

/// Tags are equal without their quotes; what a hub is sent must survive as well.
fn sent_tag(entry: &Entry) -> Option<String> {
    entry.base.tag().map(|tag| tag.if_match().to_owned())
}

proptest! {
    #[test]
    fn an_entry_survives(entry in entry()) {
        let read = decode_entry(&encode_entry(&entry).expect("written")).expect("read");
        prop_assert_eq!(sent_tag(&read), sent_tag(&entry));
        prop_assert_eq!(is_worth_storing(&entry), !read.is_blank());
        prop_assert_eq!(read, entry);
    }

    #[test]
    fn garbage_is_an_error_or_an_entry(mut bytes: Vec<u8>) {
        // Without the right first byte nearly nothing would be looked at.
        if let Some(first) = bytes.first_mut() {
            *first %= 3;
        }
        if let Ok(entry) = decode_entry(&bytes) {
            prop_assert!(encode_entry(&entry).is_ok());
        }
    }

    #[test]
    fn a_damaged_record_never_panics(
        entry in entry(),
        at: prop::sample::Index,
        bit in 0..8_u8,
        cut: prop::sample::Index,
    ) {
        let mut bytes = encode_entry(&entry).expect("written");
        let cut_at = cut.index(bytes.len());
        prop_assert!(decode_entry(&bytes[..cut_at]).is_err());
        let index = at.index(bytes.len());
        bytes[index] ^= 1 << bit;
        if let Err(error) = decode_entry(&bytes) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn what_was_seen_on_the_hub_is_not_stored() {
    let entry = Entry {
        remote: Remote::Missing,
        applying: None,
        suspect: Some(ETag::of(b"old")),
        ..Entry::default()
    };
    assert!(!is_worth_storing(&entry));
    let bytes = encode_entry(&entry).expect("written");
    assert_eq!(decode_entry(&bytes), Ok(Entry::default()));
}

#[test]
fn newer_and_senseless_records_are_told_apart() {
    let bytes = encode_entry(&Entry::default()).expect("written");
    let with_format = |format: u8| [&[format], &bytes[1..]].concat();
    assert_eq!(
        decode_entry(&with_format(3)),
        Err(RecordError::Newer { found: 3, known: 2 })
    );
    assert!(matches!(
        decode_entry(&with_format(0)),
        Err(RecordError::Damaged { .. })
    ));
    assert!(matches!(
        decode_entry(b""),
        Err(RecordError::Damaged { .. })
    ));
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(
        decode_entry(&longer),
        Err(RecordError::Damaged { .. })
    ));
    assert!(format_from_bits(8).is_err());
    for text in ["", "text", "Text/plain", "text/plain; a=\n", "/;\u{e9}"] {
        assert!(decode_media_type(text).is_err(), "{text:?}");
    }
}

#[test]
fn the_format_on_disk_stays_as_it_is() {
    let entry = Entry {
        local: Local::Deleted {
            version: VersionId::from_bytes([7; 16]),
            ancestors: Ancestors::new([VersionId::from_bytes([6; 16])]),
        },
        pending: Some(Pending {
            sequence: 300,
            since_ms: 1,
            sent: Sent::Nothing,
        }),
        ..Entry::default()
    };
    let expected = format!(
        "01 02 {} 01 {} 00 01 ac02 01 00 00 00",
        "07".repeat(16),
        "06".repeat(16)
    );
    let bytes = encode_entry(&entry).expect("written");
    assert_eq!(hex::encode(bytes), expected.replace(' ', ""));
}

/// Only a release build is held to the limit.
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "this measures; it decides nothing"
)]
fn ten_thousand_records_are_read_quickly() {
    let version = VersionId::from_bytes([7; 16]);
    let ancestors = Ancestors::new((0..4).map(|byte| VersionId::from_bytes([byte; 16])));
    let content = ContentHash::of(b"content");
    let bytes = encode_entry(&Entry {
        local: Local::File(LocalFile {
            content,
            size: 7,
            version,
            ancestors: ancestors.clone(),
            media_type: MediaType::json(),
            format: None,
        }),
        base: Base::File(BaseFile {
            tag: ETag::of(b"content"),
            version,
            ancestors,
            content,
            format: format_from_bits(0).expect("known bits"),
        }),
        ..Entry::default()
    })
    .expect("written");
    let read_all = || {
        let start = std::time::Instant::now();
        let read = (0..10_000).filter(|_| decode_entry(&bytes).is_ok()).count();
        assert_eq!(read, 10_000);
        start.elapsed().as_micros()
    };
    let fastest = (0..9).map(|_| read_all()).min().unwrap_or(u128::MAX);
    println!("10,000 records of {} bytes: {fastest} µs", bytes.len());
    assert!(cfg!(debug_assertions) || fastest < 10_000, "{fastest} µs");
}

#[test]
fn codes_are_read_back() {
    for code in 0..=u8::MAX {
        if let Some(cause) = cause_from_code(code) {
            assert_eq!(cause_code(cause), code);
        }
        if let Some(action) = action_from_code(code) {
            assert_eq!(action_code(action), code);
        }
    }
    assert_eq!((1..=5).filter_map(cause_from_code).count(), 5);
    assert_eq!((1..=10).filter_map(action_from_code).count(), 10);
}
