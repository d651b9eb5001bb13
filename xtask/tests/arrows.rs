//! Which crate may use which: the arrows of ARCHITECTURE.md, read from what cargo says of the workspace.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// What each crate under crates/ may use of this workspace. Only what is listed here may be used.
const ARROWS: [(&str, &[&str]); 10] = [
    ("gaia", &[]),
    ("pangaea-core", &["gaia"]),
    ("pangaea", &["gaia", "pangaea-core"]),
    ("pangaea-hub", &["gaia"]),
    (
        "pangaea-cli",
        &["gaia", "pangaea-core", "pangaea", "pangaea-hub"],
    ),
    ("pangaea-wasm", &["gaia", "pangaea-core", "pangaea"]),
    ("pangaea-merges", &["pangaea-core"]),
    ("pangaea-dav", &["gaia", "pangaea-core", "pangaea"]),
    ("pangaea-rsync", &["gaia", "pangaea-core", "pangaea"]),
    ("pangaea-ffi", &["gaia", "pangaea-core", "pangaea"]),
];

/// What the crates that build for the browser must not have anywhere below them: runtimes, sockets, clocks, sources of
/// randomness, native libraries.
const NOT_IN_THE_BROWSER: [&str; 19] = [
    "async-std",
    "chrono",
    "getrandom",
    "hyper",
    "jiff",
    "libc",
    "libsqlite3-sys",
    "mio",
    "notify",
    "rand",
    "reqwest",
    "ring",
    "rusqlite",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "time",
    "tokio",
];

#[test]
fn crates_use_only_what_lies_below_them() {
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.into();
    let packages = packages();
    let members: BTreeSet<&str> = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut wrong = Vec::new();
    for package in packages.iter().filter(|package| package.folder == "crates") {
        let Some(below) = allowed.get(package.name.as_str()) else {
            wrong.push(format!(
                "{} is new: say in ARROWS what it may use",
                package.name
            ));
            continue;
        };
        for used in package
            .uses
            .iter()
            .filter(|used| members.contains(used.as_str()))
        {
            if !below.contains(&used.as_str()) {
                wrong.push(format!("{} must not use {used}", package.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn is_member(packages: &[Package], name: &str) -> bool {
    packages.iter().any(|package| package.name == name)
}

#[test]
fn nothing_uses_what_is_for_testing() {
    let packages = packages();
    let testing: BTreeSet<&str> = packages
        .iter()
        .filter(|package| package.folder == "testing")
        .map(|package| package.name.as_str())
        .collect();
    assert!(!testing.is_empty(), "there are no packages under testing/");
    let mut wrong = Vec::new();
    for package in packages
        .iter()
        .filter(|package| package.folder != "testing")
    {
        let uses = package.uses.iter();
        // The kit is there for the tests of all, and stands on none of them.
        let test_uses = package.test_uses.iter().filter(|used| *used != KIT);
        for used in uses.chain(test_uses) {
            if testing.contains(used.as_str()) {
                wrong.push(format!("{} must not use {used}", package.name));
            }
        }
    }
    let kit = packages.iter().find(|package| package.name == KIT);
    let below = kit.map(|kit| kit.uses.iter().filter(|used| is_member(&packages, used)));
    wrong.extend(
        below
            .into_iter()
            .flatten()
            .map(|used| format!("{KIT} must not use {used}")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_browser_crates_stand_on_nothing_native() {
    for name in ["gaia", "pangaea-core", "pangaea"] {
        let tree = tree(name);
        assert!(tree.contains(name), "cargo tree says nothing of {name}");
        let native: Vec<&str> = NOT_IN_THE_BROWSER
            .into_iter()
            .filter(|native| tree.contains(*native))
            .collect();
        assert!(
            native.is_empty(),
            "{name} has {} below it: `cargo tree -p {name} --no-default-features -e normal -i CRATE` shows how",
            native.join(", ")
        );
    }
}

/// What tests of any crate may use.
const KIT: &str = "pangaea-kit";

struct Package {
    name: String,
    /// The folder under the root of the workspace that it lies in.
    folder: String,
    /// What it is built with.
    uses: BTreeSet<String>,
    /// What its tests are built with besides.
    test_uses: BTreeSet<String>,
}

fn packages() -> Vec<Package> {
    let text = cargo(&["metadata", "--format-version=1", "--no-deps"]);
    let metadata: Value = serde_json::from_str(&text).expect("cargo metadata is JSON");
    let root = Path::new(
        metadata["workspace_root"]
            .as_str()
            .expect("cargo names the root"),
    );
    let packages = metadata["packages"]
        .as_array()
        .expect("cargo lists the packages");
    packages
        .iter()
        .map(|package| read_package(package, root))
        .collect()
}

fn read_package(package: &Value, root: &Path) -> Package {
    let manifest = Path::new(
        package["manifest_path"]
            .as_str()
            .expect("a package has a manifest"),
    );
    let inside = manifest
        .strip_prefix(root)
        .expect("a member lies in the workspace");
    let folder = inside
        .iter()
        .next()
        .expect("a manifest has a name")
        .to_string_lossy();
    let dependencies = package["dependencies"]
        .as_array()
        .expect("a package lists what it uses");
    let named = |wanted: &dyn Fn(&Value) -> bool| {
        let chosen = dependencies
            .iter()
            .filter(|dependency| wanted(&dependency["kind"]));
        chosen
            .filter_map(|dependency| dependency["name"].as_str().map(str::to_string))
            .collect()
    };
    Package {
        name: package["name"]
            .as_str()
            .expect("a package has a name")
            .to_string(),
        folder: folder.into_owned(),
        uses: named(&|kind| kind != "dev"),
        test_uses: named(&|kind| kind == "dev"),
    }
}

/// The names of all crates that one crate is built with for the browser, itself included.
fn tree(name: &str) -> BTreeSet<String> {
    let text = cargo(&[
        "tree",
        "--package",
        name,
        "--no-default-features",
        "--edges=normal",
        "--target=wasm32-unknown-unknown",
        "--prefix=none",
        "--format={p}",
    ]);
    text.lines()
        .filter_map(|line| line.split(' ').next())
        .map(str::to_string)
        .collect()
}

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo can be started");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo writes text")
}
