//! What can go wrong, how often in this world, and how often it did.

use std::collections::BTreeMap;

use pangaea_kit::random::Random;

/// Something that can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A connection ends as soon as it is there.
    Refused,
    /// A connection ends before the request reaches the hub.
    LostRequest,
    /// The hub does what was asked; the connection ends instead of an answer.
    LostAnswer,
    /// The connection ends in the middle of the answer's body.
    HalfAnswer,
    /// A request is late, so that others overtake it.
    Delay,
    /// The answer's body comes in drips.
    Slow,
    /// Nothing comes back, for longer than the client waits.
    Silence,
    /// Something in between says 429, 502 or 503.
    Unwell,
    /// The page of a captive portal is the answer to everything.
    Portal,
    /// The answer leads elsewhere.
    Redirect,
    /// Something in between sends the request twice, and hands on the second answer.
    Twice,
    /// A device ends in the middle of a round, as if killed, and is opened again.
    DeviceKilled,
    /// A round is given up in the middle; the program goes on.
    RoundDropped,
    /// The hub ends at any moment, with requests under way, and is started again.
    HubKilled,
    /// A program that knows nothing of versions writes a plain file.
    ForeignWrite,
}

impl Fault {
    /// All of them, with the greatest rate, in permille of the occasions, that a world has.
    pub const ALL: [(Self, u64); 15] = [
        (Self::Refused, 200),
        (Self::LostRequest, 100),
        (Self::LostAnswer, 150),
        (Self::HalfAnswer, 150),
        (Self::Delay, 200),
        (Self::Slow, 100),
        (Self::Silence, 10),
        (Self::Unwell, 100),
        (Self::Portal, 60),
        (Self::Redirect, 60),
        (Self::Twice, 150),
        (Self::DeviceKilled, 400),
        (Self::RoundDropped, 400),
        (Self::HubKilled, 300),
        (Self::ForeignWrite, 300),
    ];
}

/// The faults of one world.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    rates: BTreeMap<Fault, u64>,
    struck: BTreeMap<Fault, u64>,
}

impl Faults {
    /// Draws rates. About every other fault is off, so that the others get through.
    pub fn draw(rng: &mut Random) -> Self {
        let mut rates = BTreeMap::new();
        for (fault, most) in Fault::ALL {
            let rate = rng.below(most) + 1;
            if rng.chance(500) {
                rates.insert(fault, rate);
            }
        }
        let struck = BTreeMap::new();
        Self { rates, struck }
    }

    /// Whether the fault strikes now.
    pub fn strikes(&mut self, fault: Fault, rng: &mut Random) -> bool {
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

    /// Whether this can happen in this world at all.
    pub fn has(&self, fault: Fault) -> bool {
        self.rates.contains_key(&fault)
    }

    /// The rates in permille.
    pub fn rates(&self) -> &BTreeMap<Fault, u64> {
        &self.rates
    }

    /// How often each fault struck.
    pub fn struck(&self) -> &BTreeMap<Fault, u64> {
        &self.struck
    }
}
