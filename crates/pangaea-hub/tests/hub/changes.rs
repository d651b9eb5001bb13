//! The change feed: pages and cursors. Waiting for changes is in `waiting`, streams in `events`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gaia::scope::ScopeKind;
use pangaea_hub::{Hub, HubConfig, RunningHub};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{Answer, Client, World, any_port, key, scopes, token, world, world_with};

impl Client {
    pub async fn changes(&self, query: &str) -> Answer {
        let route = format!("/changes/{}?{query}", self.bucket());
        Answer::of(self.request(Method::GET, &route).send().await.unwrap()).await
    }

    /// The cursor of now.
    pub async fn cursor(&self) -> String {
        let answer = self.changes("").await;
        assert_eq!(answer.status, 200, "{:?}", answer.json);
        assert_eq!(answer.json["entries"], json!([]));
        assert_eq!(answer.json["more"], json!(false));
        answer.text("cursor").to_owned()
    }

    pub async fn since(&self, cursor: &str) -> Answer {
        self.changes(&format!("since={cursor}")).await
    }
}

/// The names of a page's entries, with a minus before what is gone.
pub fn names(page: &Value) -> Vec<String> {
    let entries = page["entries"].as_array().unwrap();
    let name = |entry: &Value| {
        let sign = if entry["exists"] == json!(true) {
            ""
        } else {
            "-"
        };
        format!("{sign}{}", entry["name"].as_str().unwrap())
    };
    entries.iter().map(name).collect()
}

#[tokio::test]
async fn every_path_is_told_once_as_it_is_now_in_the_order_of_the_changes() {
    let world = world().await;
    let client = &world.client;
    client.put("before", "1").await;
    let start = client.cursor().await;
    assert_eq!(names(&client.since(&start).await.json), [""; 0]);
    for path in ["b", "a", "c", "b", "gone", "again"] {
        client.put(path, path).await;
    }
    client.put("b", "the last of three").await;
    client.delete("gone").await;
    client.delete("again").await;
    client.put("again", "2").await;
    client.delete("before").await;
    let answer = client.since(&start).await;
    assert_eq!(
        names(&answer.json),
        ["a", "c", "b", "-gone", "again", "-before"]
    );
    assert_eq!(answer.json["more"], json!(false));
    // A file looks as it does in a listing, and what is gone has a name and nothing else.
    let listed = client.list(json!({"stat": true, "prefix": "b"})).await;
    assert_eq!(answer.json["entries"][2], listed.json["entries"][0]);
    assert_eq!(
        answer.json["entries"][3],
        json!({"exists": false, "name": "gone"})
    );
    let now = answer.text("cursor");
    assert_eq!(client.since(now).await.json["entries"], json!([]));
    assert_eq!(client.cursor().await, now, "it is the cursor of now");
}

