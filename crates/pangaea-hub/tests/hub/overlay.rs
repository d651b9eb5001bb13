//! What is listed, read and told by the feed is what was answered for, whether or not it has
//! reached the database. A client changes a few files at random, now and then so slowly that the
//! hub brings everything into its database meanwhile, and compares with what it knows.

use std::collections::BTreeMap;
use std::time::Duration;

use gaia::token::TokenBuilder;
use pangaea_kit::random::Random;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{Client, scopes, token, world};

/// Files by path: what must be there.
type Model = BTreeMap<String, String>;

#[tokio::test]
async fn what_waits_for_the_database_is_seen_as_if_it_were_there() {
    for seed in 0..3 {
        follow(seed).await;
    }
}

async fn follow(seed: u64) {
    let mut world = world().await;
    let (mut dice, mut model, mut told) = (Random::new(seed), Model::new(), Model::new());
    let mut cursor = world.client.cursor().await;
    for step in 0..120 {
        let path = format!("{}/{}", ["a", "b", "b/c"][dice.index(3)], dice.below(6));
        if dice.below(4) == 0 {
            let there = model.remove(&path).is_some();
            let status = world.client.delete(&path).await.status;
            assert_eq!(
                status,
                if there { 202 } else { 404 },
                "{seed}, {step}, {path}"
            );
        } else {
            // Some are too large for the database itself.
            let times = if dice.below(8) == 0 { 40_000 } else { 1 };
            let body = format!("{step} ").repeat(times);
            let condition = match model.contains_key(&path) {
                true => ("If-None-Match", "*", 412),
                false => ("If-Match", "\"0123456789abcdef0123456789abcdef\"", 412),
            };
            let refused = world
                .client
                .put_if(&path, "no", condition.0, condition.1)
                .await;
            assert_eq!(refused.status, condition.2, "{seed}, {step}, {path}");
            assert_eq!(world.client.put(&path, body.clone()).await.status, 202);
            model.insert(path, body);
        }
        if dice.below(25) == 0 {
            // Longer than a change waits.
            sleep(Duration::from_millis(700)).await;
        }
        if dice.below(60) == 0 {
            world.restart().await;
        }
        compare(&world.client, &model, &mut dice).await;
        cursor = catch_up(&world.client, cursor, &mut told, dice.below(4) + 1).await;
        let known: Vec<_> = told.keys().collect();
        assert_eq!(known, model.keys().collect::<Vec<_>>(), "{seed}, {step}");
    }
}

/// Compares listings of several kinds, and one file, with what must be there.
async fn compare(client: &Client, model: &Model, dice: &mut Random) {
    let prefix = ["", "a/", "b", "b/c/"][dice.index(4)];
    let want: Vec<_> = model
        .keys()
        .filter(|path| path.starts_with(prefix))
        .cloned()
        .collect();
    let limit = dice.below(5) + 1;
    let (mut found, mut page) = (Vec::new(), Value::Null);
    loop {
        let ask = json!({ "page": page, "prefix": prefix, "limit": limit });
        let answer = client.list(ask).await.json;
        let entries = answer["entries"].as_array().unwrap();
        found.extend(entries.iter().map(|name| name.as_str().unwrap().to_owned()));
        page = answer["page"].clone();
        if page.is_null() {
            break;
        }
    }
    assert_eq!(found, want, "prefix {prefix:?}, {limit} a page");
    if let Some((path, body)) = model.iter().nth(dice.index(model.len().max(1))) {
        assert_eq!(client.body(path).await, *body, "{path}");
    }
}

/// Follows the feed to its end in small pages, and returns the new cursor.
async fn catch_up(client: &Client, mut cursor: String, told: &mut Model, limit: u64) -> String {
    loop {
        let page = client
            .changes(&format!("since={cursor}&limit={limit}"))
            .await
            .json;
        let entries = page["entries"].as_array().unwrap();
        assert!(entries.len() as u64 <= limit, "{page}");
        for entry in entries {
            let name = entry["name"].as_str().unwrap().to_owned();
            if entry["exists"] == json!(true) {
                told.insert(name, entry["etag"].as_str().unwrap().to_owned());
            } else {
                told.remove(&name);
            }
        }
        cursor = page["cursor"].as_str().unwrap().to_owned();
        if page["more"] == json!(false) {
            return cursor;
        }
    }
}

/// An archival write moves what waits as well as what is stored.
#[tokio::test]
async fn what_is_archived_keeps_its_bytes_wherever_they_are() {
    use gaia::scope::ScopeKind;
    let world = world().await;
    let archival: TokenBuilder = token().scopes(scopes(&[(ScopeKind::PutFileArchival, "log")]));
    let client = world.client.with_token(archival);
    let large = "large".repeat(30_000);
    for body in ["1", large.as_str(), "3"] {
        assert_eq!(client.put("log", body.to_owned()).await.status, 202);
    }
    sleep(Duration::from_millis(700)).await;
    assert_eq!(client.put("log", "4").await.status, 202);
    let mut bodies = Vec::new();
    for name in world.client.names().await {
        bodies.push(world.client.body(&name).await);
    }
    bodies.sort();
    assert_eq!(bodies, ["1", "3", "4", &large]);
}
