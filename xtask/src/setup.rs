//! `cargo xtask setup`: installs what the tests need beyond Rust, Node 20 and Python 3.11, on Debian 12, as root or
//! through sudo. Each step is skipped when its result is there already, and says what it does.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::cargo::{cargo, output, program, root, run as call, succeeds};
use crate::web;

/// Where Debian has nginx; it is not on everybody's path.
pub const NGINX_PROGRAM: &str = "/usr/sbin/nginx";

/// Makes sure that everything the tests use is installed.
pub fn run() -> Result<()> {
    debian_packages()?;
    cargo_deny()?;
    wasm_bindgen()?;
    packages(
        "testing/kit/clients/stacks",
        "the stock client @stacks/storage",
    )?;
    packages(
        "testing/kit/clients/blockstack",
        "the stock client blockstack",
    )?;
    packages(
        "packages",
        "TypeScript, which the npm package is written in",
    )?;
    packages(
        "packages/browser-tests",
        "what the tests of the npm package use",
    )?;
    packages(
        "testing/sim-web/browser",
        "playwright-core, which drives Chromium",
    )?;
    schemathesis()
}

fn debian_packages() -> Result<()> {
    // rclone and nginx are what the benchmarks measure against; wrk and curl are what they measure the hub with. The
    // tests of power cuts record what a process does to its files with strace. Chromium is the browser.
    let mut wanted = vec!["rclone", "wrk", "curl", "strace", "chromium"];
    // Any of its packages will do.
    let brings_nginx = !Path::new(NGINX_PROGRAM).is_file();
    if brings_nginx {
        wanted.push("nginx-light");
    }
    if web::rustup_has_target() {
        println!("rustup has the browser target: Debian's second Rust toolchain is not needed");
    } else {
        wanted.extend(web::DEBIAN_PACKAGES);
    }
    if !python_has_venv() {
        wanted.push("python3-venv");
    }
    let missing: Vec<&str> = wanted
        .into_iter()
        .filter(|name| !is_installed(name))
        .collect();
    if missing.is_empty() {
        println!("Debian packages: all there");
        return Ok(());
    }
    println!("installing Debian packages: {}", missing.join(" "));
    if !succeeds(with_arguments(program("apt-get"), &["--version"])) {
        bail!(
            "this is not a Debian system: install {} by hand",
            missing.join(", ")
        );
    }
    call(with_arguments(as_root("apt-get")?, &["update", "-q"]))?;
    let mut install = as_root("apt-get")?;
    install
        .args(["install", "-q", "-y", "--no-install-recommends"])
        .args(missing);
    if brings_nginx {
        // The package would start a web server; only the program is wanted.
        service("mask")?;
    }
    let installed = call(install);
    if brings_nginx {
        service("unmask")?;
        service("disable")?;
    }
    installed
}

/// Does something to the service that the nginx package brings. Where there is no systemd there is nothing to do.
fn service(verb: &str) -> Result<()> {
    if !succeeds(with_arguments(program("systemctl"), &["--version"])) {
        return Ok(());
    }
    call(with_arguments(
        as_root("systemctl")?,
        &[verb, "nginx.service"],
    ))
}

fn is_installed(package: &str) -> bool {
    let query = with_arguments(
        program("dpkg-query"),
        &["--show", "--showformat=${db:Status-Status}", package],
    );
    output(query).is_ok_and(|status| status == "installed")
}

fn as_root(name: &str) -> Result<Command> {
    let mut command = if rustix::process::geteuid().is_root() {
        program("env")
    } else if succeeds(with_arguments(program("sudo"), &["-n", "true"])) {
        with_arguments(program("sudo"), &["-n", "env"])
    } else {
        bail!("installing Debian packages needs root or sudo without a password");
    };
    command.args(["DEBIAN_FRONTEND=noninteractive", name]);
    Ok(command)
}

fn cargo_deny() -> Result<()> {
    if succeeds(with_arguments(cargo(), &["deny", "--version"])) {
        println!("cargo-deny: there");
        return Ok(());
    }
    println!("installing cargo-deny, which checks licences, sources and advisories");
    call(with_arguments(quick_install("cargo-deny"), &["--locked"]))
}

/// The program makes of a module what a browser can load; it must be of the library's version.
fn wasm_bindgen() -> Result<()> {
    let version = output(with_arguments(program("wasm-bindgen"), &["--version"]));
    if version.is_ok_and(|text| text.trim().ends_with(web::WASM_BINDGEN_VERSION)) {
        println!("wasm-bindgen: there");
        return Ok(());
    }
    println!("installing wasm-bindgen, which makes modules for the browser");
    // Not locked: its lock file may name crates that a mirror of the registry has not got yet.
    let version = ["--version", web::WASM_BINDGEN_VERSION];
    call(with_arguments(quick_install("wasm-bindgen-cli"), &version))
}

/// Installs a program that runs for a second at a time: building it fast matters more than its speed.
fn quick_install(package: &str) -> Command {
    let mut install = with_arguments(cargo(), &["install", package]);
    install
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    install
}

/// Installs what the lock file of a folder names, without running any of it.
pub fn packages(folder: &str, what: &str) -> Result<()> {
    let folder = root().join(folder);
    let wanted = read(&folder.join("package-lock.json"))?;
    // npm leaves no trace of its own that says which lock file a folder was made from.
    let stamp = folder.join("node_modules/.made-from-lock.json");
    if stamp.is_file() && read(&stamp)? == wanted {
        println!("{what}: there");
        return Ok(());
    }
    println!("installing {what}");
    let mut install = program("npm");
    install
        .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
        .current_dir(&folder);
    call(install)?;
    std::fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

fn schemathesis() -> Result<()> {
    let folder = root().join("testing/kit/schemathesis");
    let requirements = folder.join("requirements.txt");
    let wanted = read(&requirements)?;
    let environment = folder.join(".venv");
    let python = environment.join("bin/python");
    let stamp = environment.join("made-from-requirements.txt");
    let works = || {
        succeeds(with_arguments(
            program(&python),
            &["-m", "schemathesis.cli", "--version"],
        ))
    };
    if stamp.is_file() && read(&stamp)? == wanted && works() {
        println!("Schemathesis: there");
        return Ok(());
    }
    println!("installing Schemathesis, which the tests check the hub's OpenAPI document with");
    let mut make = with_arguments(program("python3"), &["-m", "venv", "--clear"]);
    make.arg(&environment);
    call(make)?;
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
    ];
    let mut install = with_arguments(program(&python), &pip);
    install.arg("--requirement").arg(&requirements);
    call(install)?;
    std::fs::write(&stamp, wanted).with_context(|| format!("cannot write {}", stamp.display()))
}

/// Whether Python can make environments; Debian's own cannot without a package more.
fn python_has_venv() -> bool {
    succeeds(with_arguments(
        program("python3"),
        &["-c", "import ensurepip, venv"],
    ))
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn with_arguments(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    command
}
