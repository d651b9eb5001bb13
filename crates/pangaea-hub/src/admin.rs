//! The admin service: reading and changing the settings of a running hub, on a listener of its
//! own, for whoever has the token. The routes and answers are those of the stock admin service;
//! unlike it, this one shows no secrets, and takes the token as it is written.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::time::timeout;

use crate::config::{ConfigError, LoadedConfig};
use crate::control::{ChangeError, Control};
use crate::health::readiness;
use crate::hub::Hub;
use crate::respond::{self, Body};
use crate::server::Answers;
use crate::{metrics, status};

/// The largest change of settings. A whitelist may be long.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// What the stock admin service says after a change.
const CHANGED: &str = "Config updated -- you should reload your Gaia hub now.";

/// Answers admin requests.
pub(crate) struct Admin {
    control: Arc<Control>,
    hub: Arc<Hub>,
}

/// What is answered instead of a result.
type Refused = (StatusCode, Json);

impl Admin {
    pub(crate) fn new(control: Arc<Control>, hub: Arc<Hub>) -> Self {
        Self { control, hub }
    }

    /// The routes that are looked at rather than asked to do something.
    async fn look(&self, request: &Request<Incoming>) -> Option<Response<Body>> {
        let path = request.uri().path();
        if request.method() != Method::GET
            || !matches!(path, "/" | "/metrics" | "/health" | "/ready")
        {
            return None;
        }
        match path {
            // That it answers is the answer.
            "/health" => return Some(respond::json(StatusCode::OK, &json!({ "status": "ok" }))),
            "/ready" => return Some(self.ready().await),
            _ => {}
        }
        // Browsers send a password again by themselves, wherever a link comes from. So it opens
        // only what changes nothing.
        let sent = bearer(request.headers()).or_else(|| password(request.headers()));
        if !self.is_token(sent.as_deref()) {
            let error = json!({ "error": "forbidden" });
            let mut response = respond::json(StatusCode::UNAUTHORIZED, &error);
            let challenge = HeaderValue::from_static(
                "Basic realm=\"Pangaea hub: the admin token is the password\", charset=\"UTF-8\"",
            );
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
            return Some(response);
        }
        if path == "/" {
            return Some(status::page(&self.hub).await);
        }
        let text = metrics::write(self.hub.metrics(), &self.hub.now().await);
        let mut response = Response::new(respond::bytes(text));
        let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        Some(response)
    }

    async fn ready(&self) -> Response<Body> {
        let ready = readiness(&self.hub).await;
        let status = if ready.is_ready() {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let document = json!({
            "index": ready.index.as_str(),
            "disk": ready.disk.as_str(),
            "serving": ready.serving.as_str(),
        });
        respond::json(status, &document)
    }

    async fn dispatch(&self, request: Request<Incoming>) -> Result<Json, Refused> {
        if !self.is_token(bearer(request.headers()).as_deref()) {
            return Err((StatusCode::FORBIDDEN, json!({ "error": "forbidden" })));
        }
        let method = request.method().clone();
        match (request.uri().path(), &method) {
            ("/v1/admin/config", &Method::GET) => {
                let config = self.control.live().get();
                Ok(json!({ "config": LoadedConfig::of(&config).to_json() }))
            }
            ("/v1/admin/config", &Method::POST) => self.change(request).await,
            ("/v1/admin/reload", &Method::POST) => self.reload().await,
            ("/v1/admin/config" | "/v1/admin/reload", _) => Err((
                StatusCode::METHOD_NOT_ALLOWED,
                json!({ "error": "the config is read with GET and changed with POST; a reload is a POST" }),
            )),
            _ => Err((
                StatusCode::NOT_FOUND,
                json!({ "error": "there is no such route" }),
            )),
        }
    }

    /// Compares digests, so that the time it takes tells nothing, not even the length.
    fn is_token(&self, sent: Option<&str>) -> bool {
        let outside = self.control.live().outside();
        let Some(token) = &outside.admin_token else {
            return false;
        };
        let digest = Sha256::digest(sent.unwrap_or_default());
        sent.is_some() && bool::from(digest.ct_eq(&Sha256::digest(token.expose())))
    }

    async fn change(&self, request: Request<Incoming>) -> Result<Json, Refused> {
        let no_fields = || {
            let error = json!({ "error": "No valid fields given" });
            (StatusCode::BAD_REQUEST, error)
        };
        let changes = self.read(request).await?;
        let has_fields = changes.values().any(|members| {
            members
                .as_object()
                .is_none_or(|members| !members.is_empty())
        });
        if !has_fields {
            return Err(no_fields());
        }
        match self.control.change(changes).await {
            Ok(overridden) => Ok(json!({ "message": CHANGED, "overridden": overridden })),
            Err(ChangeError::Config(error)) => Err((StatusCode::BAD_REQUEST, invalid(&error))),
            Err(error @ ChangeError::NoFile) => {
                Err((StatusCode::CONFLICT, json!({ "error": error.to_string() })))
            }
            Err(error @ ChangeError::Write(_)) => {
                tracing::error!("{error}");
                let error = json!({ "error": error.to_string() });
                Err((StatusCode::INTERNAL_SERVER_ERROR, error))
            }
        }
    }

    async fn read(&self, request: Request<Incoming>) -> Result<Map<String, Json>, Refused> {
        let bad = |message: &str| (StatusCode::BAD_REQUEST, json!({ "error": message }));
        let limit = self.control.live().get().time_limits.body_silence;
        let body = Limited::new(request.into_body(), BODY_BYTES_MAX).collect();
        let body = timeout(limit, body)
            .await
            .map_err(|_| bad("the request took too long to arrive"))?
            .map_err(|_| bad("the request is too large or ended early"))?;
        match serde_json::from_slice(&body.to_bytes()) {
            Ok(Json::Object(changes)) => Ok(changes),
            Ok(_) | Err(_) => Err(bad("the body must be a JSON object of sections")),
        }
    }

    async fn reload(&self) -> Result<Json, Refused> {
        match self.control.reload().await {
            Ok(reloaded) => Ok(json!({
                "result": "OK",
                "changed": reloaded.changed,
                "needs_restart": reloaded.needs_restart,
            })),
            Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, invalid(&error))),
        }
    }
}

impl Answers for Admin {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let mut response = match self.look(&request).await {
            Some(response) => response,
            None => match self.dispatch(request).await {
                Ok(document) => respond::json(StatusCode::OK, &document),
                Err((status, document)) => respond::json(status, &document),
            },
        };
        let status = response.status();
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
        }
        debug_assert!(headers.contains_key(CONTENT_TYPE));
        response
    }
}

fn authorization<'a>(headers: &'a HeaderMap, scheme: &str) -> Option<&'a str> {
    let (sent, rest) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    sent.eq_ignore_ascii_case(scheme).then_some(rest.trim())
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    authorization(headers, "bearer").map(str::to_owned)
}

/// The password that a browser asked for; the name does not matter.
fn password(headers: &HeaderMap) -> Option<String> {
    let decoded = STANDARD.decode(authorization(headers, "basic")?).ok()?;
    let text = String::from_utf8(decoded).ok()?;
    let (_, password) = text.split_once(':')?;
    Some(password.to_owned())
}

fn invalid(error: &ConfigError) -> Json {
    let more: Vec<String> = error.problems().iter().map(ToString::to_string).collect();
    json!({ "error": "Invalid Gaia configuration", "more": more })
}
