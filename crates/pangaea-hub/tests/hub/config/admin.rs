//! The admin service: who may use it, and what it changes.

use std::fs;

use pangaea_hub::{Hub, RunningHub};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::Place;
use crate::support::{Client, key};

pub const TOKEN: &str = "Correct-Horse-Battery-Staple";

pub struct Admin {
    place: Place,
    pub hub: RunningHub,
    pub http: reqwest::Client,
}

impl Admin {
    pub async fn start(settings: &str) -> Self {
        let place = Place::new("");
        let token_file = place.folder.path().join("token");
        fs::write(&token_file, format!("{TOKEN}\n")).unwrap();
        place.write_with_folder(&format!(
            "# Chosen with care.\n[admin]\naddress = \"127.0.0.1:0\"\ntoken_file = {token_file:?}\n\
             [limits]\nmax_file_megabytes = 20 # as before\n{settings}"
        ));
        let hub = Hub::start_from(place.sources()).await.unwrap();
        let http = Client::new(hub.url(), key(1)).http;
        Self { place, hub, http }
    }

    pub async fn ask(&self, method: Method, route: &str, body: Value) -> (StatusCode, Value) {
        self.ask_as(&format!("bearer {TOKEN}"), method, route, body)
            .await
    }

    async fn ask_as(
        &self,
        authorization: &str,
        method: Method,
        route: &str,
        body: Value,
    ) -> (StatusCode, Value) {
        let url = format!("http://{}{route}", self.hub.admin_addr().unwrap());
        let mut request = self.http.request(method, url);
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        if !authorization.is_empty() {
            request = request.header("Authorization", authorization);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_default())
    }

    pub fn file(&self) -> String {
        fs::read_to_string(self.place.file()).unwrap()
    }
}

