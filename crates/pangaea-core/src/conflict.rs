//! Names of conflict copies: `name (conflict a1b2c3 2026-11-23 12.34.56.789Z).ext`.
//!
//! A name is made of the path and the losing version alone, and no two versions have the same: all
//! devices that meet the same conflict make the same copy, and no others meet at its name. When a
//! copy is made is decided by [`crate::merge`] and the engine.

use std::collections::BTreeMap;
use std::fmt;

use gaia::limits::SEGMENT_BYTES_MAX;
use gaia::path::FilePath;
use gaia::path::PathError;

use crate::version::VersionId;

const MARK: &str = " (conflict ";
/// The longest mark there is. All copies of a file have names that are cut alike.
const MARK_BYTES_MAX: usize = " (conflict a1b2c3 10889-08-02 05.31.50.655-ffffZ)".len();
/// What stands behind a last dot is an extension up to this length, else part of the name.
const EXTENSION_BYTES_MAX: usize = 16;

/// Returns the path of the conflict copy that holds the version that lost at `path`.
///
/// The copy lies in the same folder. A conflict copy's own copy replaces the mark instead of
/// carrying two; a name that would get too long is cut. A version that is not the first of its
/// millisecond has its number there too: `name (conflict a1b2c3 2026-11-23 12.34.56.789-0001Z).ext`.
///
/// # Errors
/// Fails when not even a cut name fits into the longest path that a hub holds.
pub fn copy_path(path: &FilePath, loser: &VersionId) -> Result<FilePath, PathError> {
    let (moment, ms) = (Moment::of(loser), loser.clock.ms() % 1000);
    let number = match loser.clock.counter() {
        0 => String::new(),
        counter => format!("-{counter:04x}"),
    };
    let device = loser.device.short();
    build(path, &format!("{MARK}{device} {moment}.{ms:03}{number}Z)"))
}

/// Returns what in `map` may be a conflict copy of `path`, or of what `path` is a copy of. Those whose
/// names were cut more than others are left out.
pub fn copies<'a, T>(
    map: &'a BTreeMap<FilePath, T>,
    path: &FilePath,
) -> impl Iterator<Item = (&'a FilePath, &'a T)> {
    let least = copy_path(path, &VersionId::from_bytes([0; VersionId::BYTES])).ok();
    let prefix = least.as_ref().and_then(|least| {
        let mark = least.as_str().rfind(MARK)?;
        Some(least.as_str()[..mark + MARK.len()].to_owned())
    });
    let from = least.map(|least| map.range(least..));
    from.into_iter().flatten().take_while(move |(path, _)| {
        let prefix = prefix.as_deref();
        prefix.is_some_and(|prefix| path.as_str().starts_with(prefix))
    })
}

/// Tells whether a path has the name of a conflict copy.
pub fn is_copy(path: &FilePath) -> bool {
    original_path(path).is_some()
}

/// Returns the path whose conflict copy this is, if it is one. A name that was cut stays cut.
pub fn original_path(path: &FilePath) -> Option<FilePath> {
    let (stem, extension) = split_name(path.file_name());
    let original = strip_mark(stem)?;
    path.with_file_name(&format!("{original}{extension}")).ok()
}

fn build(path: &FilePath, mark: &str) -> Result<FilePath, PathError> {
    let (stem, extension) = split_name(path.file_name());
    let stem = strip_mark(stem).unwrap_or(stem);
    let room = SEGMENT_BYTES_MAX.saturating_sub(MARK_BYTES_MAX + extension.len());
    let mut stem = cut(stem, room);
    loop {
        let built = path.with_file_name(&format!("{stem}{mark}{extension}"));
        // Deep in the tree the whole path may be what is too long.
        match built {
            Err(PathError::TooLong { .. }) if stem.len() > 1 => stem = cut(stem, stem.len() - 1),
            built => return built,
        }
    }
}

/// Cuts a name to at most so many bytes, at a character boundary and not behind a dot: with the dot of
/// the extension that would make two, which no path may hold, and the copy's original has that name.
fn cut(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let mut end = bytes_max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].trim_end_matches('.')
}

