//! The faults of a world: what can go wrong, how often in this one, and how often it did.

use std::collections::BTreeMap;

use crate::rng::Rng;

/// Something that can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A request never arrives.
    LostRequest,
    /// The hub did what was asked; the answer never arrives.
    LostAnswer,
    /// A request arrives a second time, much later.
    LateDuplicate,
    /// The hub answers "busy" or is unwell, with and without saying when to come back.
    HubUnwell,
    /// The hub does not accept the token.
    SignedOut,
    /// The hub refuses a write for good, as too large.
    Refused,
    /// A listing lacks something that is there.
    PartialListing,
    /// A cache answers a read with what was there earlier.
    StaleRead,
    /// A device loses power.
    Crash,
    /// A device loses power just before a commit is stored.
    CrashBeforeCommit,
    /// A device's folder takes no file.
    DiskFull,
    /// A stock program overwrites or deletes without looking and without a version header.
    ForeignWrite,
}

impl Fault {
    /// All of them, with the greatest rate in percent that a world has.
    pub const ALL: [(Self, u64); 12] = [
        (Self::LostRequest, 20),
        (Self::LostAnswer, 20),
        (Self::LateDuplicate, 15),
        (Self::HubUnwell, 15),
        (Self::SignedOut, 3),
        (Self::Refused, 5),
        (Self::PartialListing, 40),
        (Self::StaleRead, 20),
        (Self::Crash, 4),
        (Self::CrashBeforeCommit, 5),
        (Self::DiskFull, 5),
        (Self::ForeignWrite, 5),
    ];
}

/// The faults of one world.
#[derive(Debug, Clone)]
pub struct Faults {
    rates: BTreeMap<Fault, u64>,
    struck: BTreeMap<Fault, u32>,
}

impl Faults {
    /// Draws rates. About every other fault is off, so that the others get through.
    pub fn draw(rng: &mut Rng) -> Self {
        let mut rates = BTreeMap::new();
        for (fault, most) in Fault::ALL {
            if rng.chance(50) {
                rates.insert(fault, rng.below(most) + 1);
            }
        }
        Self {
            rates,
            struck: BTreeMap::new(),
        }
    }

    /// Whether the fault strikes now.
    pub fn strikes(&mut self, fault: Fault, rng: &mut Rng) -> bool {
        let rate = self.rates.get(&fault).copied().unwrap_or(0);
        let strikes = rate > 0 && rng.chance(rate);
        if strikes {
            *self.struck.entry(fault).or_default() += 1;
        }
        strikes
    }

    /// From now on nothing goes wrong.
    pub fn heal(&mut self) {
        self.rates.clear();
    }

    /// The rates in percent.
    pub fn rates(&self) -> &BTreeMap<Fault, u64> {
        &self.rates
    }

    /// How often each fault struck.
    pub fn struck(&self) -> &BTreeMap<Fault, u32> {
        &self.struck
    }
}
