//! A hub in a process of its own, at the same address and with the same data after every restart,
//! and the plain HTTP requests that tests make to it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::Once;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gaia::challenge::challenge_text;
use gaia::key::SecretKey;
use gaia::token::TokenBuilder;
use serde_json::Value;
use serde_json::json;

use crate::program::Place;
use crate::program::Process;
use crate::wait_for;

/// A hub has answered by then.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A hub, running or not.
#[derive(Debug)]
pub struct HubProcess {
    address: SocketAddr,
    data: PathBuf,
    options: Vec<String>,
    place: Place,
    running: Option<Process>,
}

/// A stored file as a listing shows it: tag and time of the last write.
pub type Stat = (String, String);

impl HubProcess {
    /// A hub that keeps its data below `folder`; not started.
    pub fn new(folder: PathBuf, options: &[&str]) -> Self {
        Self {
            address: free_address(),
            data: folder.join("data"),
            options: options.iter().map(|&option| option.to_owned()).collect(),
            place: Place::new(folder),
            running: None,
        }
    }

    /// Where clients find it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts it, and waits until it answers.
    #[track_caller]
    pub fn start(&mut self) {
        let listen = self.address.to_string();
        let mut command = self.place.pangaea(["hub", "--listen", &listen, "--data"]);
        command.arg(&self.data).args(&self.options);
        let mut process = self.place.start(command);
        let url = format!("{}/hub_info", self.url());
        wait_for("the hub answers", START_LIMIT, || {
            assert!(process.is_running(), "the hub ended: {}", process.stderr());
            http(client().get(&url)).filter(|(status, _)| *status == 200)
        });
        self.running = Some(process);
    }

    /// Kills it.
    pub fn kill(&mut self) -> bool {
        self.running
            .take()
            .is_some_and(|mut process| process.kill())
    }

    /// Everything that a listing tells about a bucket.
    #[track_caller]
    pub fn stats(&self, key: &SecretKey) -> BTreeMap<String, Stat> {
        let token = TokenBuilder::new(challenge_text("gaia-0"), [7; 16]);
        let authorization = token.sign(key).unwrap().authorization();
        let url = format!("{}/list-files/{}", self.url(), key.address());
        let (mut stats, mut page) = (BTreeMap::new(), Value::Null);
        loop {
            let request = client()
                .post(&url)
                .header("Authorization", &authorization)
                .body(json!({ "page": page, "stat": true }).to_string());
            let (status, body) = http(request).expect("the hub lists its files");
            assert_eq!(status, 202, "{body}");
            let answer: Value = serde_json::from_str(&body).unwrap();
            for entry in answer["entries"].as_array().unwrap() {
                let text = |member: &str| entry[member].to_string();
                let name = entry["name"].as_str().unwrap().to_owned();
                stats.insert(name, (text("etag"), text("lastModifiedDate")));
            }
            page = answer["page"].clone();
            if page.is_null() {
                return stats;
            }
        }
    }
}

/// A port of this machine that nobody has, and that no outgoing connection gets while the hub is
/// down: below the range that systems take those from.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 9_000).unwrap();
    loop {
        let offset = (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 10_000;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 20_000 + offset));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

fn client() -> reqwest::Client {
    static PROVIDER: Once = Once::new();
    // Nothing here speaks TLS, but the library wants to know how it would.
    PROVIDER.call_once(|| {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
    });
    reqwest::Client::builder()
        .timeout(Duration::from_secs(60))
        .no_proxy()
        .build()
        .unwrap()
}

/// Status and body of the answer, if there is one.
fn http(request: reqwest::RequestBuilder) -> Option<(u16, String)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.text().await.ok()?))
    })
}
