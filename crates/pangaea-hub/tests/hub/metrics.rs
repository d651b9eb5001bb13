//! What the hub counts, and whether it says that it is ready.

use std::collections::BTreeMap;

use pangaea_hub::{HubConfig, Secret};
use serde_json::{Value, json};

use crate::batch::Batch;
use crate::support::{World, any_port, eventually, token, world, world_with};

pub const TOKEN: &str = "correct-horse-battery-staple";

/// A hub with an admin service.
pub async fn administrated(change: impl FnOnce(&mut HubConfig)) -> World {
    world_with(|config| {
        config.admin.listen = Some(any_port());
        config.admin.token = Some(Secret::new(TOKEN));
        change(config);
    })
    .await
}

impl World {
    pub fn admin(&self, route: &str) -> String {
        let address = self.hub.as_ref().unwrap().admin_addr().unwrap();
        format!("http://{address}{route}")
    }

    async fn metrics(&self) -> Metrics {
        let request = self.client.http.get(self.admin("/metrics"));
        let response = request.bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
        Metrics::read(response.text().await.unwrap())
    }
}

/// What was read, by name with labels.
struct Metrics {
    text: String,
    values: BTreeMap<String, f64>,
}

impl Metrics {
    /// Holds every line against the text format.
    fn read(text: String) -> Self {
        let mut values = BTreeMap::new();
        let mut types = BTreeMap::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap();
                assert!(
                    types.insert(name.to_owned(), kind.to_owned()).is_none(),
                    "{line}"
                );
            } else if !line.starts_with("# HELP ") {
                let (name, value) = line.rsplit_once(' ').unwrap();
                let value = value.parse().unwrap();
                assert!(values.insert(name.to_owned(), value).is_none(), "{line}");
                let plain = name.split('{').next().unwrap();
                let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| {
                    plain
                        .strip_suffix(end)
                        .filter(|name| types.contains_key(*name))
                });
                assert!(types.contains_key(family.unwrap_or(plain)), "{line}");
            }
        }
        Self { text, values }
    }

    fn get(&self, name: &str) -> f64 {
        let value = self.values.get(&format!("pangaea_hub_{name}"));
        *value.unwrap_or_else(|| panic!("{name} in\n{}", self.text))
    }
}

#[tokio::test]
async fn requests_and_what_is_stored_are_counted() {
    let world = administrated(|_| {}).await;
    let client = &world.client;
    assert_eq!(client.put("a", vec![1; 100_000]).await.status, 202);
    assert_eq!(client.put("b", "12345").await.status, 202);
    assert_eq!(client.delete("b").await.status, 202);
    assert_eq!(client.body("a").await.len(), 100_000);
    assert_eq!(client.get("Nowhere-File").await.status(), 404);
    assert_eq!(
        client.put_if("a", "x", "if-none-match", "*").await.status,
        412
    );
    let batch = Batch::default().create("a", "x").store("c", "1234567890");
    client.batch(&batch).await;
    let nobody = client.with_authorization("bearer v1:nonsense");
    assert_eq!(nobody.put("a", "x").await.status, 401);
    let metrics = world.metrics().await;
    for (name, value) in [
        ("requests_total{route=\"store\",status=\"2xx\"}", 2.0),
        ("requests_total{route=\"store\",status=\"4xx\"}", 2.0),
        ("requests_total{route=\"delete\",status=\"2xx\"}", 1.0),
        ("requests_total{route=\"read\",status=\"2xx\"}", 1.0),
        ("requests_total{route=\"read\",status=\"4xx\"}", 1.0),
        ("requests_total{route=\"batch\",status=\"2xx\"}", 1.0),
        ("request_seconds_count{route=\"store\"}", 4.0),
        ("request_seconds_bucket{route=\"store\",le=\"+Inf\"}", 4.0),
        ("refused_total{cause=\"precondition\"}", 2.0),
        ("refused_total{cause=\"auth\"}", 1.0),
        ("buckets", 1.0),
        ("files", 2.0),
        ("stored_bytes", 100_010.0),
        ("token_cache_hits_total", 4.0),
        ("token_cache_misses_total", 2.0),
        ("followers", 0.0),
        ("commit_queue", 0.0),
    ] {
        assert_eq!(metrics.get(name), value, "{name}");
    }
    assert!(metrics.get("received_bytes_total") > 100_000.0);
    assert!(metrics.get("sent_bytes_total") > 100_000.0);
    assert!(metrics.get("connections") >= 1.0);
    assert!(metrics.get("commit_seconds_count") >= 4.0);
    assert!(metrics.get("disk_free_bytes") > 0.0);
    assert!(metrics.values["process_resident_memory_bytes"] > 1_000_000.0);
    let labels = [
        client.bucket(),
        "Nowhere-File".to_owned(),
        client.authorization.clone(),
    ];
    for secret in labels {
        assert!(!metrics.text.contains(&secret), "{}", metrics.text);
    }
    assert_eq!(client.put("a", "small").await.status, 202);
    eventually("the old blob is gone", || world.blobs().is_empty()).await;
    assert_eq!(world.metrics().await.get("blobs_collected_total"), 1.0);
}

