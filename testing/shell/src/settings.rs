//! What a seed expands into.

use pangaea::hub::http::Features;

use crate::fault::Faults;
use pangaea_kit::random::Random;

/// A lie planted in the world, to know that the checks see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// Something in between answers a write with success and throws it away.
    WriteThrownAway,
    /// A device's store goes back to what it was some time ago, and nobody tells the device.
    StoreRolledBack,
}

impl Planted {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::WriteThrownAway, Self::StoreRolledBack];
}

/// Where a device remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// SQLite in a folder.
    Sqlite,
    /// The store without a disk, which outlives the device here.
    Ram,
}

/// The settings of one world.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The store of each device.
    pub devices: Vec<Memory>,
    /// Whether devices use what the hub announces.
    pub features: Features,
    /// Which paths users touch.
    pub paths: Vec<&'static str>,
    /// How many turns of chaos.
    pub turns: u64,
    /// A planted lie.
    pub planted: Option<Planted>,
    /// What goes wrong how often.
    pub faults: Faults,
}

impl Settings {
    /// Draws settings.
    pub fn draw(rng: &mut Random, planted: Option<Planted>) -> Self {
        let all = ["a.txt", "b.bin", "d/e.txt", "f.txt", "d/g.bin"];
        let paths = all[..1 + rng.index(all.len())].to_vec();
        let memory = |rng: &mut Random| match (planted, rng.below(3)) {
            (Some(Planted::StoreRolledBack), _) | (_, 0) => Memory::Ram,
            _ => Memory::Sqlite,
        };
        let count = 2 + rng.below(2);
        let plain = rng.chance(400) || planted == Some(Planted::WriteThrownAway);
        Self {
            devices: (0..count).map(|_| memory(rng)).collect(),
            features: if plain {
                Features::Ignored
            } else {
                Features::Announced
            },
            paths,
            turns: 5 + rng.below(15),
            planted,
            faults: Faults::draw(rng),
        }
    }
}
