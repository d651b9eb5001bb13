//! The OpenAPI document against the hub that it describes: Schemathesis makes requests of all
//! kinds from it, good and bad, and checks what the hub answers.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::Command;

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
    schemathesis(&world, &owner.authorization).await;
    // All of it has left the hub well.
    assert_eq!(owner.list(json!({})).await.status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_answered_as_the_document_says() {
    let world = world().await;
    assert_eq!(world.client.put("a.txt", "untouched").await.status, 202);
    let stranger = token().sign(&key(2)).unwrap().authorization();
    schemathesis(&world, &stranger).await;
    assert_eq!(world.client.names().await, ["a.txt"]);
    assert_eq!(world.client.body("a.txt").await, "untouched");
}

/// Runs Schemathesis against a hub, with the token of this header.
async fn schemathesis(world: &World, authorization: &str) {
    let kit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testing/kit/schemathesis");
    let program: PathBuf = kit.join(".venv/bin/schemathesis");
    assert!(
        program.is_file(),
        "Schemathesis is not installed: run cargo xtask setup"
    );
    // Not where the hub's files are, nor in the sources.
    let folder = tempfile::tempdir().unwrap();
    let token = authorization.strip_prefix("bearer ").unwrap();
    let run = Command::new(program)
        .arg("--config-file")
        .arg(kit.join("schemathesis.toml"))
        .args(["run", "--no-color"])
        .arg(format!("{}/openapi.json", world.client.url))
        .current_dir(folder.path())
        .env("PYTHONPATH", &kit)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PANGAEA_TOKEN", token)
        .env("PANGAEA_ADDRESS", world.client.bucket())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(PATIENCE, run).await;
    let output = output.expect("Schemathesis ends").unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
}