#[tokio::test]
async fn pages_take_up_where_the_one_before_ended_while_files_move() {
    let world = world().await;
    let client = &world.client;
    let start = client.cursor().await;
    for path in ["a", "b", "c", "d", "e"] {
        client.put(path, "1").await;
    }
    client.delete("c").await;
    let page = |cursor: String| async move {
        client
            .changes(&format!("since={cursor}&limit=2"))
            .await
            .json
    };
    let first = page(start.clone()).await;
    assert_eq!(
        (names(&first), &first["more"]),
        (vec!["a".into(), "b".into()], &json!(true))
    );
    client.put("a", "2").await;
    client.put("d", "2").await;
    let second = page(first["cursor"].as_str().unwrap().into()).await;
    assert_eq!(names(&second), ["e", "-c"]);
    let third = page(second["cursor"].as_str().unwrap().into()).await;
    assert_eq!(
        (names(&third), &third["more"]),
        (vec!["a".into(), "d".into()], &json!(false))
    );
    assert_eq!(page(start).await["entries"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn archival_writes_are_renames_and_history_is_hidden_from_their_tokens() {
    let world = world().await;
    let client = &world.client;
    let archival = scopes(&[(ScopeKind::PutFileArchivalPrefix, "x")]);
    let restricted = client.with_token(token().scopes(archival));
    client.put("x", "1").await;
    let start = client.cursor().await;
    restricted.put("x", "2").await;
    let page = client.since(&start).await.json;
    let [history, written] = names(&page).try_into().unwrap();
    assert!(
        history.starts_with(".history.") && written == "x",
        "{history}"
    );
    assert_eq!(page["entries"][0]["contentLength"], 1);
    restricted.delete("x").await;
    let page = client.since(&start).await.json;
    assert_eq!(names(&page)[0], history);
    assert!(names(&page)[1].starts_with(".history."));
    assert_eq!(names(&page)[2..], ["-x"]);
    assert_eq!(names(&restricted.since(&start).await.json), ["-x"]);
    // Hidden entries count towards the limit, so an empty page may have more after it.
    let page = restricted
        .changes(&format!("since={start}&limit=1"))
        .await
        .json;
    assert_eq!(
        (&page["entries"], &page["more"]),
        (&json!([]), &json!(true))
    );
}

#[tokio::test]
async fn a_cursor_survives_restarts_and_expires_with_the_removals() {
    let mut world = world().await;
    world.client.put("a", "1").await;
    world.client.put("b", "1").await;
    let start = world.client.cursor().await;
    world.client.delete("a").await;
    let later = world.client.cursor().await;
    world.restart().await;
    world.client.put("c", "1").await;
    assert_eq!(names(&world.client.since(&start).await.json), ["-a", "c"]);

    world
        .restart_with(|config| config.removals_kept = Duration::ZERO)
        .await;
    let expired = world.client.since(&start).await;
    let words = "The cursor has expired: take a new one, then list the files anew";
    expired.is(410, "CursorExpired", words);
    assert_eq!(names(&world.client.since(&later).await.json), ["c"]);
    // While it runs, writes push old removals out.
    world.client.delete("b").await;
    sleep(Duration::from_millis(5)).await;
    assert_eq!(world.client.put("d", "1").await.status, 202);
    for _ in 0..200 {
        if world.client.since(&later).await.status == 410 {
            break;
        }
        sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(world.client.since(&later).await.status, 410);
    assert_eq!(
        names(&world.client.since(&world.client.cursor().await).await.json),
        [""; 0]
    );
}

#[tokio::test]
async fn cursors_of_other_histories_and_buckets_have_expired_too() {
    let (world, other) = (world().await, world().await);
    let client = &world.client;
    for world in [&world, &other] {
        world.client.put("a", "1").await;
    }
    let neighbour = Client::new(&client.url, key(2));
    let cursor = client.cursor().await;
    assert_eq!(client.since(&cursor).await.status, 200);
    assert_eq!(other.client.since(&cursor).await.status, 410);
    assert_eq!(neighbour.since(&cursor).await.status, 410);
    // A place that the bucket has not come to: it was, before somebody restored a copy.
    let mut bytes = URL_SAFE_NO_PAD.decode(&cursor).unwrap();
    *bytes.last_mut().unwrap() += 1;
    let ahead = URL_SAFE_NO_PAD.encode(bytes);
    client.since(&ahead).await.is(
        410,
        "CursorExpired",
        "The cursor has expired: take a new one, then list the files anew",
    );
    client.put("a", "2").await;
    assert_eq!(client.since(&ahead).await.status, 200);
}

#[tokio::test]
async fn a_hub_restored_from_a_backup_has_a_history_of_its_own() {
    let mut world = world().await;
    let client = world.client.clone();
    client.put("a", "1").await;
    let backup = tempfile::tempdir().unwrap();
    let folder = backup.path().join("hub");
    pangaea_hub::backup::backup(world.folder.path(), &folder, &mut |_| {}).unwrap();
    let original = client.cursor().await;
    let start = |folder| Hub::start(HubConfig::new(folder, any_port()));
    let mut restored = start(folder.clone()).await.unwrap();
    let at = |hub: &RunningHub| Client::new(hub.url(), key(1));
    // The place is there, but what comes after it is not what came after it there.
    assert_eq!(at(&restored).since(&original).await.status, 410);
    let own = at(&restored).cursor().await;
    restored.shutdown().await.unwrap();
    restored = start(folder).await.unwrap();
    assert_eq!(
        at(&restored).since(&own).await.status,
        200,
        "once is enough"
    );
    world.restart().await;
    let stays = world.client.since(&original).await;
    assert_eq!(stays.status, 200, "the original is what it was");
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_with_words() {
    let world = world().await;
    let client = &world.client;
    for (query, about) in [
        ("since=garbage", "since"),
        ("since=AQ", "since"),
        ("since=a%20b", "since"),
        ("limit=0", "limit"),
        ("limit=4097", "limit"),
        ("limit=many", "limit"),
        ("wait=-1", "wait"),
    ] {
        let answer = client.changes(query).await;
        assert_eq!(answer.status, 400, "{query}");
        let begins = format!("Invalid {about}: ");
        assert!(
            answer.text("message").starts_with(&begins),
            "{:?}",
            answer.json
        );
    }
    let cursor = client.cursor().await;
    let query = format!("since={cursor}&limit=4096&wait=0&else=1");
    assert_eq!(client.changes(&query).await.status, 200);
}

#[tokio::test]
async fn only_the_owner_follows() {
    let world = world().await;
    let client = &world.client;
    let cursor = client.cursor().await;
    let url = format!("{}/changes/{}", client.url, client.bucket());
    let anonymous = Answer::of(client.http.get(url).send().await.unwrap()).await;
    anonymous.is(
        401,
        "ValidationError",
        "Failed to parse authentication header.",
    );
    let other = Client::new(&client.url, key(2));
    let stolen = client.with_authorization(other.authorization);
    // Who may not ask is not told whether a cursor is one, either.
    for query in ["", "since=garbage", &format!("since={cursor}")] {
        let answer = stolen.changes(query).await;
        answer.is(
            401,
            "ValidationError",
            "Address not allowed to write on this path",
        );
    }
    client.revoke("{\"oldestValidTimestamp\":5}").await;
    let name = "AuthTokenTimestampValidationError";
    assert_eq!(client.since(&cursor).await.text("error"), name);
    let dated = client.with_token(token().issued_at(9));
    assert_eq!(dated.since(&cursor).await.status, 200);
    let ended = client.with_token(token().issued_at(9).expires_at(10));
    assert_eq!(ended.since(&cursor).await.status, 401);
}

#[tokio::test]
async fn a_whitelist_holds_for_followers() {
    let allowed = key(2).address();
    let world = world_with(|config| config.whitelist = Some([allowed].into())).await;
    assert_eq!(world.client.changes("").await.status, 401);
    Client::new(&world.client.url, key(2)).cursor().await;
}

#[tokio::test]
async fn an_answer_is_not_for_caches_and_pages_of_other_origins_may_ask() {
    let world: World = world().await;
    let client = &world.client;
    let route = format!("/changes/{}", client.bucket());
    let response = client.request(Method::GET, &route).send().await.unwrap();
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("cache-control"), "no-store");
    assert_eq!(header("content-type"), "application/json");
    assert_eq!(header("access-control-allow-origin"), "*");
    let head = client.request(Method::HEAD, &route).send().await.unwrap();
    assert_eq!(head.status(), 404);
}
