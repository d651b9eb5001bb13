//! How long to wait before the next attempt: full jitter, capped, and never less than the hub asks
//! for (L-3). Pure: randomness and time are arguments.

/// The first wait is drawn from up to this many milliseconds.
pub const BACKOFF_MS_FIRST: u64 = 1_000;
/// No wait of our own making is longer.
pub const BACKOFF_MS_MAX: u64 = 5 * 60 * 1_000;
/// What a hub asks for is honoured up to this; beyond it, it is asked again.
pub const RETRY_AFTER_MS_MAX: u64 = 60 * 60 * 1_000;
/// The jitter on top of what a hub asks for, so that not all come back at once.
const ASKED_JITTER_MS_MAX: u64 = 1_000;
/// No wait at all is longer.
pub const WAIT_MS_MAX: u64 = RETRY_AFTER_MS_MAX + ASKED_JITTER_MS_MAX;

/// Milliseconds to wait after `attempt` failures in a row (1 after the first). `random` is any
/// uniformly distributed number.
pub fn wait_ms(attempt: u32, retry_after_ms: Option<u64>, random: u64) -> u64 {
    let doublings = attempt.saturating_sub(1).min(20);
    let ceiling = BACKOFF_MS_FIRST
        .saturating_mul(1 << doublings)
        .min(BACKOFF_MS_MAX);
    let jittered = random % ceiling + 1;
    match retry_after_ms {
        Some(asked) => honoured_ms(asked).saturating_add(jittered.min(ASKED_JITTER_MS_MAX)),
        None => jittered,
    }
}

/// How much of the wait that a hub asks for is honoured.
pub fn honoured_ms(asked_ms: u64) -> u64 {
    asked_ms.min(RETRY_AFTER_MS_MAX)
}

/// A small deterministic generator for jitter (SplitMix64). Not for secrets.
#[derive(Debug, Clone)]
pub struct Jitter(u64);

impl Jitter {
    /// A generator whose sequence `seed` determines.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_the_cap_and_never_beyond() {
        let mut jitter = Jitter::new(7);
        for attempt in 1..64 {
            let wait = wait_ms(attempt, None, jitter.draw());
            assert!(
                (1..=BACKOFF_MS_MAX).contains(&wait),
                "attempt {attempt}: {wait}"
            );
        }
        assert!((0..200).any(|_| wait_ms(30, None, jitter.draw()) > BACKOFF_MS_MAX / 2));
    }

    #[test]
    fn the_hub_is_never_asked_earlier_than_it_said() {
        let mut jitter = Jitter::new(8);
        for _ in 0..100 {
            let wait = wait_ms(1, Some(30_000), jitter.draw());
            assert!((30_000..=31_000).contains(&wait));
        }
        assert!(wait_ms(1, Some(u64::MAX), 5) <= WAIT_MS_MAX);
    }
}
