//! What each endpoint takes, and what it answers when all is well.

use gaia::batch::{Operation, Reply};
use gaia::changes::{CHANGES_ENTRIES_DEFAULT, ChangesPage, EVENT_STREAM, WAIT_SECONDS_MAX};
use gaia::fetch::AnswerHead;
use gaia::hub_info::{HubInfo, feature};
use gaia::limits::{
    BATCH_BYTES_MAX, BATCH_OPERATIONS_MAX, CURSOR_BYTES_MAX, FETCH_BYTES_MAX, FETCH_FILE_BYTES_MAX,
    FETCH_PATHS_MAX, FRAME_HEAD_BYTES_MAX, PAGE_ENTRIES_MAX, PATH_BYTES_MAX, PATH_SEGMENTS_MAX,
    SEGMENT_BYTES_MAX,
};
use gaia::listing::{ListRequest, NamePage, StatPage};
use gaia::replies::{StatusReply, StoreReply};
use gaia::revoke::RevokeRequest;
use serde_json::{Map, Value, json};

use super::refusals;
use super::schemas::Schemas;
use crate::hub::FEATURES;
use crate::routes::Endpoint;

pub(super) const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";

/// Everything about one endpoint but its refusals.
struct Description {
    id: &'static str,
    summary: &'static str,
    text: String,
    token: Token,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: Vec<(&'static str, Value)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Needed,
    NotNeeded,
}

/// The operation of an endpoint.
pub(super) fn operation(endpoint: Endpoint, schemas: &mut Schemas) -> Value {
    let described = describe(endpoint, schemas);
    let mut responses = refusals::responses(endpoint, schemas);
    for (status, answer) in described.answers {
        merge(&mut responses, status, answer);
    }
    let security = match described.token {
        Token::Needed => json!([{ "token": [] }]),
        Token::NotNeeded => json!([]),
    };
    let mut operation = json!({
        "operationId": described.id,
        "summary": described.summary,
        "description": described.text,
        "tags": [tag(endpoint)],
        "security": security,
        "parameters": described.parameters,
        "responses": responses,
    });
    if let Some(body) = described.body {
        operation["requestBody"] = body;
    }
    operation
}

/// Adds an answer to those with its status.
fn merge(responses: &mut Map<String, Value>, status: &str, answer: Value) {
    let Some(known) = responses.get_mut(status) else {
        responses.insert(status.to_owned(), answer);
        return;
    };
    let words = [&answer["description"], &known["description"]];
    let words: Vec<_> = words.into_iter().filter_map(Value::as_str).collect();
    known["description"] = json!(words.join("\n\n"));
    if let Some(content) = answer.get("content").and_then(Value::as_object) {
        for (kind, schema) in content {
            known["content"][kind] = schema.clone();
        }
    }
}

fn tag(endpoint: Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Changes | Endpoint::Batch | Endpoint::Fetch | Endpoint::OpenApi => {
            "accelerations"
        }
        Endpoint::HubInfo
        | Endpoint::Store
        | Endpoint::Delete
        | Endpoint::ListFiles
        | Endpoint::RevokeAll
        | Endpoint::Read => "stock",
    }
}

fn describe(endpoint: Endpoint, schemas: &mut Schemas) -> Description {
    match endpoint {
        Endpoint::HubInfo => hub_info(schemas),
        Endpoint::Store => store(schemas),
        Endpoint::Delete => delete(),
        Endpoint::ListFiles => list_files(schemas),
        Endpoint::RevokeAll => revoke_all(schemas),
        Endpoint::Read => read(),
        Endpoint::Changes => changes(schemas),
        Endpoint::Batch => batch(schemas),
        Endpoint::Fetch => fetch(schemas),
        Endpoint::OpenApi => open_api(),
    }
}

fn hub_info(schemas: &mut Schemas) -> Description {
    let features = FEATURES.join("`, `");
    Description {
        id: "hubInfo",
        summary: "What the hub is and can do",
        text: format!("This hub has the features `{features}`."),
        token: Token::NotNeeded,
        parameters: vec![],
        body: None,
        answers: vec![("200", json_answer("The hub.", schemas.answer::<HubInfo>()))],
    }
}

fn store(schemas: &mut Schemas) -> Description {
    let reply = schemas.answer::<StoreReply>();
    Description {
        id: "store",
        summary: "Store a file",
        text: "The body is stored as it is, with its Content-Type. When 202 is answered, the \
               file is on the disk."
            .to_owned(),
        token: Token::Needed,
        parameters: vec![
            address(),
            path(),
            header(
                "If-Match",
                "Store only if this is the file's tag, or one of several.",
            ),
            header("If-None-Match", "`*`: store only if there is no file."),
        ],
        body: Some(json!({ "required": false, "content": { BYTES: {}, "*/*": {} } })),
        answers: vec![("202", json_answer("Stored.", reply))],
    }
}

