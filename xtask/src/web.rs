//! `cargo xtask web`: the crates meant for the browser build for `wasm32-unknown-unknown`.
//!
//! The standard library for that target comes from rustup when it is installed there, and otherwise from Debian's second
//! Rust toolchain, whose sources cargo builds along.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::cargo::{cargo, output, program, run as call, target_dir};

/// The target of the browser build.
const TARGET: &str = "wasm32-unknown-unknown";

/// The crates that build for it, without their default features.
const CRATES: [&str; 3] = ["gaia", "pangaea-core", "pangaea"];

/// Debian's packages for the second way, which stand beside rustup's toolchain and do not disturb it.
pub const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];

/// Checks the crates for the browser.
pub fn run() -> Result<()> {
    let mut command = if rustup_has_target() {
        let mut command = cargo();
        command.arg("check");
        command
    } else if debian_has_toolchain() {
        debian_check()?
    } else {
        bail!(
            "no standard library for {TARGET}: `rustup target add {TARGET}`, or install Debian's {}",
            DEBIAN_PACKAGES.join(" ")
        );
    };
    command.args(["--target", TARGET, "--no-default-features"]);
    // What is only checked need not be fast: without this, macros and build scripts would be optimised as for the tests.
    command.args(["--config", r#"profile.dev.package."*".opt-level=0"#]);
    for name in CRATES {
        command.args(["--package", name]);
    }
    call(command)
}

/// Tells whether rustup's toolchain can build for the browser by itself.
pub fn rustup_has_target() -> bool {
    let mut command = program("rustup");
    command.args(["target", "list", "--installed"]);
    output(command).is_ok_and(|targets| targets.lines().any(|line| line.trim() == TARGET))
}

fn debian_has_toolchain() -> bool {
    ["/usr/bin/cargo", "/usr/bin/rustc", "/usr/bin/wasm-ld"]
        .iter()
        .all(|path| Path::new(path).is_file())
}

fn debian_check() -> Result<Command> {
    let mut command = program("/usr/bin/cargo");
    // Two compilers must not share a target directory: each would undo the other's work.
    command
        .args(["check", "-Z", "build-std=std,panic_abort", "--target-dir"])
        .arg(target_dir()?.join("web"))
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", "/usr/bin/rustc")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld")
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN");
    Ok(command)
}
