//! A disk that lies. A real process runs under `strace`; [`trace`] reads what it did to the files
//! below a folder; [`disk`] says in which states a power cut at any moment can leave them: what was
//! synced is there, of the rest nothing, all, or any part. The tests open each state with the real
//! program.
//!
//! What is assumed of the file system: a rename is atomic; names change in the order of the calls,
//! as every journal keeps it, and are safe only once their folder or the file system was synced; of
//! data that was not synced any write may be missing, whatever came after it, and the last may be
//! torn. Not modelled: time stamps, wrong bits, memory maps (SQLite's `-shm` is left out: it is
//! made anew).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

pub mod disk;
pub mod trace;

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use pangaea_kit::random::Random;

use crate::disk::Recording;
use crate::disk::State;

/// Set to open every state, with so many random parts of what was not synced at each moment.
const SAMPLES_VARIABLE: &str = "PANGAEA_DISK_SAMPLES";
/// As many random parts without it.
const SAMPLES: u64 = 2;
/// Most states that are opened without it, evenly taken from all.
const STATES_MAX: usize = 150;

/// The states to open: all, or some of every part of the story.
pub fn chosen(recording: &Recording) -> Vec<State> {
    let mut random = Random::new(1);
    let draw = move |end: u64| random.below(end.max(1));
    let asked = std::env::var(SAMPLES_VARIABLE).map(|text| text.parse().unwrap());
    let states = recording.states(asked.clone().unwrap_or(SAMPLES), draw);
    let step = match asked {
        Ok(_) => 1,
        Err(_) => states.len().div_ceil(STATES_MAX).max(1),
    };
    let (events, count) = (recording.len(), states.len());
    eprintln!("{events} events, {count} states, one in {step} is opened");
    states.into_iter().step_by(step).collect()
}

/// The recording must lead to what is really there: else the model knows too little.
pub fn check_model(recording: &Recording, folder: &Path) {
    let real = Recording::new(folder).unwrap();
    for path in files_below(folder) {
        if path.to_string_lossy().ends_with("-shm") {
            continue;
        }
        let (real, model) = (real.end().content(&path), recording.end().content(&path));
        assert!(real == model, "{} is not as recorded", path.display());
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else {
            files.push(path);
        }
    }
    files
}
