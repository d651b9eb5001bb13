//! What a seed expands into.

use crate::fault::Faults;
use crate::hub::Deletes;
use crate::mutant::Mutant;
use crate::rng::Rng;

/// How the users of a world behave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Everybody edits whenever they like.
    Free,
    /// A path is edited only by a device that has the newest version of it, when nothing else is
    /// under way there. So there are no conflicts, and the end is known exactly.
    Relay,
}

/// The settings of one world.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many devices.
    pub devices: u8,
    /// Which paths users touch.
    pub paths: Vec<&'static str>,
    /// How many turns of chaos.
    pub turns: u32,
    /// Percent of turns in which a user edits.
    pub edits: u64,
    /// How users behave.
    pub style: Style,
    /// How the hub deletes.
    pub deletes: Deletes,
    /// How long tombstones stay, in milliseconds.
    pub tombstone_ms: u64,
    /// A planted bug.
    pub mutant: Option<Mutant>,
    /// What goes wrong how often.
    pub faults: Faults,
}

impl Settings {
    /// Draws settings.
    pub fn draw(rng: &mut Rng, mutant: Option<Mutant>) -> Self {
        let all = ["a.txt", "b.bin", "c.dat", "d/e.txt", "d"];
        let paths = all.iter().take(1 + rng.index(all.len())).copied().collect();
        let style = if rng.chance(30) {
            Style::Relay
        } else {
            Style::Free
        };
        // A relay waits for everybody before each edit: it needs more time for as many of them.
        let (edits, turns) = match style {
            Style::Free => (2 + rng.below(20), 60 + rng.below(200)),
            Style::Relay => (40, 150 + rng.below(250)),
        };
        Self {
            devices: 2 + u8::try_from(rng.below(2)).unwrap_or(0),
            paths,
            turns: u32::try_from(turns).unwrap_or(0),
            edits,
            style,
            deletes: if rng.chance(50) {
                Deletes::Conditional
            } else {
                Deletes::Tombstones
            },
            tombstone_ms: if rng.chance(70) {
                30 * 24 * 60 * 60 * 1_000
            } else {
                20_000
            },
            mutant,
            faults: Faults::draw(rng),
        }
    }
}
