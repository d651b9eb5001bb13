//! Processes: clients that are timed and whose peak memory is read, servers that end when the benchmark does.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use wait4::Wait4 as _;

/// How long a server may take until it accepts connections.
const START_LIMIT: Duration = Duration::from_secs(30);

/// One measurement of a client.
#[derive(Clone, Copy)]
pub struct Sample {
    /// From before the process was made until it had ended.
    pub wall: Duration,
    /// The most memory it had resident at any moment, in bytes.
    pub peak_bytes: u64,
}

/// Runs a client to its end; what it writes goes to `log`, whose end is shown when the client fails.
pub fn timed(mut command: Command, log: &Path) -> Result<Sample> {
    let output = File::create(log)?;
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    let start = Instant::now();
    let child = command
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    let end = child.wait4()?;
    let wall = start.elapsed();
    if !end.status.success() {
        bail!("{command:?} failed: {}\n{}", end.status, tail(log));
    }
    Ok(Sample {
        wall,
        peak_bytes: end.rusage.maxrss,
    })
}

/// A server on loopback. It is killed when this value is dropped.
pub struct Server {
    child: Child,
}

impl Server {
    /// Starts the server and waits until it accepts connections at `address`.
    pub fn start(command: &Command, address: SocketAddr, log: &Path) -> Result<Self> {
        let output = File::create(log)?;
        let mut command = bound_to_us(command);
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let mut server = Self { child };
        let start = Instant::now();
        loop {
            if let Some(status) = server.child.try_wait()? {
                bail!("{command:?} ended at once: {status}\n{}", tail(log));
            }
            if TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok() {
                return Ok(server);
            }
            if start.elapsed() > START_LIMIT {
                bail!(
                    "{command:?} does not accept connections at {address}\n{}",
                    tail(log)
                );
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Server {
    /// How much memory it has resident now.
    pub fn resident_bytes(&self) -> Result<u64> {
        self.status_bytes("VmRSS:")
    }

    /// The most memory it had resident since [`Self::forget_peak`].
    pub fn peak_bytes(&self) -> Result<u64> {
        self.status_bytes("VmHWM:")
    }

    /// Begins to look for the peak of its memory anew.
    pub fn forget_peak(&self) -> Result<()> {
        let file = format!("/proc/{}/clear_refs", self.child.id());
        std::fs::write(&file, "5").with_context(|| format!("cannot write {file}"))
    }

    fn status_bytes(&self, name: &str) -> Result<u64> {
        let file = format!("/proc/{}/status", self.child.id());
        let status =
            std::fs::read_to_string(&file).with_context(|| format!("cannot read {file}"))?;
        let kibibytes: Option<u64> = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok());
        Ok(kibibytes.with_context(|| format!("{file} says nothing of {name}"))? * 1024)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill and nothing to report.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Returns an address on loopback that nobody listens on.
pub fn free_address() -> Result<SocketAddr> {
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on loopback")?;
    Ok(listener.local_addr()?)
}

/// Makes the command end with this process, however this process ends: `setpriv` (util-linux) asks the kernel for that
/// and then becomes the command.
fn bound_to_us(command: &Command) -> Command {
    let mut bound = Command::new("setpriv");
    bound
        .args(["--pdeathsig", "KILL"])
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(name, value),
            None => bound.env_remove(name),
        };
    }
    bound
}

fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_timed_and_its_memory_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sleep");
        command.arg("0.05");
        let sample = timed(command, &folder.path().join("log")).unwrap();
        assert!(sample.wall >= Duration::from_millis(50));
        assert!(sample.peak_bytes > 100_000);
    }

    #[test]
    fn a_failing_client_shows_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo the disk is on fire; exit 3"]);
        let Err(error) = timed(command, &folder.path().join("log")) else {
            panic!("it failed")
        };
        assert!(error.to_string().contains("the disk is on fire"), "{error}");
    }

    #[test]
    fn a_server_that_ends_at_once_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such folder; exit 1"]);
        let Err(error) = Server::start(
            &command,
            free_address().unwrap(),
            &folder.path().join("log"),
        ) else {
            panic!("it ended")
        };
        assert!(error.to_string().contains("no such folder"), "{error}");
    }
}