/// Splits `name.ext` into `name` and `.ext`; hidden files and sentences have no extension.
fn split_name(name: &str) -> (&str, &str) {
    let Some(dot) = name.rfind('.') else {
        return (name, "");
    };
    let extension = &name[dot + 1..];
    let is_extension = (1..=EXTENSION_BYTES_MAX).contains(&extension.len())
        && !extension.contains([' ', '(', ')'])
        && dot > 0;
    if is_extension {
        name.split_at(dot)
    } else {
        (name, "")
    }
}

/// Returns what stands before the mark of a conflict copy.
fn strip_mark(stem: &str) -> Option<&str> {
    let (original, mark) = stem.strip_suffix(')')?.rsplit_once(MARK)?;
    let mut words = mark.split(' ');
    let (device, date, time) = (words.next()?, words.next()?, words.next()?);
    let is_mark = words.next().is_none()
        && fits(device, "xxxxxx")
        && (fits(date, "0000-00-00") || fits(date, "00000-00-00"))
        && (fits(time, "00.00.00.000Z") || fits(time, "00.00.00.000-xxxxZ"));
    (is_mark && !original.is_empty()).then_some(original)
}

/// Compares with a pattern in which `0` is a digit and `x` a lower-case hexadecimal one.
fn fits(text: &str, pattern: &str) -> bool {
    let fits_byte = |(byte, pattern): (u8, u8)| match pattern {
        b'0' => byte.is_ascii_digit(),
        b'x' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        _ => byte == pattern,
    };
    text.len() == pattern.len() && text.bytes().zip(pattern.bytes()).all(fits_byte)
}

/// A version's date and time of day in UTC, to the second, with dots for the colons that some platforms refuse.
struct Moment {
    year: u64,
    month: u64,
    day: u64,
    second_of_day: u64,
}

impl Moment {
    fn of(version: &VersionId) -> Self {
        let seconds = version.clock.ms() / 1000;
        // Counted from 1 March of the year 0, so that a leap day is the last of its year; 400 years
        // have 146,097 days.
        let days = seconds / 86_400 + 719_468;
        let (era, day_of_era) = (days / 146_097, days % 146_097);
        let leap_days = day_of_era / 1460 + day_of_era / 146_096 - day_of_era / 36_524;
        let year_of_era = (day_of_era - leap_days) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // Months from March on: 153 days in every five.
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        Self {
            year,
            month,
            day,
            second_of_day: seconds % 86_400,
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            year,
            month,
            day,
            second_of_day: second,
        } = self;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02} {hour:02}.{minute:02}.{second:02}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::DeviceId;
    use crate::version::Hlc;
    use proptest::prelude::*;

    fn loser(ms: u64) -> VersionId {
        let device = DeviceId::from_bytes([0xa1, 0xb2, 0xc3, 4, 5, 6, 7, 8]);
        VersionId::new(Hlc::new(ms, 0), device)
    }

    fn path(text: &str) -> FilePath {
        FilePath::parse(text).expect("a path")
    }

    fn check(from: &str, ms: u64, expected: &str) {
        let copy = copy_path(&path(from), &loser(ms)).expect("fits");
        assert_eq!(copy.as_str(), expected);
        assert!(is_copy(&copy), "{expected}");
    }

    const MS: u64 = 1_795_437_296_789;

    #[test]
    fn names() {
        check(
            "a/note.md",
            MS,
            "a/note (conflict a1b2c3 2026-11-23 12.34.56.789Z).md",
        );
        check(
            "README",
            MS,
            "README (conflict a1b2c3 2026-11-23 12.34.56.789Z)",
        );
        check(
            ".bashrc",
            MS,
            ".bashrc (conflict a1b2c3 2026-11-23 12.34.56.789Z)",
        );
        check(
            "x.tar.gz",
            MS,
            "x.tar (conflict a1b2c3 2026-11-23 12.34.56.789Z).gz",
        );
        check(
            "1. Buy milk",
            MS,
            "1. Buy milk (conflict a1b2c3 2026-11-23 12.34.56.789Z)",
        );
    }

