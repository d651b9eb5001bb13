//! `cargo xtask web`: checks the crates meant for the browser build for `wasm32-unknown-unknown`, and plays the
//! simulator in Chromium, where everything must happen as it does here.
//!
//! The standard library for that target comes from rustup when it is installed there, and otherwise from Debian's second
//! Rust toolchain, whose sources cargo builds along.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::cargo::{cargo, output, program, root, run as call, target_dir};

/// The target of the browser build.
const TARGET: &str = "wasm32-unknown-unknown";

/// The crates that build for it, without their default features.
const CRATES: [&str; 3] = ["gaia", "pangaea-core", "pangaea"];

/// The crates that are modules of the npm package: what every application loads, and what is loaded with the first merge.
const MODULES: [&str; 2] = ["pangaea-wasm", "pangaea-merges"];

/// The version of the library, which the program must have as well.
pub const WASM_BINDGEN_VERSION: &str = "0.2.130";

/// Debian's packages for the second way, which stand beside rustup's toolchain and do not disturb it.
pub const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld"];

/// The core is meant to be no larger, module and scripts together and gzipped.
const CORE_BYTES_MAX: u64 = 200 * 1024;

/// How many seeds are played in the browser.
const SEEDS: u32 = 500;

/// Checks the crates for the browser, builds the npm package, and plays the simulator there.
pub fn run() -> Result<()> {
    check()?;
    build_package()?;
    tell_size()?;
    check_store()?;
    replay()
}

/// Says what a browser downloads, and how far that is from the limit.
fn tell_size() -> Result<()> {
    let mut node = program("node");
    node.arg(root().join("packages/browser-tests/size.mjs"));
    let parts = output(node)?;
    print!("{parts}");
    let core = parts.lines().filter(|line| !line.ends_with(" later"));
    let bytes = core.filter_map(|line| line.split(' ').next());
    let bytes: u64 = bytes.map(str::parse::<u64>).sum::<Result<_, _>>()?;
    println!("{bytes} bytes gzipped for every visitor; the limit is {CORE_BYTES_MAX}");
    Ok(())
}

/// Runs the checks that every store must pass on the browser's.
fn check_store() -> Result<()> {
    let mut build = cargo_for_the_web("build")?;
    build.args([
        "--profile",
        "sim",
        "--package",
        "pangaea-wasm",
        "--features",
        "contract",
    ]);
    call(build)?;
    let module = bind("pangaea_wasm", "store-contract")?;
    let mut node = program("node");
    node.arg(root().join("packages/browser-tests/store/contract.mjs"))
        .arg(module);
    call(node)
}

/// Makes of a module, built with the profile `sim`, what a browser can load. Returns the folder.
fn bind(name: &str, folder: &str) -> Result<PathBuf> {
    let module = web_dir()?.join(folder);
    let mut bind = program("wasm-bindgen");
    bind.args(["--target", "web", "--no-typescript", "--out-dir"])
        .arg(&module)
        .arg(web_dir()?.join(TARGET).join(format!("sim/{name}.wasm")));
    call(bind)?;
    Ok(module)
}

/// Builds the module and the npm package around it.
pub fn build_package() -> Result<()> {
    let mut build = cargo_for_the_web("build")?;
    build.args(["--profile", "web"]);
    for module in MODULES {
        build.args(["--package", module]);
    }
    // Arithmetic of elliptic curves in words of 32 bits: WebAssembly cannot multiply 64 bits by 64 at once, so that with the
    // larger words signing takes half again as long, checking a signature twice as long, and the code thrice the space.
    let mut flags = r#"--cfg=cpubits="32""#.to_owned();
    if !rustup_has_target() {
        // With the standard library built along, what only serves messages of panics can be left out.
        build.args(["-Z", "build-std-features=optimize_for_size"]);
        flags += " -Zunstable-options -Cpanic=immediate-abort";
    }
    build.env("RUSTFLAGS", flags);
    call(build)?;
    for module in MODULES {
        shrink(&module.replace('-', "_"))?;
    }
    let mut compile = program("npm");
    compile
        .args(["run", "--silent", "build", "--prefix"])
        .arg(root().join("packages"));
    call(compile)
}

