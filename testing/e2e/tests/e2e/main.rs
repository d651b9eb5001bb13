//! The whole product as its users and the stock client see it: real processes, real folders.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod big;
mod conflicts;
mod crash;
mod outage;
mod stock;
mod tree;
mod up;

#[test]
fn every_file_of_tests_is_listed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e");
    let listed = include_str!("main.rs");
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs").unwrap();
        assert!(
            module == "main" || listed.contains(&format!("mod {module};")),
            "{module}"
        );
    }
}