    #[test]
    fn dates() {
        for (ms, date) in [
            (0, "1970-01-01 00.00.00.000Z"),
            (951_782_399_999, "2000-02-28 23.59.59.999Z"),
            (951_782_400_000, "2000-02-29 00.00.00.000Z"),
            (4_107_542_400_000, "2100-03-01 00.00.00.000Z"),
            (1_735_689_599_000, "2024-12-31 23.59.59.000Z"),
            (u64::MAX, "10889-08-02 05.31.50.655Z"),
        ] {
            check("a", ms, &format!("a (conflict a1b2c3 {date})"));
        }
    }

    #[test]
    fn copies_of_copies_do_not_nest() {
        let copy = copy_path(&path("b/a.md"), &loser(0)).expect("fits");
        let mut second = loser(MS);
        second.clock = Hlc::new(MS, 0x1f);
        let other = copy_path(&copy, &second).expect("fits");
        assert_eq!(
            other.as_str(),
            "b/a (conflict a1b2c3 2026-11-23 12.34.56.789-001fZ).md"
        );
        assert_eq!(copy_path(&other, &loser(0)).expect("fits"), copy);
        assert_eq!(original_path(&other), Some(path("b/a.md")));
    }

    #[test]
    fn all_copies_of_a_file_are_found_and_nothing_else() {
        let long = "n".repeat(SEGMENT_BYTES_MAX);
        for name in ["b/a.md", long.as_str()] {
            let original = path(name);
            let mut map = BTreeMap::from([(original.clone(), 0), (path("b/a (confused).md"), 0)]);
            let mut second = loser(MS);
            second.clock = Hlc::new(MS, 1);
            for version in [loser(0), loser(MS), second] {
                map.insert(copy_path(&original, &version).expect("fits"), 1);
            }
            assert_eq!(copies(&map, &original).map(|(_, one)| one).sum::<i32>(), 3);
        }
    }

    #[test]
    fn what_only_looks_alike_is_no_copy() {
        for name in [
            "a (conflict).md",
            "a (conflict of interest).md",
            "a (conflict a1b2c3 2026-11-23).md",
            "a (conflict A1B2C3 2026-11-23 12.34.56.789Z).md",
            "a (conflict a1b2c3 2026-11-23 12.34.56.789Z) b.md",
            " (conflict a1b2c3 2026-11-23 12.34.56.789Z)",
        ] {
            assert_eq!(original_path(&path(name)), None, "{name}");
        }
    }

    #[test]
    fn long_names_are_cut_between_characters() {
        let long = format!("{}.md", "ü".repeat(126));
        let copy = copy_path(&path(&long), &loser(MS)).expect("fits");
        assert!(copy.file_name().len() <= SEGMENT_BYTES_MAX);
        assert!(copy.file_name().starts_with("üü") && copy.file_name().ends_with("Z).md"));
        let deep = format!(
            "{}{}",
            format!("{}/", "d".repeat(200)).repeat(17),
            "n".repeat(160)
        );
        let copy = copy_path(&path(&deep), &loser(MS)).expect("fits when cut");
        assert_eq!(copy.as_str().len(), gaia::limits::PATH_BYTES_MAX);
        let full = format!(
            "{}{}",
            format!("{}/", "d".repeat(254)).repeat(14),
            "n".repeat(14)
        );
        assert!(copy_path(&path(&full), &loser(MS)).is_err());
    }

    proptest! {
        #[test]
        fn every_name_has_one_copy(name in "[^/\0]{1,80}", ms: u64) {
            let Ok(path) = FilePath::parse(&name) else { return Ok(()) };
            let copy = copy_path(&path, &loser(ms)).expect("fits");
            prop_assert!(is_copy(&copy));
            prop_assert_eq!(copy_path(&copy, &loser(ms)).expect("fits"), copy);
        }
    }
}