/// Makes of a module, built with the profile `web`, what the npm package has of it.
fn shrink(name: &str) -> Result<()> {
    let packages = root().join("packages");
    let module = packages.join("pangaea/wasm");
    let mut bind = program("wasm-bindgen");
    bind.args([
        "--target",
        "web",
        "--no-typescript",
        "--remove-producers-section",
        "--out-dir",
    ])
    .arg(&module)
    .arg(web_dir()?.join(TARGET).join(format!("web/{name}.wasm")));
    call(bind)?;
    let file = module.join(format!("{name}_bg.wasm"));
    // The features that browsers have had since 2022, and the compiler uses. Functions stand by their names, so that
    // those that the compiler made of one generic function stand together, and -O1 instead of -Oz: both make the module
    // as it is sent smaller, though the second makes it larger as it is stored.
    let mut shrink = program("node");
    shrink
        .arg(packages.join("node_modules/binaryen/bin/wasm-opt"))
        .args([
            "-O1",
            "--reorder-functions-by-name",
            "--strip-debug",
            "--enable-bulk-memory",
            "--enable-nontrapping-float-to-int",
            "--enable-sign-ext",
            "--enable-mutable-globals",
            "--enable-reference-types",
            "--enable-multivalue",
            "-o",
        ])
        .args([&file, &file]);
    call(shrink)
}

fn check() -> Result<()> {
    let mut command = cargo_for_the_web("check")?;
    command.arg("--no-default-features");
    // What is only checked need not be fast: without this, macros and build scripts would be optimised as for the tests.
    command.args(["--config", r#"profile.dev.package."*".opt-level=0"#]);
    for name in CRATES {
        command.args(["--package", name]);
    }
    call(command)
}

/// A command of cargo for the browser's target.
fn cargo_for_the_web(verb: &str) -> Result<Command> {
    let mut command = if rustup_has_target() {
        let mut command = cargo();
        command.args([verb, "--target-dir"]).arg(web_dir()?);
        command
    } else if debian_has_toolchain() {
        debian_cargo(verb)?
    } else {
        bail!(
            "no standard library for {TARGET}: `rustup target add {TARGET}`, or install Debian's {}",
            DEBIAN_PACKAGES.join(" ")
        );
    };
    command.args(["--target", TARGET]);
    Ok(command)
}

/// Two compilers must not share a target directory: each would undo the other's work.
fn web_dir() -> Result<PathBuf> {
    Ok(target_dir()?.join("web"))
}

/// Plays schedules and seeds natively and in Chromium, and compares the digests of all that happened.
fn replay() -> Result<()> {
    let module = build_simulator()?;
    let mut schedules: Vec<PathBuf> = std::fs::read_dir(root().join("testing/sim/schedules"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    schedules.sort();
    let mut node = program("node");
    node.arg(root().join("testing/sim-web/browser/replay.mjs"))
        .arg(module)
        .args(["0", &SEEDS.to_string()])
        .args(&schedules);
    let there = output(node)?;
    let mut there = there.lines().map(serde_json::from_str::<String>);
    let mut next = || {
        there
            .next()
            .context("the browser said too little")?
            .context("the browser said something else")
    };
    let here = simulate(&["--seeds", &SEEDS.to_string()])?;
    let digest = here.lines().find_map(|line| line.strip_prefix("digest: "));
    same("the seeds", digest.unwrap_or(&here), &next()?)?;
    for schedule in &schedules {
        let name = schedule.display().to_string();
        let here = simulate(&["--replay", &name, "--digest"])?;
        same(&name, here.trim(), &next()?)?;
    }
    println!(
        "{SEEDS} seeds and {} schedules of the simulator: in the browser as here",
        schedules.len()
    );
    Ok(())
}

fn same(what: &str, here: &str, there: &str) -> Result<()> {
    ensure!(
        here == there,
        "{what}: {here} here, and {there} in the browser"
    );
    Ok(())
}

fn simulate(arguments: &[&str]) -> Result<String> {
    let mut command = cargo();
    command.args("run --quiet --profile sim --package pangaea-sim --".split(' '));
    command.args(arguments);
    output(command)
}

/// Builds the module for the browser, and returns the folder that it is in.
fn build_simulator() -> Result<PathBuf> {
    let mut build = cargo_for_the_web("build")?;
    build.args(["--profile", "sim", "--package", "pangaea-sim-web"]);
    call(build)?;
    bind("pangaea_sim_web", "simulator")
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

fn debian_cargo(verb: &str) -> Result<Command> {
    let mut command = program("/usr/bin/cargo");
    command
        .args([verb, "-Z", "build-std=std,panic_abort", "--target-dir"])
        .arg(web_dir()?)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", "/usr/bin/rustc")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld")
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN");
    Ok(command)
}
