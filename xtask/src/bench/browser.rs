//! `cargo xtask bench browser`: the npm package beside PouchDB, RxDB, Dexie and remoteStorage.js in one Chromium. What is
//! measured, and how, is in `packages/browser-bench`; here everything that it needs is built first.

use anyhow::Result;

use crate::cargo::{cargo, program, root, run as call, target_dir};
use crate::{setup, web};

/// What can be chosen.
#[derive(clap::Args)]
pub struct Options {
    /// How many times everything is run; the medians are over these.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How many documents there are, of about a kibibyte each.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..))]
    documents: u32,
    /// Do not fail when a floor is missed.
    #[arg(long)]
    no_floors: bool,
}

/// Builds the package and the hub, and measures.
pub fn run(options: &Options) -> Result<()> {
    setup::packages("packages/browser-bench", "the peers of the npm package")?;
    setup::packages("packages/browser-tests", "what counts its size")?;
    web::build_package()?;
    let mut build = cargo();
    build.args(["build", "--release", "--package", "pangaea-cli"]);
    call(build)?;
    let mut node = program("node");
    node.arg(root().join("packages/browser-bench/bench.mjs"))
        .arg(target_dir()?.join("release/pangaea"))
        .args(["--runs", &options.runs.to_string()])
        .args(["--documents", &options.documents.to_string()]);
    if options.no_floors {
        node.arg("--no-floors");
    }
    call(node)
}
