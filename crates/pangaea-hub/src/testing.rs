//! The hub's parsers of what strangers send and operators write, for fuzzers. Test tooling, behind the
//! feature `testing`.

use std::ops::Range;

use gaia::etag::ETag;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::config::ConfigSources;
use crate::reads;
use crate::routes::{self, Route};

/// Bucket and path that a raw target names, without their percent signs undone.
#[must_use]
pub fn route(method: &str, target: &str) -> Option<(String, String)> {
    let method = Method::from_bytes(method.as_bytes()).ok()?;
    match routes::route(&method, target)? {
        Route::To { bucket, path, .. } => Some((bucket.to_owned(), path.to_owned())),
        _ => None,
    }
}

/// The parts of a file of this size that a `Range` header leads to; none: all of it, or a refusal.
#[must_use]
pub fn range(header: &str, size: u64) -> Option<Vec<Range<u64>>> {
    reads::wanted_parts(header, size)
}

/// Asks the condition of a read, whatever it says.
pub fn conditions(name: &str, value: &str) {
    let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) else {
        return;
    };
    let headers = HeaderMap::from_iter([(name, value)]);
    reads::ask_conditions(&headers, ETag::of(b"content"), 1_700_000_000_000);
}

/// Reads the text of a configuration file. True: it is accepted, and can be shown.
#[must_use]
pub fn config(text: &str) -> bool {
    match ConfigSources::new()
        .with_file("hub.toml")
        .load_with(Some(text))
    {
        Ok(loaded) => !loaded.describe().is_empty() && loaded.to_json().is_object(),
        Err(error) => {
            assert!(!error.to_string().is_empty(), "an error says what is wrong");
            false
        }
    }
}
