//! A place of its own for each test, and the program run in it.

use std::fs;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::sync::mpsc;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;
use tempfile::TempDir;

/// Anything that takes longer is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder in which the program runs, with a home folder in it.
pub(crate) struct Place {
    root: TempDir,
}

/// What a run of the program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("a temporary folder");
        Self { root }
    }

    /// A place with a key in `key`.
    pub(crate) fn with_key() -> Self {
        let place = Self::new();
        place.run(&["key", "new", "--key-file", "key"]).ok();
        place
    }

    /// A place with a key and folders that are mirrors of its bucket on `hub`.
    pub(crate) fn with_mirrors(hub: &str, names: &[&str]) -> Self {
        let place = Self::with_key();
        for name in names {
            place
                .run(&["init", name, "--hub", hub, "--key-file", "key"])
                .ok();
        }
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        let folder = path.parent().expect("a folder");
        fs::create_dir_all(folder).expect("the folder is made");
        fs::write(path, content).expect("the file is written");
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pangaea"));
        command.args(arguments).current_dir(self.root.path());
        command
            .env_remove("PANGAEA_KEY")
            .env_remove("RUST_LOG")
            .env_remove("XDG_CONFIG_HOME");
        command.env("HOME", self.path("home")).env("TZ", "UTC");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(&mut self.command(arguments), "")
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &str) -> Ran {
        Ran::of(&mut self.command(arguments), input)
    }

    /// The files of a folder and their content, without Pangaea's own.
    pub(crate) fn tree(&self, name: &str) -> Vec<(String, Vec<u8>)> {
        let root = self.path(name);
        let mut files = Vec::new();
        collect(&root, &root, &mut files);
        files.sort();
        files
    }
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).expect("a folder that can be read") {
        let path = entry.expect("an entry").path();
        let name = path
            .strip_prefix(root)
            .expect("inside")
            .display()
            .to_string();
        if name == ".pangaea" {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files);
        } else {
            files.push((name, fs::read(&path).expect("a file that can be read")));
        }
    }
}

impl Ran {
    pub(crate) fn of(command: &mut Command, input: &str) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("its input");
        // A program that does not read its input may be gone already.
        stdin.write_all(input.as_bytes()).ok();
        drop(stdin);
        let output = child.wait_with_output().expect("the program ends");
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Holds that it went well, and gives its output.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    /// Holds that it ended with this code, and gives all that it said.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        format!("{}{}", self.out, self.err)
    }

    /// Holds that it went well, and reads its output as one document.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        parse(&self.ok())
    }
}

#[track_caller]
pub(crate) fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The names of the fields of a JSON object.
pub(crate) fn fields(document: &Value) -> Vec<&str> {
    let object = document.as_object().expect("an object");
    object.keys().map(String::as_str).collect()
}

/// The program running in the background, with JSON lines for output.
pub(crate) struct Running {
    child: Child,
    lines: mpsc::Receiver<Value>,
}

impl Running {
    pub(crate) fn start(place: &Place, arguments: &[&str]) -> Self {
        Self::of(&mut place.command(arguments))
    }

    pub(crate) fn of(command: &mut Command) -> Self {
        command
            .arg("--json")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let out = BufReader::new(child.stdout.take().expect("its output"));
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if sender.send(parse(&line)).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Waits for a line that says this.
    #[track_caller]
    pub(crate) fn wait_for(&self, event: &str) -> Value {
        self.wait_for_path(event, None)
    }

    /// Waits for a line that says this of a file.
    #[track_caller]
    pub(crate) fn wait_for_path(&self, event: &str, path: Option<&str>) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no {event} of {path:?} among {seen:#?}");
            };
            if line["event"] == event && path.is_none_or(|path| line["path"] == path) {
                return line;
            }
            seen.push(line);
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop as Ctrl-C does, and gives its exit code.
    pub(crate) fn interrupt(self) -> Option<i32> {
        signal(self.child.id());
        self.ended()
    }

    /// Waits for its end, and gives its exit code.
    pub(crate) fn ended(mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.code(),
                Ok(None) => {}
                Err(error) => panic!("{error}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not stop");
    }
}

fn signal(pid: u32) {
    let pid = i32::try_from(pid).expect("a process id");
    let pid = rustix::process::Pid::from_raw(pid).expect("a process id");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a signal");
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A hub in a process of its own, which keeps its address when it is started again.
pub(crate) struct HubProcess {
    place: Place,
    pub(crate) url: String,
    listen: String,
    running: Option<Running>,
}

impl HubProcess {
    pub(crate) fn start() -> Self {
        let (url, listen) = (String::new(), "127.0.0.1:0".to_owned());
        let mut hub = Self {
            place: Place::new(),
            url,
            listen,
            running: None,
        };
        hub.start_again();
        hub
    }

    pub(crate) fn start_again(&mut self) {
        let arguments = ["hub", "--listen", &self.listen, "--data", "data"];
        let running = Running::start(&self.place, &arguments);
        let ready = running.wait_for("ready");
        let text = |field: &str| ready[field].as_str().expect("text").to_owned();
        (self.url, self.listen) = (text("url"), text("listen"));
        self.running = Some(running);
    }

    pub(crate) fn stop(&mut self) {
        let running = self.running.take().expect("a hub that runs");
        assert_eq!(running.interrupt(), Some(0));
    }
}
