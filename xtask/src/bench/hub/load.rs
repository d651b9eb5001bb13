//! Load from another process: `wrk`, with requests of our own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::cargo::output;

/// The requests that wrk sends.
const SCRIPT: &str = include_str!("load.lua");

/// What is asked for.
#[derive(Clone, Copy)]
pub enum Kind {
    /// One of the files is read.
    Get,
    /// One of the files is overwritten.
    Again,
    /// A file is stored under a name not used before.
    New,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Again => "again",
            Self::New => "new",
        }
    }
}

/// How much load there is.
pub struct Load {
    script: PathBuf,
    connections: u32,
    threads: usize,
    duration: Duration,
}

/// What came of it.
#[derive(Clone, Copy)]
pub struct Outcome {
    /// Answers in a second.
    pub rate: f64,
    /// The time within which 99 of 100 answers came.
    pub p99: Duration,
}

impl Load {
    /// Prepares load of a duration; the script is written to `folder`.
    pub fn new(folder: &Path, connections: u32, duration: Duration) -> Result<Self> {
        let script = folder.join("load.lua");
        std::fs::write(&script, SCRIPT)?;
        Ok(Self {
            script,
            connections,
            threads: std::thread::available_parallelism()?.get(),
            duration,
        })
    }

    /// Puts the load on a server: files below `prefix`, of which there are `files`.
    pub fn run(
        &self,
        kind: Kind,
        server: SocketAddr,
        prefix: &str,
        authorization: &str,
        files: u32,
    ) -> Result<Outcome> {
        let mut command = Command::new("wrk");
        command
            .args(["--threads", &self.threads.to_string()])
            .args(["--connections", &self.connections.to_string()])
            .args(["--duration", &format!("{}s", self.duration.as_secs())])
            .arg("--script")
            .arg(&self.script)
            .arg(format!("http://{server}"))
            .args(["--", kind.word(), prefix, authorization])
            .arg(files.to_string());
        parse(&output(command)?)
    }
}

/// Reads the last line that the script writes.
fn parse(text: &str) -> Result<Outcome> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("RESULT "))
        .with_context(|| format!("wrk gave no result:\n{text}"))?;
    let numbers: Vec<u64> = line
        .split(' ')
        .map(str::parse)
        .collect::<Result<_, _>>()
        .with_context(|| format!("wrk gave no numbers: {line}"))?;
    let [requests, microseconds, refused, broken, p99] = numbers[..] else {
        bail!("wrk gave other numbers: {line}");
    };
    if refused + broken > 0 || requests == 0 || microseconds == 0 {
        bail!("of {requests} requests {refused} were refused and {broken} broke off");
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of requests are far below 2^53"
    )]
    let rate = requests as f64 / Duration::from_micros(microseconds).as_secs_f64();
    Ok(Outcome {
        rate,
        p99: Duration::from_micros(p99),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_and_errors_are_not_overlooked() {
        let outcome = parse("Running\n\nRESULT 5000 500000 0 0 2500\n").unwrap();
        assert!((outcome.rate - 10_000.0).abs() < 1e-6);
        assert_eq!(outcome.p99, Duration::from_micros(2500));
        for text in [
            "",
            "RESULT 1 2",
            "RESULT 5000 500000 1 0 9",
            "RESULT 5000 500000 0 1 9",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