#[tokio::test]
async fn a_token_is_verified_once_however_often_it_is_sent() {
    const REQUESTS: u32 = 60;
    let world = administrated(|_| {}).await;
    let client = &world.client;
    assert_eq!(client.put("a", "x").await.status, 202);
    let requests = (1..REQUESTS).map(|number| async move {
        match number % 3 {
            0 => client.put(&format!("f{number}"), "x").await.status,
            1 => client.list(json!({})).await.status,
            _ => client.put("a", format!("{number}")).await.status,
        }
    });
    for status in futures_util::future::join_all(requests).await {
        assert_eq!(status, 202);
    }
    let metrics = world.metrics().await;
    assert_eq!(metrics.get("token_cache_misses_total"), 1.0);
    let hits = metrics.get("token_cache_hits_total");
    assert_eq!(hits, f64::from(REQUESTS - 1));
    // Another token of the same key is another one to verify, and a forged one is never remembered.
    let other = client.with_token(token().issued_at(1_700_000_000));
    let forged = client.with_authorization(format!("{}x", client.authorization));
    for _ in 0..3 {
        assert_eq!(other.put("a", "x").await.status, 202);
        assert_eq!(forged.put("a", "x").await.status, 401);
    }
    let metrics = world.metrics().await;
    assert_eq!(metrics.get("token_cache_misses_total"), 5.0);
    assert_eq!(metrics.get("token_cache_hits_total"), hits + 2.0);
}

async fn health(url: &str, world: &World) -> (u16, Value) {
    let response = world.client.http.get(url).send().await.unwrap();
    let status = response.status().as_u16();
    (
        status,
        serde_json::from_str(&response.text().await.unwrap()).unwrap(),
    )
}

#[tokio::test]
async fn a_hub_that_can_take_writes_is_ready() {
    let world = administrated(|_| {}).await;
    let public = format!("{}/health", world.client.url);
    let ok = json!({ "status": "ok" });
    assert_eq!(health(&public, &world).await, (200, ok.clone()));
    assert_eq!(health(&world.admin("/health"), &world).await, (200, ok));
    let all = json!({ "index": "ok", "disk": "ok", "serving": "ok" });
    assert_eq!(health(&world.admin("/ready"), &world).await, (200, all));
}

#[tokio::test]
async fn a_hub_whose_disk_is_nearly_full_is_not_ready_and_serves_on() {
    let world = administrated(|config| config.free_megabytes_min = u32::MAX).await;
    let public = format!("{}/health", world.client.url);
    let unavailable = json!({ "status": "unavailable" });
    assert_eq!(health(&public, &world).await, (503, unavailable));
    let what = json!({ "index": "ok", "disk": "bad", "serving": "ok" });
    assert_eq!(health(&world.admin("/ready"), &world).await, (503, what));
    assert_eq!(health(&world.admin("/health"), &world).await.0, 200);
    assert_eq!(world.client.put("a", "x").await.status, 202);
}

#[tokio::test]
async fn a_hub_whose_index_is_locked_is_not_ready_until_it_is_free() {
    let world = administrated(|_| {}).await;
    let index = rusqlite::Connection::open(world.folder.path().join("index.sqlite3")).unwrap();
    index.execute_batch("BEGIN IMMEDIATE").unwrap();
    let what = json!({ "index": "bad", "disk": "ok", "serving": "ok" });
    assert_eq!(health(&world.admin("/ready"), &world).await, (503, what));
    index.execute_batch("ROLLBACK").unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(health(&world.admin("/ready"), &world).await.0, 200);
}

#[tokio::test]
async fn without_an_admin_service_only_the_short_answer_is_there() {
    let world = world().await;
    let get = |route: &str| {
        world
            .client
            .http
            .get(format!("{}{route}", world.client.url))
    };
    for route in ["/metrics", "/ready", "/v1/admin/config"] {
        assert_eq!(get(route).send().await.unwrap().status(), 404, "{route}");
    }
    let home = get("/").send().await.unwrap();
    assert_eq!(home.status(), 200);
    assert!(
        home.text()
            .await
            .unwrap()
            .starts_with("This is a Pangaea hub")
    );
}
