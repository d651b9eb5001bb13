//! Worlds that are made for one kind of trouble. In a free world everything can happen, so what needs
//! three things in a row seldom does. A regime leaves few things, often, on one or two files, and its
//! users do what matters there.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::Serialize;

use crate::fault::Fault;
use crate::fault::Rates;
use crate::rng::Rng;
use crate::schedule::Deed;
use crate::settings::Ending;
use crate::settings::Family;
use crate::settings::Settings;
use crate::settings::Start;
use crate::settings::Style;

/// What a world is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Regime {
    /// Devices are away for minutes, with uploads whose answers never came, while others delete.
    Away,
    /// Requests arrive again long after, at files that were deleted and made anew in between.
    Echoes,
    /// The hub is set back to backups.
    Backups,
    /// Files are deleted and made anew by devices that know nothing of each other.
    Anew,
}

/// One of so many seeds is a regime's.
const ONE_IN: u64 = 8;

impl Regime {
    const ALL: [Self; 4] = [Self::Away, Self::Echoes, Self::Backups, Self::Anew];

    /// The regime of a seed. It draws from luck of its own, so that all other seeds stay as they are.
    pub(crate) fn of(seed: u64, settings: &mut Settings) {
        if seed % ONE_IN != ONE_IN - 1 {
            return;
        }
        let mut rng = Rng::new(seed ^ 0x5EED_0F2E_613E);
        let regime = Self::ALL[rng.index(Self::ALL.len())];
        settings.regime = Some(regime);
        settings.paths.truncate(1 + rng.index(2));
        settings.ending = Ending::Healed;
        settings.style = Style::Free;
        settings.start = if rng.chance(70) {
            Start::Shared
        } else {
            Start::Empty
        };
        settings.hub.tags = true;
        if regime == Self::Echoes {
            // A delete that leaves nothing lets a late duplicate through.
            settings.hub.family = Family::Pangaea;
            settings.hub.in_place = false;
            settings.hub.archival = false;
            settings.paths.truncate(1);
        }
        settings.rates = regime.rates(&mut rng);
    }

    fn rates(self, rng: &mut Rng) -> Rates {
        let faults: &[(Fault, u16)] = match self {
            Self::Away => &[
                (Fault::OneWayPartition, 30),
                (Fault::Partition, 20),
                (Fault::LostAnswer, 200),
            ],
            Self::Echoes => &[(Fault::LateDuplicate, 700), (Fault::ForeignWrite, 90)],
            Self::Backups => &[
                (Fault::HubRollback, 10),
                (Fault::ForeignWrite, 20),
                (Fault::Evicted, 5),
            ],
            Self::Anew => &[
                (Fault::Partition, 40),
                (Fault::LostAnswer, 50),
                (Fault::StaleRead, 100),
            ],
        };
        let always = faults.iter().copied();
        let mut rates: BTreeMap<Fault, u16> = always.collect();
        let others = [
            (Fault::Crash, 20),
            (Fault::Reordered, 500),
            (Fault::StaleRead, 100),
        ];
        for (fault, rate) in others {
            if rng.chance(25) {
                rates.insert(fault, rate);
            }
        }
        rates
    }

    /// How probable it is that a late duplicate arrives with any packet.
    pub(crate) fn echo_percent(regime: Option<Self>) -> u64 {
        match regime {
            Some(Self::Echoes) => 2,
            Some(Self::Away | Self::Backups | Self::Anew) | None => 15,
        }
    }

    pub(crate) fn deed(self, rng: &mut Rng) -> Deed {
        match (self, rng.below(10)) {
            (Self::Away, 0..=3)
            | (Self::Echoes, 0..=2)
            | (Self::Anew, 0..=4)
            | (Self::Backups, 0) => Deed::Delete,
            (Self::Anew, 5) | (_, 7) => Deed::Replace,
            (Self::Anew | Self::Away, 6) => Deed::Revert,
            (_, 8) => Deed::Change,
            _ => Deed::Append,
        }
    }
}
