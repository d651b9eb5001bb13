//! Replays what the fuzzers have found interesting, and what they once found wrong, without them.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use pangaea_fuzz_targets::TARGETS;

fn folder(kind: &str, target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz")
        .join(kind)
        .join(target)
}

/// Runs every input in a folder; how many there were.
fn replay(folder: &Path, run: fn(&[u8])) -> usize {
    let Ok(inputs) = fs::read_dir(folder) else {
        return 0;
    };
    let mut count = 0;
    for input in inputs {
        let path = input.expect("a folder that can be read").path();
        let bytes = fs::read(&path).expect("an input that can be read");
        // Shown if the target panics.
        eprintln!("{}", path.display());
        run(&bytes);
        count += 1;
    }
    count
}

#[test]
fn every_target_takes_its_corpus() {
    for (name, run) in TARGETS {
        let count = replay(&folder("corpus", name), run);
        assert!(count >= 5, "the corpus of {name} has {count} inputs only");
    }
}

#[test]
fn what_was_once_wrong_stays_right() {
    for (name, run) in TARGETS {
        replay(&folder("regressions", name), run);
    }
}

/// Each byte of each input changed, cut or doubled: a little fuzzing without a fuzzer.
#[test]
fn neighbours_of_the_corpus_are_taken_too() {
    for (name, run) in TARGETS {
        let Ok(inputs) = fs::read_dir(folder("corpus", name)) else {
            continue;
        };
        for input in inputs {
            let path = input.expect("a folder that can be read").path();
            let bytes = fs::read(path).expect("an input that can be read");
            // Cryptography makes some targets slow: a few places of each input.
            let step = (bytes.len() / 8).max(1);
            for at in (0..bytes.len()).step_by(step) {
                run(&bytes[..at]);
                let mut changed = bytes.clone();
                changed[at] ^= 0x20;
                run(&changed);
            }
        }
    }
}
