//! What a seed expands into before anything happens: who takes part, with which habits, over which
//! kind of hub, and how often what goes wrong.

use serde::Deserialize;
use serde::Serialize;

use crate::fault::Fault;
use crate::fault::Rates;
use crate::fault::draw_rates;
use crate::regime::Regime;
use crate::rng::Rng;

/// How the users of a world behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Style {
    /// Everybody edits whenever they like.
    Free,
    /// A path is edited only by a device that has the newest version of it, when nothing else is
    /// under way there. So there are no conflicts, and the end is known exactly.
    Relay,
}

/// What there is when a world begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Start {
    /// Nothing.
    Empty,
    /// One tree that everybody has in common.
    Shared,
    /// The same tree on several devices that never had contact: nothing says that it is the same.
    Twins,
}

/// How a world ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// All faults stop, and everybody must agree.
    Healed,
    /// The last device stays cut off for ever; all others must agree.
    OneBroken,
}

/// One device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceSettings {
    /// Whether it mirrors a folder that its user edits.
    pub folder: bool,
    /// How far its clock is off at first, in milliseconds.
    pub skew_ms: i64,
    /// Taken out by shrinking: it never does anything.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
}

/// The two families of hubs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Family {
    /// Change feed, batches, conditional deletes, tags in 412 answers, atomic writes.
    Pangaea,
    /// The plain protocol with its quirks.
    Stock,
}

/// The hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubSettings {
    /// What it offers.
    pub family: Family,
    /// Entries on a page of a listing.
    pub page: usize,
    /// How far its clock is off, in seconds.
    pub skew_s: i64,
    /// A stock hub that overwrites files in place, so that readers see them half written.
    pub in_place: bool,
    /// A stock hub under an archival scope: what is replaced is renamed first and hidden in listings.
    pub archival: bool,
    /// Whether listings tell tags.
    pub tags: bool,
}

/// The settings of one world.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Who takes part.
    pub devices: Vec<DeviceSettings>,
    /// Which paths users touch.
    pub paths: Vec<String>,
    /// How users behave.
    pub style: Style,
    /// What there is at first.
    pub start: Start,
    /// How it ends.
    pub ending: Ending,
    /// The hub.
    pub hub: HubSettings,
    /// How long tombstones stay, in milliseconds.
    pub tombstone_ms: u64,
    /// Requests that a device has under way at most.
    pub in_flight: usize,
    /// What goes wrong how often.
    pub rates: Rates,
    /// What the world is about, if it is about one thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regime: Option<Regime>,
}

/// Names that have made trouble somewhere, among plain ones: case twins, Unicode twins, a file and
/// a folder of one name, hidden files, the longest name.
const PATHS: [&str; 12] = [
    "a.txt",
    "b.bin",
    "c.dat",
    "d/e.txt",
    "d",
    "j.json",
    "A.txt",
    "\u{c4}.txt",
    "A\u{308}.txt",
    ".hidden",
    "d/.e.json",
    "LONG",
];

const TEN_YEARS_MS: u64 = 10 * 365 * 24 * 60 * 60 * 1_000;

/// A clock's error: mostly up to a minute, seldom years.
pub fn draw_skew_ms(rng: &mut Rng) -> i64 {
    let most = match rng.below(20) {
        0 => TEN_YEARS_MS,
        1..=3 => 24 * 60 * 60 * 1_000,
        _ => 60_000,
    };
    i64::try_from(rng.below(2 * most)).unwrap_or(0) - i64::try_from(most).unwrap_or(0)
}

impl Settings {
    /// Draws settings.
    pub fn draw(rng: &mut Rng) -> Self {
        let style = if rng.chance(25) {
            Style::Relay
        } else {
            Style::Free
        };
        let devices: Vec<DeviceSettings> = (0..2 + rng.below(5).div_ceil(2))
            .map(|_| DeviceSettings {
                folder: rng.chance(50),
                skew_ms: draw_skew_ms(rng),
                absent: false,
            })
            .collect();
        let ending = if devices.len() > 2 && rng.chance(15) && style == Style::Free {
            Ending::OneBroken
        } else {
            Ending::Healed
        };
        let mut rates = draw_rates(rng);
        if style == Style::Relay {
            // A relay knows its end exactly, so nothing may happen there that leaves room for doubt.
            for fault in [
                Fault::NewerFormat,
                Fault::StoreFails,
                Fault::HubRollback,
                Fault::Restored,
                Fault::Evicted,
            ] {
                rates.remove(&fault);
            }
        }
        let mut hub = HubSettings::draw(rng);
        // A hub that tells no tags has everything read at every look, also what nobody can read.
        hub.tags |= rates.contains_key(&Fault::NewerFormat);
        if !hub.tags {
            // Where reads are the only evidence, a cache cannot be told from the hub.
            rates.remove(&Fault::StaleRead);
        }
        Self {
            devices,
            paths: draw_paths(rng),
            style,
            start: match rng.below(10) {
                0..=5 => Start::Empty,
                6..=7 => Start::Shared,
                _ if style == Style::Relay => Start::Shared,
                _ => Start::Twins,
            },
            ending,
            hub,
            tombstone_ms: if rng.chance(70) {
                30 * 24 * 60 * 60 * 1_000
            } else {
                20_000
            },
            in_flight: [1, 4, 4, 128][rng.index(4)],
            rates,
            regime: None,
        }
    }
}

impl HubSettings {
    fn draw(rng: &mut Rng) -> Self {
        let skew_s = draw_skew_ms(rng) / 1_000;
        if rng.chance(50) {
            return Self {
                family: Family::Pangaea,
                page: 1 + rng.index(10),
                skew_s,
                in_place: false,
                archival: false,
                tags: true,
            };
        }
        Self {
            family: Family::Stock,
            page: 1 + rng.index(10),
            skew_s,
            in_place: rng.chance(50),
            archival: rng.chance(20),
            tags: rng.chance(90),
        }
    }
}

fn draw_paths(rng: &mut Rng) -> Vec<String> {
    let count = 1 + rng.index(5);
    let first = if rng.chance(60) {
        0
    } else {
        rng.index(PATHS.len())
    };
    (0..count)
        .map(|at| match PATHS[(first + at) % PATHS.len()] {
            "LONG" => format!("{}.txt", "x".repeat(251)),
            name => name.to_owned(),
        })
        .collect()
}
