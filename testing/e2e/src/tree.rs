//! Folders as values, and how to compare them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What the program keeps in a synced folder for itself.
const STATE: &str = ".pangaea";

/// All files below a folder with their content; symbolic links and Pangaea's own left out.
pub fn read(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut tree = BTreeMap::new();
    collect(root, root, &mut tree);
    tree
}

fn collect(root: &Path, folder: &Path, tree: &mut BTreeMap<String, Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap().file_type();
        if path == root.join(STATE) || kind.is_symlink() {
            continue;
        }
        if kind.is_dir() {
            collect(root, &path, tree);
        } else {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            tree.insert(name, fs::read(&path).unwrap());
        }
    }
}

/// Fails unless both folders hold the same files with the same content; says what differs.
#[track_caller]
pub fn assert_same_tree(one: &Path, other: &Path) {
    assert_same(&read(one), &read(other));
}

/// Like [`assert_same_tree`], for trees that were read already or made up.
#[track_caller]
pub fn assert_same(one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>) {
    let mut words = String::new();
    for name in one
        .keys()
        .chain(other.keys().filter(|name| !one.contains_key(*name)))
    {
        let (left, right) = (one.get(name), other.get(name));
        if left != right {
            words += &format!("{name:?}: {} against {}\n", shown(left), shown(right));
        }
    }
    assert!(words.is_empty(), "the trees differ:\n{words}");
}

fn shown(content: Option<&Vec<u8>>) -> String {
    match content {
        None => "nothing".into(),
        Some(bytes) if bytes.len() > 400 => format!("{} bytes", bytes.len()),
        Some(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
    }
}

/// What `diff -r` says about two folders; nothing, if they are equal.
pub fn diff(one: &Path, other: &Path, excluded: &[&str]) -> String {
    let mut command = Command::new("diff");
    command.args(["-r", "-q", "-x", STATE]);
    for pattern in excluded {
        command.args(["-x", pattern]);
    }
    let output = command
        .arg(one)
        .arg(other)
        .env("LC_ALL", "C")
        .output()
        .unwrap();
    let mut words = String::from_utf8_lossy(&output.stdout).into_owned();
    words += &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.success(), words.is_empty(), "{words}");
    words
}
