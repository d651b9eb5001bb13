//! What the module tells: events, files and summaries, as plain JavaScript objects.

use gaia::path::FilePath;
use pangaea::replica::Conflict;
use pangaea::replica::FileState;
use pangaea::replica::Replica;
use pangaea_core::commit::Action;
use pangaea_core::commit::HistoryRow;
use pangaea_core::commit::LogRow;
use pangaea_core::engine::Engine;
use pangaea_core::engine::HubState;
use pangaea_core::engine::Status;
use pangaea_core::io::Event;
use pangaea_core::io::Question;
use pangaea_core::state::ContentKind;
use pangaea_core::state::Entry;
use pangaea_core::state::Format;
use pangaea_core::state::ProblemKind;
use pangaea_core::state::Signing;
use pangaea_core::state::is_reserved;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;
use wasm_bindgen::JsValue;

/// A value as a JavaScript object.
pub(crate) fn object(value: &Value) -> JsValue {
    js_sys::JSON::parse(&value.to_string()).unwrap_or_default()
}

pub(crate) fn event(event: &Event) -> Value {
    match event {
        Event::Quiet => json!({ "kind": "quiet" }),
        Event::Changed { path } => json!({ "kind": "changed", "path": path.as_str() }),
        Event::Stored { path, version } => {
            json!({ "kind": "stored", "path": path.as_str(), "version": version.to_string() })
        }
        Event::Conflict { path, copy } => {
            json!({ "kind": "conflict", "path": path.as_str(), "copy": copy.as_str() })
        }
        Event::Parked { path, message } => {
            json!({ "kind": "parked", "path": path.as_str(), "message": message })
        }
        Event::Waiting { until_ms, message } => {
            json!({ "kind": "waiting", "until": until_ms, "message": message })
        }
        Event::Paused { message } => json!({ "kind": "paused", "message": message }),
        Event::Halted(asked) => {
            let mut event = question(asked);
            event["kind"] = "halted".into();
            event
        }
    }
}

fn question(question: &Question) -> Value {
    match question {
        Question::MassDelete { missing, known } => {
            json!({ "question": "mass-delete", "missing": missing, "known": known })
        }
        Question::OtherBucket => json!({ "question": "other-bucket" }),
    }
}

/// A file of a list; none if this device does not have it.
pub(crate) fn file(engine: &Engine, path: &FilePath, entry: &Entry) -> Option<Value> {
    let told = told(entry, engine.format_for(path))?;
    let mut found = serde_json::to_value(told).ok()?;
    found["path"] = path.as_str().into();
    Some(found)
}

/// What is told of a file beside its path.
#[derive(Serialize)]
pub(crate) struct Told<'a> {
    size: u64,
    #[serde(rename = "type")]
    media_type: &'a str,
    version: String,
    modified: u64,
    state: &'static str,
    format: ToldFormat,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ToldProblem<'a>>,
    /// In the store only: the key of its content, and whether the format is another one where a policy says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<&'a str>,
    #[serde(rename = "isByPolicy", skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_by_policy: bool,
}

#[derive(Serialize)]
struct ToldFormat {
    encryption: &'static str,
    signed: bool,
    kind: &'static str,
}

#[derive(Serialize)]
struct ToldProblem<'a> {
    kind: &'static str,
    message: &'a str,
}

/// What is told of a file that is held in this way; none if this device does not have it.
pub(crate) fn told(entry: &Entry, format: Format) -> Option<Told<'_>> {
    let file = entry.local.file()?;
    let kind = match format.kind {
        ContentKind::Text => "text",
        ContentKind::Bytes => "bytes",
    };
    Some(Told {
        size: file.size,
        media_type: file.media_type.as_str(),
        version: file.version.to_string(),
        modified: file.version.clock.ms(),
        state: state(entry),
        format: ToldFormat {
            encryption: format.encryption.name(),
            signed: format.signing == Signing::Signed,
            kind,
        },
        problem: problem(entry),
        content: None,
        is_by_policy: false,
    })
}

