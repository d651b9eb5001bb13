//! Ignore rules in a real folder.

use super::*;

#[test]
fn ignored_files_are_neither_scanned_nor_written() {
    let folder = Folder::new();
    folder.write(".pangaeaignore", "*.log\nbuild/\n!keep.log\n");
    folder.write("d/.pangaeaignore", "!special.log\n/secret\n");
    for name in [
        "a.log",
        "build/x",
        "d/build/y",
        "d/special.log",
        "d/secret",
        "keep.log",
        "secret",
    ] {
        folder.write(name, "x");
    }
    folder.write("d/.DS_Store", "x");
    let scan = folder.scan();
    assert_eq!(
        lines(&scan),
        [
            "+.pangaeaignore",
            "+d/.pangaeaignore",
            "+d/special.log",
            "+keep.log",
            "+secret"
        ]
    );
    assert!(scan.rules_changed && scan.notes.is_empty() && scan.refused.is_empty());
    for name in [
        "new.log",
        "build/new",
        "build/deep/new",
        "d/secret",
        ".DS_Store",
        ".pangaea/x",
    ] {
        assert_eq!(
            folder.apply(name, None, Some("hub")),
            Applied::Ignored,
            "{name}"
        );
        assert_eq!(
            folder.apply(name, Some("x"), None),
            Applied::Ignored,
            "{name}"
        );
    }
    assert_eq!(folder.read("d/secret"), "x");
    done(folder.apply("d/e/special.log", None, Some("hub")));
    assert!(!folder.scan().rules_changed);
}

#[test]
fn a_synced_file_that_becomes_ignored_is_left_alone() {
    let folder = Folder::new();
    folder.write("a.log", "one");
    folder.write("d/b.log", "two");
    folder.scan();
    folder.write(".pangaeaignore", "*.log\n");
    let scan = folder.scan();
    assert_eq!(
        (lines(&scan), scan.rules_changed),
        (vec!["+.pangaeaignore".into()], true)
    );
    folder.write("a.log", "changed");
    fs::remove_dir_all(folder.at("d")).unwrap();
    folder.write("d/b.log", "changed");
    assert_eq!(folder.changes(), [""; 0]);
    assert_eq!(
        folder.apply("a.log", Some("one"), Some("hub")),
        Applied::Ignored
    );

    fs::remove_file(folder.at(".pangaeaignore")).unwrap();
    let scan = folder.scan();
    assert_eq!(lines(&scan), ["-.pangaeaignore", "+a.log", "+d/b.log"]);
    assert!(scan.rules_changed);
}

#[test]
fn new_rules_are_obeyed_by_a_scan_of_their_path() {
    let folder = Folder::new();
    folder.write("d/.pangaeaignore", "*.tmp\n");
    folder.write("d/a.tmp", "x");
    assert_eq!(folder.changes(), ["+d/.pangaeaignore"]);
    folder.write("d/.pangaeaignore", "*.bak\n");
    let scan = folder.scan_paths(&["d/.pangaeaignore"]);
    assert_eq!(lines(&scan), ["+d/.pangaeaignore", "+d/a.tmp"]);
    assert!(scan.rules_changed);
}

#[test]
fn rules_that_cannot_be_read_close_their_folder() {
    let folder = Folder::new();
    folder.write("d/a", "one");
    folder.write("e", "two");
    folder.scan();
    folder.link("elsewhere", "d/.pangaeaignore");
    folder.write("d/secret", "x");
    fs::remove_file(folder.at("d/a")).unwrap();
    let scan = folder.scan();
    assert_eq!((lines(&scan), names(&scan.refused)), (vec![], vec!["d"]));
    let reason = refusal(folder.apply("d/new", None, Some("x")));
    assert!(reason.contains(".pangaeaignore"), "{reason}");
    // The same for the whole folder: nothing counts as deleted.
    folder.link("elsewhere", ".pangaeaignore");
    fs::remove_file(folder.at("e")).unwrap();
    let scan = folder.scan();
    assert_eq!((lines(&scan), names(&scan.refused)), (vec![], vec!["."]));
    fs::remove_file(folder.at(".pangaeaignore")).unwrap();
    fs::remove_file(folder.at("d/.pangaeaignore")).unwrap();
    assert_eq!(folder.changes(), ["-d/a", "+d/secret", "-e"]);
}

#[test]
fn broken_lines_are_noted() {
    let folder = Folder::new();
    folder.write(".pangaeaignore", "[z-a]\n*.log\n");
    folder.write("x.log", "x");
    let scan = folder.scan();
    assert_eq!(lines(&scan), ["+.pangaeaignore"]);
    assert_eq!(names(&scan.notes), [".pangaeaignore"]);
}

#[test]
fn links_are_ignored_as_what_they_lead_to() {
    let folder = Folder::new();
    folder.write(".pangaeaignore", "target/\n*.out\n");
    folder.write("d/a", "x");
    folder.link("d", "target");
    folder.link("nowhere", "dangling.out");
    let scan = folder.scan();
    assert_eq!(
        (lines(&scan), scan.notes),
        (vec!["+.pangaeaignore".into(), "+d/a".into()], vec![])
    );
}
