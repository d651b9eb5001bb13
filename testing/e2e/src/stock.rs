//! The stock JavaScript client, `@stacks/storage`, run by Node.

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gaia::key::SecretKey;
use serde_json::Value;
use serde_json::json;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../kit/clients/stacks");

/// The stock client, as the owner of a bucket.
#[derive(Debug)]
pub struct StockClient {
    hub_url: String,
    key: SecretKey,
}

impl StockClient {
    /// A client of one bucket on one hub.
    #[track_caller]
    pub fn new(hub_url: String, key: &SecretKey) -> Self {
        assert!(
            Path::new(FOLDER)
                .join("node_modules/@stacks/storage")
                .is_dir(),
            "the stock client is not installed: run cargo xtask setup"
        );
        Self {
            hub_url,
            key: key.clone(),
        }
    }

    /// Has one client perform these requests in order; returns one answer for each.
    #[track_caller]
    pub fn session(&self, requests: &[Value]) -> Vec<Value> {
        let mut child = Command::new("node")
            .args(["client.mjs", "session"])
            .current_dir(FOLDER)
            .env("GAIA_HUB_URL", &self.hub_url)
            .env("GAIA_SECRET_KEY", self.key.to_hex().as_str())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Node runs: run cargo xtask setup");
        let lines: String = requests
            .iter()
            .map(|request| format!("{request}\n"))
            .collect();
        let mut stdin = child.stdin.take().unwrap();
        // The client reads as it works, and what it answers may fill its pipe before it has read
        // everything.
        let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        assert!(
            output.status.success(),
            "the stock client ended with {}",
            output.status
        );
        let answers: Vec<Value> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(answers.len(), requests.len(), "{answers:?}");
        answers
    }

    /// Like [`StockClient::session`], and every request must succeed.
    #[track_caller]
    pub fn perform(&self, requests: &[Value]) -> Vec<Value> {
        let answers = self.session(requests);
        for (request, answer) in requests.iter().zip(&answers) {
            assert_eq!(answer["ok"], true, "{request}: {answer}");
        }
        answers
    }

    /// The names of all files in the bucket.
    #[track_caller]
    pub fn list(&self) -> Vec<String> {
        let answers = self.perform(&[json!({ "operation": "list" })]);
        serde_json::from_value(answers[0]["files"].clone()).unwrap()
    }
}

/// The content of an answer to a `get`.
#[track_caller]
pub fn content(answer: &Value) -> Vec<u8> {
    let text = answer["base64"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"));
    BASE64.decode(text).unwrap()
}

/// Content of a `put`, for the library to get as bytes.
pub fn as_bytes(content: &[u8]) -> Value {
    json!({ "base64": BASE64.encode(content) })
}

/// Content of a `put`, for the library to get as text.
pub fn as_string(content: &str) -> Value {
    json!({ "string": content })
}
