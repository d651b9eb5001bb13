//! The hub as its clients see it, over real HTTP. Tests named `case_…` carry the number of the
//! behaviour that they pin down in the list of black-box cases.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod auth;
mod backup;
mod batch;
mod batch_faults;
mod check;
mod concurrency;
mod conditions;
mod delete;
mod durability;
mod fetch;
mod info;
mod list;
mod paths;
mod reads;
mod revocation;
mod slow;
mod store;
mod support;

#[test]
fn every_file_of_tests_is_listed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hub");
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
