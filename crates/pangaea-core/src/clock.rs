//! The hybrid logical clock of one device, and the measure of how wrong its wall clock is.
//!
//! Time comes in as an argument; nothing here reads a clock. [`Clock::last`] is persisted with every
//! commit that used a new value, so that time never runs backwards across restarts.

use std::collections::VecDeque;
use std::fmt;

use crate::version::DeviceId;
use crate::version::Hlc;
use crate::version::VersionId;

/// How far ahead of this device's time a version of another device is believed, in milliseconds.
pub const FUTURE_MS_MAX: u64 = 5 * 60 * 1000;
/// The offset from the hub's time from which a device is told that its clock is wrong.
pub const OFFSET_MS_TOLERATED: u64 = 60 * 1000;
/// An HTTP `Date` counts whole seconds: the true time lies up to this much after it.
const DATE_STEP_MS: u64 = 1000;
/// Measurements that are remembered; the most exact of them counts.
const SAMPLES_MAX: usize = 8;

/// Returns a clock value as far as it is believed at `now_ms`: at most five minutes ahead.
///
/// The result depends on who asks and when, so it is for showing and for advancing a clock. Which of
/// two concurrent versions wins a merge is decided by [`VersionId`]'s own order, or two devices
/// could decide differently.
pub fn effective(value: Hlc, now_ms: u64) -> Hlc {
    value.min(Hlc::new(now_ms.saturating_add(FUTURE_MS_MAX), u16::MAX))
}

/// The hybrid logical clock of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clock {
    device: DeviceId,
    last: Hlc,
    /// Values to pass over before the first that is given out, if the wall clock is behind.
    leap: u64,
    samples: VecDeque<ClockOffset>,
}

impl Clock {
    /// Goes on from the last value that was persisted, or from [`Hlc::ZERO`].
    pub fn new(device: DeviceId, last: Hlc) -> Self {
        Self {
            device,
            last,
            leap: 0,
            samples: VecDeque::new(),
        }
    }

    /// Returns the device whose clock this is.
    pub fn device(&self) -> DeviceId {
        self.device
    }

    /// Returns the greatest value given out or observed: what must be persisted.
    pub fn last(&self) -> Hlc {
        self.last
    }

    /// Returns a value greater than all before, whatever the wall clock says.
    pub fn tick(&mut self, now_ms: u64) -> Hlc {
        let leap = std::mem::take(&mut self.leap);
        let (next, wall) = (self.last.next(), Hlc::new(now_ms, 0));
        self.last = if wall > next {
            wall
        } else {
            Hlc::from_u64(next.as_u64().saturating_add(leap))
        };
        self.last
    }

    /// Returns the id of a new version made by this device.
    pub fn tick_version(&mut self, now_ms: u64) -> VersionId {
        VersionId::new(self.tick(now_ms), self.device)
    }

    /// Takes note of another device's value, so that what is written after it gets a greater one.
    ///
    /// A value from the future moves this clock to at most five minutes from now: one device with a
    /// wrong date must not drag all others along.
    pub fn observe(&mut self, remote: Hlc, now_ms: u64) {
        self.last = self.last.max(effective(remote, now_ms));
    }

    /// Passes over so many values before the next that is given out, unless the wall clock is ahead
    /// of all before: time that has passed does the same, and the clock must not run ahead of it.
    pub fn leap(&mut self, ticks: u64) {
        self.leap = ticks;
    }

    /// Passes over so many values.
    pub fn skip(&mut self, ticks: u64) {
        self.last = Hlc::from_u64(self.last.as_u64().saturating_add(ticks));
    }

    /// Returns by how much this clock runs ahead of the wall clock, in milliseconds.
    ///
    /// A lead of more than [`FUTURE_MS_MAX`] means that the wall clock was set back by that much.
    pub fn lead_ms(&self, now_ms: u64) -> u64 {
        self.last.ms().saturating_sub(now_ms)
    }

