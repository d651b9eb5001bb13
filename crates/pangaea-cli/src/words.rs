//! Numbers and times as people say them.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use pangaea::time::SystemTime;
use pangaea::time::Time;

/// This device's clock, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    SystemTime.now_ms()
}

/// `1.5 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return count(bytes, "byte");
    }
    // In tenths of the unit, rounded to the nearest.
    let mut unit_bytes = 1024_u128;
    for (index, unit) in UNITS.iter().enumerate() {
        let tenths = (u128::from(bytes) * 10 + unit_bytes / 2) / unit_bytes;
        if tenths < 10_240 || index + 1 == UNITS.len() {
            return match tenths {
                0..1_000 => format!("{}.{} {unit}", tenths / 10, tenths % 10),
                _ => format!("{} {unit}", (tenths + 5) / 10),
            };
        }
        unit_bytes *= 1024;
    }
    String::new()
}

/// `1 file`, `1,234 files`.
pub(crate) fn count(count: u64, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(count))
}

/// `1,234`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `8 seconds`, `3 minutes`, `2 days`.
pub(crate) fn duration(ms: u64) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    match ms / 1000 {
        seconds @ ..MINUTE => count(seconds, "second"),
        seconds @ MINUTE..HOUR => count(seconds / MINUTE, "minute"),
        seconds @ HOUR..DAY => count(seconds / HOUR, "hour"),
        seconds => count(seconds / DAY, "day"),
    }
}

/// `3 minutes ago`, `just now`.
pub(crate) fn ago(then_ms: u64, now_ms: u64) -> String {
    match now_ms.saturating_sub(then_ms) {
        ..1_000 => "just now".to_owned(),
        passed => format!("{} ago", duration(passed)),
    }
}

/// `in 8 seconds`, `now`.
pub(crate) fn until(then_ms: u64, now_ms: u64) -> String {
    match then_ms.saturating_sub(now_ms) {
        ..1_000 => "now".to_owned(),
        left => format!("in {}", duration(left)),
    }
}

/// `the hub is away` as `The hub is away.`
pub(crate) fn sentence(words: &str) -> String {
    let mut letters = words.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).chain(['.']).collect()
}

/// `2026-11-23 12:34:56` by the clock on this device's wall.
pub(crate) fn local_time(ms: u64) -> String {
    let Some(time) = timestamp(ms) else {
        return "at an unknown time".to_owned();
    };
    time.to_zoned(TimeZone::system())
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// `2026-11-23T12:34:56.789Z`.
pub(crate) fn iso_time(ms: u64) -> Option<String> {
    timestamp(ms).map(|time| format!("{time:.3}"))
}

fn timestamp(ms: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_rounded_to_what_a_person_reads() {
        for (number, expected) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1,023 bytes"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (100 * 1024 + 512, "101 KiB"),
            (1024 * 1024 - 1, "1.0 MiB"),
            (1 << 30, "1.0 GiB"),
            (u64::MAX, "16384 PiB"),
        ] {
            assert_eq!(bytes(number), expected);
        }
    }

    #[test]
    fn counts_and_times_read_like_a_sentence() {
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(1_234_567, "file"), "1,234,567 files");
        assert_eq!(ago(1_000, 1_500), "just now");
        assert_eq!(ago(0, 61_000), "1 minute ago");
        assert_eq!(ago(9_000, 1_000), "just now");
        assert_eq!(until(10_000, 2_000), "in 8 seconds");
        assert_eq!(sentence("the hub is away"), "The hub is away.");
        assert_eq!(duration(50 * 60 * 60 * 1000), "2 days");
    }

    #[test]
    fn times_for_programs_are_in_utc() {
        let shown = iso_time(1_700_000_000_123);
        assert_eq!(shown.as_deref(), Some("2023-11-14T22:13:20.123Z"));
        assert_eq!(iso_time(u64::MAX), None);
    }
}
