//! Routes: the table of all that the hub answers, and which of it a request is about.
//!
//! Targets are split before anything is decoded, so an escaped slash can never turn one bucket
//! into another. Which spellings of a path are one file is decided by `gaia::path`. What each
//! route takes and answers is told to the world by `openapi`, from the same table.

use http::Method;

/// The beginning of the path below which files are read.
pub(crate) const READ_PREFIX: &str = "/read/";

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    HubInfo,
    Store,
    Delete,
    ListFiles,
    RevokeAll,
    Read,
    Changes,
    Batch,
    Fetch,
    OpenApi,
}

/// One row of the table: which requests are for an endpoint.
#[derive(Debug)]
pub(crate) struct Shape {
    pub(crate) endpoint: Endpoint,
    pub(crate) methods: &'static [Method],
    prefix: &'static str,
    rest: Rest,
}

/// What follows the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    /// Nothing, or a slash, which stock lets pass.
    Nothing,
    /// A bucket and nothing else: what stock hubs do not know need not be lenient as they are.
    Bucket,
    /// A bucket; what follows it is ignored, as stock does.
    LeadingBucket,
    /// A bucket and a path.
    File,
    /// The same; the bucket may be one of the names beside addresses that stock reads know.
    ReadFile,
}

/// Every endpoint.
pub(crate) static SHAPES: [Shape; 10] = {
    const fn shape(
        endpoint: Endpoint,
        methods: &'static [Method],
        prefix: &'static str,
        rest: Rest,
    ) -> Shape {
        Shape {
            endpoint,
            methods,
            prefix,
            rest,
        }
    }
    const GET: &[Method] = &[Method::GET];
    const GET_HEAD: &[Method] = &[Method::GET, Method::HEAD];
    const POST: &[Method] = &[Method::POST];
    const DELETE: &[Method] = &[Method::DELETE];
    [
        shape(Endpoint::HubInfo, GET_HEAD, "/hub_info", Rest::Nothing),
        shape(Endpoint::Store, POST, "/store/", Rest::File),
        shape(Endpoint::Delete, DELETE, "/delete/", Rest::File),
        shape(
            Endpoint::ListFiles,
            POST,
            "/list-files/",
            Rest::LeadingBucket,
        ),
        shape(
            Endpoint::RevokeAll,
            POST,
            "/revoke-all/",
            Rest::LeadingBucket,
        ),
        shape(Endpoint::Read, GET_HEAD, READ_PREFIX, Rest::ReadFile),
        shape(Endpoint::Changes, GET, "/changes/", Rest::Bucket),
        shape(Endpoint::Batch, POST, "/batch/", Rest::Bucket),
        shape(Endpoint::Fetch, POST, "/fetch/", Rest::Bucket),
        shape(Endpoint::OpenApi, GET, "/openapi.json", Rest::Nothing),
    ]
};

/// What a request is about; bucket and path are as they came over the wire, and empty where the
/// endpoint has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route<'a> {
    To {
        endpoint: Endpoint,
        bucket: &'a str,
        path: &'a str,
    },
    /// Whether the hub should be sent requests.
    Health,
    /// What a person sees who looks at the hub with a browser.
    Home,
    /// A question of a browser about the hub's routes.
    Preflight,
    /// A question of a browser about reads.
    ReadPreflight,
}

/// What a route is called in metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RouteName {
    HubInfo,
    Store,
    Delete,
    ListFiles,
    RevokeAll,
    Batch,
    Fetch,
    Changes,
    Read,
    OpenApi,
    Preflight,
    Health,
    Home,
    Unknown,
}

impl RouteName {
    /// In the order of their declaration.
    pub(crate) const ALL: [Self; 14] = [
        Self::HubInfo,
        Self::Store,
        Self::Delete,
        Self::ListFiles,
        Self::RevokeAll,
        Self::Batch,
        Self::Fetch,
        Self::Changes,
        Self::Read,
        Self::OpenApi,
        Self::Preflight,
        Self::Health,
        Self::Home,
        Self::Unknown,
    ];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::HubInfo => "hub_info",
            Self::Store => "store",
            Self::Delete => "delete",
            Self::ListFiles => "list_files",
            Self::RevokeAll => "revoke_all",
            Self::Batch => "batch",
            Self::Fetch => "fetch",
            Self::Changes => "changes",
            Self::Read => "read",
            Self::OpenApi => "openapi",
            Self::Preflight => "preflight",
            Self::Health => "health",
            Self::Home => "home",
            Self::Unknown => "unknown",
        }
    }
}

impl<'a> Route<'a> {
    pub(crate) fn name(self) -> RouteName {
        match self {
            Self::To { endpoint, .. } => endpoint.name(),
            Self::Preflight | Self::ReadPreflight => RouteName::Preflight,
            Self::Health => RouteName::Health,
            Self::Home => RouteName::Home,
        }
    }

    /// The bucket that the request names, whatever it is.
    pub(crate) fn bucket(self) -> Option<&'a str> {
        match self {
            Self::To { bucket, .. } => Some(bucket).filter(|bucket| !bucket.is_empty()),
            Self::Preflight | Self::ReadPreflight | Self::Health | Self::Home => None,
        }
    }
}

