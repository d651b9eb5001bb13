//! A hub in a temporary folder, and a client that speaks plain HTTP to it.

use std::net::SocketAddr;
use std::sync::Once;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gaia::challenge::challenge_text;
use gaia::key::SecretKey;
use gaia::scope::{Scope, ScopeKind, Scopes};
use gaia::token::TokenBuilder;
use pangaea_hub::{Hub, HubConfig, RunningHub};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The name that test hubs have, as stock hubs do.
pub const SERVER_NAME: &str = "gaia-0";

/// A running hub, its folder, and one bucket's key.
pub struct World {
    pub folder: TempDir,
    pub hub: Option<RunningHub>,
    pub client: Client,
}

/// Talks to a hub as the owner of one bucket.
#[derive(Clone)]
pub struct Client {
    pub http: reqwest::Client,
    pub url: String,
    pub key: SecretKey,
    pub authorization: String,
}

/// A new hub as it comes.
pub async fn world() -> World {
    world_with(|_| {}).await
}

/// A new hub with other settings.
pub async fn world_with(change: impl FnOnce(&mut HubConfig)) -> World {
    let folder = tempfile::tempdir().unwrap();
    let mut config = HubConfig::new(folder.path(), any_port());
    change(&mut config);
    let hub = Hub::start(config).await.unwrap();
    let client = Client::new(hub.url(), key(1));
    World {
        folder,
        hub: Some(hub),
        client,
    }
}

impl World {
    /// Stops the hub and starts another one on the same folder.
    pub async fn restart(&mut self) {
        self.hub.take().unwrap().shutdown().await.unwrap();
        self.start_again().await;
    }

    pub async fn start_again(&mut self) {
        self.start_with(|_| {}).await;
    }

    /// Stops the hub and starts another one with other settings.
    pub async fn restart_with(&mut self, change: impl FnOnce(&mut HubConfig)) {
        self.hub.take().unwrap().shutdown().await.unwrap();
        self.start_with(change).await;
    }

    async fn start_with(&mut self, change: impl FnOnce(&mut HubConfig)) {
        let mut config = HubConfig::new(self.folder.path(), any_port());
        change(&mut config);
        let hub = Hub::start(config).await.unwrap();
        self.client.url = hub.url().to_owned();
        self.hub = Some(hub);
    }

    pub fn address(&self) -> SocketAddr {
        self.hub.as_ref().unwrap().local_addr()
    }

    /// Names of the files in the blob folder.
    pub fn blobs(&self) -> Vec<String> {
        let mut names = Vec::new();
        for folder in std::fs::read_dir(self.folder.path().join("blobs")).unwrap() {
            for file in std::fs::read_dir(folder.unwrap().path()).unwrap() {
                names.push(file.unwrap().file_name().into_string().unwrap());
            }
        }
        names
    }

    /// Names of the files in the staging folder.
    pub fn staged(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("staging"))
            .unwrap()
            .count()
    }
}

pub fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// A key for tests: 1, 2, 3…
pub fn key(number: u8) -> SecretKey {
    SecretKey::from_bytes(&[number; 32]).unwrap()
}

pub fn token() -> TokenBuilder {
    TokenBuilder::new(challenge_text(SERVER_NAME), [7; 16])
}

pub fn scopes(list: &[(ScopeKind, &str)]) -> Scopes {
    let list = list
        .iter()
        .map(|(kind, domain)| Scope::new(*kind, *domain))
        .collect();
    Scopes::new(list).unwrap()
}

/// A status with the JSON body that came with it.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub json: Value,
}

impl Answer {
    pub async fn of(response: Response) -> Self {
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        let json = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self { status, json }
    }

    pub fn text(&self, member: &str) -> &str {
        self.json[member].as_str().unwrap_or("")
    }

    /// Checks status, name and message of a refusal.
    #[track_caller]
    pub fn is(&self, status: u16, error: &str, message: &str) {
        assert_eq!(self.status, status, "{:?}", self.json);
        assert_eq!(self.text("error"), error);
        assert_eq!(self.text("message"), message);
    }
}

impl Client {
    pub fn new(url: &str, key: SecretKey) -> Self {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(provide_tls);
        let authorization = token().sign(&key).unwrap().authorization();
        Self {
            http: reqwest::Client::new(),
            url: url.to_owned(),
            key,
            authorization,
        }
    }

    /// The same bucket with another token.
    pub fn with_token(&self, token: TokenBuilder) -> Self {
        self.with_authorization(token.sign(&self.key).unwrap().authorization())
    }

    pub fn with_authorization(&self, authorization: impl Into<String>) -> Self {
        let authorization = authorization.into();
        Self {
            authorization,
            ..self.clone()
        }
    }

    pub fn bucket(&self) -> String {
        self.key.address().to_string()
    }

