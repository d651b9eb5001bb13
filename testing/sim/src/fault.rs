//! What can go wrong in a world, how often in this one, and how often it did.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::rng::Rng;

/// Something that can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Fault {
    /// A request never arrives.
    LostRequest,
    /// The hub did what was asked; the answer never arrives.
    LostAnswer,
    /// A request arrives a second time, much later.
    LateDuplicate,
    /// An answer is handed in a second time, later.
    LateAnswer,
    /// Requests or answers overtake each other.
    Reordered,
    /// A device reaches nothing for a while.
    Partition,
    /// A device's requests arrive for a while, and no answer comes back.
    OneWayPartition,
    /// An upload is cut off in the middle.
    CutUpload,
    /// A body comes shorter than it is, and nothing says so.
    ShortBody,
    /// Something in between answers instead: a sign-in page, a redirect, a recoded body.
    CaptivePortal,
    /// A cache answers a read with what was there earlier.
    StaleRead,
    /// The hub fails before it does anything.
    HubUnwell,
    /// The hub fails after it did what was asked.
    FailsAfterCommit,
    /// The hub wants fewer requests, and says for how long or not.
    TooManyRequests,
    /// The hub says that the path is busy.
    Busy,
    /// The hub says that a condition failed which holds.
    FalseCondition,
    /// The hub does not accept the token.
    SignedOut,
    /// The hub refuses a write for good, as too large.
    Refused,
    /// The hub restarts: what was half done there is cut off.
    HubRestart,
    /// The hub is restored from an old backup.
    HubRollback,
    /// A listing lacks something that is there.
    ListingGap,
    /// A listing says something twice, in any order.
    ListingRepeat,
    /// Pages of a listing go on for ever.
    ListingEndless,
    /// A listing stops in the middle because its mark expired.
    PageExpired,
    /// The cursor of the change feed is forgotten.
    CursorExpired,
    /// A batch is answered in part.
    HalfBatch,
    /// A device loses power.
    Crash,
    /// A device loses power just before a commit is stored.
    CrashBeforeCommit,
    /// A device loses power just after a commit is stored, before anybody is told.
    CrashAfterCommit,
    /// What was written to the folder and not flushed is lost with the power.
    FolderTailLost,
    /// The store takes no commit: full, or an I/O error.
    StoreFails,
    /// The folder takes no file.
    FolderFull,
    /// A local file cannot be read, or a bit of it flips.
    LocalReadFails,
    /// Content that was fetched is gone when it is needed.
    ContentGone,
    /// A device is restored from an older image of its disk.
    Restored,
    /// A browser throws a replica's whole storage away.
    Evicted,
    /// The other tab of a browser takes over.
    OtherTab,
    /// A wall clock is set, by up to ten years.
    ClockSet,
    /// A device sleeps for hours.
    Suspend,
    /// A stock program overwrites or deletes, without condition and without a version header.
    ForeignWrite,
    /// A newer program writes in a format that this one does not know.
    NewerFormat,
}

impl Fault {
    /// All of them, with the greatest rate that a world has, in thousandths of the occasions.
    pub const ALL: [(Self, u16); 41] = [
        (Self::LostRequest, 200),
        (Self::LostAnswer, 200),
        (Self::LateDuplicate, 100),
        (Self::LateAnswer, 100),
        (Self::Reordered, 800),
        (Self::Partition, 30),
        (Self::OneWayPartition, 30),
        (Self::CutUpload, 150),
        (Self::ShortBody, 80),
        (Self::CaptivePortal, 80),
        (Self::StaleRead, 200),
        (Self::HubUnwell, 100),
        (Self::FailsAfterCommit, 100),
        (Self::TooManyRequests, 100),
        (Self::Busy, 100),
        (Self::FalseCondition, 80),
        (Self::SignedOut, 30),
        (Self::Refused, 50),
        (Self::HubRestart, 15),
        (Self::HubRollback, 4),
        (Self::ListingGap, 300),
        (Self::ListingRepeat, 300),
        (Self::ListingEndless, 100),
        (Self::PageExpired, 100),
        (Self::CursorExpired, 100),
        (Self::HalfBatch, 300),
        (Self::Crash, 40),
        (Self::CrashBeforeCommit, 50),
        (Self::CrashAfterCommit, 50),
        (Self::FolderTailLost, 500),
        (Self::StoreFails, 50),
        (Self::FolderFull, 50),
        (Self::LocalReadFails, 50),
        (Self::ContentGone, 50),
        (Self::Restored, 8),
        (Self::Evicted, 5),
        (Self::OtherTab, 40),
        (Self::ClockSet, 15),
        (Self::Suspend, 20),
        (Self::ForeignWrite, 60),
        (Self::NewerFormat, 10),
    ];
}

/// How often each fault strikes, in thousandths of its occasions.
pub type Rates = BTreeMap<Fault, u16>;

/// Draws rates. More than every other fault is off, so that the others get through.
pub fn draw_rates(rng: &mut Rng) -> Rates {
    let share = 10 + rng.below(50);
    let mut rates = Rates::new();
    for (fault, most) in Fault::ALL {
        if rng.chance(share) {
            let rate = rng.below(u64::from(most)) + 1;
            rates.insert(fault, u16::try_from(rate).unwrap_or(most));
        }
    }
    rates
}

/// The faults of a world while it runs.
#[derive(Debug, Clone)]
pub struct Faults {
    rates: [u16; Fault::ALL.len()],
    struck: [u32; Fault::ALL.len()],
}

impl Faults {
    /// With these rates.
    pub fn new(rates: &Rates) -> Self {
        let mut all = [0; Fault::ALL.len()];
        for (fault, rate) in rates {
            all[*fault as usize] = *rate;
        }
        Self {
            rates: all,
            struck: [0; Fault::ALL.len()],
        }
    }

    /// Whether the fault strikes now.
    pub fn strikes(&mut self, fault: Fault, rng: &mut Rng) -> bool {
        let rate = self.rates[fault as usize];
        let strikes = rate > 0 && rng.below(1_000) < u64::from(rate);
        if strikes {
            self.note(fault);
        }
        strikes
    }

    /// The fault struck.
    pub fn note(&mut self, fault: Fault) {
        self.struck[fault as usize] += 1;
    }

    /// From now on nothing goes wrong.
    pub fn heal(&mut self) {
        self.rates = [0; Fault::ALL.len()];
    }

    /// How often each fault struck.
    pub fn struck(&self) -> BTreeMap<Fault, u64> {
        let counted = Fault::ALL.iter().zip(self.struck);
        counted
            .filter(|(_, count)| *count > 0)
            .map(|((fault, _), count)| (*fault, u64::from(count)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_stands_at_its_own_place() {
        for (place, (fault, most)) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault as usize, place, "{fault:?}");
            assert!((1..=1_000).contains(&most));
        }
    }
}