fn delete() -> Description {
    let condition = format!(
        "Delete only if this is the file's tag (feature `{}`).",
        feature::CONDITIONAL_DELETE
    );
    Description {
        id: "delete",
        summary: "Delete a file",
        text: "When 202 is answered, the deletion is on the disk.".to_owned(),
        token: Token::Needed,
        parameters: vec![address(), path(), header("If-Match", &condition)],
        body: None,
        answers: vec![("202", json!({ "description": "Deleted." }))],
    }
}

fn list_files(schemas: &mut Schemas) -> Description {
    let pages = [schemas.answer::<NamePage>(), schemas.answer::<StatPage>()];
    let request = schemas.request::<ListRequest>();
    Description {
        id: "listFiles",
        summary: "List a bucket, a page at a time",
        text: format!(
            "`page` is what the page before named, or null. `prefix`, `after` and `limit` are the \
             feature `{}`; `limit` is 1 to {PAGE_ENTRIES_MAX}. Entries are names, or objects \
             with `stat`.",
            feature::LIST_PREFIX
        ),
        token: Token::Needed,
        parameters: vec![address()],
        body: Some(json!({ "required": false, "content": { JSON: { "schema": request } } })),
        answers: vec![("202", json_answer("A page.", json!({ "anyOf": pages })))],
    }
}

fn revoke_all(schemas: &mut Schemas) -> Description {
    let request = schemas.request::<RevokeRequest>();
    let reply = schemas.answer::<StatusReply>();
    Description {
        id: "revokeAll",
        summary: "Revoke all tokens of a bucket that were issued before a time",
        text: "The time only grows: an earlier one is answered and changes nothing.".to_owned(),
        token: Token::Needed,
        parameters: vec![address()],
        body: Some(json!({ "required": true, "content": { JSON: { "schema": request } } })),
        answers: vec![("202", json_answer("Revoked.", reply))],
    }
}

fn read() -> Description {
    let file = || json!({ "*/*": {} });
    let headers = described_headers(&[
        ("ETag", "The tag of the stored bytes, without quotes."),
        ("Last-Modified", "When the file was stored."),
        (
            "Cache-Control",
            "What caches may do, as the operator has set it.",
        ),
        ("Accept-Ranges", "`bytes`"),
    ]);
    let page = |words: &str| json!({ "description": words, "content": { "text/html": {} } });
    let mut bucket = address();
    bucket["schema"]["pattern"] = json!("^[A-Za-z0-9_-]+$");
    Description {
        id: "read",
        summary: "Read a file",
        text: format!(
            "hub_info says below which URL files are read; it is this one unless the operator \
             has set another. Features `{}` and `{}`.",
            feature::NOT_MODIFIED,
            feature::RANGE
        ),
        token: Token::NotNeeded,
        parameters: vec![
            bucket,
            path(),
            header("If-None-Match", "Answer 304 if this is the file's tag."),
            header("If-Modified-Since", "Answer 304 if the file is not newer."),
            header("If-Match", "Answer 412 unless this is the file's tag."),
            header("If-Unmodified-Since", "Answer 412 if the file is newer."),
            header("Range", "The parts that are wanted, as `bytes=0-99`."),
            header("If-Range", "Send parts only of this version, else all."),
        ],
        body: None,
        answers: vec![
            (
                "200",
                json!({ "description": "The file.", "headers": headers, "content": file() }),
            ),
            (
                "206",
                json!({ "description": "Parts of it.", "headers": headers, "content": file() }),
            ),
            (
                "304",
                json!({ "description": "The client has it.", "headers": headers }),
            ),
            ("400", page("No file can have this path.")),
            ("404", page("There is no such file.")),
        ],
    }
}

