//! How errors look in JavaScript: an `Error` whose `message` is for a person and whose `code` is for
//! programs. The codes are part of the module's interface.

use js_sys::Error;
use js_sys::JsString;
use js_sys::Reflect;
use pangaea::replica::EditError;
use pangaea::replica::ReplicaError;
use pangaea::store::StoreError;
use wasm_bindgen::JsCast;
use wasm_bindgen::JsValue;

/// What IndexedDB threw, as far as it matters.
#[derive(Debug, Clone)]
pub(crate) struct StorageFailure {
    name: String,
    message: String,
}

/// There is no room left for this site.
#[derive(Debug, thiserror::Error)]
#[error("the browser has no more room for this site; delete something, or allow it more")]
struct OverQuota;

/// Any other failure of the browser's database.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {message}")]
struct Thrown {
    name: String,
    message: String,
}

impl StorageFailure {
    pub(crate) fn of(thrown: &JsValue) -> Self {
        let text = |name: &str| {
            let value = Reflect::get(thrown, &name.into()).unwrap_or_default();
            value
                .dyn_ref::<JsString>()
                .map(String::from)
                .unwrap_or_default()
        };
        Self {
            name: text("name"),
            message: text("message"),
        }
    }

    pub(crate) fn into_error(self, context: &'static str) -> StoreError {
        match self.name.as_str() {
            "InUse" => StoreError::InUse,
            // The browser does not say which: what it knows is one version.
            "VersionError" => StoreError::Newer { found: 2, known: 1 },
            "QuotaExceededError" => StoreError::io(context, OverQuota),
            _ => {
                let Self { name, message } = self;
                StoreError::io(context, Thrown { name, message })
            }
        }
    }
}

/// An error for JavaScript.
pub(crate) fn error(code: &str, message: &str) -> JsValue {
    let error = Error::new(message);
    // A new object takes any field.
    drop(Reflect::set(&error, &"code".into(), &code.into()));
    error.into()
}

/// The code of a store's failure.
pub(crate) fn code_of(error: &StoreError) -> &'static str {
    match error {
        StoreError::InUse => "in-use",
        StoreError::Newer { .. } => "newer",
        StoreError::Damaged { .. } => "damaged",
        StoreError::Io { source, .. } if source.is::<OverQuota>() => "quota",
        _ => "storage",
    }
}

pub(crate) fn of_replica(failure: &ReplicaError) -> JsValue {
    let code = match failure {
        ReplicaError::Store(error) => code_of(error),
        ReplicaError::Policy(_) => "bad-policy",
        _ => "damaged",
    };
    error(code, &failure.to_string())
}

pub(crate) fn of_edit(failure: &EditError) -> JsValue {
    let code = match failure {
        EditError::Replica(inner) => return of_replica(inner),
        EditError::Absent { .. } => "absent",
        EditError::Changed { .. } => "changed",
        EditError::Unreadable { .. } => "unreadable",
        EditError::NotKept { .. } => "not-kept",
        EditError::NoConflict { .. } => "no-conflict",
        _ => "refused",
    };
    error(code, &failure.to_string())
}

pub(crate) fn of_store(failure: &StoreError) -> JsValue {
    error(code_of(failure), &failure.to_string())
}