impl Endpoint {
    fn name(self) -> RouteName {
        match self {
            Self::HubInfo => RouteName::HubInfo,
            Self::Store => RouteName::Store,
            Self::Delete => RouteName::Delete,
            Self::ListFiles => RouteName::ListFiles,
            Self::RevokeAll => RouteName::RevokeAll,
            Self::Read => RouteName::Read,
            Self::Changes => RouteName::Changes,
            Self::Batch => RouteName::Batch,
            Self::Fetch => RouteName::Fetch,
            Self::OpenApi => RouteName::OpenApi,
        }
    }
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
    match target {
        "/health" => return reads.then_some(Route::Health),
        "/" => return reads.then_some(Route::Home),
        _ => {}
    }
    let mut shapes = SHAPES.iter();
    let (shape, rest) =
        shapes.find_map(|shape| Some((shape, target.strip_prefix(shape.prefix)?)))?;
    let (bucket, path) = shape.rest.split(rest)?;
    let endpoint = shape.endpoint;
    shape.methods.contains(method).then_some(Route::To {
        endpoint,
        bucket,
        path,
    })
}

impl Shape {
    /// The path with names for what differs, as OpenAPI writes it.
    pub(crate) fn template(&self) -> String {
        let prefix = self.prefix;
        match self.rest {
            Rest::Nothing => prefix.to_owned(),
            Rest::Bucket | Rest::LeadingBucket => format!("{prefix}{{address}}"),
            Rest::File | Rest::ReadFile => format!("{prefix}{{address}}/{{path}}"),
        }
    }
}

impl Rest {
    /// Bucket and path, if it is what it has to be.
    fn split(self, rest: &str) -> Option<(&str, &str)> {
        match self {
            Self::Nothing => matches!(rest, "" | "/").then_some(("", "")),
            Self::Bucket => Some((whole(rest, is_bucket)?, "")),
            Self::LeadingBucket => {
                let end = rest.bytes().position(|byte| !is_bucket(byte));
                Some((whole(&rest[..end.unwrap_or(rest.len())], is_bucket)?, ""))
            }
            Self::File => file(rest, is_bucket),
            Self::ReadFile => file(rest, is_read_bucket),
        }
    }
}

/// Splits `bucket/path`; both must be there.
fn file(rest: &str, is_bucket: fn(u8) -> bool) -> Option<(&str, &str)> {
    let (bucket, path) = rest.split_once('/')?;
    (!path.is_empty()).then_some((whole(bucket, is_bucket)?, path))
}

fn whole(bucket: &str, is_bucket: fn(u8) -> bool) -> Option<&str> {
    (!bucket.is_empty() && bucket.bytes().all(is_bucket)).then_some(bucket)
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

    fn to<'a>(endpoint: Endpoint, bucket: &'a str, path: &'a str) -> Option<Route<'a>> {
        Some(Route::To {
            endpoint,
            bucket,
            path,
        })
    }

    #[test]
    fn targets_are_split_before_they_are_decoded() {
        let store = |target| route(&Method::POST, target);
        assert_eq!(store("/store/A/b%2Fc"), to(Endpoint::Store, "A", "b%2Fc"));
        assert_eq!(store("/store/A//b"), to(Endpoint::Store, "A", "/b"));
        for target in [
            "/store/A",
            "/store/A/",
            "/store//b",
            "/store/A%2Fb/c",
            "/store/A-auth/c",
        ] {
            assert_eq!(store(target), None, "{target}");
        }
        assert_eq!(store("/list-files/A/b/c"), to(Endpoint::ListFiles, "A", ""));
        assert_eq!(store("/list-files/A-b"), to(Endpoint::ListFiles, "A", ""));
        assert_eq!(store("/list-files/"), None);
        assert_eq!(store("/revoke-all/A/"), to(Endpoint::RevokeAll, "A", ""));
        assert_eq!(store("/batch/A"), to(Endpoint::Batch, "A", ""));
        assert_eq!(store("/fetch/A"), to(Endpoint::Fetch, "A", ""));
        for target in ["/batch/", "/batch/A/", "/batch/A-auth", "/fetch/A/b"] {
            assert_eq!(store(target), None, "{target}");
        }
    }

    #[test]
    fn methods_matter() {
        let read = to(Endpoint::Read, "A-auth", "b");
        assert_eq!(route(&Method::GET, "/read/A-auth/b"), read);
        assert_eq!(route(&Method::HEAD, "/read/A-auth/b"), read);
        let changes = to(Endpoint::Changes, "A", "");
        assert_eq!(route(&Method::GET, "/changes/A"), changes);
        for target in ["/changes/", "/changes/A/", "/changes/A%2F"] {
            assert_eq!(route(&Method::GET, target), None, "{target}");
        }
        assert_eq!(route(&Method::HEAD, "/changes/A"), None);
        assert_eq!(route(&Method::POST, "/changes/A"), None);
        assert_eq!(route(&Method::POST, "/read/A/b"), None);
        assert_eq!(route(&Method::PUT, "/store/A/b"), None);
        assert_eq!(route(&Method::GET, "/store/A/b"), None);
        assert_eq!(
            route(&Method::HEAD, "/hub_info"),
            to(Endpoint::HubInfo, "", "")
        );
        assert_eq!(route(&Method::OPTIONS, "/anything"), Some(Route::Preflight));
        assert_eq!(
            route(&Method::OPTIONS, "/read/A/b"),
            Some(Route::ReadPreflight)
        );
    }
}
