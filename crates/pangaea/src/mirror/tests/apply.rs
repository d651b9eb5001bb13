//! Applying: what is put in place, what is refused, and that nothing of the user's is touched.

use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;

use super::*;

/// Everything that holds whichever way files are swapped.
fn in_both_ways(check: impl Fn(&Folder)) {
    for mode in [SwapMode::Exchange, SwapMode::TwoSteps] {
        let mut folder = Folder::new();
        folder.mirror.swap = mode;
        check(&folder);
    }
}

#[test]
fn files_are_made_replaced_and_deleted() {
    in_both_ways(|folder| {
        let (stamp, displaced) = done(folder.apply("a/b/c.txt", None, Some("one")));
        assert_eq!((stamp.unwrap().content, displaced), (hash("one"), None));
        assert_eq!(folder.read("a/b/c.txt"), "one");
        assert_eq!(folder.scan(), Scan::default(), "own writes are no edits");

        let (_, displaced) = done(folder.apply("a/b/c.txt", Some("one"), Some("")));
        let displaced = displaced.unwrap();
        assert_eq!((displaced.hash, displaced.size), (hash("one"), 3));
        assert_eq!(fs::read_to_string(&displaced.file).unwrap(), "one");
        assert_eq!(displaced.file.parent(), Some(folder.staging().as_path()));
        assert_eq!(folder.read("a/b/c.txt"), "");

        let (stamp, displaced) = done(folder.apply("a/b/c.txt", Some(""), None));
        assert_eq!(stamp, None);
        assert_eq!(fs::read_to_string(displaced.unwrap().file).unwrap(), "");
        assert!(!folder.exists("a"), "folders that became empty are gone");
        assert_eq!(folder.scan(), Scan::default());
        assert_eq!(folder.staged().len(), 2, "only what was displaced is left");
    });
}

#[test]
fn doing_it_again_changes_nothing() {
    in_both_ways(|folder| {
        done(folder.apply("a", None, Some("one")));
        let before = fs::metadata(folder.at("a")).unwrap();
        let (stamp, displaced) = done(folder.apply("a", None, Some("one")));
        assert_eq!((stamp.unwrap().content, displaced), (hash("one"), None));
        let (_, displaced) = done(folder.apply("a", Some("zero"), Some("one")));
        assert_eq!(displaced, None);
        let after = fs::metadata(folder.at("a")).unwrap();
        assert_eq!(
            (before.ino(), before.mtime_nsec()),
            (after.ino(), after.mtime_nsec())
        );
        done(folder.apply("a", Some("one"), None));
        assert_eq!(done(folder.apply("a", Some("one"), None)), (None, None));
        assert_eq!(done(folder.apply("never/was", None, None)), (None, None));
        // Something else's folder of that name is no file of that name.
        fs::create_dir(folder.at("a")).unwrap();
        assert_eq!(done(folder.apply("a", Some("one"), None)), (None, None));
        assert!(folder.exists("a"));
    });
}

#[test]
fn what_was_there_before_any_scan_is_adopted() {
    let folder = Folder::new();
    folder.write("a", "same");
    let (stamp, displaced) = done(folder.apply("a", None, Some("same")));
    assert_eq!((stamp.unwrap().content, displaced), (hash("same"), None));
    assert_eq!(lines(&folder.scan()), [""; 0]);
}

#[test]
fn edits_of_the_user_win() {
    in_both_ways(|folder| {
        done(folder.apply("a", None, Some("one")));
        folder.write("a", "mine");
        assert_eq!(
            folder.apply("a", Some("one"), Some("two")),
            Applied::Differs
        );
        assert_eq!(folder.apply("a", Some("one"), None), Applied::Differs);
        assert_eq!(folder.apply("a", None, Some("two")), Applied::Differs);
        assert_eq!(folder.read("a"), "mine");
        assert_eq!(folder.changes(), ["+a"], "the edit is still to be told");
        fs::remove_file(folder.at("a")).unwrap();
        assert_eq!(
            folder.apply("a", Some("mine"), Some("two")),
            Applied::Differs
        );
        assert_eq!(folder.changes(), ["-a"]);
        assert_eq!(folder.staged(), Vec::<PathBuf>::new());
    });
}

