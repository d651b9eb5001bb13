//! Watching a real folder.

use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

fn quick() -> WatchOptions {
    WatchOptions {
        quiet: Duration::from_millis(30),
        ..WatchOptions::default()
    }
}

fn watch(folder: &Folder) -> (Watch, mpsc::Receiver<FolderEvent>) {
    let (sender, events) = mpsc::channel();
    let tell = move |event| sender.send(event).unwrap_or_default();
    (folder.mirror.watch(quick(), tell).unwrap(), events)
}

/// Scans what is told until everything wanted was found.
fn found(folder: &Folder, events: &mpsc::Receiver<FolderEvent>, wanted: &[&str]) {
    let until = Instant::now() + PATIENCE;
    let mut missing: Vec<&str> = wanted.to_vec();
    while !missing.is_empty() {
        let left = until.saturating_duration_since(Instant::now());
        let event = events
            .recv_timeout(left)
            .unwrap_or_else(|_| panic!("not told: {missing:?}"));
        let scan = match event {
            FolderEvent::Paths(paths) => folder.mirror.scan(Scope::Paths(&paths)).unwrap(),
            FolderEvent::Everything => folder.scan(),
            FolderEvent::Polling(reason) => panic!("{reason}"),
        };
        let lines = lines(&scan);
        missing.retain(|line| !lines.iter().any(|found| found == line));
    }
}

#[test]
fn everything_that_happens_is_told() {
    let folder = Folder::new();
    folder.write("old/deep/a", "one");
    folder.write("top", "one");
    folder.scan();
    let (_watch, events) = watch(&folder);
    folder.write("old/deep/a", "two");
    folder.write("top", "two");
    found(&folder, &events, &["+old/deep/a", "+top"]);
    folder.write("new/very/deep/b", "one");
    found(&folder, &events, &["+new/very/deep/b"]);
    folder.write("new/very/deep/b", "two");
    found(&folder, &events, &["+new/very/deep/b"]);
    fs::rename(folder.at("new"), folder.at("renamed")).unwrap();
    found(
        &folder,
        &events,
        &["-new/very/deep/b", "+renamed/very/deep/b"],
    );
    folder.write("renamed/very/deep/b", "three");
    found(&folder, &events, &["+renamed/very/deep/b"]);
    fs::remove_dir_all(folder.at("old")).unwrap();
    fs::remove_file(folder.at("top")).unwrap();
    found(&folder, &events, &["-old/deep/a", "-top"]);
    folder.write("old/again", "back");
    found(&folder, &events, &["+old/again"]);
}

#[test]
fn the_replicas_own_state_and_reading_are_not_told() {
    let folder = Folder::new();
    folder.write("a", "one");
    folder.scan();
    let (_watch, events) = watch(&folder);
    for number in 0..50 {
        folder.write(&format!(".pangaea/staging/{number}"), "x");
        folder.mirror.forget([&path("a")]);
        folder.scan();
    }
    // The only thing told is what came last.
    folder.write("b", "one");
    let event = events.recv_timeout(PATIENCE).unwrap();
    assert_eq!(event, FolderEvent::Paths(vec![path("b")]));
}

#[test]
fn own_writes_are_told_and_found_to_be_nothing() {
    let folder = Folder::new();
    let (_watch, events) = watch(&folder);
    done(folder.apply("a", None, Some("one")));
    match events.recv_timeout(PATIENCE).unwrap() {
        FolderEvent::Paths(paths) => {
            assert_eq!(
                folder.mirror.scan(Scope::Paths(&paths)).unwrap(),
                Scan::default()
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_watch_ends_when_it_is_dropped() {
    let folder = Folder::new();
    let (watch, events) = watch(&folder);
    drop(watch);
    // The thread goes, and with it the sender.
    assert_eq!(
        events.recv_timeout(PATIENCE),
        Err(mpsc::RecvTimeoutError::Disconnected)
    );
}

#[test]
fn where_nothing_can_be_watched_it_is_looked_through_at_intervals() {
    let folder = Folder::new();
    let (sender, events) = mpsc::channel();
    let options = WatchOptions {
        poll_interval: Duration::from_millis(10),
        ..quick()
    };
    let tell = move |event| sender.send(event).unwrap_or_default();
    let (_stop, inbox) = mpsc::channel();
    let mut watching =
        crate::mirror::watch::Watching::new(folder.root.path().into(), options, inbox, tell);
    let thread = std::thread::spawn(move || {
        watching.run(Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch)));
    });
    match events.recv_timeout(PATIENCE).unwrap() {
        FolderEvent::Polling(reason) => assert!(reason.contains("max_user_watches"), "{reason}"),
        other => panic!("{other:?}"),
    }
    for _ in 0..2 {
        assert_eq!(events.recv_timeout(PATIENCE), Ok(FolderEvent::Everything));
    }
    drop(_stop);
    thread.join().unwrap();
}
