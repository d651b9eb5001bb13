//! An editor and the mirror at the same file at the same time: no content is ever lost.

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use super::*;

/// Contents that both sides wrote, and those that both sides took out again.
#[derive(Default)]
struct Ledger {
    written: BTreeSet<String>,
    taken_out: BTreeSet<String>,
}

/// Saves a file as careful editors do, and tells what was there: nothing that comes out may be
/// unknown.
fn edit(folder: &Folder, rounds: usize) -> Ledger {
    let mut ledger = Ledger::default();
    let place = fs::File::open(folder.root.path()).unwrap();
    let spot = |name| disk::Spot {
        folder: place.as_fd(),
        name: disk::os(name),
    };
    for round in 0..rounds {
        let content = format!("edit {round}");
        folder.write("draft", &content);
        if disk::exchange(spot("draft"), spot("a")).is_ok() {
            ledger.taken_out.insert(folder.read("draft"));
            ledger.written.insert(content);
        } else if disk::rename_new(spot("draft"), spot("a")).is_ok() {
            ledger.written.insert(content);
        }
        if round % 5 == 0 && disk::rename_new(spot("a"), spot("trash")).is_ok() {
            ledger.taken_out.insert(folder.read("trash"));
            fs::remove_file(folder.at("trash")).unwrap();
        }
    }
    ledger
}

/// Pulls over whatever is there, as a replica does after each scan.
fn pull(folder: &Folder, stop: &AtomicBool) -> Ledger {
    let mut ledger = Ledger::default();
    let mut round = 0;
    while !stop.load(Ordering::Relaxed) {
        folder.scan_paths(&["a"]);
        let expected = folder.mirror.stamp(&path("a")).map(|stamp| stamp.content);
        round += 1;
        let content = format!("pull {round}");
        let to = (round % 3 != 0).then(|| (hash(&content), body(&content)));
        let is_write = to.is_some();
        let task = ApplyTask {
            path: path("a"),
            expected,
            to,
        };
        match folder.mirror.apply(&task, &folder.staging()).unwrap() {
            Applied::Done { displaced, .. } => {
                if is_write {
                    ledger.written.insert(content);
                }
                let out = displaced.map(|displaced| {
                    let content = fs::read_to_string(&displaced.file).unwrap();
                    assert_eq!(
                        Some(hash(&content)),
                        expected,
                        "only what was expected gives way"
                    );
                    fs::remove_file(displaced.file).unwrap();
                    content
                });
                ledger.taken_out.extend(out);
            }
            Applied::Differs => {}
            other => panic!("{other:?}"),
        }
    }
    ledger
}

#[test]
fn nothing_is_lost_between_an_editor_and_the_mirror() {
    for mode in [SwapMode::Exchange, SwapMode::TwoSteps] {
        let mut folder = Folder::new();
        folder.mirror.swap = mode;
        folder.write(".pangaeaignore", "draft\ntrash\n");
        let stop = AtomicBool::new(false);
        let (edits, pulls) = std::thread::scope(|scope| {
            let puller = scope.spawn(|| pull(&folder, &stop));
            let edits = edit(&folder, 1_500);
            stop.store(true, Ordering::Relaxed);
            (edits, puller.join().unwrap())
        });
        let mut left: BTreeSet<String> = &edits.written | &pulls.written;
        assert!(
            !pulls.taken_out.is_empty() && !edits.taken_out.is_empty(),
            "they never met"
        );
        for out in edits.taken_out.iter().chain(&pulls.taken_out) {
            left.remove(out);
        }
        if folder.exists("a") {
            left.remove(&folder.read("a"));
        }
        // What stayed behind in staging, in two races within one moment, is not lost either.
        for file in folder.staged() {
            left.remove(&fs::read_to_string(file).unwrap());
        }
        assert_eq!(left, BTreeSet::new(), "{mode:?}");
    }
}
