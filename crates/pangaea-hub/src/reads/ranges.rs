//! Parts of files: what a `Range` header asks for, and how several parts are framed.

use std::io;
use std::ops::Range;

use bytes::Bytes;

use crate::error::Refusal;

/// Most parts that are sent in one answer; who asks for more gets the whole file.
const PARTS_MAX: usize = 64;

/// What of a file is wanted.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    Whole,
    Part(Range<u64>),
    /// At least two.
    Parts(Vec<Range<u64>>),
}

/// Reads a `Range` header for a file of this size. What is not a list of byte ranges is ignored,
/// and so are lists of parts that together are longer than the file: they would only be used to
/// make much of little.
pub(super) fn wanted(header: &str, size: u64) -> Result<Wanted, Refusal> {
    let Some(ranges) = byte_ranges(header) else {
        return Ok(Wanted::Whole);
    };
    let mut parts = Vec::new();
    let mut total: u64 = 0;
    for range in ranges.split(',').map(str::trim) {
        if range.is_empty() {
            continue;
        }
        if parts.len() == PARTS_MAX {
            return Ok(Wanted::Whole);
        }
        match part(range, size) {
            None => return Ok(Wanted::Whole),
            // The end of an empty file is all of it, which no part can say.
            Some(part) if part.is_empty() && part.start == 0 && is_suffix(range) => {
                return Ok(Wanted::Whole);
            }
            Some(part) if part.is_empty() => {}
            Some(part) => {
                total = total.saturating_add(part.end - part.start);
                parts.push(part);
            }
        }
    }
    match parts.as_slice() {
        [] if ranges.trim_matches([',', ' ', '\t']).is_empty() => Ok(Wanted::Whole),
        [] => Err(Refusal::Range { size }),
        [part] => Ok(Wanted::Part(part.clone())),
        _ if total > size => Ok(Wanted::Whole),
        _ => Ok(Wanted::Parts(parts)),
    }
}

/// What follows `bytes=`.
fn byte_ranges(header: &str) -> Option<&str> {
    let (unit, ranges) = header.split_once('=')?;
    unit.trim().eq_ignore_ascii_case("bytes").then_some(ranges)
}

fn is_suffix(range: &str) -> bool {
    range.starts_with('-') && number(&range[1..]) != Some(0)
}

/// One range, cut to the file; empty when it lies outside.
fn part(range: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = range.split_once('-')?;
    match (first, last) {
        ("", count) => Some(size.saturating_sub(number(count)?)..size),
        (first, "") => Some(number(first)?.min(size)..size),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| first.min(size)..size.min(last.saturating_add(1)))
        }
    }
}

/// Digits and nothing else; a number too large to be kept is beyond any file.
fn number(digits: &str) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| digits.parse().unwrap_or(u64::MAX))
}

/// The text of `Content-Range` for a part.
pub(super) fn content_range(part: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", part.start, part.end.saturating_sub(1))
}

/// A piece of an answer's body: text of ours, or bytes of the file.
#[derive(Debug)]
pub(super) enum Segment {
    Text(Bytes),
    File(Range<u64>),
}

/// Several parts as `multipart/byteranges`.
#[derive(Debug)]
pub(super) struct Multipart {
    pub(super) content_type: String,
    pub(super) length: u64,
    pub(super) segments: Vec<Segment>,
}

impl Multipart {
    /// Frames the parts. The boundary is random, so that no stored file can hold it.
    pub(super) fn new(parts: Vec<Range<u64>>, content_type: &str, size: u64) -> io::Result<Self> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let boundary = format!("{:032x}", u128::from_be_bytes(random));
        let mut segments = Vec::with_capacity(2 * parts.len() + 1);
        let mut length = 0;
        let mut before = "";
        for part in parts {
            let range = content_range(&part, size);
            let head = format!(
                "{before}--{boundary}\r\nContent-Type: {content_type}\r\n\
                 Content-Range: {range}\r\n\r\n"
            );
            before = "\r\n";
            length += head.len() as u64 + (part.end - part.start);
            segments.extend([Segment::Text(head.into()), Segment::File(part)]);
        }
        let end = format!("{before}--{boundary}--\r\n");
        length += end.len() as u64;
        segments.push(Segment::Text(end.into()));
        Ok(Self {
            content_type: format!("multipart/byteranges; boundary={boundary}"),
            length,
            segments,
        })
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[test]
    fn ranges() {
        let wanted = |text: &str, size| wanted(text, size).map_err(|refusal| refusal.status());
        let unsatisfiable = Err(StatusCode::RANGE_NOT_SATISFIABLE);
        for (text, part) in [
            ("bytes=0-0", 0..1),
            ("bytes=2-99", 2..10),
            ("bytes=2-", 2..10),
            ("bytes=-3", 7..10),
            ("bytes=-30", 0..10),
            ("Bytes = 2-3", 2..4),
            ("bytes=2-99999999999999999999999", 2..10),
            ("bytes=-99999999999999999999999", 0..10),
            // The others lie outside.
            ("bytes=10-12, ,4-5,", 4..6),
        ] {
            assert_eq!(wanted(text, 10), Ok(Wanted::Part(part)), "{text}");
        }
        for text in [
            "bytes=10-",
            "bytes=-0",
            "bytes=10-12,99-",
            "bytes=99999999999999999999999-",
        ] {
            assert_eq!(wanted(text, 10), unsatisfiable, "{text}");
        }
        assert_eq!(wanted("bytes=0-", 0), unsatisfiable);
        assert_eq!(wanted("bytes=-5", 0), Ok(Wanted::Whole));
        for (text, parts) in [
            ("bytes=0-1,4-5", vec![0..2, 4..6]),
            ("bytes=-1, 0-0", vec![9..10, 0..1]),
            ("bytes=0-4,5-9", vec![0..5, 5..10]),
        ] {
            assert_eq!(wanted(text, 10), Ok(Wanted::Parts(parts)), "{text}");
        }
        for text in [
            "bytes=3-2",
            "bytes=-",
            "bytes=",
            "bytes=,",
            "bytes",
            "bytes=a-b",
            "bytes=+1-2",
            "bytes=0x1-2",
            "bytes=1-2-3",
            "bytes=0-1,a",
            "lines=1-2",
            "",
            // Together more than the file.
            "bytes=0-9,0-0",
            "bytes=0-,0-,0-",
        ] {
            assert_eq!(wanted(text, 10), Ok(Wanted::Whole), "{text}");
        }
        let many: Vec<_> = (0..100).map(|n| format!("{}-{}", 2 * n, 2 * n)).collect();
        let list = |count| format!("bytes={}", many[..count].join(","));
        assert_eq!(wanted(&list(65), 1000), Ok(Wanted::Whole));
        assert!(matches!(wanted(&list(64), 1000), Ok(Wanted::Parts(_))));
    }
}
