//! What the crate promises to its users, through its public face.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests may fail as loudly as the tests themselves"
)]

mod auth;
mod frames;
mod properties;
mod vectors;

/// A module that is not named above would silently not run.
#[test]
fn no_file_is_forgotten() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/suite");
    let mut files: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "main.rs")
        .collect();
    files.sort();
    assert_eq!(
        files,
        ["auth.rs", "frames.rs", "properties.rs", "vectors.rs"]
    );
}