fn changes(schemas: &mut Schemas) -> Description {
    let cursor = json!({
        "type": "string",
        "pattern": "^[A-Za-z0-9_-]*$",
        "maxLength": CURSOR_BYTES_MAX,
    });
    let query = |name: &str, words: &str, schema: Value| json!({ "name": name, "in": "query", "description": words, "schema": schema });
    let mut last_event = header("Last-Event-ID", "Counts rather than `since` in a stream.");
    last_event["schema"] = cursor.clone();
    let page = schemas.answer::<ChangesPage>();
    let mut answer = json_answer(
        "A page, or with `Accept: text/event-stream` a stream.",
        page,
    );
    answer["content"][EVENT_STREAM] = json!({ "schema": { "type": "string" } });
    Description {
        id: "changes",
        summary: "What changed in a bucket since a cursor",
        text: format!(
            "Feature `{}`. A page, at once or when something changes, or a stream of events.",
            feature::CHANGES
        ),
        token: Token::Needed,
        parameters: vec![
            address(),
            query("since", "The cursor to go on from.", cursor),
            query(
                "limit",
                &format!("Most entries on the page; {CHANGES_ENTRIES_DEFAULT} if left out."),
                json!({ "type": "integer", "minimum": 1, "maximum": PAGE_ENTRIES_MAX }),
            ),
            query(
                "wait",
                &format!("Seconds to wait for a change; at most {WAIT_SECONDS_MAX} are waited."),
                json!({ "type": "integer", "minimum": 0 }),
            ),
            last_event,
        ],
        body: None,
        answers: vec![("200", answer)],
    }
}

fn batch(schemas: &mut Schemas) -> Description {
    let head = schemas.request::<Operation>();
    let reply = schemas.answer::<Reply>();
    Description {
        id: "batch",
        summary: "Many stores and deletes in one request",
        text: format!(
            "Feature `{}`. Frames: a line of JSON of at most {FRAME_HEAD_BYTES_MAX} bytes \
             (`x-frame-head`), then as many bytes as its `length` says. At most \
             {BATCH_OPERATIONS_MAX} operations and {BATCH_BYTES_MAX} bytes.",
            feature::BATCH
        ),
        token: Token::Needed,
        parameters: vec![
            address(),
            json!({
                "name": "atomic",
                "in": "query",
                "description": "Whether all are applied or none.",
                "schema": { "type": "boolean", "default": false },
            }),
        ],
        body: Some(json!({
            "required": true,
            "content": { gaia::batch::MEDIA_TYPE: { "x-frame-head": head } },
        })),
        answers: vec![("200", json_answer("One result for each operation.", reply))],
    }
}

fn fetch(schemas: &mut Schemas) -> Description {
    let request = schemas.request::<gaia::fetch::Request>();
    let head = schemas.answer::<AnswerHead>();
    let kind = gaia::fetch::MEDIA_TYPE;
    Description {
        id: "fetch",
        summary: "Many small files in one answer",
        text: format!(
            "Feature `{}`. At most {FETCH_PATHS_MAX} paths; files of at most \
             {FETCH_FILE_BYTES_MAX} bytes each and {FETCH_BYTES_MAX} together. The answer is \
             frames: a line of JSON (`x-frame-head`), then as many bytes as its `length` says.",
            feature::FETCH
        ),
        token: Token::NotNeeded,
        parameters: vec![address()],
        body: Some(json!({ "required": true, "content": { JSON: { "schema": request } } })),
        answers: vec![(
            "200",
            json!({
                "description": "The files, in the order of the paths, and an end.",
                "content": { kind: { "x-frame-head": head } },
            }),
        )],
    }
}

fn open_api() -> Description {
    Description {
        id: "openApi",
        summary: "This document",
        text: "The same at every hub of this version.".to_owned(),
        token: Token::NotNeeded,
        parameters: vec![],
        body: None,
        answers: vec![("200", json_answer("OpenAPI.", json!({ "type": "object" })))],
    }
}

pub(super) fn json_answer(words: &str, schema: Value) -> Value {
    json!({ "description": words, "content": { JSON: { "schema": schema } } })
}

fn address() -> Value {
    json!({
        "name": "address",
        "in": "path",
        "required": true,
        "description": "The bucket: the address of its owner's key.",
        "schema": { "type": "string", "pattern": "^[A-Za-z0-9]+$" },
    })
}

fn path() -> Value {
    json!({
        "name": "path",
        "in": "path",
        "required": true,
        "description": format!(
            "The file's path; slashes in it may be escaped or not. At most {PATH_BYTES_MAX} bytes \
             and {PATH_SEGMENTS_MAX} names of {SEGMENT_BYTES_MAX} bytes."
        ),
        "schema": { "type": "string", "minLength": 1 },
    })
}

fn header(name: &str, words: &str) -> Value {
    json!({ "name": name, "in": "header", "description": words, "schema": { "type": "string" } })
}

fn described_headers(list: &[(&str, &str)]) -> Value {
    let one = |(name, words): &(&str, &str)| {
        let header = json!({ "description": words, "schema": { "type": "string" } });
        ((*name).to_owned(), header)
    };
    list.iter().map(one).collect::<Map<_, _>>().into()
}