#[tokio::test]
async fn only_the_token_opens_it_and_the_hub_itself_has_no_such_routes() {
    let admin = Admin::start("").await;
    for authorization in [
        "",
        "bearer",
        "bearer ",
        "bearer wrong",
        &format!("basic {TOKEN}"),
        &format!("bearer {}", TOKEN.to_lowercase()),
        &format!("bearer {TOKEN}x"),
        TOKEN,
    ] {
        for (method, route) in [
            (Method::GET, "/v1/admin/config"),
            (Method::POST, "/v1/admin/reload"),
        ] {
            let (status, answer) = admin
                .ask_as(authorization, method, route, Value::Null)
                .await;
            assert_eq!(
                (status.as_u16(), answer),
                (403, json!({ "error": "forbidden" }))
            );
        }
    }
    let scheme = format!("Bearer {TOKEN}");
    let (status, _) = admin
        .ask_as(&scheme, Method::GET, "/v1/admin/config", Value::Null)
        .await;
    assert_eq!(status, 200);
    for (method, route, allowed) in [
        (Method::GET, "/v1/admin/reload", "POST"),
        (Method::DELETE, "/v1/admin/config", "GET, POST"),
        (Method::POST, "/health", "GET"),
    ] {
        let url = format!("http://{}{route}", admin.hub.admin_addr().unwrap());
        let request = admin.http.request(method, url).bearer_auth(TOKEN);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 405, "{route}");
        assert_eq!(response.headers()["allow"], allowed);
    }
    let (status, _) = admin.ask(Method::GET, "/v1/admin", Value::Null).await;
    assert_eq!(status, 404);
    let url = format!("{}/v1/admin/config", admin.hub.url());
    assert_eq!(admin.http.get(url).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn settings_are_read_without_secrets() {
    let admin = Admin::start("").await;
    let (status, answer) = admin
        .ask(Method::GET, "/v1/admin/config", Value::Null)
        .await;
    assert_eq!(status, 200);
    assert_eq!(answer["config"]["limits"]["max_file_megabytes"], 20);
    assert_eq!(answer["config"]["access"]["allow"], Value::Null);
    assert!(!answer.to_string().contains("Horse"), "{answer}");
    assert!(!format!("{:?}", admin.hub).contains("Horse"));
}

#[tokio::test]
async fn settings_are_changed_in_the_file_and_take_effect_with_a_reload() {
    let admin = Admin::start("").await;
    let allowed = key(1).address().to_string();
    let change = json!({
        "limits": { "max_file_megabytes": 1, "page_entries": 5 },
        "access": { "allow": [allowed] },
        "listen": { "public_url": "https://hub.example" },
    });
    let (status, answer) = admin.ask(Method::POST, "/v1/admin/config", change).await;
    assert_eq!(status, 200, "{answer}");
    let message = "Config updated -- you should reload your Gaia hub now.";
    assert_eq!(answer, json!({ "message": message, "overridden": [] }));
    let file = admin.file();
    assert!(file.contains("# Chosen with care.\n[admin]"), "{file}");
    assert!(
        file.contains("max_file_megabytes = 1 # as before\npage_entries = 5\n"),
        "{file}"
    );
    assert_eq!(admin.hub.config().max_file_megabytes, 20, "not yet");
    let (status, answer) = admin
        .ask(Method::POST, "/v1/admin/reload", Value::Null)
        .await;
    assert_eq!(status, 200);
    assert_eq!(
        answer,
        json!({
            "result": "OK",
            "changed": ["access.allow", "limits.max_file_megabytes", "limits.page_entries"],
            "needs_restart": ["listen.public_url"],
        })
    );
    assert_eq!(admin.hub.config().max_file_megabytes, 1);
    assert_eq!(
        Client::new(admin.hub.url(), key(2))
            .put("a", "x")
            .await
            .status,
        401
    );
    // `null` takes a setting out again.
    let change = json!({ "access": { "allow": null } });
    let (status, _) = admin.ask(Method::POST, "/v1/admin/config", change).await;
    assert_eq!(status, 200);
    admin
        .ask(Method::POST, "/v1/admin/reload", Value::Null)
        .await;
    assert_eq!(
        Client::new(admin.hub.url(), key(2))
            .put("a", "x")
            .await
            .status,
        202
    );
}

#[tokio::test]
async fn a_change_that_is_wrong_changes_nothing_and_is_explained() {
    let admin = Admin::start("").await;
    let before = admin.file();
    for (change, more) in [
        (
            json!({ "limits": { "page_entries": 0, "pages": 1 }, "tsl": {} }),
            &[
                "limits.page_entries takes a whole number from 1 to 4096, not 0",
                "there is no setting limits.pages",
                "there is no section `tsl`",
            ][..],
        ),
        (
            json!({ "access": { "allow": ["1Nobody"] } }),
            &["access.allow takes a list of bucket addresses: \"1Nobody\""],
        ),
        (
            json!({ "tls": { "certificate": "/nowhere", "key": "/nowhere" } }),
            &["tls.certificate: cannot read /nowhere"],
        ),
        (
            json!({ "admin": { "token": "0123456789abcdef" } }),
            &["admin.token does not belong into this file"],
        ),
        (
            json!({ "limits": 3 }),
            &["limits takes an object of settings"],
        ),
    ] {
        let (status, answer) = admin.ask(Method::POST, "/v1/admin/config", change).await;
        assert_eq!(status, 400, "{answer}");
        assert_eq!(answer["error"], "Invalid Gaia configuration");
        let found = answer["more"].as_array().unwrap();
        assert_eq!(found.len(), more.len(), "{answer}");
        for expected in more {
            let is_it = |one: &Value| one.as_str().unwrap().starts_with(expected);
            assert!(found.iter().any(is_it), "{expected} in {answer}");
        }
    }
    for change in [json!({}), json!({ "limits": {} })] {
        let (status, answer) = admin.ask(Method::POST, "/v1/admin/config", change).await;
        assert_eq!(
            (status.as_u16(), answer),
            (400, json!({ "error": "No valid fields given" }))
        );
    }
    assert_eq!(admin.file(), before);
    // A file that a person broke stops the reload, not the hub.
    admin.place.write("[limits");
    let (status, answer) = admin
        .ask(Method::POST, "/v1/admin/reload", Value::Null)
        .await;
    assert_eq!(status, 500);
    let more = answer["more"][0].as_str().unwrap();
    assert!(more.contains("hub.toml:1: this is not TOML"), "{answer}");
}

#[tokio::test]
async fn a_token_can_be_replaced_and_a_short_one_is_refused() {
    let admin = Admin::start("").await;
    let token_file = admin.place.folder.path().join("token");
    fs::write(&token_file, "short").unwrap();
    let (status, answer) = admin
        .ask(Method::POST, "/v1/admin/reload", Value::Null)
        .await;
    assert_eq!(status, 500);
    assert!(
        answer.to_string().contains("fewer than 16 characters"),
        "{answer}"
    );
    fs::write(&token_file, "another-good-token").unwrap();
    let (status, _) = admin
        .ask(Method::POST, "/v1/admin/reload", Value::Null)
        .await;
    assert_eq!(status, 200);
    let (status, _) = admin
        .ask(Method::GET, "/v1/admin/config", Value::Null)
        .await;
    assert_eq!(status, 403);
    let authorization = "bearer another-good-token";
    let (status, _) = admin
        .ask_as(authorization, Method::GET, "/v1/admin/config", Value::Null)
        .await;
    assert_eq!(status, 200);
}
