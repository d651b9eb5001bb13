//! The hub as its clients see it, over real HTTP: in `cases` what stock clients rely on, beside it
//! what this hub does beyond that.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod auth;
mod backup;
mod batch;
mod batch_faults;
mod cases;
mod changes;
mod check;
mod concurrency;
mod config;
mod durability;
mod events;
mod faults;
mod fetch;
mod freshness;
mod import;
mod info;
mod list;
mod logs;
mod metrics;
mod node;
mod old_client;
mod openapi;
mod overlay;
mod quota;
mod rate;
mod reads;
mod slow;
mod status;
mod stock_files;
mod stop;
mod store;
mod support;
#[cfg(target_os = "linux")]
mod volume;
mod waiting;

#[test]
fn every_file_of_tests_is_listed() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hub");
    let listed = include_str!("main.rs");
    for file in std::fs::read_dir(folder).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        let module = name.strip_suffix(".rs").unwrap_or(&name);
        assert!(
            module == "main" || listed.contains(&format!("mod {module};")),
            "{module}"
        );
    }
}