    pub fn request(&self, method: Method, route: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}{route}", self.url))
            .header("Authorization", &self.authorization)
    }

    /// A store of a raw path, to be completed.
    pub fn store(&self, raw_path: &str) -> RequestBuilder {
        let route = format!("/store/{}/{raw_path}", self.bucket());
        self.request(Method::POST, &route)
    }

    pub async fn put(&self, raw_path: &str, body: impl Into<reqwest::Body>) -> Answer {
        Answer::of(self.store(raw_path).body(body).send().await.unwrap()).await
    }

    /// A store with one more header.
    pub async fn put_if(
        &self,
        raw_path: &str,
        body: &str,
        header: &'static str,
        value: &str,
    ) -> Answer {
        let request = self
            .store(raw_path)
            .header(header, value)
            .body(body.to_owned());
        Answer::of(request.send().await.unwrap()).await
    }

    pub async fn get(&self, raw_path: &str) -> Response {
        let url = format!("{}/read/{}/{raw_path}", self.url, self.bucket());
        self.http.get(url).send().await.unwrap()
    }

    /// The body of a file that must be there.
    pub async fn body(&self, raw_path: &str) -> String {
        let response = self.get(raw_path).await;
        assert_eq!(response.status(), 200, "{raw_path}");
        response.text().await.unwrap()
    }

    pub fn deletion(&self, raw_path: &str) -> RequestBuilder {
        let route = format!("/delete/{}/{raw_path}", self.bucket());
        self.request(Method::DELETE, &route)
    }

    pub async fn delete(&self, raw_path: &str) -> Answer {
        Answer::of(self.deletion(raw_path).send().await.unwrap()).await
    }

    pub async fn list(&self, body: Value) -> Answer {
        let route = format!("/list-files/{}", self.bucket());
        let request = self.request(Method::POST, &route).body(body.to_string());
        Answer::of(request.send().await.unwrap()).await
    }

    /// All names on the first page.
    pub async fn names(&self) -> Vec<String> {
        let answer = self.list(json!({})).await;
        assert_eq!(answer.status, 202, "{:?}", answer.json);
        serde_json::from_value(answer.json["entries"].clone()).unwrap()
    }

    pub async fn revoke(&self, body: &str) -> Answer {
        let route = format!("/revoke-all/{}", self.bucket());
        let request = self.request(Method::POST, &route).body(body.to_owned());
        Answer::of(request.send().await.unwrap()).await
    }
}

/// Nothing here speaks TLS, but the client library wants to know how it would.
fn provide_tls() {
    // An error says that there is a provider already.
    let installed = rustls::crypto::ring::default_provider().install_default();
    assert!(installed.is_ok());
}

/// An answer to a request that was written byte by byte.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

/// Sends bytes and reads everything up to the end of the connection.
pub async fn raw(address: SocketAddr, request: impl AsRef<[u8]>) -> RawAnswer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_ref()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let (head, body) = (head.to_owned(), body.to_owned());
    RawAnswer { status, head, body }
}

impl World {
    /// A request with a target that no URL library would leave alone.
    pub async fn raw(&self, method: &str, target: &str, body: &str) -> RawAnswer {
        let authorization = &self.client.authorization;
        let length = body.len();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\
             authorization: {authorization}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        raw(self.address(), request).await
    }

    /// A store of a raw path; the status and the message.
    pub async fn raw_store(&self, raw_path: &str, body: &str) -> (u16, String) {
        let target = format!("/store/{}/{raw_path}", self.client.bucket());
        let answer = self.raw("POST", &target, body).await;
        let json: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        let message = json["message"].as_str().unwrap_or_default().to_owned();
        (answer.status, message)
    }
}

/// Waits for something that another task does soon.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("not in five seconds: {what}");
}

/// Begins a store and sends only the first part of its body.
pub async fn begin_store(world: &World, path: &str, length: usize, part: &[u8]) -> TcpStream {
    let (bucket, authorization) = (world.client.bucket(), &world.client.authorization);
    let head = format!(
        "POST /store/{bucket}/{path} HTTP/1.1\r\nhost: hub\r\nconnection: close\r\n\
         authorization: {authorization}\r\ncontent-length: {length}\r\n\r\n"
    );
    let mut stream = TcpStream::connect(world.address()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(part).await.unwrap();
    stream
}

/// Sends the rest of a body and returns the status.
pub async fn finish_store(mut stream: TcpStream, rest: &[u8]) -> u16 {
    stream.write_all(rest).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

/// The stat entries of all pages of a bucket.
pub async fn pages(client: &Client) -> Vec<Vec<Value>> {
    let mut pages = Vec::new();
    let mut page = Value::Null;
    loop {
        let answer = client.list(json!({"page": page, "stat": true})).await;
        assert_eq!(answer.status, 202);
        pages.push(answer.json["entries"].as_array().unwrap().clone());
        page = answer.json["page"].clone();
        if page.is_null() {
            return pages;
        }
    }
}

/// The claims of a token that any hub of this name takes, with changes.
pub fn claims(key: &SecretKey, changes: &Value) -> Value {
    let mut claims = json!({
        "gaiaChallenge": challenge_text(SERVER_NAME),
        "iss": key.public().to_hex(),
        "salt": "00",
    });
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

/// A header with a token of any claims, which no library would sign.
pub fn forge(key: &SecretKey, claims: &Value) -> String {
    forge_with(&json!({"typ": "JWT", "alg": "ES256K"}), key, claims)
}

/// Like [`forge`], with another header inside the token.
pub fn forge_with(header: &Value, key: &SecretKey, claims: &Value) -> String {
    let encode = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", encode(header), encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes()).to_bytes());
    format!("bearer v1:{signed}.{signature}")
}

/// Something that a stock client has made.
pub fn vector(pointer: &str) -> String {
    let vectors = include_str!("../../../gaia/tests/vectors/gaia-clients.json");
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    vectors
        .pointer(pointer)
        .unwrap()
        .as_str()
        .unwrap()
        .to_owned()
}
