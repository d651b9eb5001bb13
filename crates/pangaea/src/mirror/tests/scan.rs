//! Scans: what is found, what is not mistaken for a delete, and how fast.

use std::time::Instant;
use std::time::SystemTime;

use super::*;

#[test]
fn edits_and_deletes_are_found_once() {
    let folder = Folder::new();
    folder.write("b.txt", "two");
    folder.write("a/b/c.json", "{}");
    folder.write("empty", "");
    assert_eq!(folder.changes(), ["+a/b/c.json", "+b.txt", "+empty"]);
    assert_eq!(folder.changes(), [""; 0]);

    folder.write("b.txt", "TWO");
    fs::remove_dir_all(folder.at("a")).unwrap();
    assert_eq!(folder.changes(), ["-a/b/c.json", "+b.txt"]);
    fs::rename(folder.at("b.txt"), folder.at("z.txt")).unwrap();
    assert_eq!(folder.changes(), ["-b.txt", "+z.txt"]);
    assert_eq!(folder.changes(), [""; 0]);
}

#[test]
fn small_files_come_along_with_type_and_bytes() {
    let folder = Folder::new();
    folder.write("a.json", "{}");
    folder.write("b", &"x".repeat(1024 * 1024 + 1));
    folder.write("c", "");
    let scan = folder.scan();
    let found: Vec<_> = scan
        .changes
        .iter()
        .map(|change| match change {
            Change::Written {
                media_type,
                bytes,
                size,
                ..
            } => (
                media_type.as_str(),
                bytes.as_ref().map(|bytes| bytes.len()),
                *size,
            ),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        found,
        [
            ("application/json; charset=utf-8", Some(2), 2),
            ("text/plain; charset=utf-8", None, 1024 * 1024 + 1),
            ("text/plain; charset=utf-8", Some(0), 0),
        ]
    );
    assert_eq!(scan.changes[2].path(), &path("c"));
}

#[test]
fn one_answer_carries_only_so_much() {
    let folder = Folder::new();
    let content = "x".repeat(1024 * 1024);
    for number in 0..18 {
        folder.write(&format!("f{number:02}"), &content);
    }
    let scan = folder.scan();
    let carried = scan
        .changes
        .iter()
        .filter(|change| matches!(change, Change::Written { bytes: Some(_), .. }))
        .count();
    assert_eq!((scan.changes.len(), carried), (18, 16));
}

/// Writes a file and reads it at once: within a tenth of a second, if not always the first time.
fn scan_racy(folder: &Folder) {
    for _ in 0..1_000 {
        folder.mirror.forget([&path("a")]);
        folder.write("a", "one");
        match folder.scan().changes.as_slice() {
            [Change::Written { stamp, .. }] if stamp.racy => return,
            [Change::Written { .. }] => {}
            other => panic!("{other:?}"),
        }
    }
    panic!("no file was ever found to be racy");
}

#[test]
fn racy_files_are_read_again_until_they_are_certain() {
    let folder = Folder::new();
    folder.write("a", "one");
    let scan = folder.scan();
    let Change::Written { stamp, .. } = &scan.changes[0] else {
        panic!("{scan:?}")
    };
    assert!(
        stamp.racy,
        "the file was read within a tenth of a second of its making"
    );
    folder.settle();
    let scan = folder.scan();
    match scan.changes.as_slice() {
        [
            Change::Touched {
                path: touched,
                stamp,
            },
        ] => {
            assert_eq!((touched, stamp.racy), (&path("a"), false));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(folder.scan(), Scan::default());
}

#[test]
fn a_write_that_leaves_the_same_times_is_found_by_reading_again() {
    let folder = Folder::new();
    scan_racy(&folder);
    // The same size and, as far as a stamp can tell, the same moment.
    folder.write("a", "two");
    let mut state = folder.mirror.lock();
    let meta = disk::meta_of(fs::File::open(folder.at("a")).unwrap()).unwrap();
    let stamp = &mut state.stamps.get_mut("a").unwrap().stamp;
    (stamp.mtime_ns, stamp.ctime_ns) = (meta.mtime_ns, meta.ctime_ns);
    drop(state);
    assert_eq!(folder.changes(), ["+a"]);
}

#[test]
fn a_content_time_set_back_hides_nothing() {
    let folder = Folder::new();
    folder.write("a", "one");
    let times = fs::metadata(folder.at("a")).unwrap().modified().unwrap();
    folder.settle();
    folder.scan();
    folder.write("a", "two");
    fs::File::open(folder.at("a"))
        .unwrap()
        .set_modified(times)
        .unwrap();
    assert_eq!(folder.changes(), ["+a"]);
}

#[test]
fn new_times_alone_are_no_edit() {
    let folder = Folder::new();
    folder.write("a", "one");
    folder.settle();
    folder.scan();
    fs::File::open(folder.at("a"))
        .unwrap()
        .set_modified(SystemTime::UNIX_EPOCH)
        .unwrap();
    let scan = folder.scan();
    assert!(
        matches!(scan.changes.as_slice(), [Change::Touched { .. }]),
        "{scan:?}"
    );
}

#[test]
fn stamps_survive_a_restart() {
    let folder = Folder::new();
    folder.write("a", "one");
    folder.write("b", "two");
    folder.settle();
    let stored: Vec<_> = folder
        .scan()
        .changes
        .iter()
        .map(|change| match change {
            Change::Written { path, stamp, .. } => (path.clone(), stamp.encode()),
            other => panic!("{other:?}"),
        })
        .collect();
    fs::remove_file(folder.at("b")).unwrap();
    let again = Mirror::open(folder.root.path(), MirrorOptions::default()).unwrap();
    again.load_stamps(stored.clone()).unwrap();
    let changes = again.scan(Scope::All).unwrap().changes;
    assert_eq!(changes, [Change::Deleted { path: path("b") }]);
    again.forget([&path("a")]);
    assert_eq!(lines(&again.scan(Scope::All).unwrap()), ["+a"]);

    let damaged = vec![stored[0].clone(), (path("b"), vec![9])];
    let error = again.load_stamps(damaged).unwrap_err().to_string();
    assert!(error.contains("format 9"), "{error}");
    assert!(again.stamp(&path("a")).is_some(), "nothing was taken over");
}

#[test]
fn a_folder_that_is_not_there_deletes_nothing() {
    let folder = Folder::new();
    folder.write("a", "one");
    folder.scan();
    fs::rename(folder.at(".pangaea"), folder.at("elsewhere")).unwrap();
    fs::remove_file(folder.at("a")).unwrap();
    let error = folder.mirror.scan(Scope::All).unwrap_err();
    assert!(matches!(error, MirrorError::Missing { .. }), "{error}");
    assert!(error.to_string().contains("connect that disk"), "{error}");
    let applied = folder
        .mirror
        .apply(&task("b", None, Some("x")), &folder.at("elsewhere"));
    assert!(
        matches!(applied, Err(MirrorError::Missing { .. })),
        "{applied:?}"
    );
    assert!(matches!(
        folder.mirror.sync_to_disk(),
        Err(MirrorError::Missing { .. })
    ));
    let open = Mirror::open(folder.root.path(), MirrorOptions::default());
    assert!(matches!(open, Err(MirrorError::Missing { .. })), "{open:?}");
    let open = Mirror::open(Path::new("/nonexistent"), MirrorOptions::default());
    assert!(matches!(open, Err(MirrorError::Missing { .. })), "{open:?}");

    fs::rename(folder.at("elsewhere"), folder.at(".pangaea")).unwrap();
    assert_eq!(folder.changes(), ["-a"]);
}

#[test]
fn what_cannot_be_read_is_refused_and_not_deleted() {
    let folder = Folder::new();
    folder.write("d/a", "one");
    folder.write("d/e/b", "two");
    folder.write("f", "three");
    folder.scan();
    folder.mirror.lock().unreadable.insert("d".into());
    fs::remove_file(folder.at("d/a")).unwrap();
    fs::remove_file(folder.at("f")).unwrap();
    let scan = folder.scan();
    assert_eq!(lines(&scan), ["-f"]);
    assert_eq!(names(&scan.refused), ["d"]);
    assert!(
        scan.refused[0].reason.contains("permissions"),
        "{:?}",
        scan.refused
    );
    folder.mirror.lock().unreadable.clear();
    assert_eq!(folder.changes(), ["-d/a"]);
}

#[test]
fn a_file_in_place_of_a_folder_and_back() {
    let folder = Folder::new();
    folder.write("d/a", "one");
    folder.scan();
    fs::remove_dir_all(folder.at("d")).unwrap();
    folder.write("d", "file");
    assert_eq!(folder.changes(), ["+d", "-d/a"]);
    fs::remove_file(folder.at("d")).unwrap();
    folder.write("d/a", "one");
    assert_eq!(folder.changes(), ["-d", "+d/a"]);
}

#[test]
fn scans_of_some_paths_look_at_nothing_else() {
    let folder = Folder::new();
    for name in ["a/x", "a/y", "ab", "b/c/z", "c"] {
        folder.write(name, "one");
    }
    assert_eq!(lines(&folder.scan_paths(&["a/x", "b"])), ["+a/x", "+b/c/z"]);
    assert_eq!(lines(&folder.scan_paths(&["a", "nothing/here"])), ["+a/y"]);
    assert_eq!(folder.changes(), ["+ab", "+c"]);
    for name in ["a/x", "b/c/z", "c"] {
        fs::remove_file(folder.at(name)).unwrap();
    }
    assert_eq!(lines(&folder.scan_paths(&["b", "a/y"])), ["-b/c/z"]);
    fs::remove_dir_all(folder.at("a")).unwrap();
    assert_eq!(lines(&folder.scan_paths(&["a/x"])), ["-a/x"]);
    assert_eq!(folder.changes(), ["-a/y", "-c"]);
    assert_eq!(folder.scan_paths(&[]), Scan::default());
}

#[test]
fn the_replicas_own_files_are_never_looked_at() {
    let folder = Folder::new();
    folder.write(".pangaea/state.db", "x");
    folder.write("d/.pangaea/other", "x");
    folder.write("d/.pangaea-tmp-new-1", "x");
    assert_eq!(folder.scan(), Scan::default());
    assert_eq!(
        folder.scan_paths(&[".pangaea/state.db", "d"]),
        Scan::default()
    );
}

#[test]
fn what_lies_too_deep_is_refused_at_once() {
    let folder = Folder::new();
    let mut place = folder.root.path().to_owned();
    // Beyond what one path can name, so each step from the one before.
    let deep = "d/".repeat(89);
    folder.write(&format!("{deep}fits"), "x");
    folder.write(&format!("{deep}d/too-deep"), "x");
    place.push(deep.trim_end_matches('/'));
    for _ in 0..900 {
        place.push("d");
    }
    fs::create_dir_all(&place).unwrap();
    let scan = folder.scan();
    assert_eq!(lines(&scan), [format!("+{deep}fits")]);
    assert_eq!(names(&scan.refused), [format!("{deep}d")]);
    assert!(
        scan.refused[0].reason.contains("deep"),
        "{:?}",
        scan.refused
    );
}

#[test]
fn pipes_and_sockets_are_noted() {
    let folder = Folder::new();
    folder.write("was-a-file", "x");
    folder.scan();
    fs::remove_file(folder.at("was-a-file")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.at("was-a-file")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        folder.at("pipe"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let scan = folder.scan();
    assert_eq!(
        lines(&scan),
        [""; 0],
        "a file that gave way to a socket is left alone"
    );
    assert_eq!(names(&scan.notes), ["pipe", "was-a-file"]);
    let reason = refusal(folder.apply("pipe", None, Some("x")));
    assert!(reason.contains("pipe"), "{reason}");
}

#[test]
fn content_is_handed_out_only_if_it_is_still_there() {
    let folder = Folder::new();
    let large = "y".repeat(5 * 1024 * 1024);
    folder.write("small", "one");
    folder.write("large", &large);
    folder.settle();
    folder.scan();
    let content = |name: &str, hash| folder.mirror.content(&path(name), hash).unwrap();
    match content("small", hash("one")) {
        Some(Body::Bytes(bytes)) => assert_eq!(&*bytes, b"one"),
        other => panic!("{other:?}"),
    }
    match content("large", hash(&large)) {
        Some(Body::File { path, size }) => {
            assert_eq!(fs::read_to_string(path).unwrap(), large);
            assert_eq!(size, large.len() as u64);
        }
        other => panic!("{other:?}"),
    }
    assert!(content("small", hash("two")).is_none());
    assert!(content("nothing", hash("one")).is_none());
    folder.write("small", "two");
    folder.write("large", &large.replacen('y', "z", 1));
    assert!(content("small", hash("one")).is_none());
    assert!(content("large", hash(&large)).is_none());
    fs::remove_file(folder.at("small")).unwrap();
    assert!(content("small", hash("one")).is_none());
}

#[test]
fn a_file_that_does_not_hold_still_waits_for_the_next_scan() {
    let folder = Folder::new();
    folder.write("a", "");
    let place = folder.at("a");
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stop = &stop;
        scope.spawn(move || {
            let mut file = fs::OpenOptions::new().append(true).open(place).unwrap();
            let piece = vec![b'x'; 64 * 1024];
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                std::io::Write::write_all(&mut file, &piece).unwrap();
                if file.metadata().unwrap().len() > 64 * 1024 * 1024 {
                    file.set_len(0).unwrap();
                }
            }
        });
        // Whatever was found was one state of the file, whole.
        for _ in 0..20 {
            for change in folder.scan().changes {
                if let Change::Written {
                    size,
                    bytes: Some(bytes),
                    content,
                    ..
                } = change
                {
                    assert_eq!(size, bytes.len() as u64);
                    assert_eq!(content, ContentHash::of(&bytes));
                }
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    folder.scan();
    let content = fs::read(folder.at("a")).unwrap();
    let stamp = folder.mirror.stamp(&path("a")).unwrap();
    assert_eq!(stamp.content, ContentHash::of(&content));
}

#[test]
fn ten_thousand_unchanged_files_take_no_time() {
    let folder = Folder::new();
    for number in 0..10_000 {
        let name = format!("dir{}/sub{}/file-{number}.txt", number % 10, number % 100);
        folder.write(&name, "content");
    }
    let started = Instant::now();
    assert_eq!(folder.scan().changes.len(), 10_000);
    println!("first scan of 10,000 files: {:?}", started.elapsed());
    folder.settle();
    folder.scan();
    let mut times: Vec<_> = (0..9)
        .map(|_| {
            let started = Instant::now();
            assert_eq!(folder.scan(), Scan::default());
            started.elapsed()
        })
        .collect();
    times.sort();
    println!(
        "scan of 10,000 unchanged files: median {:?}, best {:?}",
        times[4], times[0]
    );
    // Reading them would take several times that, even on a busy machine.
    assert!(times[0].as_millis() < 250, "{times:?}");
}
