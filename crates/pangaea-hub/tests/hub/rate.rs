//! How often clients may ask.

use pangaea_hub::{HubConfig, Rate};
use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::batch::{Batch, statuses};
use crate::support::{Client, World, key, token, world_with};

fn rate(per_second: u32, burst: u32) -> Rate {
    Rate {
        per_second: Some(per_second),
        burst,
    }
}

async fn limited(change: impl FnOnce(&mut HubConfig)) -> World {
    world_with(change).await
}

#[tokio::test]
async fn a_bucket_that_asks_too_often_is_told_when_to_come_again() {
    let world = limited(|config| config.rates.bucket = rate(1, 3)).await;
    let client = &world.client;
    for n in 0..3 {
        assert_eq!(client.put("a", n.to_string()).await.status, 202);
    }
    let response = client.store("a").body("late").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let headers = response.headers().clone();
    assert_eq!(headers["retry-after"], "1");
    assert_eq!(headers["access-control-allow-origin"], "*");
    let exposed = headers["access-control-expose-headers"].to_str().unwrap();
    assert!(exposed.contains("Retry-After"), "{exposed}");
    let json: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
    assert_eq!(json["error"], "TooManyRequestsError");
    assert_eq!(json["message"], "Too many requests; try again in 1 seconds");
    // Whatever token it shows, and whatever it asks for with it.
    let again = client.with_token(token().expires_at(u64::from(u32::MAX)));
    assert_eq!(again.delete("a").await.status, 429);
    assert_eq!(again.list(serde_json::json!({})).await.status, 429);
    // Reads need no token, and other buckets have their own limit.
    assert_eq!(client.body("a").await, "2");
    let other = Client::new(&client.url, key(2));
    assert_eq!(other.put("a", "x").await.status, 202);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(client.put("a", "later").await.status, 202);
}

#[tokio::test]
async fn a_batch_counts_as_its_operations() {
    let world = limited(|config| config.rates.bucket = rate(10, 5)).await;
    let mut batch = Batch::default();
    for n in 0..300 {
        batch = batch.store(&format!("f{n}"), "x");
    }
    let outcomes = world.client.batch(&batch).await;
    assert!(statuses(&outcomes).iter().all(|status| *status == 202));
    let response = world.client.store("a").body("late").send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = response.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((20..=30).contains(&wait), "{wait}");
}

#[tokio::test]
async fn an_address_is_limited_whatever_becomes_of_its_requests() {
    let world = limited(|config| config.rates.address = rate(1, 4)).await;
    let client = &world.client;
    // Failed sign-ins count like everything else; preflights do not.
    let stranger = client.with_authorization("bearer v1:nonsense");
    for _ in 0..3 {
        assert_eq!(stranger.put("a", "x").await.status, 401);
        let preflight = client.request(Method::OPTIONS, "/store/a/b");
        assert_eq!(preflight.send().await.unwrap().status(), 204);
    }
    assert_eq!(client.put("a", "x").await.status, 202);
    assert_eq!(client.put("a", "x").await.status, 429);
    let read = client.get("a").await;
    assert_eq!(read.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(read.headers()["access-control-allow-origin"], "*");
}

#[tokio::test]
async fn behind_a_proxy_the_client_is_the_one_that_it_names() {
    let world = limited(|config| {
        config.rates.address = rate(1, 1);
        config.trusted_proxies = vec!["127.0.0.1".parse::<std::net::IpAddr>().unwrap().into()];
    })
    .await;
    let ask = async |client: &str| {
        let request = world
            .client
            .http
            .get(format!("{}/hub_info", world.client.url));
        let request = request.header("X-Forwarded-For", client);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask("192.0.2.1").await, 200);
    assert_eq!(ask("192.0.2.1").await, 429);
    assert_eq!(ask("192.0.2.2").await, 200);
    assert_eq!(ask("2001:db8::1").await, 200);
    assert_eq!(ask("2001:db8::2").await, 429, "of the same network");
}
