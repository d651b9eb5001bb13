//! The older stock client, `blockstack` 21.1.1, and what it needs of a hub.

use pangaea_hub::LegacyTokens;
use pangaea_kit::proxy::Proxy;
use serde_json::json;

use crate::node::{Library, Session, get_plain, put_plain, request};
use crate::stock_files::{files, names};
use crate::support::{World, world, world_with};

fn session(world: &World, library: Library) -> Session {
    Session::start(library, &world.client.url, &world.client.key)
}

/// Writes with one library, reads with the other, and deletes again.
async fn write_and_read(world: &World, writer: Library, reader: Library) {
    let (mut writer, mut reader) = (session(world, writer), session(world, reader));
    let mut files = files();
    // `FileReader` and what else the old client needs for blobs is in browsers only.
    files.retain(|file| file.path != "plain/blob.gif");
    for file in &files {
        let answer = writer.perform(file.put()).await;
        let url = format!(
            "{}/read/{}/{}",
            world.client.url,
            world.client.bucket(),
            file.path
        );
        assert_eq!(answer["url"], url);
        let answer = reader.perform(file.get()).await;
        file.check(&answer);
        if !file.has_signature_beside() {
            writer.perform(file.put()).await;
        }
    }
    assert_eq!(writer.list().await, names(&files));
    for file in &files {
        writer.perform(file.delete()).await;
    }
    assert!(reader.list().await.is_empty());
}

#[tokio::test]
async fn everything_that_the_old_client_can_do() {
    let world = world().await;
    let mut device = session(&world, Library::Blockstack);
    let info = device.perform(json!({"operation": "connect"})).await;
    assert_eq!(info["token"], "v1");
    assert_eq!(info["address"], world.client.bucket());
    write_and_read(&world, Library::Blockstack, Library::Blockstack).await;
}

#[tokio::test]
async fn old_and_new_clients_read_each_other() {
    let world = world().await;
    write_and_read(&world, Library::Blockstack, Library::Stacks).await;
    write_and_read(&world, Library::Stacks, Library::Blockstack).await;
}

#[tokio::test]
async fn old_devices_learn_of_each_other() {
    let world = world().await;
    let mut one = session(&world, Library::Blockstack);
    let mut two = session(&world, Library::Stacks);
    one.perform(put_plain("a", "1")).await;
    let name = "PreconditionFailedError";
    two.fail(put_plain("a", "x"), name, 412).await;
    two.perform(get_plain("a")).await;
    two.perform(put_plain("a", "2")).await;
    one.fail(put_plain("a", "x"), name, 412).await;
    one.perform(get_plain("a")).await;
    one.perform(put_plain("a", "3")).await;
    assert_eq!(world.client.body("a").await, "3");
}

/// A device that connected when the hub knew nothing else sends a legacy token for ever.
#[tokio::test]
async fn legacy_tokens_of_both_clients() {
    for (rule, accepted) in [(LegacyTokens::Accept, true), (LegacyTokens::Refuse, false)] {
        let proxy = Proxy::listen().await;
        let url = proxy.url.clone();
        let world = world_with(|config| {
            config.public_url = Some(url);
            config.legacy_tokens = rule;
        })
        .await;
        proxy.forward_to(world.address());
        proxy.hide("latest_auth_version");
        for library in [Library::Blockstack, Library::Stacks] {
            let mut device = Session::start(library, &proxy.url, &world.client.key);
            let info = device.perform(json!({"operation": "connect"})).await;
            assert_eq!(info["token"], "legacy");
            if !accepted {
                device
                    .fail(put_plain("a", "1"), "ValidationError", 401)
                    .await;
                continue;
            }
            device.perform(put_plain("a", "1")).await;
            assert_eq!(device.list().await, ["a"]);
            device.perform(request("delete", "a", &json!({}))).await;
        }
    }
}
