//! The document of the admin service. Settings are described as their table has them.

use http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use super::operations::{JSON, json_answer};
use super::schemas::Schemas;
use crate::admin::answers::{Alive, Failure, FileChanged, ReadyParts, ReloadDone};
use crate::admin::routes::{Access, AdminEndpoint, AdminRoute, ROUTES};
use crate::config::{Change, SECRET, SETTINGS, Setting, Takes, sections};

const SETTINGS_REF: &str = "#/components/schemas/Settings";
const CHANGES_REF: &str = "#/components/schemas/SettingsChanges";

pub(super) fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut paths: Map<String, Value> = Map::new();
    for route in &ROUTES {
        let operation = operation(route, &mut schemas);
        let item = paths.entry(route.path).or_insert_with(|| json!({}));
        item[method(&route.method)] = operation;
    }
    let mut named = schemas.finish();
    named.insert("Settings".to_owned(), all_settings(Use::Shown));
    named.insert("SettingsChanges".to_owned(), all_settings(Use::Changed));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Pangaea hub: admin service",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            "description": "What a hub answers its operator, at `admin.address`: see docs/hub.md. \
                Other methods of these routes answer 405, other routes 404, and both 403 without \
                the token.",
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": named,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The admin token, from `admin.token_file` or the environment.",
                },
                "password": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "The admin token as the password, for browsers; the name does \
                        not matter.",
                },
            },
        },
    })
}

fn method(method: &Method) -> String {
    method.as_str().to_ascii_lowercase()
}

/// Everything about one endpoint but who may ask.
struct Description {
    id: &'static str,
    summary: &'static str,
    text: &'static str,
    body: Option<Value>,
    answers: Vec<(StatusCode, Value)>,
}

fn operation(route: &AdminRoute, schemas: &mut Schemas) -> Value {
    let failure = schemas.answer::<Failure>();
    let described = describe(route.endpoint, schemas);
    let mut responses = Map::new();
    let (security, forbidden) = match route.access {
        Access::Everybody => (json!([]), None),
        Access::Look => (
            json!([{ "token": [] }, { "password": [] }]),
            Some(StatusCode::UNAUTHORIZED),
        ),
        Access::Token => (json!([{ "token": [] }]), Some(StatusCode::FORBIDDEN)),
    };
    if let Some(status) = forbidden {
        let answer = json_answer("The token is not there or is another one.", failure);
        responses.insert(status.as_str().to_owned(), answer);
    }
    for (status, answer) in described.answers {
        responses.insert(status.as_str().to_owned(), answer);
    }
    let mut operation = json!({
        "operationId": described.id,
        "summary": described.summary,
        "description": described.text,
        "security": security,
        "responses": responses,
    });
    if let Some(body) = described.body {
        operation["requestBody"] = body;
    }
    operation
}

fn describe(endpoint: AdminEndpoint, schemas: &mut Schemas) -> Description {
    match endpoint {
        AdminEndpoint::StatusPage => Description {
            id: "statusPage",
            summary: "The status page, for people",
            text: "What is stored and free, the largest buckets, requests, refusals, failures.",
            body: None,
            answers: vec![(StatusCode::OK, text_answer("The page.", "text/html"))],
        },
        AdminEndpoint::Metrics => Description {
            id: "metrics",
            summary: "Counts for Prometheus",
            text: "The text format, version 0.0.4. No address and no path is ever a label.",
            body: None,
            answers: vec![(StatusCode::OK, text_answer("The counts.", "text/plain"))],
        },
        AdminEndpoint::Health => Description {
            id: "health",
            summary: "Whether the process lives",
            text: "For a supervisor that restarts what hangs.",
            body: None,
            answers: vec![(
                StatusCode::OK,
                json_answer("It does.", schemas.answer::<Alive>()),
            )],
        },
        AdminEndpoint::Ready => ready(schemas),
        AdminEndpoint::OpenApi => Description {
            id: "openApi",
            summary: "This document",
            text: "That of the hub itself is at its own address.",
            body: None,
            answers: vec![(
                StatusCode::OK,
                json_answer("OpenAPI.", json!({ "type": "object" })),
            )],
        },
        AdminEndpoint::Settings => Description {
            id: "settings",
            summary: "The settings in force",
            text: "By section; what is not set is null, and secrets are masked.",
            body: None,
            answers: vec![(
                StatusCode::OK,
                json_answer(
                    "The settings.",
                    json!({
                        "type": "object",
                        "required": ["config"],
                        "properties": { "config": { "$ref": SETTINGS_REF } },
                    }),
                ),
            )],
        },
        AdminEndpoint::Change => change(schemas),
        AdminEndpoint::Reload => reload(schemas),
    }
}

