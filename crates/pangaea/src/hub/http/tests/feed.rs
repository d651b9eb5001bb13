//! Following our own hub: what is listed again is what changed, and waiting ends when it does.

use std::net::SocketAddr;
use std::time::Duration;

use gaia::hub_info::feature;
use pangaea_hub::Hub as HubServer;
use pangaea_hub::HubConfig;
use tempfile::TempDir;
use tokio::time::timeout;

use super::*;
use crate::hub::HubNews;

const AT_ONCE: Duration = Duration::from_secs(10);

async fn names(hub: &HttpHub) -> Vec<String> {
    let listing = hub.list().await.unwrap();
    let mut names: Vec<String> = listing
        .files
        .iter()
        .map(|file| format!("{} {}", file.path, file.tag.as_ref().unwrap().as_str()))
        .collect();
    names.sort();
    names
}

fn named(path: &str, content: &str) -> String {
    format!("{path} {}", ETag::of(content.as_bytes()).as_str())
}

#[tokio::test]
async fn later_listings_are_what_the_first_said_and_what_changed_since() {
    let folder = TempDir::new().unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = HubServer::start(HubConfig::new(folder.path(), listen))
        .await
        .unwrap();
    let (hub, other) = (client(server.url()), client(server.url()));
    assert!(hub.info().await.unwrap().offers(feature::CHANGES));
    for number in 0..30 {
        create(&other, &format!("{number:02}.txt"), "first")
            .await
            .unwrap();
    }
    assert_eq!(names(&hub).await.len(), 30);

    replace(&other, "07.txt", "second", &ETag::of(b"first"))
        .await
        .unwrap();
    other
        .delete(&path("08.txt"), &ETag::of(b"first"))
        .await
        .unwrap();
    create(&hub, "new.txt", "own").await.unwrap();
    let told = names(&hub).await;
    assert_eq!(told, names(&client(server.url())).await);
    assert!(told.contains(&named("07.txt", "second")), "{told:?}");
    assert!(told.contains(&named("new.txt", "own")), "{told:?}");
    assert_eq!(told.len(), 30);
    let kept = hub.feed.kept.lock().await.as_ref().map(|kept| kept.listed);
    assert_eq!(names(&hub).await, told);
    let again = hub.feed.kept.lock().await.as_ref().map(|kept| kept.listed);
    assert!(
        kept.is_some() && kept == again,
        "it was listed as a whole again"
    );
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn another_hub_in_the_old_ones_place_is_listed_as_a_whole() {
    let (folder, fresh) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = HubServer::start(HubConfig::new(folder.path(), listen))
        .await
        .unwrap();
    let (hub, listen) = (client(server.url()), server.local_addr());
    create(&hub, "a.txt", "old").await.unwrap();
    assert_eq!(names(&hub).await, [named("a.txt", "old")]);
    server.shutdown().await.unwrap();
    let server = HubServer::start(HubConfig::new(fresh.path(), listen))
        .await
        .unwrap();
    create(&client(server.url()), "b.txt", "new").await.unwrap();
    assert_eq!(names(&hub).await, [named("b.txt", "new")]);
    server.shutdown().await.unwrap();
}

#[tokio::test]
async fn news_come_when_something_changed_and_not_before() {
    let folder = TempDir::new().unwrap();
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = HubServer::start(HubConfig::new(folder.path(), listen))
        .await
        .unwrap();
    let (hub, other) = (client(server.url()), client(server.url()));
    assert_eq!(
        hub.news().await.unwrap(),
        HubNews::NotTold,
        "before a listing"
    );
    hub.list().await.unwrap();
    let early = timeout(Duration::from_millis(300), hub.news()).await;
    assert!(early.is_err(), "{early:?}");

    let (news, written) = tokio::join!(timeout(AT_ONCE, hub.news()), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        create(&other, "a.txt", "news").await
    });
    written.unwrap();
    assert_eq!(news.unwrap().unwrap(), HubNews::Changed);
    assert_eq!(names(&hub).await, [named("a.txt", "news")]);
    let again = timeout(Duration::from_millis(300), hub.news()).await;
    assert!(again.is_err(), "told twice: {again:?}");
    server.shutdown().await.unwrap();
}