/// Looks, lets the user act, and only then swaps: as if both happened in one moment.
fn swap_after(folder: &Folder, task: &ApplyTask, user: impl FnOnce()) -> swap::Swapped {
    let root = folder.mirror.root().unwrap();
    let (disk, step) = folder
        .mirror
        .look(&root, &mut folder.mirror.lock(), task)
        .unwrap();
    let bench = stage::Bench::staging(&folder.staging()).unwrap();
    let staged = task.to.as_ref().map(|(hash, body)| {
        let made = &folder.mirror.made;
        stage::stage(&bench, made, &task.path, *hash, body, stage::Durable::Later).unwrap()
    });
    let (opened, _) = root.make_folder(disk::split(&disk).0).unwrap();
    user();
    let swap = folder.mirror.swap(&root, &bench, &opened, &disk);
    match (step, staged) {
        (crate::mirror::apply::Step::Create, Some(staged)) => swap.create(staged).unwrap(),
        (crate::mirror::apply::Step::Replace(current), Some(staged)) => {
            swap.replace(staged, &current).unwrap()
        }
        (crate::mirror::apply::Step::Delete(current), None) => swap.delete(&current).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_edit_in_the_last_moment_is_put_back() {
    in_both_ways(|folder| {
        done(folder.apply("a", None, Some("one")));
        // Written over, as some editors do, and replaced, as others do.
        let write_over = || fs::write(folder.at("a"), "two").unwrap();
        let replace = || {
            folder.write("b", "six");
            fs::rename(folder.at("b"), folder.at("a")).unwrap();
        };
        let edits: [(&str, &dyn Fn()); 2] = [("two", &write_over), ("six", &replace)];
        for (content, edit) in edits {
            for to in [Some("hub"), None] {
                fs::remove_file(folder.at("a")).unwrap();
                folder.scan();
                done(folder.apply("a", None, Some("one")));
                let swapped = swap_after(folder, &task("a", Some("one"), to), edit);
                assert!(matches!(swapped, swap::Swapped::Differs), "{swapped:?}");
                assert_eq!(folder.read("a"), content);
                assert_eq!(folder.changes(), ["+a"]);
            }
        }
        assert_eq!(folder.staged(), Vec::<PathBuf>::new());
    });
}

#[test]
fn deletes_and_new_files_in_the_last_moment_stay() {
    in_both_ways(|folder| {
        let swapped = swap_after(folder, &task("a", None, Some("hub")), || {
            folder.write("a", "mine");
        });
        assert!(matches!(swapped, swap::Swapped::Differs), "{swapped:?}");
        assert_eq!(
            (folder.read("a"), folder.changes()),
            ("mine".into(), vec!["+a".into()])
        );
        for to in [Some("hub"), None] {
            let swapped = swap_after(folder, &task("a", Some("mine"), to), || {
                fs::remove_file(folder.at("a")).unwrap();
            });
            assert!(matches!(swapped, swap::Swapped::Differs), "{swapped:?}");
            assert!(!folder.exists("a"));
            folder.write("a", "mine");
        }
        // A folder came in the place of the file: it comes back with all that is in it.
        let swapped = swap_after(folder, &task("a", Some("mine"), Some("hub")), || {
            fs::remove_file(folder.at("a")).unwrap();
            folder.write("a/b", "deep");
        });
        assert!(matches!(swapped, swap::Swapped::Differs), "{swapped:?}");
        assert_eq!(folder.read("a/b"), "deep");
        assert_eq!(folder.staged(), Vec::<PathBuf>::new());
    });
}

#[test]
fn the_same_content_saved_in_the_last_moment_counts_as_expected() {
    in_both_ways(|folder| {
        done(folder.apply("a", None, Some("one")));
        let swapped = swap_after(folder, &task("a", Some("one"), Some("two")), || {
            fs::write(folder.at("a"), "one").unwrap();
        });
        assert!(matches!(swapped, swap::Swapped::Done { .. }), "{swapped:?}");
        assert_eq!(folder.read("a"), "two");
    });
}

#[test]
fn the_mode_of_a_file_outlives_its_content() {
    in_both_ways(|folder| {
        done(folder.apply("run.sh", None, Some("one")));
        fs::set_permissions(folder.at("run.sh"), fs::Permissions::from_mode(0o750)).unwrap();
        done(folder.apply("run.sh", Some("one"), Some("two")));
        let mode = fs::metadata(folder.at("run.sh"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o750);
    });
}

#[test]
fn content_comes_from_files_as_well() {
    let folder = Folder::new();
    let source = folder.at(".pangaea/blob");
    fs::write(&source, "large").unwrap();
    let to = Some((
        hash("large"),
        Body::File {
            path: source.clone(),
            size: 5,
        },
    ));
    let outside = ApplyTask {
        path: path("a"),
        expected: None,
        to,
    };
    done(folder.mirror.apply(&outside, &folder.staging()).unwrap());
    assert_eq!(folder.read("a"), "large");
    assert_eq!(fs::metadata(folder.at("a")).unwrap().nlink(), 1);
    assert!(source.exists(), "a file outside of staging is copied");

    let source = folder.staging().join("download");
    fs::write(&source, "large").unwrap();
    fs::set_permissions(&source, fs::Permissions::from_mode(0o600)).unwrap();
    let inode = fs::metadata(&source).unwrap().ino();
    let to = Some((
        hash("large"),
        Body::File {
            path: source.clone(),
            size: 5,
        },
    ));
    let staged = ApplyTask {
        path: path("b"),
        expected: None,
        to,
    };
    done(folder.mirror.apply(&staged, &folder.staging()).unwrap());
    let meta = fs::metadata(folder.at("b")).unwrap();
    assert_eq!((meta.ino(), meta.nlink()), (inode, 1), "moved, not copied");
    assert_eq!(meta.mode(), fs::metadata(folder.at("a")).unwrap().mode());
    assert!(!source.exists());
    assert_eq!(folder.scan(), Scan::default());

    // A file with another name somewhere must not be shared with the user.
    fs::write(&source, "shared").unwrap();
    fs::hard_link(&source, folder.at(".pangaea/second")).unwrap();
    let to = Some((
        hash("shared"),
        Body::File {
            path: source.clone(),
            size: 6,
        },
    ));
    let shared = ApplyTask {
        path: path("c"),
        expected: None,
        to,
    };
    done(folder.mirror.apply(&shared, &folder.staging()).unwrap());
    assert_eq!(fs::metadata(folder.at("c")).unwrap().nlink(), 1);
}

#[test]
fn damaged_content_never_reaches_the_folder() {
    let folder = Folder::new();
    done(folder.apply("a", None, Some("one")));
    let inside = folder.staging().join("download");
    let outside = folder.at(".pangaea/blob");
    fs::write(&inside, "torn!").unwrap();
    fs::write(&outside, "torn!").unwrap();
    let size = 5;
    for torn in [
        body("torn!"),
        Body::File {
            path: inside.clone(),
            size,
        },
        Body::File {
            path: outside.clone(),
            size,
        },
        Body::File {
            path: outside,
            size: 2,
        },
    ] {
        let to = Some((hash("whole"), torn));
        let task = ApplyTask {
            path: path("a"),
            expected: Some(hash("one")),
            to,
        };
        let error = folder.mirror.apply(&task, &folder.staging()).unwrap_err();
        assert!(matches!(error, MirrorError::WrongContent { .. }), "{error}");
        assert_eq!(folder.read("a"), "one");
    }
    assert_eq!(
        folder.staged(),
        [inside],
        "the caller's file is the caller's"
    );
}

#[test]
fn files_and_folders_in_the_way_are_refused_with_words() {
    in_both_ways(|folder| {
        folder.write("file", "x");
        folder.write("folder/inside", "y");
        folder.scan();
        let reason = refusal(folder.apply("file/below", None, Some("new")));
        assert!(reason.contains("file should be a folder"), "{reason}");
        let reason = refusal(folder.apply("file/very/far/below", None, Some("new")));
        assert!(reason.contains("should be a folder"), "{reason}");
        let reason = refusal(folder.apply("folder", None, Some("new")));
        assert!(reason.contains("folder of this name"), "{reason}");
        assert_eq!(
            done(folder.apply("file/below", Some("old"), None)),
            (None, None)
        );
        assert_eq!(
            (folder.read("file"), folder.read("folder/inside")),
            ("x".into(), "y".into())
        );
        assert_eq!(folder.staged(), Vec::<PathBuf>::new());
    });
}

#[test]
fn batches_delete_before_they_write() {
    let folder = Folder::new();
    folder.write("a", "was a file");
    folder.write("b/c", "was below a folder");
    folder.scan();
    let mut tasks = vec![
        task("a/x", None, Some("now below a folder")),
        task("b", None, Some("now a file")),
        task("b/c", Some("was below a folder"), None),
        task("a", Some("was a file"), None),
        task("b2", Some("never there"), Some("x")),
    ];
    for number in 0..20 {
        tasks.push(task(&format!("more/{number}"), None, Some("more")));
    }
    let answers = folder
        .mirror
        .apply_batch(&tasks, &folder.staging())
        .unwrap();
    assert_eq!(answers.len(), tasks.len());
    for (task, answer) in tasks.iter().zip(answers) {
        let applied = answer.unwrap();
        if task.path.as_str() == "b2" {
            assert_eq!(applied, Applied::Differs);
        } else {
            let (stamp, _) = done(applied);
            let content = stamp.map(|stamp| stamp.content);
            assert_eq!(
                content,
                task.to.as_ref().map(|(hash, _)| *hash),
                "{}",
                task.path
            );
        }
    }
    assert_eq!(
        (folder.read("a/x"), folder.read("b")),
        ("now below a folder".into(), "now a file".into())
    );
    assert_eq!(folder.scan(), Scan::default());
    folder.mirror.sync_to_disk().unwrap();
}

#[test]
fn one_bad_task_does_not_stop_a_batch() {
    let folder = Folder::new();
    let bad = ApplyTask {
        path: path("bad"),
        expected: None,
        to: Some((hash("whole"), body("torn"))),
    };
    let tasks = [task("a", None, Some("x")), bad, task("z", None, Some("y"))];
    let answers = folder
        .mirror
        .apply_batch(&tasks, &folder.staging())
        .unwrap();
    let good: Vec<bool> = answers.iter().map(Result::is_ok).collect();
    assert_eq!(good, [true, false, true]);
    assert_eq!(folder.read("z"), "y");
}

#[test]
fn folders_that_are_not_empty_stay() {
    let folder = Folder::new();
    folder.write(".pangaeaignore", "*.log\n");
    folder.write("d/e/a", "one");
    folder.write("d/e/kept.log", "log");
    folder.write("f/a", "one");
    folder.write("f/b", "two");
    folder.scan();
    done(folder.apply("d/e/a", Some("one"), None));
    done(folder.apply("f/a", Some("one"), None));
    assert_eq!(
        (folder.read("d/e/kept.log"), folder.read("f/b")),
        ("log".into(), "two".into())
    );
    done(folder.apply("f/b", Some("two"), None));
    assert!(!folder.exists("f") && folder.root.path().exists());
}

#[test]
fn content_of_many_files_arrives_quickly() {
    let folder = Folder::new();
    let tasks: Vec<_> = (0..2_000)
        .map(|number| {
            task(
                &format!("d{}/f{number}", number % 20),
                None,
                Some("content of a file"),
            )
        })
        .collect();
    let started = std::time::Instant::now();
    let answers = folder
        .mirror
        .apply_batch(&tasks, &folder.staging())
        .unwrap();
    println!("batch of 2,000 new files: {:?}", started.elapsed());
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Ok(Applied::Done { .. })))
    );
    assert_eq!(
        folder.scan(),
        Scan::default(),
        "none of them has to be read again"
    );
}

