//! Symbolic links: followed inside, never out, never in circles.

use super::*;

#[test]
fn links_inside_stand_for_what_they_lead_to() {
    let folder = Folder::new();
    folder.write("d/a", "one");
    folder.link("d/a", "file-link");
    folder.link("d", "folder-link");
    folder.link(folder.at("d/a"), "absolute-link");
    let scan = folder.scan();
    assert_eq!(
        lines(&scan),
        ["+absolute-link", "+d/a", "+file-link", "+folder-link/a"]
    );
    assert_eq!(scan.notes, []);
    folder.settle();
    folder.scan();
    assert_eq!(folder.scan(), Scan::default());

    // Only the real file is told by a watch; the links are looked at as well.
    folder.write("d/a", "two");
    let scan = folder.scan_paths(&["d/a"]);
    assert_eq!(
        lines(&scan),
        ["+absolute-link", "+d/a", "+file-link", "+folder-link/a"]
    );
    fs::remove_file(folder.at("folder-link")).unwrap();
    assert_eq!(folder.changes(), ["-folder-link/a"]);
}

#[test]
fn links_out_are_noted_and_not_followed() {
    let elsewhere = TempDir::new().unwrap();
    fs::write(elsewhere.path().join("secret"), "x").unwrap();
    let folder = Folder::new();
    folder.write(".pangaea/key", "x");
    folder.link(elsewhere.path(), "out");
    folder.link(elsewhere.path().join("secret"), "out-file");
    folder.link(".pangaea/key", "state");
    folder.link("nowhere", "dangling");
    folder.link("self", "self");
    let scan = folder.scan();
    assert_eq!(lines(&scan), [""; 0]);
    assert_eq!(
        names(&scan.notes),
        ["dangling", "out", "out-file", "self", "state"]
    );
    assert!(
        scan.notes[1].reason.contains("out of the folder"),
        "{:?}",
        scan.notes
    );

    for name in [
        "out/new",
        "out-file",
        "state",
        "dangling",
        "dangling/new",
        "self",
        "out/secret",
    ] {
        let reason = refusal(folder.apply(name, None, Some("new")));
        assert!(reason.contains("link"), "{name}: {reason}");
    }
    let reason = refusal(folder.apply("out/secret", Some("x"), None));
    assert!(reason.contains("link"), "{reason}");
    let left: Vec<_> = fs::read_dir(elsewhere.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn a_folder_that_became_a_link_out_deletes_nothing() {
    let elsewhere = TempDir::new().unwrap();
    let folder = Folder::new();
    folder.write("d/a", "one");
    folder.scan();
    fs::remove_dir_all(folder.at("d")).unwrap();
    folder.link(elsewhere.path(), "d");
    let scan = folder.scan();
    assert_eq!((lines(&scan), names(&scan.notes)), (vec![], vec!["d"]));
    fs::remove_file(folder.at("d")).unwrap();
    assert_eq!(folder.changes(), ["-d/a"]);
}

#[test]
fn circles_end() {
    let folder = Folder::new();
    folder.write("a/b/file", "one");
    folder.link(".", "a/b/here");
    folder.link("../..", "a/b/top");
    folder.link("../../c", "a/b/sideways");
    fs::create_dir(folder.at("c")).unwrap();
    folder.link("../a", "c/back");
    let scan = folder.scan();
    assert_eq!(lines(&scan), ["+a/b/file", "+c/back/b/file"]);
    assert_eq!(
        names(&scan.notes),
        [
            "a/b/here",
            "a/b/sideways/back",
            "a/b/top",
            "c/back/b/here",
            "c/back/b/sideways",
            "c/back/b/top"
        ]
    );
}

#[test]
fn links_among_neighbours_do_not_multiply_without_end() {
    let folder = Folder::new();
    for one in 0..6 {
        folder.write(&format!("d{one}/file"), "x");
        for other in (0..6).filter(|other| *other != one) {
            folder.link(format!("../d{other}"), &format!("d{one}/l{other}"));
        }
    }
    let scan = folder.scan();
    // Six folders, and from each up to three links deep: 6 · (1 + 5 + 5·4 + 5·4·3).
    assert_eq!(scan.changes.len(), 516);
    assert!(
        scan.notes
            .iter()
            .any(|note| note.reason.contains("behind 3 others"))
    );
}

#[test]
fn a_link_gives_way_to_a_file_of_its_own() {
    let folder = Folder::new();
    folder.write("d/a", "one");
    folder.link("d/a", "link");
    folder.scan();
    let (_, displaced) = done(folder.apply("link", Some("one"), Some("two")));
    assert_eq!(fs::read_to_string(displaced.unwrap().file).unwrap(), "one");
    assert_eq!(
        (folder.read("link"), folder.read("d/a")),
        ("two".into(), "one".into())
    );
    assert!(folder.at("link").symlink_metadata().unwrap().is_file());

    folder.link("d/a", "second");
    folder.scan();
    let (_, displaced) = done(folder.apply("second", Some("one"), None));
    assert_eq!(fs::read_to_string(displaced.unwrap().file).unwrap(), "one");
    assert!(!folder.exists("second") && folder.exists("d/a"));
    assert_eq!(folder.staged().len(), 2, "no links are left in staging");
    assert_eq!(lines(&folder.scan()), [""; 0]);
}

#[test]
fn files_behind_a_folder_link_are_those_of_the_folder() {
    let folder = Folder::new();
    folder.write("d/a", "one");
    folder.link("d", "link");
    folder.scan();
    done(folder.apply("link/a", Some("one"), Some("two")));
    done(folder.apply("link/new", None, Some("new")));
    assert_eq!(
        (folder.read("d/a"), folder.read("d/new")),
        ("two".into(), "new".into())
    );
    assert_eq!(folder.changes(), ["+d/a", "+d/new"]);
    done(folder.apply("link/a", Some("two"), None));
    done(folder.apply("link/new", Some("new"), None));
    assert!(folder.exists("d"), "a folder that a link needs is left");
    assert_eq!(folder.changes(), ["-d/a", "-d/new"]);
}
