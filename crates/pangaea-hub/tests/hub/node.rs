//! The stock JavaScript clients, run by Node: each session is a device of its own, with the tags
//! that its library remembers.

use std::path::Path;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use gaia::key::SecretKey;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// Which client.
#[derive(Clone, Copy, Debug)]
pub enum Library {
    /// `@stacks/storage`.
    Stacks,
    /// `blockstack`, its predecessor.
    Blockstack,
}

/// A signed-in session.
#[derive(Debug)]
pub struct Session {
    /// Ends when this is dropped.
    _child: Child,
    requests: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Session {
    pub fn start(library: Library, hub_url: &str, key: &SecretKey) -> Self {
        Self::start_vouched(library, hub_url, key, "")
    }

    /// A session whose tokens carry the word of another key.
    pub fn start_vouched(
        library: Library,
        hub_url: &str,
        key: &SecretKey,
        association: &str,
    ) -> Self {
        let name = match library {
            Library::Stacks => "stacks",
            Library::Blockstack => "blockstack",
        };
        let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testing/kit/clients");
        let folder = clients.join(name);
        assert!(
            folder.join("node_modules").is_dir(),
            "the stock client {name} is not installed: run cargo xtask setup"
        );
        let mut child = Command::new("node")
            .args(["client.mjs", "session"])
            .current_dir(folder)
            .env("GAIA_HUB_URL", hub_url)
            .env("GAIA_SECRET_KEY", key.to_hex().as_str())
            .env("GAIA_ASSOCIATION_TOKEN", association)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("Node runs: run cargo xtask setup");
        let requests = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap()).lines();
        Self {
            _child: child,
            requests,
            answers,
        }
    }

    /// Has the client do something; what came of it, good or bad.
    pub async fn ask(&mut self, request: Value) -> Value {
        let line = format!("{request}\n");
        self.requests.write_all(line.as_bytes()).await.unwrap();
        let answer = self.answers.next_line().await.unwrap();
        serde_json::from_str(&answer.expect("the client answers")).unwrap()
    }

    /// Like [`Session::ask`], and it must succeed.
    pub async fn perform(&mut self, request: Value) -> Value {
        let answer = self.ask(request.clone()).await;
        assert_eq!(answer["ok"], true, "{request}: {answer}");
        answer
    }

    /// Like [`Session::ask`], and it must fail in this way.
    pub async fn fail(&mut self, request: Value, name: &str, status: impl Into<Value>) -> Value {
        let answer = self.ask(request.clone()).await;
        assert_eq!(answer["ok"], false, "{request}: {answer}");
        assert_eq!(answer["error"]["name"], name, "{request}: {answer}");
        assert_eq!(answer["error"]["status"], status.into(), "{request}");
        answer
    }

    /// The names of all files.
    pub async fn list(&mut self) -> Vec<String> {
        let answer = self.perform(json!({"operation": "list"})).await;
        let files: Vec<String> = serde_json::from_value(answer["files"].clone()).unwrap();
        assert_eq!(answer["count"], files.len());
        files
    }
}

/// A request about a path, with more members.
pub fn request(operation: &str, path: &str, options: &Value) -> Value {
    let mut request = json!({"operation": operation, "path": path});
    for (name, value) in options.as_object().unwrap() {
        request[name] = value.clone();
    }
    request
}

/// A request to store text as it is.
pub fn put_plain(path: &str, text: &str) -> Value {
    json!({"operation": "put", "path": path, "content": {"string": text}, "encrypt": false})
}

/// A request to fetch what is stored as it is.
pub fn get_plain(path: &str) -> Value {
    json!({"operation": "get", "path": path, "decrypt": false})
}

/// Content for the library to get as bytes.
pub fn bytes(content: &[u8]) -> Value {
    json!({"base64": BASE64.encode(content)})
}

/// What an answer to a `get` holds: as text or as bytes, and the bytes.
#[track_caller]
pub fn content(answer: &Value) -> (&str, Vec<u8>) {
    let text = answer["base64"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"));
    (
        answer["kind"].as_str().unwrap(),
        BASE64.decode(text).unwrap(),
    )
}
