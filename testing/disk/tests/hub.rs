//! Power cuts on a hub: what was answered for is there, nothing is torn, and its own check finds
//! nothing wrong.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::io::Read as _;
use std::io::Write as _;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use gaia::challenge::challenge_text;
use gaia::key::SecretKey;
use gaia::token::TokenBuilder;
use pangaea_disk::check_model;
use pangaea_disk::chosen;
use pangaea_disk::disk::Recording;
use pangaea_disk::disk::State;
use pangaea_disk::trace;
use pangaea_e2e::program::COMMAND_LIMIT;
use pangaea_e2e::program::Place;
use pangaea_e2e::program::Process;
use pangaea_e2e::wait_for;
use pangaea_kit::random::Random;
use tempfile::TempDir;

/// What a client asks for: a file and its content; none: it is deleted.
type Step = (&'static str, Option<Vec<u8>>);

struct Bench {
    place: Place,
    data: PathBuf,
    key: SecretKey,
    address: String,
    temp: TempDir,
}

impl Bench {
    fn new() -> Self {
        let temp = TempDir::with_prefix("pangaea-disk-").unwrap();
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            place: Place::new(temp.path().join("place")),
            data: temp.path().join("data"),
            key: SecretKey::from_bytes(&[5; 32]).unwrap(),
            address: free.local_addr().unwrap().to_string(),
            temp,
        }
    }

    fn hub(&self) -> Command {
        let mut command = self
            .place
            .pangaea(["hub", "--listen", &self.address, "--data"]);
        command.arg(&self.data);
        command
    }

    fn start(&self, command: Command) -> Process {
        let mut process = self.place.start(command);
        wait_for("the hub answers", COMMAND_LIMIT, || {
            assert!(process.is_running(), "the hub ended: {}", process.stderr());
            self.ask("GET", "/hub_info", b"")
                .filter(|(status, _)| *status == 200)
        });
        process
    }

    /// Status and body; none if nobody answers.
    fn ask(&self, method: &str, target: &str, body: &[u8]) -> Option<(u16, Vec<u8>)> {
        let token = TokenBuilder::new(challenge_text("gaia-0"), [7; 16]);
        let authorization = token.sign(&self.key).unwrap().authorization();
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .ok()?;
        let head = format!(
            "{method} {target} HTTP/1.1\r\nhost: {}\r\nauthorization: {authorization}\r\n\
             content-type: application/octet-stream\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
        let status = String::from_utf8_lossy(answer.get(9..12)?).parse().ok()?;
        Some((status, answer.split_off(end + 4)))
    }

    fn target(&self, what: &str, path: &str) -> String {
        format!("/{what}/{}/{path}", self.key.address())
    }

    fn take(&self, (path, content): &Step) {
        let asked = match content {
            Some(content) => self.ask("POST", &self.target("store", path), content),
            None => self.ask("DELETE", &self.target("delete", path), b""),
        };
        let (status, body) = asked.expect("the hub answers");
        assert_eq!(status, 202, "{}", String::from_utf8_lossy(&body));
    }

    /// One life of the hub, under strace, with these steps and this end.
    fn record(&self, recording: &mut Recording, steps: &[Step], signal: &str) {
        let output = self.temp.path().join("trace");
        let process = self.start(trace::traced(&self.hub(), &output));
        for step in steps {
            self.take(step);
        }
        // The hub is the first process in the recording.
        let text = fs::read_to_string(&output).unwrap();
        let hub = text.split(' ').next().unwrap();
        let told = Command::new("kill").args([signal, hub]).status().unwrap();
        assert!(told.success());
        process.wait(COMMAND_LIMIT);
        let text = fs::read_to_string(&output).unwrap();
        recording.add(&trace::calls(&text)).unwrap();
    }

    /// Each file is as the last step left it that was answered for, or the step after that; and
    /// `hub check` is content.
    fn check(&self, steps: &[Step], state: &State) -> Result<(), String> {
        let written = state.files.write(&self.data);
        written.map_err(|error| error.to_string())?;
        let acknowledged = state.acknowledged;
        let mut hub = self.place.start(self.hub());
        let is_up = wait_for("the hub answers or ends", COMMAND_LIMIT, || {
            if !hub.is_running() {
                return Some(false);
            }
            let answered = self.ask("GET", "/hub_info", b"");
            answered.filter(|(status, _)| *status == 200).map(|_| true)
        });
        if !is_up {
            return Err(format!("{}: {}", state.story, hub.stderr()));
        }
        let after = |count: usize, path: &str| {
            let done = steps.iter().take(count).rev();
            let mut of_path = done.filter(|(known, _)| *known == path);
            of_path.next().and_then(|(_, content)| content.clone())
        };
        for (path, _) in steps {
            let found = self.ask("GET", &self.target("read", path), b"");
            let (status, body) = found.ok_or("no answer")?;
            let found = (status == 200).then_some(body);
            if found != after(acknowledged, path) && found != after(acknowledged + 1, path) {
                let length = found.map(|bytes| bytes.len());
                return Err(format!(
                    "{path}: status {status}, {length:?} bytes, {acknowledged} steps were \
                     answered for: {}",
                    state.story
                ));
            }
        }
        hub.kill();
        drop(hub);
        let mut check = self.place.pangaea(["hub", "check", "--data"]);
        check.arg(&self.data);
        let checked = self.place.run(check);
        match checked.code {
            Some(0) => Ok(()),
            code => Err(format!(
                "hub check ended with {code:?}: {}{}: {}",
                checked.text(),
                checked.stderr,
                state.story
            )),
        }
    }
}

fn steps() -> Vec<Step> {
    let mut random = Random::new(3);
    let mut steps: Vec<Step> = vec![
        ("small.txt", Some(b"one".to_vec())),
        ("large.bin", Some(random.bytes(150_000))),
        ("small.txt", Some(b"one, two".to_vec())),
        ("gone.txt", Some(b"soon gone".to_vec())),
        ("large.bin", Some(random.bytes(180_000))),
        ("gone.txt", None),
        ("middle.bin", Some(random.bytes(20_000))),
        ("large.bin", None),
        ("empty", Some(Vec::new())),
    ];
    for round in 0..4_u8 {
        steps.push(("small.txt", Some(vec![round; 100])));
    }
    steps
}

#[test]
fn what_was_answered_for_outlives_a_power_cut() {
    assert!(
        trace::can_trace(),
        "strace is needed, and the right to trace"
    );
    let bench = Bench::new();
    // The folder with its first, empty index is there; the recording begins with that.
    let mut first = bench.start(bench.hub());
    first.kill();
    drop(first);
    let mut recording = Recording::new(&bench.data).unwrap();
    let steps = steps();
    // Killed in the middle, so that the second life begins with what the first left to do; the second
    // ends in order, so that all that a hub does later is seen too.
    let (before, after) = steps.split_at(steps.len() / 2);
    for (steps, signal) in [(before, "-KILL"), (after, "-TERM")] {
        bench.record(&mut recording, steps, signal);
    }
    check_model(&recording, &bench.data);
    assert_eq!(recording.answers(), steps.len());

    for state in chosen(&recording) {
        bench.check(&steps, &state).unwrap();
    }
    // On a disk that ignores every fsync something must be missing, or this test sees nothing.
    let broken = chosen(&recording.without_syncs());
    assert!(
        broken
            .iter()
            .any(|state| bench.check(&steps, state).is_err())
    );
}
