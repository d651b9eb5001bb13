//! Names: Unicode forms, names that cannot be synced, disks that do not tell case apart.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::*;

const COMPOSED: &str = "caf\u{e9}";
const DECOMPOSED: &str = "cafe\u{301}";

#[test]
fn names_that_cannot_be_synced_are_refused_with_words() {
    let folder = Folder::new();
    folder.write("good", "x");
    folder.write("a..b", "x");
    folder.write("bad..folder/inside", "x");
    fs::write(folder.root.path().join(OsStr::from_bytes(b"\xff\xfe")), "x").unwrap();
    fs::create_dir(folder.root.path().join(OsStr::from_bytes(b"dir\xff"))).unwrap();
    let scan = folder.scan();
    assert_eq!(lines(&scan), ["+good"]);
    assert_eq!(
        names(&scan.refused),
        ["a..b", "bad..folder", "dir\u{fffd}", "\u{fffd}\u{fffd}"]
    );
    for refused in &scan.refused {
        assert!(refused.reason.contains("rename"), "{refused}");
    }
    assert_eq!(names(&folder.scan_paths(&["good"]).refused), [""; 0]);
}

#[test]
fn decomposed_names_have_composed_paths_and_keep_their_spelling() {
    let folder = Folder::new();
    folder.write(&format!("{DECOMPOSED}/{DECOMPOSED}.txt"), "one");
    let name = format!("{COMPOSED}/{COMPOSED}.txt");
    assert_eq!(folder.changes(), [format!("+{name}")]);
    let stamp = folder.mirror.stamp(&path(&name)).unwrap();
    assert_eq!(
        stamp.disk.as_deref(),
        Some(&*format!("{DECOMPOSED}/{DECOMPOSED}.txt"))
    );
    assert_eq!(
        folder
            .mirror
            .content(&path(&name), hash("one"))
            .unwrap()
            .unwrap()
            .size(),
        3
    );

    done(folder.apply(&name, Some("one"), Some("two")));
    let new = format!("{COMPOSED}/new");
    done(folder.apply(&new, None, Some("new")));
    assert!(
        !folder.exists(COMPOSED),
        "no second folder of the same look"
    );
    assert_eq!(
        folder.read(&format!("{DECOMPOSED}/{DECOMPOSED}.txt")),
        "two"
    );
    assert_eq!(folder.read(&format!("{DECOMPOSED}/new")), "new");
    assert_eq!(folder.scan(), Scan::default());
    assert_eq!(lines(&folder.scan_paths(&[COMPOSED])), [""; 0]);

    folder.write(&format!("{DECOMPOSED}/new"), "newer");
    assert_eq!(lines(&folder.scan_paths(&[&new])), [format!("+{new}")]);
    done(folder.apply(&name, Some("two"), None));
    done(folder.apply(&new, Some("newer"), None));
    assert!(!folder.exists(DECOMPOSED));
}

#[test]
fn a_decomposed_path_from_elsewhere_is_kept_as_it_is() {
    let folder = Folder::new();
    done(folder.apply(DECOMPOSED, None, Some("one")));
    assert_eq!(folder.scan(), Scan::default());
    done(folder.apply(COMPOSED, None, Some("two")));
    assert_eq!(folder.scan(), Scan::default());
    assert_eq!(
        (folder.read(DECOMPOSED), folder.read(COMPOSED)),
        ("one".into(), "two".into())
    );
    folder.write(DECOMPOSED, "changed");
    assert_eq!(
        lines(&folder.scan_paths(&[COMPOSED])),
        [format!("+{DECOMPOSED}")]
    );
    fs::remove_file(folder.at(DECOMPOSED)).unwrap();
    assert_eq!(
        lines(&folder.scan_paths(&[COMPOSED])),
        [format!("-{DECOMPOSED}")]
    );
}

#[test]
fn of_twins_only_the_composed_one_is_synced() {
    let folder = Folder::new();
    folder.write(DECOMPOSED, "de");
    folder.write(COMPOSED, "co");
    folder.write(&format!("d/{DECOMPOSED}/x"), "de");
    folder.write(&format!("d/{COMPOSED}/x"), "co");
    let scan = folder.scan();
    assert_eq!(
        lines(&scan),
        [format!("+{COMPOSED}"), format!("+d/{COMPOSED}/x")]
    );
    assert_eq!(
        names(&scan.refused),
        [DECOMPOSED, &format!("d/{DECOMPOSED}")]
    );
    assert_eq!(
        folder.mirror.stamp(&path(COMPOSED)).unwrap().content,
        hash("co")
    );
    fs::remove_file(folder.at(COMPOSED)).unwrap();
    let scan = folder.scan();
    // The other one takes its place: an edit.
    assert_eq!(lines(&scan), [format!("+{COMPOSED}")]);
    assert_eq!(
        folder.mirror.stamp(&path(COMPOSED)).unwrap().content,
        hash("de")
    );
}

#[test]
fn case_twins_are_two_files_where_the_disk_says_so() {
    let folder = Folder::new();
    folder.write("Readme", "A");
    folder.write("README", "a");
    assert_eq!(folder.changes(), ["+README", "+Readme"]);
    fs::rename(folder.at("Readme"), folder.at("readme")).unwrap();
    assert_eq!(folder.changes(), ["-Readme", "+readme"]);
}

#[test]
fn case_twins_are_refused_where_the_disk_takes_them_for_one() {
    let names_folded = MirrorOptions {
        names: NameRules::CaseInsensitive,
    };
    let folder = Folder::with(names_folded);
    folder.write("Docs/Readme", "one");
    assert_eq!(folder.changes(), ["+Docs/Readme"]);
    for name in ["Docs/README", "docs/other", "DOCS"] {
        let reason = refusal(folder.apply(name, None, Some("two")));
        assert!(reason.contains("rename one of the two"), "{name}: {reason}");
    }
    done(folder.apply("Docs/other", None, Some("two")));
    folder.write("Docs/README", "twin");
    let scan = folder.scan();
    assert_eq!(
        (lines(&scan), names(&scan.refused)),
        (vec![], vec!["Docs/README"])
    );
    // Renamed by case only.
    fs::remove_file(folder.at("Docs/README")).unwrap();
    fs::rename(folder.at("Docs/other"), folder.at("Docs/Other")).unwrap();
    assert_eq!(folder.changes(), ["+Docs/Other", "-Docs/other"]);
    assert_eq!(
        folder.apply(".Pangaea/x", None, Some("x")),
        Applied::Ignored
    );
}

#[test]
fn names_that_the_disk_cannot_hold_are_refused() {
    let folder = Folder::new();
    // As long as a path may be, and as a file system takes it.
    let longest = "n".repeat(255);
    done(folder.apply(&longest, None, Some("x")));
    assert_eq!(folder.read(&longest), "x");
    let error = std::io::Error::from_raw_os_error(rustix::io::Errno::NAMETOOLONG.raw_os_error());
    let reason =
        refusal(crate::mirror::apply::refused_name(&task("n", None, None), error).unwrap());
    assert!(reason.contains("rename it on another device"), "{reason}");
}
