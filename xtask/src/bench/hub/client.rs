//! Single requests to the hub, with curl: filling a bucket, pages of a listing, one large file up and down.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use gaia::batch::{self, Kind, Operation};
use gaia::challenge::challenge_text;
use gaia::frames::write_head;
use gaia::key::SecretKey;
use gaia::token::TokenBuilder;
use serde_json::{Value, json};

/// Operations in one batch.
const BATCH_OPERATIONS: u32 = 1000;

/// The length of every small file.
pub const FILE_BYTES: usize = 1024;

/// The owner of a bucket, with a token.
pub struct Client {
    url: String,
    /// The address of the bucket.
    pub bucket: String,
    /// The value of the `Authorization` header.
    pub authorization: String,
    folder: PathBuf,
}

/// An answer to a request.
struct Answer {
    body: Vec<u8>,
    /// From the first byte of the request to the last one of the answer, for each request.
    times: Vec<Duration>,
}

impl Client {
    /// A client with a token that is told from others by a number. What it needs of files is made in `folder`.
    pub fn new(url: &str, folder: &Path, number: u8) -> Result<Self> {
        let key = SecretKey::from_bytes(&[7; 32])?;
        let token = TokenBuilder::new(challenge_text("gaia-0"), [number; 16]).sign(&key)?;
        Ok(Self {
            url: url.to_owned(),
            bucket: key.address().to_string(),
            authorization: token.authorization(),
            folder: folder.to_owned(),
        })
    }

    /// Stores files `from` to `to` below a folder: as batches, so that a million of them is a matter of minutes.
    pub fn fill(&self, folder: &str, from: u32, to: u32) -> Result<()> {
        for first in (from..to).step_by(BATCH_OPERATIONS as usize) {
            let last = first.saturating_add(BATCH_OPERATIONS).min(to);
            let mut body = Vec::new();
            for number in first..last {
                let bytes = content(number);
                let operation = Operation {
                    op: Kind::Store,
                    path: format!("{folder}/{number:05}.txt"),
                    content_type: Some("text/plain; charset=utf-8".into()),
                    if_match: None,
                    if_none_match: None,
                    length: bytes.len() as u64,
                };
                write_head(&operation, &mut body)?;
                body.extend_from_slice(&bytes);
            }
            let mut command = self.curl(&["--request", "POST", "--data-binary", "@-"])?;
            command
                .args(["--header", &format!("Content-Type: {}", batch::MEDIA_TYPE)])
                .arg(format!("{}/batch/{}", self.url, self.bucket));
            let reply: batch::Reply = serde_json::from_slice(&answer(command, &body)?.body)?;
            if let Some(refused) = reply.results.iter().find(|one| one.status != 202) {
                bail!("a batch was not taken as a whole: {refused:?}");
            }
        }
        Ok(())
    }

    /// One page of a stat listing: how long it took, how many entries it has, and the cursor of the next one.
    pub fn page(&self, cursor: Option<&str>) -> Result<(Duration, usize, Option<String>)> {
        let body = json!({"page": cursor, "stat": true}).to_string();
        let mut command = self.curl(&["--request", "POST", "--data-binary", "@-"])?;
        command.arg(format!("{}/list-files/{}", self.url, self.bucket));
        let answer = answer(command, body.as_bytes())?;
        let listing: Value = serde_json::from_slice(&answer.body)?;
        let entries = listing["entries"].as_array().map_or(0, Vec::len);
        let next = listing["page"].as_str().map(str::to_owned);
        let time = answer.times.first().copied();
        Ok((time.context("curl measured nothing")?, entries, next))
    }

    /// The same request twice on one connection: how long each took.
    pub fn twice(&self) -> Result<(Duration, Duration)> {
        let mut command = self.curl(&["--request", "POST", "--data-binary", "@-"])?;
        let url = format!("{}/list-files/{}", self.url, self.bucket);
        command.args([&url, &url]);
        let answer = answer(command, b"{\"page\":null}")?;
        let [first, later] = answer.times[..] else {
            bail!("curl measured {} requests", answer.times.len());
        };
        Ok((first, later))
    }

    /// Stores a large file without holding it in memory, and reads it back.
    pub fn stream(&self, file: &Path) -> Result<()> {
        let mut up = self.curl(&["--request", "POST", "--upload-file"])?;
        up.arg(file)
            .arg(format!("{}/store/{}/large", self.url, self.bucket));
        answer(up, b"")?;
        let mut down = self.curl(&["--output", "/dev/null"])?;
        down.arg(format!("{}/read/{}/large", self.url, self.bucket));
        answer(down, b"")?;
        Ok(())
    }

    fn curl(&self, arguments: &[&str]) -> Result<Command> {
        // In a file: what stands on a command line is seen by everybody.
        let headers = self.folder.join("headers");
        std::fs::write(&headers, format!("Authorization: {}\n", self.authorization))?;
        let mut command = Command::new("curl");
        command
            .args(["--silent", "--show-error", "--fail-with-body"])
            .args([
                "--write-out",
                "%{stderr}%{time_pretransfer} %{time_total}\n",
            ])
            .arg("--header")
            .arg(format!("@{}", headers.display()))
            .args(arguments);
        Ok(command)
    }
}

/// The bytes of a small file: others for each number.
pub fn content(number: u32) -> Vec<u8> {
    let line = format!("{number:015}\n");
    line.bytes().cycle().take(FILE_BYTES).collect()
}

fn answer(mut command: Command, input: &[u8]) -> Result<Answer> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start curl")?;
    // curl reads all of it before it sends anything.
    child
        .stdin
        .take()
        .context("curl has no input")?
        .write_all(input)?;
    let output = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let body = String::from_utf8_lossy(&output.stdout);
        bail!("a request failed: {} {body}", said.trim());
    }
    let times = said.lines().map(took).collect::<Result<_>>()?;
    Ok(Answer {
        body: output.stdout,
        times,
    })
}

fn took(line: &str) -> Result<Duration> {
    let (start, end) = line
        .split_once(' ')
        .with_context(|| format!("curl said: {line}"))?;
    let seconds = end.parse::<f64>()? - start.parse::<f64>()?;
    Ok(Duration::try_from_secs_f64(seconds)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_differ_and_times_are_read() {
        assert_eq!(content(1).len(), FILE_BYTES);
        assert_ne!(content(1), content(2));
        assert_eq!(took("0.25 0.75").unwrap(), Duration::from_millis(500));
        assert!(took("curl: no").is_err());
    }
}