fn problem(entry: &Entry) -> Option<ToldProblem<'_>> {
    entry.problem.as_ref().map(|problem| ToldProblem {
        kind: problem_kind(problem.kind),
        message: &problem.message,
    })
}

/// Something that is not known to be on the hub; a delete has no size and no type.
pub(crate) fn unsent(engine: &Engine, path: &FilePath, entry: &Entry) -> Value {
    let mut found = file(engine, path, entry).unwrap_or_else(
        || json!({ "path": path.as_str(), "state": state(entry), "deleted": true }),
    );
    if let Some(pending) = &entry.pending {
        found["since"] = pending.since_ms.into();
    }
    if let Some(problem) = problem(entry) {
        found["problem"] = serde_json::to_value(problem).unwrap_or_default();
    }
    found
}

pub(crate) fn state(entry: &Entry) -> &'static str {
    match FileState::of(entry) {
        FileState::Stored => "stored",
        FileState::Queued => "queued",
        FileState::Parked => "parked",
    }
}

fn problem_kind(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Refused => "refused",
        ProblemKind::Damaged => "damaged",
        ProblemKind::Newer => "newer",
        ProblemKind::Device => "device",
        ProblemKind::Undecided => "undecided",
        ProblemKind::Ignored => "ignored",
    }
}

pub(crate) fn status(replica: &Replica) -> Value {
    let status = replica.status();
    let hub = match &status.hub {
        HubState::Ready => json!({ "state": "ready" }),
        HubState::Waiting {
            until_ms, message, ..
        } => json!({ "state": "waiting", "until": until_ms, "message": message }),
        HubState::Paused { message, .. } => json!({ "state": "paused", "message": message }),
        HubState::Halted(asked) => {
            let mut hub = question(asked);
            hub["state"] = "halted".into();
            hub
        }
    };
    json!({
        "files": status.files,
        "pending": own(&status, replica),
        "pendingBytes": status.pending_bytes,
        "oldest": status.oldest_ms,
        "inFlight": status.in_flight,
        "parked": status.parked,
        "hub": hub,
        "device": replica.device().to_string(),
        "caughtUp": replica.has_caught_up(),
        "clean": status.pending == 0 && status.parked == 0,
    })
}

/// What waits, Pangaea's own files not counted: nobody put them there.
fn own(status: &Status, replica: &Replica) -> usize {
    let entries = replica.engine().entries().iter();
    let reserved = entries.filter(|(path, entry)| is_reserved(path) && entry.pending.is_some());
    status.pending.saturating_sub(reserved.count())
}

pub(crate) fn conflict(conflict: &Conflict) -> Value {
    match conflict {
        Conflict::Copy { path, copy } => json!({ "path": path.as_str(), "copy": copy.as_str() }),
        Conflict::Undecided { path } => json!({ "path": path.as_str() }),
    }
}

pub(crate) fn history(row: &HistoryRow) -> Value {
    json!({
        "version": row.version.to_string(),
        "replaced": row.replaced_ms,
        "size": row.size,
        "type": row.media_type.as_str(),
        "device": row.version.device.to_string(),
    })
}

pub(crate) fn log(row: &LogRow) -> Value {
    json!({
        "at": row.at_ms,
        "path": row.path.as_str(),
        "action": action(row.action),
        "version": row.version.to_string(),
        "device": row.author().to_string(),
        "detail": row.detail,
    })
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Edited => "Edited",
        Action::Deleted => "Deleted",
        Action::Pushed => "Pushed",
        Action::Removed => "Removed",
        Action::Pulled => "Pulled",
        Action::PulledDelete => "PulledDelete",
        Action::Merged => "Merged",
        Action::Conflict => "Conflict",
        Action::EditKept => "EditKept",
        Action::Parked => "Parked",
    }
}
