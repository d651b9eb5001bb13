//! TLS from files, over both versions of HTTP, and what is said about files that are no good.

use std::fs;
use std::path::{Path, PathBuf};

use pangaea_hub::{Hub, HubConfig, RunningHub};
use rcgen::{CertificateParams, KeyPair};
use reqwest::{Certificate, Version};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::{Duration, Instant, timeout};

use super::Place;
use crate::support::{Client, any_port, key};

/// A certificate for this machine and its key, as PEM files.
struct Pem {
    folder: TempDir,
}

impl Pem {
    fn new() -> Self {
        let pem = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        pem.renew(|_| {});
        pem
    }

    fn renew(&self, change: impl FnOnce(&mut CertificateParams)) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".into()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(self.certificate(), certificate.pem()).unwrap();
        fs::write(self.key(), key.serialize_pem()).unwrap();
    }

    fn certificate(&self) -> PathBuf {
        self.folder.path().join("tls.crt")
    }

    fn key(&self) -> PathBuf {
        self.folder.path().join("tls.key")
    }

    fn config(&self) -> HubConfig {
        let mut config = HubConfig::new(self.folder.path().join("data"), any_port());
        config.tls.certificate = Some(self.certificate());
        config.tls.key = Some(self.key());
        config
    }

    /// What is said about the files.
    async fn problem(&self) -> String {
        let error = Hub::start(self.config()).await.unwrap_err().to_string();
        error.replace(&format!("{}/", self.folder.path().display()), "")
    }
}

/// A client that trusts a certificate and nothing else.
fn client(hub: &RunningHub, certificate: &Path, http1: Http1) -> Client {
    let client = Client::new(hub.url(), key(1));
    let pem = fs::read(certificate).unwrap();
    let trusted = Certificate::from_pem(&pem).unwrap();
    let builder = reqwest::Client::builder().tls_certs_only([trusted]);
    let builder = match http1 {
        Http1::Only => builder.http1_only(),
        Http1::IfNeeded => builder,
    };
    Client {
        http: builder.build().unwrap(),
        ..client
    }
}

#[derive(Clone, Copy)]
enum Http1 {
    Only,
    IfNeeded,
}

#[tokio::test]
async fn both_versions_of_http_are_spoken() {
    let pem = Pem::new();
    let hub = Hub::start(pem.config()).await.unwrap();
    assert!(hub.url().starts_with("https://127.0.0.1:"), "{}", hub.url());
    for (http1, version) in [
        (Http1::IfNeeded, Version::HTTP_2),
        (Http1::Only, Version::HTTP_11),
    ] {
        let client = client(&hub, &pem.certificate(), http1);
        let answer = client.put("a", "x".repeat(300_000)).await;
        assert_eq!(answer.status, 202);
        let url = answer.text("publicURL").to_owned();
        assert!(url.starts_with(&format!("{}/read/", hub.url())), "{url}");
        let read = client.http.get(&url).send().await.unwrap();
        assert_eq!(read.version(), version);
        assert_eq!(read.text().await.unwrap().len(), 300_000);
    }
    hub.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_renewed_certificate_is_used_after_a_reload_and_a_bad_one_is_not() {
    let pem = Pem::new();
    let hub = Hub::start(pem.config()).await.unwrap();
    let old = fs::read(pem.certificate()).unwrap();
    let get = async |http: &reqwest::Client| {
        let url = format!("{}/hub_info", hub.url());
        http.get(url)
            .send()
            .await
            .map(|answer| answer.status().as_u16())
    };
    let connected = client(&hub, &pem.certificate(), Http1::Only);
    assert_eq!(get(&connected.http).await.unwrap(), 200);
    pem.renew(|_| {});
    // New files change nothing before the reload.
    assert!(
        get(&client(&hub, &pem.certificate(), Http1::Only).http)
            .await
            .is_err()
    );
    hub.reload().await.unwrap();
    let renewed = client(&hub, &pem.certificate(), Http1::Only);
    assert_eq!(get(&renewed.http).await.unwrap(), 200);
    // Connections go on as they are.
    assert_eq!(get(&connected.http).await.unwrap(), 200);
    fs::write(pem.certificate(), old).unwrap();
    let error = hub.reload().await.unwrap_err().to_string();
    assert!(
        error.contains("is not the key of the certificate"),
        "{error}"
    );
    assert_eq!(get(&renewed.http).await.unwrap(), 200);
    hub.shutdown().await.unwrap();
}

#[tokio::test]
async fn files_that_are_no_good_are_named() {
    let pem = Pem::new();
    let key_pem = fs::read_to_string(pem.key()).unwrap();
    fs::write(pem.key(), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert_eq!(
        pem.problem().await,
        "tls.key: tls.key is not the key of the certificate in tls.crt; the certificate that \
         belongs to it must come first there"
    );
    fs::write(pem.key(), key_pem.replacen("-----\n", "-----\n!", 1)).unwrap();
    let problem = pem.problem().await;
    assert_eq!(
        problem, "tls.key: tls.key is no PEM file",
        "nothing of the key"
    );
    fs::copy(pem.certificate(), pem.key()).unwrap();
    assert!(
        pem.problem()
            .await
            .starts_with("tls.key: there is no secret key in tls.key")
    );
    fs::remove_file(pem.key()).unwrap();
    assert!(
        pem.problem()
            .await
            .starts_with("tls.key: cannot read tls.key: No such file")
    );
    pem.renew(|params| params.not_after = rcgen::date_time_ymd(2021, 2, 3));
    assert_eq!(
        pem.problem().await,
        "tls.certificate: tls.crt expired on Wed, 03 Feb 2021 00:00:00 GMT; renew it"
    );
    pem.renew(|params| params.not_before = rcgen::date_time_ymd(2400, 1, 1));
    assert!(
        pem.problem()
            .await
            .contains("is not valid before Sat, 01 Jan 2400")
    );
    fs::write(pem.certificate(), "").unwrap();
    assert!(
        pem.problem()
            .await
            .starts_with("tls.certificate: there is no certificate in tls.crt")
    );
}

#[tokio::test]
async fn turning_tls_on_waits_for_a_restart() {
    let pem = Pem::new();
    let place = Place::new("");
    place.write_with_folder("");
    let hub = Hub::start_from(place.sources()).await.unwrap();
    let (certificate, key_file) = (pem.certificate(), pem.key());
    place.write_with_folder(&format!(
        "[tls]\ncertificate = {certificate:?}\nkey = {key_file:?}\n"
    ));
    let reloaded = hub.reload().await.unwrap();
    assert_eq!(reloaded.needs_restart, ["tls.certificate", "tls.key"]);
    assert_eq!(
        Client::new(hub.url(), key(1)).put("a", "x").await.status,
        202
    );
    hub.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_does_not_come_is_given_up() {
    let pem = Pem::new();
    let mut config = pem.config();
    config.handshakes_max = 1;
    let hub = Hub::start(config).await.unwrap();
    // The second waits for the first, and its time runs all the same.
    let started = Instant::now();
    let mut first = TcpStream::connect(hub.local_addr()).await.unwrap();
    let mut second = TcpStream::connect(hub.local_addr()).await.unwrap();
    for stream in [&mut first, &mut second] {
        let mut rest = Vec::new();
        let closed = timeout(Duration::from_secs(300), stream.read_to_end(&mut rest)).await;
        assert!(closed.is_ok(), "the hub closes the connection");
    }
    assert!(
        started.elapsed() <= Duration::from_secs(11),
        "{:?}",
        started.elapsed()
    );
    hub.shutdown().await.unwrap();
}
