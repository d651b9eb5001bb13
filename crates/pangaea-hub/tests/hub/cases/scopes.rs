//! Scopes of tokens: what one may write and delete, and what happens to what it replaces.

use gaia::scope::ScopeKind;
use serde_json::json;

use crate::support::{Client, scopes, token, world};

fn with_scopes(client: &Client, list: &[(ScopeKind, &str)]) -> Client {
    client.with_token(token().scopes(scopes(list)))
}

async fn may_not_store(client: &Client, path: &str) {
    let bucket = client.bucket();
    let message = format!("Address {bucket} not authorized to write to {path} by scopes");
    client
        .put(path, "x")
        .await
        .is(401, "ValidationError", &message);
}

async fn may_not_delete(client: &Client, path: &str) {
    let bucket = client.bucket();
    let message = format!("Address {bucket} not authorized to delete from {path} by scopes");
    client
        .delete(path)
        .await
        .is(401, "ValidationError", &message);
}

#[tokio::test]
async fn case_081_scopes_of_stores_and_deletes() {
    let world = world().await;
    let owner = &world.client;
    let list = [
        (ScopeKind::PutFile, "a.txt"),
        (ScopeKind::PutFilePrefix, "a/"),
    ];
    let client = with_scopes(owner, &list);
    for path in ["a.txt", "a/x", "a/y/z", "a//x", "./a.txt"] {
        assert_eq!(client.put(path, "1").await.status, 202, "{path}");
    }
    for path in ["b", "a", "a.txt2", "b/a.txt"] {
        may_not_store(&client, path).await;
    }
    let list = [
        (ScopeKind::DeleteFile, "b"),
        (ScopeKind::DeleteFilePrefix, "a/"),
    ];
    let client = with_scopes(owner, &list);
    owner.put("b", "1").await;
    for path in ["b", "a/x", "a/y/z"] {
        assert_eq!(client.delete(path).await.status, 202, "{path}");
    }
    may_not_delete(&client, "a.txt").await;
    // A prefix knows no folders, and an empty domain covers nothing.
    let client = with_scopes(owner, &[(ScopeKind::PutFilePrefix, "no")]);
    assert_eq!(client.put("notes/x", "1").await.status, 202);
    let client = with_scopes(owner, &[(ScopeKind::PutFilePrefix, "")]);
    may_not_store(&client, "a").await;
}

#[tokio::test]
async fn case_082_scopes_of_one_kind_leave_the_other_free() {
    let world = world().await;
    let owner = &world.client;
    owner.put("old", "1").await;
    let client = with_scopes(owner, &[(ScopeKind::PutFile, "a")]);
    assert_eq!(client.delete("old").await.status, 202);
    may_not_store(&client, "old").await;
    let client = with_scopes(owner, &[(ScopeKind::DeleteFile, "a")]);
    assert_eq!(client.put("anything", "1").await.status, 202);
    may_not_delete(&client, "anything").await;
}

#[tokio::test]
async fn case_083_archival_scopes() {
    let world = world().await;
    let client = with_scopes(&world.client, &[(ScopeKind::PutFileArchivalPrefix, "d/")]);
    let bodies = [
        "first".to_owned(),
        "second".repeat(20_000),
        "third".to_owned(),
    ];
    for body in &bodies {
        assert_eq!(client.put("d/x", body.clone()).await.status, 202);
        // What is moved within one millisecond has no order.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let names = world.client.names().await;
    assert_eq!(names.len(), 3, "{names:?}");
    assert_eq!(names[2], "d/x");
    for (name, body) in names.iter().zip(&bodies) {
        assert!(world.client.body(name).await == *body, "{name}");
    }
    for name in &names[..2] {
        let mut parts = name.strip_prefix("d/.history.").unwrap().splitn(3, '.');
        assert!(parts.next().unwrap().parse::<u64>().unwrap() > 1_600_000_000_000);
        assert_eq!(parts.next().unwrap().len(), 10);
        assert_eq!(parts.next().unwrap(), "x");
    }
    assert_eq!(client.delete("d/x").await.status, 202);
    assert_eq!(world.client.names().await.len(), 3, "moved, not deleted");
    assert_eq!(client.get("d/x").await.status(), 404);
    assert_eq!(client.delete("d/x").await.status, 404);

    let bucket = client.bucket();
    let message = format!("Address {bucket} not authorized to modify e by scopes");
    client
        .put("e", "1")
        .await
        .is(401, "ValidationError", &message);
    client
        .delete("e")
        .await
        .is(401, "ValidationError", &message);
    // A condition is tested before anything is moved.
    client.put("d/y", "1").await;
    let answer = client.put_if("d/y", "2", "If-None-Match", "*").await;
    assert_eq!(answer.status, 412);
    assert_eq!(world.client.body("d/y").await, "1");
    let exact = with_scopes(&world.client, &[(ScopeKind::PutFileArchival, "f")]);
    for body in ["1", "2"] {
        assert_eq!(exact.put("f", body).await.status, 202);
    }
    let answer = exact.list(json!({})).await;
    assert_eq!(answer.json["entries"], json!(["d/y", "f"]));
    assert_eq!(exact.put("f2", "1").await.status, 401);
}