fn ready(schemas: &mut Schemas) -> Description {
    let parts = schemas.answer::<ReadyParts>();
    Description {
        id: "ready",
        summary: "Whether the hub should be sent requests, and why not",
        text: "Looked up once a second at most.",
        body: None,
        answers: vec![
            (StatusCode::OK, json_answer("It should.", parts.clone())),
            (
                StatusCode::SERVICE_UNAVAILABLE,
                json_answer("It should not.", parts),
            ),
        ],
    }
}

fn change(schemas: &mut Schemas) -> Description {
    let failure = schemas.answer::<Failure>();
    Description {
        id: "changeSettings",
        summary: "Change the configuration file",
        text: "By section; null takes a setting out. What comes out is checked as \
               `--check-config` does before anything is written. It holds after a reload.",
        body: Some(json!({
            "required": true,
            "content": { JSON: { "schema": { "$ref": CHANGES_REF } } },
        })),
        answers: vec![
            (
                StatusCode::OK,
                json_answer("The file is changed.", schemas.answer::<FileChanged>()),
            ),
            (
                StatusCode::BAD_REQUEST,
                json_answer("Something is wrong; nothing changed.", failure.clone()),
            ),
            (
                StatusCode::CONFLICT,
                json_answer(
                    "The hub was started without a configuration file.",
                    failure.clone(),
                ),
            ),
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                json_answer("The file cannot be written.", failure),
            ),
        ],
    }
}

fn reload(schemas: &mut Schemas) -> Description {
    let failure = schemas.answer::<Failure>();
    Description {
        id: "reload",
        summary: "Read the configuration again",
        text: "As the signal HUP. There is no body.",
        body: None,
        answers: vec![
            (
                StatusCode::OK,
                json_answer("It holds.", schemas.answer::<ReloadDone>()),
            ),
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                json_answer("Something is wrong; the hub goes on as before.", failure),
            ),
        ],
    }
}

fn text_answer(words: &str, kind: &str) -> Value {
    json!({ "description": words, "content": { kind: { "schema": { "type": "string" } } } })
}

/// What a description of settings is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    Shown,
    Changed,
}

fn all_settings(usage: Use) -> Value {
    let mut properties = Map::new();
    for section in sections() {
        let mut members = Map::new();
        for row in SETTINGS {
            if let Some((of, name)) = row.key.split_once('.')
                && of == section
                // A secret is never in the file.
                && (usage == Use::Shown || row.key != SECRET)
            {
                members.insert(name.to_owned(), setting(row));
            }
        }
        properties.insert(section.to_owned(), object(members, usage));
    }
    object(properties, usage)
}

fn object(members: Map<String, Value>, usage: Use) -> Value {
    let mut object = json!({ "type": "object", "additionalProperties": false });
    if usage == Use::Shown {
        object["required"] = members.keys().cloned().collect();
    }
    object["properties"] = Value::Object(members);
    object
}

fn setting(row: &Setting) -> Value {
    let mut words = row.takes.describe();
    if row.change == Change::AtStart {
        words += "; heeded when the hub is started again";
    }
    let mut schema = match row.takes {
        Takes::Text(_) => json!({ "type": ["string", "null"], "minLength": 1 }),
        Takes::Choice(texts) => {
            let texts = texts.iter().map(|text| json!(text));
            let choices: Vec<_> = texts.chain([Value::Null]).collect();
            json!({ "enum": choices })
        }
        Takes::Whole(min, max) => {
            json!({ "type": ["integer", "null"], "minimum": min, "maximum": max })
        }
        Takes::List(_) => json!({ "type": ["array", "null"], "items": { "type": "string" } }),
    };
    schema["description"] = json!(words);
    schema
}
