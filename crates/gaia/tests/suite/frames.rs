//! Laws of the frames that batches and fetches are made of.

use gaia::batch::{Kind, Operation};
use gaia::fetch::{AnswerHead, FileHead};
use gaia::frames::{Decoder, FrameError, FrameHead, Piece, write_head};
use gaia::limits::{CONTENT_TYPE_BYTES_MAX, FRAME_HEAD_BYTES_MAX, PATH_BYTES_MAX};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

type Frames<H> = Vec<(H, Vec<u8>)>;

/// Decodes a body that comes in pieces whose lengths repeat; also, whether it ended with a frame.
fn decode<H: FrameHead>(
    mut body: &[u8],
    lengths: &[usize],
) -> Result<(Frames<H>, bool), FrameError> {
    let mut decoder = Decoder::new();
    let mut frames: Frames<H> = Vec::new();
    let mut lengths = lengths.iter().cycle();
    while !body.is_empty() {
        let length = lengths.next().map_or(body.len(), |n| (*n).min(body.len()));
        let (mut piece, rest) = body.split_at(length);
        body = rest;
        while let Some(found) = decoder.next(&mut piece)? {
            match found {
                Piece::Head(head) => frames.push((head, Vec::new())),
                Piece::Bytes(bytes) => {
                    assert!(!bytes.is_empty());
                    frames.last_mut().unwrap().1.extend_from_slice(bytes);
                }
            }
        }
        assert!(piece.is_empty(), "everything is taken");
    }
    Ok((frames, decoder.is_between_frames()))
}

fn encode<H: FrameHead>(frames: &[(H, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, bytes) in frames {
        write_head(head, &mut body).unwrap();
        body.extend_from_slice(bytes);
    }
    body
}

fn operations() -> impl Strategy<Value = Vec<(Operation, Vec<u8>)>> {
    let text = || option::of(any::<String>());
    let parts = (
        select(vec![Kind::Store, Kind::Delete]),
        any::<String>(),
        (text(), text(), text()),
        vec(any::<u8>(), 0..40),
    );
    let operation = parts.prop_map(
        |(op, path, (content_type, if_match, if_none_match), bytes)| {
            let length = bytes.len() as u64;
            let operation = Operation {
                op,
                path,
                content_type,
                if_match,
                if_none_match,
                length,
            };
            (operation, bytes)
        },
    );
    vec(operation, 0..8)
}

fn answers() -> impl Strategy<Value = Vec<(AnswerHead, Vec<u8>)>> {
    let file = (
        any::<String>(),
        any::<u16>(),
        option::of(any::<String>()),
        option::of(any::<u64>()),
        option::of(vec(any::<u8>(), 0..40)),
    );
    let file = file.prop_map(|(name, status, text, last_modified_seconds, bytes)| {
        let head = FileHead {
            name,
            status,
            etag: text.clone(),
            content_type: text,
            last_modified_seconds,
            length: bytes.as_ref().map(|bytes| bytes.len() as u64),
        };
        (AnswerHead::File(head), bytes.unwrap_or_default())
    });
    vec(
        prop_oneof![4 => file, 1 => Just((AnswerHead::END, Vec::new()))],
        0..8,
    )
}

/// Pieces in which a body may come; never endlessly many empty ones.
fn cuts() -> impl Strategy<Value = Vec<usize>> {
    vec(0_usize..50, 1..6).prop_map(|mut cuts| {
        cuts.push(7);
        cuts
    })
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_however_it_is_cut(frames in operations(), cuts in cuts()) {
        let body = encode(&frames);
        prop_assert_eq!(decode(&body, &cuts), Ok((frames, true)));
    }

    #[test]
    fn answers_as_well(frames in answers(), cuts in cuts()) {
        let body = encode(&frames);
        prop_assert_eq!(decode(&body, &cuts), Ok((frames, true)));
    }

    #[test]
    fn a_body_that_is_cut_off_is_noticed_unless_between_frames(
        frames in operations(),
        cut in any::<prop::sample::Index>(),
    ) {
        let body = encode(&frames);
        let ends: Vec<usize> = (0..=frames.len()).map(|n| encode(&frames[..n]).len()).collect();
        let cut = cut.index(body.len() + 1);
        let (decoded, whole) = decode::<Operation>(&body[..cut], &[9]).unwrap();
        prop_assert_eq!(whole, ends.contains(&cut));
        prop_assert!(decoded.len() <= frames.len());
    }

    #[test]
    fn garbage_does_no_harm_and_cuts_do_not_change_its_meaning(
        body in vec(select(b"{}\":,0129\nopathlengstre \\u\xff".to_vec()), 0..300),
        cuts in cuts(),
    ) {
        let whole = decode::<Operation>(&body, &[body.len().max(1)]);
        prop_assert_eq!(decode::<Operation>(&body, &cuts), whole);
    }
}

#[test]
fn a_line_without_end_is_given_up_at_its_limit() {
    for (length, want) in [
        (FRAME_HEAD_BYTES_MAX, Ok(())),
        (FRAME_HEAD_BYTES_MAX + 1, Err(FrameError::HeadTooLong)),
    ] {
        let body = vec![b' '; length];
        let decoded = decode::<Operation>(&body, &[1000]).map(|(frames, whole)| {
            assert!(frames.is_empty() && !whole);
        });
        assert_eq!(decoded, want, "{length}");
    }
}

#[test]
fn the_worst_path_and_type_fit_and_worse_is_refused_on_both_sides() {
    let operation = |path: String| Operation {
        op: Kind::Store,
        path,
        content_type: Some("\"".repeat(CONTENT_TYPE_BYTES_MAX)),
        if_match: Some("f".repeat(64)),
        if_none_match: None,
        length: u64::MAX,
    };
    let mut out = b"before".to_vec();
    write_head(&operation("\u{1}".repeat(PATH_BYTES_MAX)), &mut out).unwrap();
    let mut out = b"before".to_vec();
    let refused = write_head(&operation("\u{1}".repeat(2 * PATH_BYTES_MAX)), &mut out);
    assert_eq!(refused, Err(FrameError::HeadTooLong));
    assert_eq!(out, b"before");
}
