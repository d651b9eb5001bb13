//! What `cargo deny` checks: the rules in `deny.toml` always, known advisories when their database can be had.

use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::cargo::{cargo, run};
use crate::step::Outcome;

/// How long the advisory database may take to arrive.
const FETCH_LIMIT: Duration = Duration::from_secs(60);

/// Checks bans, licences and sources; this needs no network.
pub fn rules() -> Result<()> {
    let mut command = cargo();
    // The lists of duplicate crates are long and only a warning.
    command.args([
        "deny",
        "--log-level=error",
        "check",
        "bans",
        "licenses",
        "sources",
    ]);
    run(command)
}

/// Checks for known advisories, or says why that was not possible.
pub fn advisories() -> Result<Outcome> {
    let fetched = fetch()?;
    if let Fetched::Not(reason) = &fetched {
        if !have_a_copy() {
            return Ok(Outcome::NotChecked(format!(
                "the advisory database could not be fetched ({reason}) and this machine has no copy"
            )));
        }
        println!("note: using this machine's copy of the advisory database ({reason})");
    }
    let mut command = cargo();
    command.args(["deny", "check", "--disable-fetch", "advisories"]);
    run(command)?;
    Ok(Outcome::Passed)
}

enum Fetched {
    Yes,
    Not(String),
}

fn fetch() -> Result<Fetched> {
    let mut command = cargo();
    command
        .args(["deny", "fetch", "db"])
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // A group of its own, so that the git it starts ends with it.
        .process_group(0);
    let mut child = command.spawn().context("cannot start cargo deny")?;
    let start = Instant::now();
    while start.elapsed() < FETCH_LIMIT {
        if let Some(status) = child.try_wait()? {
            return Ok(match status.success() {
                true => Fetched::Yes,
                false => Fetched::Not("its server could not be reached".into()),
            });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    stop_group(&mut child)?;
    Ok(Fetched::Not(format!(
        "it did not arrive within {} s",
        FETCH_LIMIT.as_secs()
    )))
}

fn stop_group(child: &mut Child) -> Result<()> {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        kill_process_group(group, Signal::KILL).context("cannot stop cargo deny")?;
    }
    child.wait()?;
    Ok(())
}

/// Tells whether an earlier run left a copy of the database where cargo deny looks for it.
fn have_a_copy() -> bool {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let Some(home) = home else { return false };
    let Ok(entries) = std::fs::read_dir(home.join("advisory-dbs")) else {
        return false;
    };
    // A clone that failed leaves an empty folder or nothing; a whole one has the list of crates.
    entries
        .flatten()
        .any(|entry| entry.path().join("crates").is_dir())
}
