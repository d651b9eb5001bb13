//! What clients of a stock hub rely on, as a list of one hundred cases: each has one test, named
//! by its number. Where this hub does otherwise on purpose, the test says so, and
//! docs/hub-differences.md says why.

mod auth;
mod clients;
mod concurrency;
mod delete;
mod etag;
mod info;
mod list;
mod paths;
mod revocation;
mod scopes;
mod store;

use std::process::Command;

const CASES: u32 = 100;

/// Asks the test program itself what it holds, so that no case can be forgotten or switched off.
#[test]
fn every_case_has_one_test() {
    let list = |also: &[&str]| {
        let output = Command::new(std::env::current_exe().unwrap())
            .arg("--list")
            .args(also)
            .output()
            .unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let mut numbers: Vec<u32> = text
            .lines()
            .filter_map(|line| line.strip_suffix(": test")?.split_once("::case_"))
            .map(|(_, name)| name.split('_').next().unwrap().parse().unwrap())
            .collect();
        numbers.sort_unstable();
        numbers
    };
    let want: Vec<u32> = (1..=CASES).collect();
    assert_eq!(list(&[]), want);
    assert!(list(&["--ignored"]).is_empty());
}