    /// Takes a measurement: the hub's `Date`, and this device's time when it asked and when the
    /// answer came.
    ///
    /// Returns the verdict with the measurement included. A measurement during which the wall clock
    /// was set back says nothing and is ignored.
    pub fn note_hub_time(&mut self, hub_ms: u64, sent_ms: u64, received_ms: u64) -> ClockVerdict {
        if received_ms < sent_ms {
            return self.verdict();
        }
        let round_trip_ms = received_ms - sent_ms;
        let local_ms = i128::from(sent_ms) + i128::from(round_trip_ms / 2);
        let hub_ms = i128::from(hub_ms) + i128::from(DATE_STEP_MS / 2);
        let sample = ClockOffset {
            ahead_ms: clamp_i64(local_ms - hub_ms),
            uncertainty_ms: (round_trip_ms / 2).saturating_add(DATE_STEP_MS / 2),
        };
        // Two measurements that cannot both be true mean that somebody set the clock in between.
        self.samples.retain(|old| old.agrees_with(&sample));
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(sample);
        self.verdict()
    }

    /// Returns the most exact of the recent measurements.
    pub fn offset(&self) -> Option<ClockOffset> {
        self.samples
            .iter()
            .copied()
            .min_by_key(|sample| sample.uncertainty_ms)
    }

    /// Judges this device's wall clock by the measurements so far.
    pub fn verdict(&self) -> ClockVerdict {
        match self.offset() {
            None => ClockVerdict::Unknown,
            Some(offset) if offset.certain_ms() > OFFSET_MS_TOLERATED => {
                ClockVerdict::Wrong(offset)
            }
            Some(offset) => ClockVerdict::Right(offset),
        }
    }
}

fn clamp_i64(value: i128) -> i64 {
    i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX })
}

/// How far this device's wall clock is from the hub's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockOffset {
    /// Positive when this device is ahead of the hub.
    pub ahead_ms: i64,
    /// The true offset lies at most this far from `ahead_ms`, on either side.
    pub uncertainty_ms: u64,
}

impl ClockOffset {
    /// Returns the part of the offset that is beyond doubt.
    fn certain_ms(&self) -> u64 {
        self.ahead_ms
            .unsigned_abs()
            .saturating_sub(self.uncertainty_ms)
    }

    fn agrees_with(&self, other: &Self) -> bool {
        let apart = self.ahead_ms.abs_diff(other.ahead_ms);
        apart <= self.uncertainty_ms.saturating_add(other.uncertainty_ms)
    }
}

/// What is known about this device's wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockVerdict {
    /// No hub has been asked yet.
    Unknown,
    /// Within the tolerance.
    Right(ClockOffset),
    /// Off by more than [`OFFSET_MS_TOLERATED`] for certain: tell the person at this device.
    Wrong(ClockOffset),
}

impl fmt::Display for ClockVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => {
                f.write_str("this device's clock has not been compared with the hub's")
            }
            Self::Right(_) => f.write_str("this device's clock agrees with the hub's"),
            Self::Wrong(offset) => {
                let side = if offset.ahead_ms < 0 {
                    "behind"
                } else {
                    "ahead of"
                };
                let span = Span(offset.ahead_ms.unsigned_abs() / 1000);
                write!(
                    f,
                    "this device's clock is {span} {side} the hub's: set the date and time, or \
                     concurrent edits are put in the wrong order"
                )
            }
        }
    }
}

