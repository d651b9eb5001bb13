//! The admin service: reading and changing the settings of a running hub, on a listener of its
//! own, for whoever has the token. The routes and answers are those of the stock admin service;
//! unlike it, this one shows no secrets, and takes the token as it is written.
//! `routes` is the table of all routes, `answers` has the forms of what is answered.

pub(crate) mod answers;
pub(crate) mod routes;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::time::timeout;

use self::answers::{Alive, Failure, FileChanged, ReadyParts, ReloadDone};
use self::routes::{Access, AdminEndpoint};
use crate::config::{ConfigError, LoadedConfig};
use crate::control::{ChangeError, Control};
use crate::health::readiness;
use crate::hub::Hub;
use crate::respond::{self, Body};
use crate::server::Answers;
use crate::{metrics, openapi, status};

/// The largest change of settings. A whitelist may be long.
const BODY_BYTES_MAX: usize = 1024 * 1024;

/// What the stock admin service says after a change.
const CHANGED: &str = "Config updated -- you should reload your Gaia hub now.";

/// Makes browsers ask for a password.
const CHALLENGE: HeaderValue = HeaderValue::from_static(
    "Basic realm=\"Pangaea hub: the admin token is the password\", charset=\"UTF-8\"",
);

/// Answers admin requests.
pub(crate) struct Admin {
    control: Arc<Control>,
    hub: Arc<Hub>,
}

/// What is answered instead of a result.
type Refused = (StatusCode, Failure);

impl Admin {
    pub(crate) fn new(control: Arc<Control>, hub: Arc<Hub>) -> Self {
        Self { control, hub }
    }

    async fn dispatch(&self, request: Request<Incoming>) -> Result<Response<Body>, Refused> {
        let path = request.uri().path();
        let route = routes::find(request.method(), path);
        // Who has no token is not told either what there is not.
        self.admit(
            route.map_or(Access::Token, |route| route.access),
            request.headers(),
        )?;
        let Some(route) = route else {
            return Err(match routes::allowed(path) {
                none if none.is_empty() => refused(StatusCode::NOT_FOUND, "there is no such route"),
                methods => refused(
                    StatusCode::METHOD_NOT_ALLOWED,
                    format!("this route takes {methods}"),
                ),
            });
        };
        Ok(match route.endpoint {
            AdminEndpoint::StatusPage => status::page(&self.hub).await,
            AdminEndpoint::Metrics => self.metrics().await,
            // That it answers is the answer.
            AdminEndpoint::Health => respond::json(StatusCode::OK, &Alive { status: "ok" }),
            AdminEndpoint::Ready => self.ready().await,
            AdminEndpoint::OpenApi => openapi::answer(openapi::admin_text()),
            AdminEndpoint::Settings => {
                let config = self.control.live().get();
                let settings = LoadedConfig::of(&config).to_json();
                respond::json(StatusCode::OK, &json!({ "config": settings }))
            }
            AdminEndpoint::Change => respond::json(StatusCode::OK, &self.change(request).await?),
            AdminEndpoint::Reload => respond::json(StatusCode::OK, &self.reload().await?),
        })
    }

    fn admit(&self, access: Access, headers: &HeaderMap) -> Result<(), Refused> {
        let (sent, status) = match access {
            Access::Everybody => return Ok(()),
            Access::Look => (
                bearer(headers).or_else(|| password(headers)),
                StatusCode::UNAUTHORIZED,
            ),
            Access::Token => (bearer(headers), StatusCode::FORBIDDEN),
        };
        if self.is_token(sent.as_deref()) {
            Ok(())
        } else {
            Err(refused(status, "forbidden"))
        }
    }

    async fn metrics(&self) -> Response<Body> {
        let text = metrics::write(self.hub.metrics(), &self.hub.now().await);
        let mut response = Response::new(respond::bytes(text));
        let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        response
    }

    async fn ready(&self) -> Response<Body> {
        let ready = readiness(&self.hub).await;
        let status = if ready.is_ready() {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        };
        let parts = ReadyParts {
            index: ready.index.as_str(),
            disk: ready.disk.as_str(),
            serving: ready.serving.as_str(),
        };
        respond::json(status, &parts)
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

    async fn change(&self, request: Request<Incoming>) -> Result<FileChanged, Refused> {
        let changes = self.read(request).await?;
        let has_fields = changes.values().any(|members| {
            members
                .as_object()
                .is_none_or(|members| !members.is_empty())
        });
        if !has_fields {
            return Err(refused(StatusCode::BAD_REQUEST, "No valid fields given"));
        }
        match self.control.change(changes).await {
            Ok(overridden) => Ok(FileChanged {
                message: CHANGED,
                overridden,
            }),
            Err(ChangeError::Config(error)) => Err((StatusCode::BAD_REQUEST, invalid(&error))),
            Err(error @ ChangeError::NoFile) => {
                Err(refused(StatusCode::CONFLICT, error.to_string()))
            }
            Err(error @ ChangeError::Write(_)) => {
                tracing::error!("{error}");
                let status = StatusCode::INTERNAL_SERVER_ERROR;
                Err(refused(status, error.to_string()))
            }
        }
    }

    async fn read(&self, request: Request<Incoming>) -> Result<Map<String, Json>, Refused> {
        let bad = |message: &str| refused(StatusCode::BAD_REQUEST, message);
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

    async fn reload(&self) -> Result<ReloadDone, Refused> {
        match self.control.reload().await {
            Ok(reloaded) => Ok(ReloadDone {
                result: "OK",
                changed: reloaded.changed,
                needs_restart: reloaded.needs_restart,
            }),
            Err(error) => Err((StatusCode::INTERNAL_SERVER_ERROR, invalid(&error))),
        }
    }
}

impl Answers for Admin {
    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        let allowed = routes::allowed(request.uri().path());
        let mut response = match self.dispatch(request).await {
            Ok(response) => response,
            Err((status, failure)) => respond::json(status, &failure),
        };
        let status = response.status();
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, CHALLENGE);
        }
        if status == StatusCode::METHOD_NOT_ALLOWED
            && let Ok(allowed) = HeaderValue::from_str(&allowed)
        {
            headers.insert(ALLOW, allowed);
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

fn refused(status: StatusCode, error: impl Into<String>) -> Refused {
    (status, Failure::new(error))
}

fn invalid(error: &ConfigError) -> Failure {
    Failure {
        error: "Invalid Gaia configuration".to_owned(),
        more: Some(error.problems().iter().map(ToString::to_string).collect()),
    }
}
