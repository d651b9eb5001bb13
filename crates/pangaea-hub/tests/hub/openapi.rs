//! The OpenAPI documents against the hub that they describe: Schemathesis makes requests of all
//! kinds from them, good and bad, and checks what the hub answers.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::config;
use crate::config::admin::Admin;
use crate::support::{World, key, token, world};

/// Much longer than it takes.
const PATIENCE: Duration = Duration::from_secs(300);

#[tokio::test]
async fn the_document_is_served() {
    let world = world().await;
    let response = world
        .client
        .http
        .get(format!("{}/openapi.json", world.client.url));
    let response = response.send().await.unwrap();
    assert_eq!(response.status(), 200);
    let served: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    let own: Value = serde_json::from_str(pangaea_hub::openapi::text()).unwrap();
    assert_eq!(served, own);
    assert!(served["paths"]["/store/{address}/{path}"]["post"].is_object());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hub_answers_as_the_document_says() {
    let world = world().await;
    // No revocation is later, so the token outlasts all that are tried.
    let owner = world.client.with_token(token().issued_at(u64::MAX));
    for path in ["a.txt", "notes/b.md", "%C3%BC%20x"] {
        assert_eq!(owner.put(path, path).await.status, 202);
    }
    assert_eq!(owner.put("empty", "").await.status, 202);
    schemathesis_of(&world, &owner.authorization).await;
    // All of it has left the hub well.
    assert_eq!(owner.list(json!({})).await.status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_answered_as_the_document_says() {
    let world = world().await;
    assert_eq!(world.client.put("a.txt", "untouched").await.status, 202);
    let stranger = token().sign(&key(2)).unwrap().authorization();
    schemathesis_of(&world, &stranger).await;
    assert_eq!(world.client.names().await, ["a.txt"]);
    assert_eq!(world.client.body("a.txt").await, "untouched");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_admin_service_answers_as_its_document_says() {
    let admin = Admin::start("").await;
    let url = format!("http://{}", admin.hub.admin_addr().unwrap());
    let served = admin.http.get(format!("{url}/openapi.json")).send().await;
    let served: Value = serde_json::from_str(&served.unwrap().text().await.unwrap()).unwrap();
    let own: Value = serde_json::from_str(pangaea_hub::openapi::admin_text()).unwrap();
    assert_eq!(served, own);
    let before = admin.file();
    schemathesis(&url, config::admin::TOKEN, "").await;
    assert_ne!(admin.file(), before, "some of the changes were good ones");
    // All of it has left the service well.
    let settings = admin.ask(Method::GET, "/v1/admin/config", Value::Null);
    assert_eq!(settings.await.0, 200);
}

/// Runs Schemathesis against a hub, with the token of this header.
async fn schemathesis_of(world: &World, authorization: &str) {
    let token = authorization.strip_prefix("bearer ").unwrap();
    schemathesis(&world.client.url, token, &world.client.bucket()).await;
}

/// Runs Schemathesis against what is served at a URL.
async fn schemathesis(url: &str, token: &str, bucket: &str) {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testing/kit/schemathesis");
    let program: PathBuf = kit.join(".venv/bin/schemathesis");
    assert!(
        program.is_file(),
        "Schemathesis is not installed: run cargo xtask setup"
    );
    // Not where the hub's files are, nor in the sources.
    let folder = tempfile::tempdir().unwrap();
    let run = Command::new(program)
        .arg("--config-file")
        .arg(kit.join("schemathesis.toml"))
        .args(["run", "--no-color"])
        .arg(format!("{url}/openapi.json"))
        .current_dir(folder.path())
        .env("PYTHONPATH", &kit)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PANGAEA_TOKEN", token)
        .env("PANGAEA_ADDRESS", bucket)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, run).await;
    let output = output.expect("Schemathesis ends").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
}
