//! Routes: takes the raw target of a request apart.
//!
//! Everything is split before anything is decoded, so an escaped slash can never turn one bucket
//! into another. Which spellings of a path are one file is decided by `gaia::path`.

use http::Method;

/// The beginning of the path below which files are read.
pub(crate) const READ_PREFIX: &str = "/read/";

/// What a request is about; addresses and paths are as they came over the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    HubInfo,
    Store {
        bucket: &'a str,
        path: &'a str,
    },
    Delete {
        bucket: &'a str,
        path: &'a str,
    },
    ListFiles {
        bucket: &'a str,
    },
    RevokeAll {
        bucket: &'a str,
    },
    Batch {
        bucket: &'a str,
    },
    Fetch {
        bucket: &'a str,
    },
    Changes {
        bucket: &'a str,
    },
    Read {
        bucket: &'a str,
        path: &'a str,
    },
    /// A question of a browser about the hub's routes.
    Preflight,
    /// A question of a browser about reads.
    ReadPreflight,
}

/// Finds the route of a method and a raw path without its query.
pub(crate) fn route<'a>(method: &Method, target: &'a str) -> Option<Route<'a>> {
    if *method == Method::OPTIONS {
        let reads = target.starts_with(READ_PREFIX);
        return Some(if reads {
            Route::ReadPreflight
        } else {
            Route::Preflight
        });
    }
    let reads = *method == Method::GET || *method == Method::HEAD;
    if let Some(rest) = target.strip_prefix(READ_PREFIX) {
        let (bucket, path) = file(rest, is_read_bucket)?;
        return reads.then_some(Route::Read { bucket, path });
    }
    if matches!(target, "/hub_info" | "/hub_info/") {
        return reads.then_some(Route::HubInfo);
    }
    if *method == Method::GET {
        let bucket = target.strip_prefix("/changes/")?;
        let fits = !bucket.is_empty() && bucket.bytes().all(is_bucket);
        return fits.then_some(Route::Changes { bucket });
    }
    if *method == Method::DELETE {
        let (bucket, path) = file(target.strip_prefix("/delete/")?, is_bucket)?;
        return Some(Route::Delete { bucket, path });
    }
    if *method != Method::POST {
        return None;
    }
    if let Some(rest) = target.strip_prefix("/store/") {
        let (bucket, path) = file(rest, is_bucket)?;
        return Some(Route::Store { bucket, path });
    }
    if let Some(rest) = target.strip_prefix("/list-files/") {
        return Some(Route::ListFiles {
            bucket: leading_bucket(rest)?,
        });
    }
    if let Some(bucket) = target.strip_prefix("/batch/") {
        let bucket = whole_bucket(bucket)?;
        return Some(Route::Batch { bucket });
    }
    if let Some(bucket) = target.strip_prefix("/fetch/") {
        let bucket = whole_bucket(bucket)?;
        return Some(Route::Fetch { bucket });
    }
    let rest = target.strip_prefix("/revoke-all/")?;
    Some(Route::RevokeAll {
        bucket: leading_bucket(rest)?,
    })
}

/// Splits `bucket/path`; both must be there.
fn file(rest: &str, is_bucket: impl Fn(u8) -> bool) -> Option<(&str, &str)> {
    let (bucket, path) = rest.split_once('/')?;
    let fits = !bucket.is_empty() && bucket.bytes().all(is_bucket) && !path.is_empty();
    fits.then_some((bucket, path))
}

/// The bucket at the beginning; what follows it is ignored, as stock does.
fn leading_bucket(rest: &str) -> Option<&str> {
    let end = rest
        .bytes()
        .position(|byte| !is_bucket(byte))
        .unwrap_or(rest.len());
    (end > 0).then(|| &rest[..end])
}

/// A bucket and nothing else: what stock hubs do not know need not be lenient as they are.
fn whole_bucket(rest: &str) -> Option<&str> {
    (!rest.is_empty() && rest.bytes().all(is_bucket)).then_some(rest)
}

fn is_bucket(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

fn is_read_bucket(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_split_before_they_are_decoded() {
        let store = |target| route(&Method::POST, target);
        assert_eq!(
            store("/store/A/b%2Fc"),
            Some(Route::Store {
                bucket: "A",
                path: "b%2Fc"
            })
        );
        assert_eq!(
            store("/store/A//b"),
            Some(Route::Store {
                bucket: "A",
                path: "/b"
            })
        );
        for target in [
            "/store/A",
            "/store/A/",
            "/store//b",
            "/store/A%2Fb/c",
            "/store/A-auth/c",
        ] {
            assert_eq!(store(target), None, "{target}");
        }
        assert_eq!(
            store("/list-files/A/b/c"),
            Some(Route::ListFiles { bucket: "A" })
        );
        assert_eq!(
            store("/list-files/A-b"),
            Some(Route::ListFiles { bucket: "A" })
        );
        assert_eq!(store("/list-files/"), None);
        assert_eq!(
            store("/revoke-all/A/"),
            Some(Route::RevokeAll { bucket: "A" })
        );
        assert_eq!(store("/batch/A"), Some(Route::Batch { bucket: "A" }));
        assert_eq!(store("/fetch/A"), Some(Route::Fetch { bucket: "A" }));
        for target in ["/batch/", "/batch/A/", "/batch/A-auth", "/fetch/A/b"] {
            assert_eq!(store(target), None, "{target}");
        }
    }

    #[test]
    fn methods_matter() {
        let read = Some(Route::Read {
            bucket: "A-auth",
            path: "b",
        });
        assert_eq!(route(&Method::GET, "/read/A-auth/b"), read);
        assert_eq!(route(&Method::HEAD, "/read/A-auth/b"), read);
        let changes = Some(Route::Changes { bucket: "A" });
        assert_eq!(route(&Method::GET, "/changes/A"), changes);
        for target in ["/changes/", "/changes/A/", "/changes/A%2F"] {
            assert_eq!(route(&Method::GET, target), None, "{target}");
        }
        assert_eq!(route(&Method::HEAD, "/changes/A"), None);
        assert_eq!(route(&Method::POST, "/changes/A"), None);
        assert_eq!(route(&Method::POST, "/read/A/b"), None);
        assert_eq!(route(&Method::PUT, "/store/A/b"), None);
        assert_eq!(route(&Method::GET, "/store/A/b"), None);
        assert_eq!(route(&Method::HEAD, "/hub_info"), Some(Route::HubInfo));
        assert_eq!(route(&Method::OPTIONS, "/anything"), Some(Route::Preflight));
        assert_eq!(
            route(&Method::OPTIONS, "/read/A/b"),
            Some(Route::ReadPreflight)
        );
    }
}
