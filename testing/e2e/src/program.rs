//! The built `pangaea` program: found or built once, run to its end under a deadline, or kept
//! running and killed when dropped.

use std::ffi::OsStr;
use std::fs;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

/// Set to test a program that was built elsewhere.
const PROGRAM_VARIABLE: &str = "PANGAEA_BIN";
/// No single command takes longer, on a slow machine that does other things too.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(300);

/// The program under test.
pub fn pangaea() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os(PROGRAM_VARIABLE) {
        Some(path) => PathBuf::from(path),
        None => build(),
    })
}

/// Builds the programs just as `cargo xtask test` does, so that it is done already there.
fn build() -> PathBuf {
    // target/debug/deps/e2e-…
    let own = std::env::current_exe().unwrap();
    let profile = own.parent().and_then(Path::parent).unwrap();
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["build", "--quiet", "--workspace", "--bins", "--target-dir"])
        .arg(profile.parent().unwrap())
        .current_dir(root());
    if profile.ends_with("release") {
        command.arg("--release");
    }
    // What cargo tells the program that it runs would make build scripts run again.
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_"))
            || name == "CARGO_MANIFEST_DIR"
        {
            command.env_remove(name);
        }
    }
    let status = command.status().unwrap();
    assert!(status.success(), "the programs cannot be built");
    profile.join(format!("pangaea{}", std::env::consts::EXE_SUFFIX))
}

/// Where the sources of this run are. Cargo takes two checkouts with one target directory for the same, so what was
/// compiled in may name another one.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR");
    let package = package.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(package).join("../..")
}

/// Where a process is run: a home of its own, and a place for what it prints.
#[derive(Debug)]
pub struct Place {
    folder: PathBuf,
    count: AtomicU64,
}

impl Place {
    /// A place in a folder that is made for it.
    pub fn new(folder: PathBuf) -> Self {
        fs::create_dir_all(folder.join("home")).unwrap();
        let count = AtomicU64::new(0);
        Self { folder, count }
    }

    /// The program with these arguments.
    pub fn pangaea<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(pangaea());
        command
            .args(arguments)
            .env("HOME", self.folder.join("home"))
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("PANGAEA_KEY")
            .env_remove("RUST_LOG")
            .current_dir(&self.folder);
        command
    }

    /// Starts a command with its output going to files, so that it never waits for a reader.
    pub fn start(&self, mut command: Command) -> Process {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let name = |stream| self.folder.join(format!("{number}.{stream}"));
        let (stdout, stderr) = (name("stdout"), name("stderr"));
        let line = format!("{command:?}");
        command
            .stdin(Stdio::null())
            .stdout(File::create(&stdout).unwrap())
            .stderr(File::create(&stderr).unwrap());
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        Process {
            child,
            line,
            stdout,
            stderr,
        }
    }

    /// Runs a command to its end.
    #[track_caller]
    pub fn run(&self, command: Command) -> Output {
        self.start(command).wait(COMMAND_LIMIT)
    }
}

/// A running process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    line: String,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Process {
    /// What it printed so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it complained about so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it at once, whatever it is doing (SIGKILL). True: it was still running, and did not
    /// end by itself in the last moment.
    pub fn kill(&mut self) -> bool {
        if !self.is_running() {
            return false;
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap().code().is_none()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self, limit: Duration) -> Output {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if start.elapsed() > limit {
                self.kill();
                let (stdout, stderr) = (self.stdout(), self.stderr());
                panic!("{}: not done in {limit:?}\n{stdout}\n{stderr}", self.line);
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        Output::of(&self, status)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let stderr = self.stderr();
            let tail: Vec<&str> = stderr.lines().rev().take(20).collect();
            for line in tail.iter().rev() {
                eprintln!("{}: {line}", self.line);
            }
        }
        // Long tests start many processes.
        fs::remove_file(&self.stdout).ok();
        fs::remove_file(&self.stderr).ok();
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// How a process ended.
#[derive(Debug)]
pub struct Output {
    /// Its exit code; none: it was killed.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained about.
    pub stderr: String,
    line: String,
}

impl Output {
    fn of(process: &Process, status: ExitStatus) -> Self {
        Self {
            code: status.code(),
            stdout: fs::read(&process.stdout).unwrap_or_default(),
            stderr: process.stderr(),
            line: process.line.clone(),
        }
    }

    /// What it printed, as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Fails unless it ended with this exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert!(
            self.code == Some(code),
            "{} ended with {:?} instead of {code}\n{}\n{}",
            self.line,
            self.code,
            self.text(),
            self.stderr
        );
        self
    }

    /// The one JSON document that it printed.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("{}: {error}\n{}", self.line, self.text()))
    }
}
