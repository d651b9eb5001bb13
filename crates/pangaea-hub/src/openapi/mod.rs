//! The OpenAPI documents of the hub's routes, made from what the hub itself is made of: the tables
//! of routes, the wire types and limits of `gaia`, the refusals of `error`, the table of settings.
//!
//! What each endpoint takes and answers is in `operations`, what it refuses with in `refusals`,
//! the forms of bodies in `schemas`. The admin service, which listens elsewhere and takes another
//! token, has a document of its own, in `admin`.

mod admin;
mod operations;
mod refusals;
mod schemas;

use std::sync::LazyLock;

use bytes::Bytes;
use gaia::hub_info::AUTH_VERSION;
use http::{Method, Response, StatusCode};
use serde_json::{Map, Value, json};

use self::schemas::Schemas;
use crate::respond::{self, Body};
use crate::routes::SHAPES;

static TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document()));
static ADMIN_TEXT: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", admin::document()));

/// The document as JSON, as `GET /openapi.json` answers it.
#[must_use]
pub fn text() -> &'static str {
    &TEXT
}

/// The document of the admin service, as `GET /openapi.json` of that answers it.
#[must_use]
pub fn admin_text() -> &'static str {
    &ADMIN_TEXT
}

/// `GET /openapi.json`
pub(crate) fn answer(text: &'static str) -> Response<Body> {
    respond::raw_json(StatusCode::OK, Bytes::from_static(text.as_bytes()))
}

fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    for shape in &SHAPES {
        let mut item = Map::new();
        for method in shape.methods {
            let mut operation = operations::operation(shape.endpoint, &mut schemas);
            if *method == Method::HEAD {
                without_bodies(&mut operation);
            }
            item.insert(method.as_str().to_ascii_lowercase(), operation);
        }
        paths.insert(shape.template(), Value::Object(item));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Pangaea hub",
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
            "description": "The stock Gaia protocol, and what this hub offers beyond it: see \
                docs/hub-differences.md and docs/hub-accelerations.md. Bodies of requests to stock \
                routes are read as JSON whatever their Content-Type. `/` greets people, `/health` answers \
                200 or 503 for load balancers; the admin service on its own address has \
                a document of its own; other routes that are not here answer 404; OPTIONS \
                answers 204 everywhere.",
        },
        "servers": [{ "url": "/" }],
        "tags": [
            { "name": "stock", "description": "What every Gaia hub answers." },
            { "name": "accelerations", "description": "Named in `pangaea.features` of hub_info." },
        ],
        "paths": paths,
        "components": {
            "schemas": schemas.finish(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": format!("{AUTH_VERSION}:JWT"),
                    "description": "A JSON Web Token signed (ES256K) by the key whose address is \
                        the bucket's name, with the challenge text of hub_info in it.",
                },
            },
        },
    })
}

/// Makes the operation of a GET that of a HEAD: the same head, and of the file never a part.
fn without_bodies(operation: &mut Value) {
    if let Some(id) = operation.get_mut("operationId") {
        *id = json!(format!("{}Head", id.as_str().unwrap_or_default()));
    }
    let Some(responses) = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    for part in [
        StatusCode::PARTIAL_CONTENT,
        StatusCode::RANGE_NOT_SATISFIABLE,
    ] {
        responses.remove(part.as_str());
    }
    for response in responses.values_mut().filter_map(Value::as_object_mut) {
        response.remove("content");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described() {
        let document = document();
        let mut ids = std::collections::BTreeSet::new();
        for shape in &SHAPES {
            for method in shape.methods {
                let name = method.as_str().to_ascii_lowercase();
                let operation = &document["paths"][shape.template()][name];
                let id = operation["operationId"].as_str().unwrap();
                assert!(ids.insert(id.to_owned()), "{id} twice");
                assert!(!operation["responses"].as_object().unwrap().is_empty());
                let named = operation["parameters"].as_array().unwrap();
                let in_path: Vec<_> = named.iter().filter(|one| one["in"] == "path").collect();
                let template = shape.template();
                assert_eq!(in_path.len(), template.matches('{').count(), "{template}");
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        for (document, references_min) in [(document(), 20), (admin::document(), 10)] {
            let text = document.to_string();
            let mut count = 0;
            for rest in text.split("\"$ref\":\"#").skip(1) {
                let pointer = rest.split('"').next().unwrap();
                assert!(document.pointer(pointer).is_some(), "{pointer}");
                count += 1;
            }
            assert!(count > references_min, "{count}");
        }
    }

    #[test]
    fn the_files_in_docs_are_up_to_date() {
        let files = [
            (include_str!("../../../../docs/hub-api.json"), document()),
            (
                include_str!("../../../../docs/hub-admin-api.json"),
                admin::document(),
            ),
        ];
        for (file, document) in files {
            let file: Value = serde_json::from_str(file).unwrap();
            assert!(
                file == document,
                "run `cargo run -p pangaea-cli -- hub --print-openapi > docs/hub-api.json` and \
                 the same with `--print-openapi=admin > docs/hub-admin-api.json`"
            );
        }
    }
}
