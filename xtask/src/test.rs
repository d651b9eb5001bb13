//! `cargo xtask test`: every check, in the order cheap to dear, the tests last so that their closing lines are near the
//! end of the output.

use anyhow::{Context as _, Result};

use crate::cargo::{cargo, program, root, run as call, target_dir};
use crate::step::{Outcome, Steps};
use crate::{deny, setup, web};

/// Runs setup and every check.
pub fn run() -> Result<()> {
    let mut steps = Steps::default();
    steps.step("setup", || passed(setup::run()));
    steps.step("format", || passed(format()));
    steps.step("dependencies", || passed(deny::rules()));
    steps.step("advisories", deny::advisories);
    steps.step("lints", || {
        passed(check("clippy --workspace --all-targets -- -D warnings"))
    });
    steps.step("docs", || passed(docs()));
    steps.step("web", || passed(web::run()));
    // The end-to-end tests start the programs, which `cargo test` alone would not build for them.
    steps.step("programs", || passed(check("build --workspace --bins")));
    steps.step("tests", || passed(check("test --workspace --no-fail-fast")));
    steps.step("browser tests", || passed(browser()));
    steps.step("plain tests", || passed(plain()));
    steps.step("simulator", || {
        passed(check("run --profile sim -p pangaea-sim -- --seeds 20000"))
    });
    steps.step("fresh seeds", || passed(fresh_seeds()));
    steps.step("planted bugs", || {
        passed(check(
            "run --profile sim -p pangaea-sim --features mutants -- --mutants --first --seeds 3000",
        ))
    });
    steps.finish()
}

/// What one core plays in a minute, about.
const FRESH_SEEDS: u32 = 50_000;

fn check(arguments: &str) -> Result<()> {
    let mut command = cargo();
    command.args(arguments.split(' '));
    call(command)
}

fn format() -> Result<()> {
    // Names only: whoever has to change a file runs `cargo fmt` and need not read what it will do.
    check("fmt --all -- --check --files-with-diff")
        .context("`cargo fmt` would change the files above")
}

fn docs() -> Result<()> {
    let mut command = cargo();
    // Libraries only: the program `pangaea` and the library `pangaea` would write their pages to one place.
    command
        .args(["doc", "--workspace", "--lib", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings");
    call(command)
}

/// The npm package in Chromium, with the programs that were built before.
fn browser() -> Result<()> {
    let mut command = program("npm");
    command
        .args(["test", "--silent", "--prefix"])
        .arg(root().join("packages/browser-tests"))
        .env("PANGAEA_BIN", target_dir()?.join("debug/pangaea"));
    call(command)
}

/// What devices and a hub do together, once more as on a stock hub: without any acceleration.
fn plain() -> Result<()> {
    let mut command = cargo();
    command
        // The whole workspace, so that nothing is built anew with other features.
        .args("test --workspace --test replica --test e2e".split(' '))
        .env("PANGAEA_PLAIN_HUB", "1");
    call(command)
}

/// Other worlds for each commit, and the same for the same commit, so that a failure is the commit's own: about a minute
/// of them. Outside of a repository other ones each time. Those that break a promise are printed with the commands that
/// play them again.
fn fresh_seeds() -> Result<()> {
    let worlds = match first_seed_of_commit() {
        Some(first) => format!("--seed {first} --seeds {FRESH_SEEDS}"),
        None => "--seconds 60".to_owned(),
    };
    check(&format!("run --profile sim -p pangaea-sim -- {worlds}"))
        .context("a fresh world breaks a promise: its seed, and how to play it again, are above")
}

/// A multiple of a million, so that the worlds of two commits are the same or none of them is.
fn first_seed_of_commit() -> Option<u64> {
    let mut git = program("git");
    git.args(["rev-parse", "HEAD"]);
    let answer = git.output().ok().filter(|answer| answer.status.success())?;
    let commit = String::from_utf8(answer.stdout).ok()?;
    let start = u64::from_str_radix(commit.get(..8)?, 16).ok()?;
    Some((1_000 + start) * 1_000_000)
}

fn passed(result: Result<()>) -> Result<Outcome> {
    result.map(|()| Outcome::Passed)
}