#[test]
fn a_staging_folder_on_another_disk_works_as_well() {
    let Ok(elsewhere) = TempDir::new_in("/dev/shm") else {
        return;
    };
    in_both_ways(|folder| {
        let device = |path: &Path| fs::metadata(path).unwrap().dev();
        if device(elsewhere.path()) == device(folder.root.path()) {
            return;
        }
        let apply = |expected, to| {
            let task = task("d/a", expected, to);
            done(folder.mirror.apply(&task, elsewhere.path()).unwrap())
        };
        apply(None, Some("one"));
        fs::set_permissions(folder.at("d/a"), fs::Permissions::from_mode(0o750)).unwrap();
        let (_, displaced) = apply(Some("one"), Some("two"));
        let displaced = displaced.unwrap().file;
        assert_eq!(displaced.parent(), Some(elsewhere.path()));
        assert_eq!(fs::read_to_string(displaced).unwrap(), "one");
        assert_eq!(
            fs::metadata(folder.at("d/a")).unwrap().mode() & 0o777,
            0o750
        );
        assert_eq!(folder.read("d/a"), "two");
        let beside: Vec<_> = fs::read_dir(folder.at("d")).unwrap().collect();
        assert_eq!(
            beside.len(),
            1,
            "nothing is left beside the file: {beside:?}"
        );

        folder.write("d/a", "mine");
        let task = task("d/a", Some("two"), None);
        let applied = folder.mirror.apply(&task, elsewhere.path()).unwrap();
        assert_eq!(applied, Applied::Differs);
        let (_, displaced) = apply(Some("mine"), None);
        assert_eq!(fs::read_to_string(displaced.unwrap().file).unwrap(), "mine");
        assert!(!folder.exists("d"));
    });
}