/// Seconds, said in the largest unit of which there are two.
struct Span(u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self.0 {
            seconds @ 0..120 => (seconds, "seconds"),
            seconds @ 120..7200 => ((seconds + 30) / 60, "minutes"),
            seconds @ 7200..172_800 => ((seconds + 1800) / 3600, "hours"),
            seconds => (seconds / 86_400, "days"),
        };
        write!(f, "{number} {unit}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_800_000_000_000;
    const DEVICE: DeviceId = DeviceId::from_random([7; 8]);

    #[test]
    fn ticks_carry_into_the_milliseconds() {
        let mut clock = Clock::new(DEVICE, Hlc::new(NOW, u16::MAX));
        assert_eq!(clock.tick(NOW), Hlc::new(NOW + 1, 0));
        assert_eq!(clock.tick(NOW), Hlc::new(NOW + 1, 1));
        assert_eq!(clock.tick(NOW + 9), Hlc::new(NOW + 9, 0));
    }

    #[test]
    fn a_restart_with_the_clock_set_back_goes_on() {
        let mut clock = Clock::new(DEVICE, Hlc::ZERO);
        let before = clock.tick(NOW);
        let mut clock = Clock::new(DEVICE, clock.last());
        assert!(clock.tick(NOW - 86_400_000) > before);
        assert_eq!(clock.lead_ms(NOW - 86_400_000), 86_400_000);
    }

    #[test]
    fn the_future_is_believed_for_five_minutes() {
        let mut clock = Clock::new(DEVICE, Hlc::ZERO);
        clock.observe(Hlc::new(NOW + 1000, 3), NOW);
        assert_eq!(clock.last(), Hlc::new(NOW + 1000, 3));
        clock.observe(Hlc::MAX, NOW);
        assert_eq!(clock.last().ms(), NOW + FUTURE_MS_MAX);
        let ticked = clock.tick(NOW);
        assert!(ticked.ms() <= NOW + FUTURE_MS_MAX + 1);
    }

    #[test]
    fn the_device_that_is_wrong_is_told() {
        let mut clock = Clock::new(DEVICE, Hlc::ZERO);
        assert_eq!(clock.verdict(), ClockVerdict::Unknown);
        // Three minutes ahead, 200 ms there and back.
        let verdict = clock.note_hub_time(NOW, NOW + 180_000, NOW + 180_200);
        assert_eq!(
            verdict.to_string(),
            "this device's clock is 3 minutes ahead of the hub's: set the date and time, or \
             concurrent edits are put in the wrong order"
        );
        // Then somebody sets it right: the old measurement no longer counts.
        let verdict = clock.note_hub_time(NOW + 9000, NOW + 9000, NOW + 9400);
        assert!(matches!(verdict, ClockVerdict::Right(_)), "{verdict:?}");
        let verdict = clock.note_hub_time(NOW, NOW - 7_300_000, NOW - 7_300_000);
        assert!(verdict.to_string().contains("2 hours behind"), "{verdict}");
    }

    #[test]
    fn slow_answers_prove_nothing_and_exact_ones_count() {
        let mut clock = Clock::new(DEVICE, Hlc::ZERO);
        // An answer that took five minutes may have been given at any moment of them.
        let verdict = clock.note_hub_time(NOW, NOW, NOW + 300_000);
        assert!(matches!(verdict, ClockVerdict::Right(_)), "{verdict:?}");
        clock.note_hub_time(NOW, NOW + 1000, NOW + 1100);
        clock.note_hub_time(NOW, NOW, NOW + 20_000);
        let offset = clock.offset().expect("measured");
        assert_eq!(
            offset,
            ClockOffset {
                ahead_ms: 550,
                uncertainty_ms: 550
            }
        );
        assert_eq!(clock.note_hub_time(NOW, NOW + 5, NOW), clock.verdict());
    }

    proptest! {
        #[test]
        fn time_never_runs_backwards(
            last: u64,
            steps in prop::collection::vec((any::<u64>(), any::<u64>()), 1..20),
        ) {
            let mut clock = Clock::new(DEVICE, Hlc::from_u64(last / 2));
            for (now, remote) in steps {
                let before = clock.last();
                clock.observe(Hlc::from_u64(remote), now % NOW);
                prop_assert!(clock.last() >= before);
                let observed = clock.last();
                prop_assert!(clock.tick(now % NOW) > observed);
            }
        }

        /// Whatever the wall clock says after each restart, and whatever others claim: no version is
        /// named twice, each is greater than the one before, and a sane clock is soon followed again.
        #[test]
        fn versions_grow_across_restarts_and_skews(
            lives in prop::collection::vec(
                (0..4 * NOW, prop::collection::vec(prop::option::of(any::<u64>()), 1..6)),
                1..6,
            ),
        ) {
            let mut stored = Hlc::ZERO;
            let mut newest: Option<VersionId> = None;
            for (wall_ms, observed) in lives {
                let mut clock = Clock::new(DEVICE, stored);
                for seen in observed {
                    let before = clock.last();
                    if let Some(seen) = seen {
                        clock.observe(Hlc::from_u64(seen), wall_ms);
                        let most = before.ms().max(wall_ms + FUTURE_MS_MAX);
                        prop_assert!(clock.last().ms() <= most, "led astray");
                    }
                    let version = clock.tick_version(wall_ms);
                    prop_assert!(newest.is_none_or(|newest| newest < version));
                    prop_assert_eq!(version.device, DEVICE);
                    newest = Some(version);
                }
                stored = clock.last();
            }
        }

        #[test]
        fn measuring_never_panics(hub: u64, sent: u64, received: u64) {
            let mut clock = Clock::new(DEVICE, Hlc::ZERO);
            clock.note_hub_time(hub, sent, received);
            let verdict = clock.note_hub_time(received, hub, sent);
            prop_assert!(!verdict.to_string().is_empty());
        }
    }
}
