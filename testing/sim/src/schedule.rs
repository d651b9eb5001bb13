//! All that happens in a world, as data: drawn from a seed once, or read from a file, and then
//! played. Each step carries the luck for all that is decided while it is played, so a step that
//! is taken out changes nothing about the luck of the others. That is what makes shrinking work.

use serde::Deserialize;
use serde::Serialize;

use crate::fault::Fault;
use crate::fault::Rates;
use crate::regime::Regime;
use crate::rng::Rng;
use crate::settings::Settings;
use crate::settings::Style;

/// What a user or a stock program does to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Deed {
    /// A new line at the end.
    Append,
    /// A new line at the beginning.
    Prepend,
    /// One line replaced.
    Change,
    /// Everything replaced by one line.
    Replace,
    /// The file deleted.
    Delete,
    /// The bytes written again that were there before the last edit.
    Revert,
    /// An empty file.
    Empty,
    /// Several edits in a row.
    Burst,
    /// The file moved to another name.
    Rename,
    /// Two files exchanged.
    Swap,
    /// A conflict copy edited or deleted.
    Copy,
    /// A file and all that lies below its name deleted.
    DeleteTree,
}

impl Deed {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Append,
        Self::Prepend,
        Self::Change,
        Self::Replace,
        Self::Delete,
        Self::Revert,
        Self::Empty,
        Self::Burst,
        Self::Rename,
        Self::Swap,
        Self::Copy,
        Self::DeleteTree,
    ];

    fn draw(rng: &mut Rng, settings: &Settings) -> Self {
        if let Some(regime) = settings.regime {
            return regime.deed(rng);
        }
        // An empty file that is not encrypted has the same tag as the stand-in for a deleted one, and
        // nobody could tell them apart. Only stock programs bring in files that are not encrypted.
        let has_plain = settings.rates.contains_key(&Fault::ForeignWrite);
        match (rng.below(20), settings.style) {
            (0..=4, _) => Self::Append,
            (5..=6, _) => Self::Prepend,
            (7..=8, _) => Self::Change,
            (9..=10, _) => Self::Replace,
            (11..=12, _) => Self::Delete,
            // What crosses files, or brings lines back, has no known end.
            (_, Style::Relay) => Self::Append,
            (13, _) => Self::Revert,
            (14, _) if has_plain => Self::Change,
            (14, _) => Self::Empty,
            (15, _) => Self::Burst,
            (16, _) => Self::Rename,
            (17, _) => Self::Swap,
            (18, _) => Self::Copy,
            (_, Style::Free) => Self::DeleteTree,
        }
    }
}

/// What happens in a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Act {
    /// A device does what it can do now, and some requests and answers arrive.
    Turn {
        /// Which device.
        device: usize,
        /// So many requests or answers arrive.
        deliver: u8,
        /// It asks for a listing first.
        look: Ask,
        /// It does not wait any longer.
        resume: Ask,
        /// It looks at its folder.
        scan: Ask,
    },
    /// A user does something to a file.
    Edit {
        /// On which device.
        device: usize,
        /// Which path, as a number.
        path: usize,
        /// What.
        deed: Deed,
    },
    /// A stock program looks at a file, for what it does later.
    ForeignLook {
        /// Which path, as a number.
        path: usize,
    },
    /// A stock program writes or deletes a file.
    Foreign {
        /// Which path, as a number.
        path: usize,
        /// What.
        deed: Deed,
    },
    /// Something goes wrong that has no other occasion.
    Fault {
        /// What.
        fault: Fault,
        /// Where.
        device: usize,
    },
    /// An image of a device's disk is taken.
    Image {
        /// Of which device.
        device: usize,
    },
    /// A backup of the hub is taken.
    Backup,
}

/// Whether something is done along with a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// It is.
    Yes,
    /// It is not.
    No,
}

impl Ask {
    fn draw(rng: &mut Rng, percent: u64) -> Self {
        if rng.chance(percent) {
            Self::Yes
        } else {
            Self::No
        }
    }
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Decides everything that the step leaves open.
    pub luck: u64,
    /// So much time passes before it.
    pub wait_ms: u64,
    /// What happens.
    pub act: Act,
}

/// A world's whole story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schedule {
    /// Where it came from.
    pub seed: u64,
    /// Why it is kept, for a reader.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The world.
    pub settings: Settings,
    /// What happens there.
    pub steps: Vec<Step>,
}

/// Faults that strike between requests, at some moment of their own.
const MOMENTS: [Fault; 12] = [
    Fault::Partition,
    Fault::OneWayPartition,
    Fault::HubRestart,
    Fault::HubRollback,
    Fault::Crash,
    Fault::Restored,
    Fault::Evicted,
    Fault::OtherTab,
    Fault::ClockSet,
    Fault::Suspend,
    Fault::ForeignWrite,
    Fault::NewerFormat,
];

impl Schedule {
    /// Draws the schedule of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut settings = Settings::draw(&mut rng);
        Regime::of(seed, &mut settings);
        // A relay waits for everybody before each edit: it needs more time for as many of them.
        let (edits, count) = match settings.style {
            Style::Free => (3 + rng.below(20), 100 + rng.below(200)),
            Style::Relay => (30, 150 + rng.below(200)),
        };
        let steps = (0..count)
            .map(|_| Step::draw(&mut rng, &settings, edits))
            .collect();
        Self {
            seed,
            about: String::new(),
            settings,
            steps,
        }
    }
}

impl Step {
    fn draw(rng: &mut Rng, settings: &Settings, edits: u64) -> Self {
        let wait_ms = match rng.below(50) {
            0 => rng.below(600_000),
            _ => rng.below(2_500),
        };
        let act = Act::draw(rng, settings, edits);
        Self {
            luck: rng.draw(),
            wait_ms,
            act,
        }
    }
}

impl Act {
    fn draw(rng: &mut Rng, settings: &Settings, edits: u64) -> Self {
        let device = rng.index(settings.devices.len());
        let path = rng.index(settings.paths.len());
        if let Some(fault) = draw_moment(rng, &settings.rates) {
            return match fault {
                Fault::ForeignWrite if rng.chance(40) => Self::ForeignLook { path },
                Fault::ForeignWrite => Self::Foreign {
                    path,
                    deed: Deed::draw(rng, settings),
                },
                fault => Self::Fault { fault, device },
            };
        }
        if rng.chance(edits) {
            let deed = Deed::draw(rng, settings);
            return Self::Edit { device, path, deed };
        }
        if settings.rates.contains_key(&Fault::Restored) && rng.chance(3) {
            return Self::Image { device };
        }
        if settings.rates.contains_key(&Fault::HubRollback) && rng.chance(2) {
            return Self::Backup;
        }
        Self::Turn {
            device,
            deliver: u8::try_from(rng.below(6)).unwrap_or(0),
            look: Ask::draw(rng, 12),
            resume: Ask::draw(rng, 12),
            scan: Ask::draw(rng, 35),
        }
    }
}

fn draw_moment(rng: &mut Rng, rates: &Rates) -> Option<Fault> {
    let mut due = None;
    for fault in MOMENTS {
        if let Some(rate) = rates.get(&fault)
            && rng.below(1_000) < u64::from(*rate)
        {
            due = Some(fault);
        }
    }
    due
}
